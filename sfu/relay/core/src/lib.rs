//! The relay's core: everything that happens to a packet between two sockets, without the sockets.
//!
//! Laws (DESIGN 2.6): no clock, no sockets, no randomness of its own, no `unsafe`. Time and entropy
//! come in as arguments. Inputs are [`Relay::handle_command`], [`Relay::handle_datagram`] and
//! [`Relay::handle_timeout`]; after any of them the caller drains [`Relay::poll_transmit`] and
//! [`Relay::poll_event`] until they are empty. A panic in here is our bug, never bad input.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

// Wire formats: bytes to values and back, no state.
pub mod demux;
pub mod dependency_descriptor;
pub mod numbers;
pub mod red;
pub mod rtcp;
pub mod rtp;
pub mod stun;
pub mod units;
pub mod vp8;
pub mod vp9;

// Cryptography of the media path.
pub mod srtp;

// One incoming stream, and what is known of it.
pub mod cache;
pub mod keyframes;
pub mod layers;
pub mod losses;
pub mod receive;
pub mod round_trip;
pub mod speakers;
pub mod twcc;

// One outgoing stream.
pub mod downtrack;

// What one subscriber can take.
pub mod allocation;
pub mod congestion;

// The relay as a whole.
pub mod command;
pub mod counters;
pub mod event;
mod floor;
pub mod limits;
pub mod outbox;
pub mod pacer;
pub mod peer;
pub mod relay;
pub mod router;

pub use command::Command;
pub use event::Event;
pub use limits::Limits;
pub use relay::{Path, Relay};
