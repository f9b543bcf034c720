//! What a worker asks of the kernel beside its sockets: to be woken, to wait, CPU time, entropy.

use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::thread::set_current_timer_slack;
use rustix::time::{ClockId, clock_gettime};

/// A counter in the kernel that wakes whoever polls its descriptor.
pub struct Waker(OwnedFd);

impl Waker {
    /// Not signalled.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Waker(eventfd(0, flags)?))
    }

    /// Makes the descriptor readable.
    pub fn wake(&self) {
        // Failure means that the counter is at its end: it is readable.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable again.
    pub fn reset(&self) {
        // Failure means that it was not signalled.
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }

    /// For polling by others.
    pub fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits for several descriptors at once, each under a number of its own.
pub struct Poller(OwnedFd);

/// Descriptors told at once; more are told by the next wait.
const EVENTS: usize = 16;

impl Poller {
    /// Waits for nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Poller(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Waits for `fd` to be readable, too. Closing it ends that.
    pub fn add(&self, fd: impl AsFd, number: usize) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number as u64);
        Ok(epoll::add(&self.0, fd, data, epoll::EventFlags::IN)?)
    }

    /// Waits until one is readable or the time is up, and adds the numbers of those that are to
    /// `ready`. Interruptions and errors end the wait early.
    pub fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<usize>) {
        let longest = Timespec {
            tv_sec: i64::from(i32::MAX),
            tv_nsec: 0,
        };
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).unwrap_or(longest));
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        if let Ok((events, _)) = epoll::wait(&self.0, &mut events, timeout.as_ref()) {
            ready.extend(events.iter().map(|event| event.data.u64() as usize));
        }
    }
}

/// Lets sleeps of this thread end at most 10 us late instead of 50. Where the kernel refuses, they end later.
pub fn wake_in_time() {
    let _ = set_current_timer_slack(NonZeroU64::new(10_000));
}

/// CPU time this thread has used.
pub fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// 256 bits of the system's entropy.
pub fn entropy() -> io::Result<[u8; 32]> {
    let mut seed = [0_u8; 32];
    // Up to 256 bytes come whole once the pool is ready (getrandom(2)).
    if getrandom(&mut seed[..], GetRandomFlags::empty())? != seed.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(seed)
}
