//! The few system calls that the standard library does not wrap, beside those of `udp`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A counter in the kernel that wakes whoever polls its descriptor.
pub struct Waker(OwnedFd);

impl Waker {
    /// Not signalled.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is checked, and owned by nobody else.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        Ok(Waker(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes the descriptor readable.
    pub fn wake(&self) {
        // SAFETY: the descriptor is ours. Failure means the counter is at its end: it is readable.
        let _ = unsafe { libc::eventfd_write(self.0.as_raw_fd(), 1) };
    }

    /// Makes it unreadable again.
    pub fn reset(&self) {
        let mut count = 0;
        // SAFETY: `count` outlives the call. Failure means that it was not signalled.
        let _ = unsafe { libc::eventfd_read(self.0.as_raw_fd(), &mut count) };
    }

    /// For polling.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits until one of the descriptors is readable or the time is up; which ones does not matter, as
/// reading an empty one costs little. Interruptions and errors end the wait early.
pub fn wait(descriptors: &mut [libc::pollfd], timeout: Option<Duration>) {
    let spec = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos() as i32),
    });
    let spec = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the slice and the time outlive the call; a null signal mask leaves signals alone.
    let _ = unsafe {
        libc::ppoll(
            descriptors.as_mut_ptr(),
            descriptors.len() as libc::nfds_t,
            spec,
            std::ptr::null(),
        )
    };
}

/// One entry for [`wait`].
pub fn readable(fd: RawFd) -> libc::pollfd {
    libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    }
}

/// CPU time this thread has used.
pub fn thread_cpu() -> Duration {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` outlives the call.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut spec) } != 0;
    if failed {
        return Duration::ZERO;
    }
    Duration::new(spec.tv_sec as u64, spec.tv_nsec as u32)
}

/// 256 bits of the system's entropy.
pub fn entropy() -> io::Result<[u8; 32]> {
    let mut seed = [0_u8; 32];
    // SAFETY: the buffer outlives the call and has the length given.
    let got = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    // Up to 256 bytes come whole once the pool is ready (getrandom(2)).
    if got != seed.len() as isize {
        return Err(io::Error::last_os_error());
    }
    Ok(seed)
}

/// Sets an integer socket option.
pub fn set_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: `value` outlives the call and has the length given.
    let failed = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    } != 0;
    if failed {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
