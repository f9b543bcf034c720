// For each matching <video>: what its decoded frames show, sampled for `seconds`, and on up to `most`
// until each has shown so many different `frames`.
// Returns [{identity, width, height, samples: [{time, frame_time, mean, spot, blocks}]}]:
//   time        ms since the first sample
//   frame_time  the element's currentTime, s
//   mean        average [r, g, b] of the frame
//   spot        {x, y, size} of all near-white pixels: their centre and share, as parts of the frame; or null
//   blocks      [r, g, b] in the middle of the `blockCount` fields of the colour code
async (selector, seconds, most, frames, intervalMs, blockCentres) => {
  const WIDTH = 160;
  const HEIGHT = 90;
  const WHITE = 200;

  const videos = [...document.querySelectorAll(selector)].filter((video) => video.srcObject);
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const samples = videos.map(() => []);
  const start = performance.now();
  const enough = (looks) => new Set(looks.map(({ frame_time }) => frame_time)).size >= frames;
  const passed = () => (performance.now() - start) / 1000;
  while (passed() < seconds || (passed() < most && videos.length > 0 && !samples.every(enough))) {
    videos.forEach((video, index) => {
      if (video.videoWidth > 0) samples[index].push(look(video));
    });
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
  return videos.map((video, index) => ({
    identity: video.closest("[data-identity]")?.dataset.identity ?? "",
    width: video.videoWidth,
    height: video.videoHeight,
    samples: samples[index],
  }));

  function look(video) {
    const time = performance.now() - start;
    context.drawImage(video, 0, 0, WIDTH, HEIGHT);
    const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
    const sum = [0, 0, 0];
    let count = 0;
    let x = 0;
    let y = 0;
    for (let pixel = 0; pixel < WIDTH * HEIGHT; pixel++) {
      const [r, g, b] = [data[4 * pixel], data[4 * pixel + 1], data[4 * pixel + 2]];
      sum[0] += r;
      sum[1] += g;
      sum[2] += b;
      if (r > WHITE && g > WHITE && b > WHITE) {
        count += 1;
        x += pixel % WIDTH;
        y += Math.floor(pixel / WIDTH);
      }
    }
    const area = WIDTH * HEIGHT;
    return {
      time,
      frame_time: video.currentTime,
      mean: sum.map((value) => value / area),
      spot: count === 0 ? null : { x: (x / count + 0.5) / WIDTH, y: (y / count + 0.5) / HEIGHT, size: count / area },
      blocks: blockCentres.map(([u, v]) => {
        const at = 4 * (Math.floor(v * HEIGHT) * WIDTH + Math.floor(u * WIDTH));
        return [data[at], data[at + 1], data[at + 2]];
      }),
    };
  }
}
