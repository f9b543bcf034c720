//! What the link was found to carry whenever it was used beyond that.

/// Weight of a new find.
const WEIGHT: f64 = 0.05;
/// Bounds of the deviation, relative to the mean in kbit/s (libwebrtc).
const DEVIATION: (f64, f64) = (0.4, 2.5);

/// Mean and deviation of the throughput at overuse.
#[derive(Default)]
pub(super) struct Capacity {
    found: Option<(f64, f64)>,
}

impl Capacity {
    /// The link carried this, in bit/s, and no more. Much less than was found before means that it is another link now.
    pub fn on_overuse(&mut self, throughput: f64) {
        let sample = throughput / 1e3;
        let known = self.found.filter(|found| sample >= found.0 - reach(*found));
        let (mean, deviation) = known.unwrap_or((sample, DEVIATION.0));
        let error = sample - mean;
        let mean = mean + WEIGHT * error;
        let deviation = deviation + WEIGHT * (error * error / mean.max(1.0) - deviation);
        self.found = Some((mean, deviation.clamp(DEVIATION.0, DEVIATION.1)));
    }

    /// This got through, in bit/s. Much more than was found before means that it is another link now.
    pub fn on_throughput(&mut self, throughput: f64) {
        self.found = (self.found).filter(|found| throughput / 1e3 <= found.0 + reach(*found));
    }

    /// Whether something is known.
    pub fn is_known(&self) -> bool {
        self.found.is_some()
    }
}

/// How far from the mean, in kbit/s, a throughput is of the same link.
fn reach((mean, deviation): (f64, f64)) -> f64 {
    3.0 * (deviation * mean).sqrt()
}
