// For each matching element that plays a stream: the strongest frequency in what it decoded.
// Returns [{peak_hz, share, level}], where `share` is the peak's part of all power between
// 50 Hz and 8 kHz, and `level` the root mean square of the samples (1 = full scale).
async (selector, seconds) => {
  const FFT_SIZE = 16384; // 341 ms and 2.9 Hz a bin at 48 kHz
  const PEAK_HALF_WIDTH = 4; // bins; the analyser's Blackman window spreads a pure tone over six

  const elements = [...document.querySelectorAll(selector)].filter((element) => element.srcObject);
  const context = new AudioContext();
  try {
    void context.resume(); // without a sound card Firefox never says that it runs, but it does
    const probes = elements.flatMap((element) => {
      const tracks = element.srcObject.getAudioTracks();
      if (tracks.length === 0) return [];
      const analyser = new AnalyserNode(context, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
      context.createMediaStreamSource(new MediaStream(tracks)).connect(analyser);
      return [analyser];
    });
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return probes.map((analyser) => strongest(analyser, context.sampleRate));
  } finally {
    await context.close();
  }

  function strongest(analyser, sampleRate) {
    const samples = new Float32Array(FFT_SIZE);
    analyser.getFloatTimeDomainData(samples);
    const level = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / FFT_SIZE);
    const decibels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(decibels);
    const power = decibels.map((value) => (Number.isFinite(value) ? 10 ** (value / 10) : 0));
    const hzPerBin = sampleRate / FFT_SIZE;
    const first = Math.ceil(50 / hzPerBin);
    const last = Math.min(Math.floor(8000 / hzPerBin), power.length - 1);
    let peak = first;
    let total = 0;
    for (let bin = first; bin <= last; bin++) {
      total += power[bin];
      if (power[bin] > power[peak]) peak = bin;
    }
    let near = 0;
    let centre = 0;
    for (let bin = Math.max(first, peak - PEAK_HALF_WIDTH); bin <= Math.min(last, peak + PEAK_HALF_WIDTH); bin++) {
      near += power[bin];
      centre += power[bin] * bin;
    }
    return {
      peak_hz: near > 0 ? (centre / near) * hzPerBin : 0,
      share: total > 0 ? near / total : 0,
      level,
    };
  }
}
