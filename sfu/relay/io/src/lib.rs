//! Sockets and worker threads around the pure core. Nothing here decides anything about a packet,
//! and nothing is ever logged: what went wrong is an error, an event or a counter.
#![deny(unsafe_code)] // only `udp` lifts it

pub mod clock;
mod coalescing;
mod control;
mod os;
mod queues;
pub mod udp;
pub mod worker;

pub use queues::{Instruction, Notice, Refused};
pub use worker::Worker;
