//! Whether a queue builds up: the slope of the delay over the last groups, against a threshold that learns the path's
//! own unrest (GCC draft sections 4.2 to 4.4, the filter being libwebrtc's line fit instead of the draft's Kalman one).
use super::groups::GroupStep;

/// Groups the line is laid through.
const WINDOW: usize = 20;
/// Share of the old value in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// Slopes are scaled by this and by how many groups were seen, at most [`FULL_WEIGHT`], before they meet the threshold,
/// whose values are those of the draft, in milliseconds.
const GAIN: f64 = 4.0;
const FULL_WEIGHT: f64 = 60.0;

/// Where the threshold begins, and what it stays within (GCC draft section 5, libwebrtc).
const THRESHOLD: f64 = 12.5;
const THRESHOLD_RANGE: (f64, f64) = (6.0, 600.0);
/// How fast it follows slopes above it and below it: slowly up, so that congestion is no new normal.
const THRESHOLD_UP: f64 = 0.0087;
const THRESHOLD_DOWN: f64 = 0.039;
/// A slope that much above the threshold is congestion or an accident, and moves it no more.
const UNBELIEVABLE: f64 = 15.0;
/// Longest time, in milliseconds, that one step of the threshold makes up for.
const LONGEST_STEP: f64 = 100.0;
/// A slope must stay above the threshold for so many milliseconds of sending.
const OVERUSE_TIME: f64 = 10.0;

/// What the delays say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    /// Delays stay.
    #[default]
    Normal,
    /// They grow: more is sent than goes through.
    Over,
    /// They shrink: a queue drains.
    Under,
}

/// The line fit and its threshold.
pub(super) struct Trend {
    /// (arrival, smoothed delay) in milliseconds, oldest overwritten first.
    window: [(f64, f64); WINDOW],
    seen: usize,
    origin: i64,
    delay: f64,
    smoothed: f64,
    slope: f64,
    threshold: f64,
    adapted_at: Option<i64>,
    /// Milliseconds of sending above the threshold, and groups of it.
    over_for: Option<f64>,
    over_groups: u32,
    usage: Usage,
}

impl Trend {
    pub fn new() -> Self {
        Trend {
            window: [(0.0, 0.0); WINDOW],
            seen: 0,
            origin: 0,
            delay: 0.0,
            smoothed: 0.0,
            slope: 0.0,
            threshold: THRESHOLD,
            adapted_at: None,
            over_for: None,
            over_groups: 0,
            usage: Usage::Normal,
        }
    }

    /// What the delays say now.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// One more pair of groups.
    pub fn on_step(&mut self, step: &GroupStep) {
        if self.seen == 0 {
            self.origin = step.at;
        }
        self.delay += step.arrived - step.sent;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        let at = step.at.wrapping_sub(self.origin) as f64 / 1e3;
        self.window[self.seen % WINDOW] = (at, self.smoothed);
        self.seen += 1;
        if self.seen < 2 {
            return;
        }
        let slope = if self.seen >= WINDOW {
            slope(&self.window).unwrap_or(self.slope)
        } else {
            self.slope
        };
        self.judge(slope, step);
        self.slope = slope;
    }

    fn judge(&mut self, slope: f64, step: &GroupStep) {
        let weighed = slope * GAIN * FULL_WEIGHT.min(self.seen as f64);
        if weighed > self.threshold {
            // At first it may have been above for half of the time since the last group.
            let over_for = self
                .over_for
                .map_or(step.sent / 2.0, |before| before + step.sent);
            self.over_for = Some(over_for);
            self.over_groups += 1;
            if over_for > OVERUSE_TIME && self.over_groups > 1 && slope >= self.slope {
                self.usage = Usage::Over;
                self.over_for = Some(0.0);
                self.over_groups = 0;
            }
        } else {
            self.over_for = None;
            self.over_groups = 0;
            self.usage = if weighed < -self.threshold {
                Usage::Under
            } else {
                Usage::Normal
            };
        }
        self.adapt(weighed.abs(), step.at);
    }

    fn adapt(&mut self, weighed: f64, at: i64) {
        let since = at.wrapping_sub(self.adapted_at.unwrap_or(at)) as f64 / 1e3;
        self.adapted_at = Some(at);
        if weighed > self.threshold + UNBELIEVABLE {
            return;
        }
        let pace = if weighed < self.threshold {
            THRESHOLD_DOWN
        } else {
            THRESHOLD_UP
        };
        let (low, high) = THRESHOLD_RANGE;
        let step = pace * (weighed - self.threshold) * since.clamp(0.0, LONGEST_STEP);
        self.threshold = (self.threshold + step).clamp(low, high);
    }
}

/// Least squares; `None` where all points stand at one time.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut over, mut under) = (0.0, 0.0);
    for point in points {
        over += (point.0 - x) * (point.1 - y);
        under += (point.0 - x) * (point.0 - x);
    }
    let slope = over / under;
    slope.is_finite().then_some(slope)
}
