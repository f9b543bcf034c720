//! What passes between the control plane's threads and a worker: two bounded queues and a set of
//! counters. The locks are held for a push or a swap, never while a packet is handled.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use conclave_relay_core::command::{Command, CommandError};
use conclave_relay_core::event::Event;

use crate::os::Waker;

/// Commands that wait: a thousand people joining at once, ten commands each.
const MAX_COMMANDS: usize = 16_384;
/// From here on events that can be spared are dropped: DTLS (which is sent again) and levels.
const MAX_SPARE_EVENTS: usize = 16_384;
/// From here on any is; a control plane that leaves so many has stopped.
const MAX_EVENTS: usize = 1_048_576;

/// One entry of a batch.
#[cfg_attr(
    test,
    expect(
        clippy::large_enum_variant,
        reason = "the small variant is for tests only"
    )
)]
pub enum Instruction {
    /// For the relay.
    Command(Command),
    /// Ends the worker as a bug of ours would, for tests.
    #[cfg(test)]
    Crash,
}

/// A batch with the ticket that its [`Notice::Done`] will carry.
pub struct Order {
    pub ticket: u64,
    pub instructions: Vec<Instruction>,
}

/// What a worker tells.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// The relay did.
    Event(Event),
    /// A batch ran up to the end, or to its first refused command.
    Done {
        /// Whose.
        ticket: u64,
        /// The place of the refused command in the batch, and why.
        refused: Option<(usize, CommandError)>,
    },
    /// The worker ended by itself; its peers are gone.
    Died {
        /// The panic's message.
        reason: String,
    },
}

/// Why a batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The worker was stopped or has died.
    Closed,
    /// Too many commands wait.
    Full,
}

/// Both queues.
pub struct Queues {
    orders: Mutex<Orders>,
    /// Wakes the worker.
    pub orders_waker: Waker,
    notices: Mutex<VecDeque<Notice>>,
    /// Wakes the control plane.
    pub notices_waker: Waker,
    /// Notices dropped because nobody fetched them.
    pub notices_lost: AtomicU64,
    closed: AtomicBool,
}

#[derive(Default)]
struct Orders {
    queue: Vec<Order>,
    commands: usize,
    last_ticket: u64,
}

impl Queues {
    pub fn new() -> std::io::Result<Self> {
        Ok(Queues {
            orders: Mutex::default(),
            orders_waker: Waker::new()?,
            notices: Mutex::default(),
            notices_waker: Waker::new()?,
            notices_lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        })
    }

    /// Queues a batch, all or nothing; never waits.
    pub fn order(&self, instructions: Vec<Instruction>) -> Result<u64, Refused> {
        if self.is_closed() {
            return Err(Refused::Closed);
        }
        let mut orders = lock(&self.orders);
        if orders.commands + instructions.len() > MAX_COMMANDS {
            return Err(Refused::Full);
        }
        orders.commands += instructions.len();
        orders.last_ticket += 1;
        let ticket = orders.last_ticket;
        orders.queue.push(Order {
            ticket,
            instructions,
        });
        drop(orders);
        self.orders_waker.wake();
        Ok(ticket)
    }

    /// All batches that wait.
    pub fn take_orders(&self, into: &mut Vec<Order>) {
        self.orders_waker.reset();
        let mut orders = lock(&self.orders);
        orders.commands = 0;
        into.append(&mut orders.queue);
    }

    /// Queues what the worker tells, and wakes the control plane.
    pub fn notify(&self, notices: &mut Vec<Notice>) {
        if notices.is_empty() {
            return;
        }
        let mut queue = lock(&self.notices);
        for notice in notices.drain(..) {
            let spare = matches!(
                notice,
                Notice::Event(Event::Dtls { .. } | Event::Levels { .. } | Event::Health { .. })
            );
            let room = if spare { MAX_SPARE_EVENTS } else { MAX_EVENTS };
            if queue.len() < room {
                queue.push_back(notice);
            } else {
                self.notices_lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(queue);
        self.notices_waker.wake();
    }

    /// Everything told since the last call.
    pub fn take_notices(&self) -> VecDeque<Notice> {
        self.notices_waker.reset();
        std::mem::take(&mut *lock(&self.notices))
    }

    /// No more orders.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.orders_waker.wake();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// A panic elsewhere leaves these queues whole: nothing between lock and unlock can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_relay_core::units::PeerId;

    #[test]
    fn a_control_plane_that_fetches_nothing_loses_dtls_first_and_it_is_counted() {
        let queues = Queues::new().unwrap();
        let dtls = || {
            Notice::Event(Event::Dtls {
                peer: PeerId(1),
                datagram: vec![22],
            })
        };
        queues.notify(&mut (0..MAX_SPARE_EVENTS + 5).map(|_| dtls()).collect());
        let kept = Notice::Event(Event::ConsentLost { peer: PeerId(1) });
        queues.notify(&mut vec![kept]);
        assert_eq!(queues.notices_lost.load(Ordering::Relaxed), 5);
        let taken = queues.take_notices();
        assert_eq!(
            taken.back(),
            Some(&Notice::Event(Event::ConsentLost { peer: PeerId(1) }))
        );
    }

    #[test]
    fn a_batch_that_does_not_fit_is_refused_whole() {
        let queues = Queues::new().unwrap();
        let crashes = |count: usize| (0..count).map(|_| Instruction::Crash).collect();
        assert_eq!(queues.order(crashes(MAX_COMMANDS)), Ok(1));
        assert_eq!(queues.order(crashes(1)), Err(Refused::Full));
        let mut orders = Vec::new();
        queues.take_orders(&mut orders);
        assert_eq!(orders.len(), 1);
        assert_eq!(queues.order(crashes(1)), Ok(2));
        queues.close();
        assert_eq!(queues.order(crashes(1)), Err(Refused::Closed));
    }
}
