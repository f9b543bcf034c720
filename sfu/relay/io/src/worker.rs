//! One worker: a thread, its sockets, and the relay that owns everything between them.

use std::any::Any;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use conclave_relay_core::counters::Counters;
use conclave_relay_core::limits::Limits;
use conclave_relay_core::units::Time;
use conclave_relay_core::{Command, Relay};

use crate::clock;
use crate::coalescing::Coalescing;
use crate::os::{self, Poller};
use crate::queues::{Instruction, Notice, Order, Queues, Refused};
use crate::udp::{ReceiveBatch, SendCounters, UdpSocket};

/// How often the thread's CPU clock is read: the system call costs as much as a packet.
const CPU_CLOCK_INTERVAL: Duration = Duration::from_millis(50);

/// A running worker. Dropping it stops the thread.
pub struct Worker {
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queues: Queues,
    gauges: Gauges,
}

impl Worker {
    /// Opens the sockets and starts the thread. One socket per IP address: answers find theirs by
    /// the local address that was hit. So long a packet may `wait` for others, at most a millisecond.
    pub fn start(binds: &[SocketAddr], limits: Limits, wait: Duration) -> io::Result<Self> {
        let distinct = |(at, bind): (usize, &SocketAddr)| {
            binds[..at].iter().all(|other| other.ip() != bind.ip())
        };
        if binds.is_empty() || !binds.iter().enumerate().all(distinct) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let sockets = binds
            .iter()
            .map(|bind| UdpSocket::bind(*bind))
            .collect::<io::Result<Vec<_>>>()?;
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect();
        let shared = Arc::new(Shared {
            queues: Queues::new()?,
            gauges: Gauges::new(),
        });
        let poller = Poller::new()?;
        for (number, socket) in sockets.iter().enumerate() {
            poller.add(socket, number)?;
        }
        poller.add(&shared.queues.orders_waker, sockets.len())?;
        let relay = Relay::new(limits, os::entropy()?);
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("conclave-relay".to_owned())
            .spawn(move || run(&for_thread, relay, sockets, poller, wait))?;
        Ok(Worker {
            addresses,
            shared,
            thread: Some(thread),
        })
    }

    /// Where the sockets listen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Queues a batch of commands; returns its ticket.
    pub fn apply(&self, commands: Vec<Command>) -> Result<u64, Refused> {
        self.order(commands.into_iter().map(Instruction::Command).collect())
    }

    fn order(&self, instructions: Vec<Instruction>) -> Result<u64, Refused> {
        self.shared.queues.order(instructions)
    }

    /// Everything told since the last call.
    pub fn notices(&self) -> impl IntoIterator<Item = Notice> + use<> {
        self.shared.queues.take_notices()
    }

    /// Readable while notices wait.
    pub fn event_fd(&self) -> RawFd {
        self.shared.queues.notices_waker.raw_fd()
    }

    /// Every counter by name.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let lost = self.shared.queues.notices_lost.load(Ordering::Relaxed);
        let mut all = self.shared.gauges.read();
        all.push(("events_lost", lost));
        all
    }

    /// Stops the thread and waits for it; its sockets are closed then.
    pub fn stop(&mut self) {
        self.shared.queues.close();
        if let Some(thread) = self.thread.take() {
            // A panic was caught and told inside.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(shared: &Shared, relay: Relay, sockets: Vec<UdpSocket>, poller: Poller, wait: Duration) {
    let body = AssertUnwindSafe(|| Loop::new(shared, relay, sockets, poller, wait).run());
    if let Err(panic) = catch_unwind(body) {
        shared.queues.close();
        shared.queues.notify(&mut vec![Notice::Died {
            reason: message(&*panic),
        }]);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic")
        .to_owned()
}

/// The thread's own state.
struct Loop<'a> {
    shared: &'a Shared,
    relay: Relay,
    sockets: Vec<UdpSocket>,
    addresses: Vec<IpAddr>,
    /// Watches the sockets under their places, and the queue of orders under the next number.
    poller: Poller,
    ready: Vec<usize>,
    batch: ReceiveBatch,
    coalescing: Coalescing,
    orders: Vec<Order>,
    notices: Vec<Notice>,
    sends: SendCounters,
    wakeups: u64,
    full_batches: u64,
    cpu_read_at: Time,
}

impl<'a> Loop<'a> {
    fn new(
        shared: &'a Shared,
        relay: Relay,
        sockets: Vec<UdpSocket>,
        poller: Poller,
        wait: Duration,
    ) -> Self {
        Loop {
            shared,
            relay,
            addresses: sockets
                .iter()
                .map(|socket| socket.local_addr().ip())
                .collect(),
            sockets,
            poller,
            ready: Vec::new(),
            batch: ReceiveBatch::new(),
            coalescing: Coalescing::new(wait),
            orders: Vec::new(),
            notices: Vec::new(),
            sends: SendCounters::default(),
            wakeups: 0,
            full_batches: 0,
            cpu_read_at: Time::ZERO,
        }
    }

    fn run(mut self) {
        os::wake_in_time();
        let orders = self.sockets.len();
        while !self.shared.queues.is_closed() {
            let now = clock::now();
            let timeout = self.relay.poll_timeout().map(|due| due.since(now));
            self.ready.clear();
            self.poller.wait(timeout, &mut self.ready);
            self.wakeups += 1;
            // Only once a turn, so that nothing waits twice.
            let first = self.ready.iter().copied().find(|number| *number != orders);
            let paused = first.is_some_and(|at| self.gather(at));
            let now = clock::now();
            // Orders first: a client may answer what an order let out before this wake-up ends, and its
            // first STUN check must find the peer. Both may have come during the pause.
            if paused || self.ready.contains(&orders) {
                self.obey(now);
            }
            self.take_in(now);
            for at in 0..self.ready.len() {
                if self.ready[at] != orders && Some(self.ready[at]) != first {
                    self.receive(self.ready[at]);
                    self.take_in(now);
                }
            }
            if self.relay.poll_timeout().is_some_and(|due| now >= due) {
                self.relay.handle_timeout(now);
            }
            self.transmit();
            self.tell(now);
        }
        // Goodbyes that a last batch of commands asked for.
        let now = clock::now();
        self.obey(now);
        self.transmit();
        self.tell(now);
    }

    /// What waits at a socket, and where that pays, what comes within a moment; whether it waited.
    fn gather(&mut self, at: usize) -> bool {
        self.receive(at);
        if self.batch.is_full() {
            return false;
        }
        let Some(pause) = self.coalescing.pause() else {
            return false;
        };
        let due = self.relay.poll_timeout();
        if due.is_some_and(|due| due.since(clock::now()) < pause) {
            return false;
        }
        std::thread::sleep(pause);
        let brought = self.receive(at);
        self.coalescing.brought(brought);
        true
    }

    /// One batch, so that no socket and no command waits for more than that.
    fn receive(&mut self, at: usize) -> usize {
        let received = self.batch.receive(&self.sockets[at]);
        self.full_batches += u64::from(self.batch.is_full());
        received
    }

    /// Hands the batch over.
    fn take_in(&mut self, now: Time) {
        self.batch.each(|path, datagram| {
            self.relay.handle_datagram(now, path, datagram);
            if self.relay.is_batch_full() {
                transmit(
                    &mut self.relay,
                    &mut self.sockets,
                    &self.addresses,
                    &mut self.sends,
                );
            }
        });
    }

    fn obey(&mut self, now: Time) {
        self.shared.queues.take_orders(&mut self.orders);
        let mut orders = std::mem::take(&mut self.orders);
        for order in orders.drain(..) {
            let mut refused = None;
            for (at, instruction) in order.instructions.into_iter().enumerate() {
                if let Err(error) = self.carry_out(now, instruction) {
                    refused = Some((at, error));
                    break;
                }
            }
            self.notices.push(Notice::Done {
                ticket: order.ticket,
                refused,
            });
        }
        self.orders = orders;
    }

    fn carry_out(
        &mut self,
        now: Time,
        instruction: Instruction,
    ) -> Result<(), conclave_relay_core::command::CommandError> {
        match instruction {
            Instruction::Command(command) => {
                let result = self.relay.handle_command(now, command);
                self.transmit();
                result
            }
            #[cfg(test)]
            Instruction::Crash => std::panic::panic_any("told to"),
        }
    }

    fn transmit(&mut self) {
        transmit(
            &mut self.relay,
            &mut self.sockets,
            &self.addresses,
            &mut self.sends,
        );
    }

    /// Whoever is told something finds it counted.
    fn tell(&mut self, now: Time) {
        while let Some(event) = self.relay.poll_event() {
            self.notices.push(Notice::Event(event));
        }
        self.publish(now);
        self.shared.queues.notify(&mut self.notices);
    }

    fn publish(&mut self, now: Time) {
        let gauges = &self.shared.gauges;
        gauges.write(self.relay.counters());
        let set = |gauge: &AtomicU64, value: u64| gauge.store(value, Ordering::Relaxed);
        set(&gauges.wakeups, self.wakeups);
        set(&gauges.full_batches, self.full_batches);
        set(&gauges.system_calls, self.sends.system_calls);
        set(&gauges.send_blocked, self.sends.blocked);
        set(&gauges.send_failed, self.sends.failed);
        set(&gauges.gso_runs, self.sends.gso_runs);
        set(&gauges.gso_refused, self.sends.gso_refused);
        if now >= self.cpu_read_at + CPU_CLOCK_INTERVAL {
            self.cpu_read_at = now;
            set(&gauges.cpu_ns, os::thread_cpu().as_nanos() as u64);
        }
    }
}

/// Counters as other threads may read them at any time, without a lock.
struct Gauges {
    /// As [`Counters::NAMES`] has them.
    core: Vec<AtomicU64>,
    wakeups: AtomicU64,
    full_batches: AtomicU64,
    cpu_ns: AtomicU64,
    system_calls: AtomicU64,
    send_blocked: AtomicU64,
    send_failed: AtomicU64,
    gso_runs: AtomicU64,
    gso_refused: AtomicU64,
}

impl Gauges {
    fn new() -> Self {
        let core = Counters::NAMES.iter().map(|_| AtomicU64::new(0));
        Gauges {
            core: core.collect(),
            wakeups: AtomicU64::new(0),
            full_batches: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
            system_calls: AtomicU64::new(0),
            send_blocked: AtomicU64::new(0),
            send_failed: AtomicU64::new(0),
            gso_runs: AtomicU64::new(0),
            gso_refused: AtomicU64::new(0),
        }
    }

    fn write(&self, counters: &Counters) {
        for (gauge, value) in self.core.iter().zip(counters.values()) {
            gauge.store(value, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Vec<(&'static str, u64)> {
        let value = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        let core = Counters::NAMES.iter().zip(&self.core);
        let mut all: Vec<_> = core.map(|(name, gauge)| (*name, value(gauge))).collect();
        all.extend([
            ("worker_wakeups", value(&self.wakeups)),
            ("worker_full_batches", value(&self.full_batches)),
            ("worker_cpu_ns", value(&self.cpu_ns)),
            ("send_system_calls", value(&self.system_calls)),
            ("send_drop_blocked", value(&self.send_blocked)),
            ("send_drop_failed", value(&self.send_failed)),
            ("send_gso_runs", value(&self.gso_runs)),
            ("send_gso_refused", value(&self.gso_refused)),
        ]);
        all
    }
}

/// Sends all that the relay has to send.
fn transmit(
    relay: &mut Relay,
    sockets: &mut [UdpSocket],
    addresses: &[IpAddr],
    counters: &mut SendCounters,
) {
    while let Some(runs) = relay.poll_transmit() {
        if let [socket] = sockets {
            socket.send(runs, counters);
            continue;
        }
        for (at, socket) in sockets.iter_mut().enumerate() {
            let mine = runs.clone();
            let mine = mine.filter(|run| route(addresses, run.path.local) == Some(at));
            socket.send(mine, counters);
        }
    }
}

/// Which socket a datagram leaves by: the one bound to that very address, else its family's wildcard.
fn route(addresses: &[IpAddr], local: IpAddr) -> Option<usize> {
    let exact = addresses.iter().position(|address| *address == local);
    let stands_for =
        |address: &IpAddr| address.is_unspecified() && address.is_ipv4() == local.is_ipv4();
    exact.or_else(|| addresses.iter().position(stands_for))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coalescing::LONGEST;
    use conclave_relay_core::command::{CommandError, IceCredentials};
    use conclave_relay_core::units::PeerId;

    fn start() -> Worker {
        let bind = "127.0.0.1:0".parse().unwrap();
        Worker::start(&[bind], Limits::default(), LONGEST).unwrap()
    }

    fn next(worker: &Worker) -> Vec<Notice> {
        let poller = Poller::new().unwrap();
        poller.add(&worker.shared.queues.notices_waker, 0).unwrap();
        poller.wait(Some(Duration::from_secs(10)), &mut Vec::new());
        worker.notices().into_iter().collect()
    }

    fn open(peer: u64) -> Command {
        let local = IceCredentials {
            ufrag: format!("u{peer}"),
            password: "p".repeat(22),
        };
        Command::OpenPeer {
            peer: PeerId(peer),
            local,
        }
    }

    #[test]
    fn a_batch_runs_up_to_its_first_refused_command() {
        let worker = start();
        let ticket = worker.apply(vec![open(1), open(1), open(2)]).unwrap();
        let refused = Some((1, CommandError::Duplicate));
        assert_eq!(next(&worker), [Notice::Done { ticket, refused }]);
        let ticket = worker.apply(vec![open(2)]).unwrap();
        assert_eq!(
            next(&worker),
            [Notice::Done {
                ticket,
                refused: None
            }]
        );
    }

    #[test]
    fn a_worker_that_panics_says_so_takes_no_more_orders_and_can_be_replaced() {
        let mut worker = start();
        worker.order(vec![Instruction::Crash]).unwrap();
        assert_eq!(
            next(&worker),
            [Notice::Died {
                reason: "told to".to_owned()
            }]
        );
        assert_eq!(worker.apply(vec![open(1)]), Err(Refused::Closed));
        let address = worker.addresses()[0];
        worker.stop();
        assert!(
            Worker::start(&[address], Limits::default(), LONGEST).is_ok(),
            "its port is free again"
        );
    }

    #[test]
    fn one_address_cannot_be_bound_twice() {
        let bind = "127.0.0.1:0".parse().unwrap();
        assert!(Worker::start(&[bind, bind], Limits::default(), LONGEST).is_err());
        assert!(Worker::start(&[], Limits::default(), LONGEST).is_err());
    }

    #[test]
    fn an_answer_finds_the_socket_that_was_hit() {
        let addresses: Vec<IpAddr> = ["0.0.0.0", "192.0.2.1", "::"]
            .iter()
            .map(|ip| ip.parse().unwrap())
            .collect();
        let route = |ip: &str| route(&addresses, ip.parse().unwrap());
        assert_eq!(
            (route("192.0.2.1"), route("192.0.2.2"), route("::1")),
            (Some(1), Some(0), Some(2))
        );
    }
}
