// For each matching element that plays a stream: the sound it decoded, as samples.
// Returns [[sample, …], …], full scale 1, at `rate` samples a second.
//
// Recorded and decoded again rather than tapped with an AudioContext: on a machine without a sound
// card Firefox's never starts.
async (selector, seconds, rate) => {
  const elements = [...document.querySelectorAll(selector)].filter((element) => element.srcObject);
  const streams = elements
    .map((element) => element.srcObject.getAudioTracks().filter((track) => track.readyState === "live"))
    .filter((tracks) => tracks.length > 0)
    .map((tracks) => new MediaStream(tracks));
  const recordings = await Promise.all(streams.map(record));
  return Promise.all(recordings.map(decode));

  function record(stream) {
    return new Promise((resolve, reject) => {
      const recorder = new MediaRecorder(stream, { audioBitsPerSecond: 96_000 });
      const parts = [];
      recorder.ondataavailable = (event) => parts.push(event.data);
      recorder.onerror = (event) => reject(event.error);
      recorder.onstop = () => resolve(new Blob(parts));
      recorder.start();
      setTimeout(() => recorder.stop(), seconds * 1000);
    });
  }

  async function decode(recording) {
    if (recording.size === 0) return [];
    const context = new OfflineAudioContext(1, 1, rate);
    try {
      const sound = await context.decodeAudioData(await recording.arrayBuffer());
      return [...sound.getChannelData(0)];
    } catch {
      return []; // a recording without a single frame is none
    }
  }
}
