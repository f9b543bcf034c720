//! Fuzz targets of the relay core, one function each: bytes in, laws checked, a panic is a finding.
//!
//! They build on stable Rust, so that `cargo test` replays the committed corpora (`tests/corpora.rs`).
//! `make fuzz` drives the same functions with libFuzzer (`libfuzzer/`, nightly Rust). An input that
//! once failed stays in `corpus/<target>/` under a name that says what it showed.
#![forbid(unsafe_code)]

mod bytes;
mod key_frames;
mod relay;
mod rtcp;
mod rtp;
mod srtp;
mod stun;

/// Runs one input; panics when a law does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus and of its libFuzzer binary.
pub const TARGETS: [(&str, Target); 6] = [
    ("stun", stun::run),
    ("rtp", rtp::run),
    ("rtcp", rtcp::run),
    ("key_frames", key_frames::run),
    ("srtp", srtp::run),
    ("relay", relay::run),
];

pub use relay::{Reached, reach};

/// Runs one input of the target of that name.
///
/// # Panics
/// When there is no such target, or when a law does not hold.
pub fn run(name: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.unwrap_or_else(|| panic!("no target {name}"));
    target(input);
}
