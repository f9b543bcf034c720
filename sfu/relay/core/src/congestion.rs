//! Congestion control towards one subscriber: how much may be sent, by what it says of what was sent.
//!
//! After Google's congestion control (draft-ietf-rmcat-gcc-02) as libwebrtc has it today: a filter of delay differences
//! between groups of packets drives a rate up and down, losses may hold it lower, bursts find out what more there is.
//! The differences, and why:
//! - A step back needs a queue that stands, not only a slope: the unrest of a radio alone lowers nothing. And it is the
//!   deeper the longer the queue, so that the queue is gone in a second or so instead of many.
//! - Loss lowers the rate only where less sending means less loss, which is tried and not assumed.
//! - Bursts run whenever more is wanted than is thought to be there, not only while little is sent: what a relay sends
//!   comes in layers, and between two of them nothing else ever shows that the next would fit.
mod capacity;
mod delay;
mod estimator;
mod groups;
mod loss;
mod meter;
mod probe;
mod queue;
mod sent;
mod throughput;
mod trend;

pub use estimator::Estimator;
pub use meter::{RateMeter, SETTLED_AFTER, WINDOW as METER_WINDOW};
pub use probe::{Probe, ProbeId};

use crate::units::Bitrate;

/// What an estimate begins with: sound and three small pictures. libwebrtc begins with 300 kbit/s, as one sender of one
/// picture; a subscriber waits for several. A link that carries no more than 300 has a queue of some 200 ms by the time
/// the first feedback tells, and one that carries more is found out by the first burst, likewise at the first feedback.
pub const START: Bitrate = Bitrate::from_kbps(500);

/// An estimate never says less: sound at its lowest rate, headers included. Below it nothing is left to save.
pub const FLOOR: Bitrate = Bitrate::from_kbps(30);

/// An estimate never says more, whatever is claimed: some twenty large pictures.
pub const CEILING: Bitrate = Bitrate::from_kbps(50_000);

#[cfg(test)]
mod tests;
