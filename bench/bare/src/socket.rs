//! UDP in batches: recvmmsg with GRO in, sendmmsg with GSO out. All the `unsafe` there is.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;

use libc::{c_int, c_uint};

/// Messages of one recvmmsg.
const RECEIVED_AT_ONCE: usize = 64;
/// With GRO one message carries up to 64 KiB of datagrams.
const MESSAGE: usize = 65_536;
/// Runs of one sendmmsg at most.
pub const SENT_AT_ONCE: usize = 64;
/// Segments of one run at most (UDP_MAX_SEGMENTS of older kernels).
pub const SEGMENTS: usize = 64;
/// Bytes of one run at most: what an IPv4 datagram can hold.
pub const RUN: usize = 65_507;
const SOCKET_BUFFER: c_int = 8 << 20;
/// How long reading waits before standard input is looked at.
const WAIT: libc::timeval = libc::timeval {
    tv_sec: 0,
    tv_usec: 50_000,
};

/// A UDP socket that takes and sends whole runs of datagrams.
pub struct Socket {
    inner: UdpSocket,
}

impl Socket {
    /// Binds it.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket {
            inner: UdpSocket::bind(address)?,
        };
        for (forced, plain) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            if socket
                .set(libc::SOL_SOCKET, forced, &SOCKET_BUFFER)
                .is_err()
            {
                socket.set(libc::SOL_SOCKET, plain, &SOCKET_BUFFER)?;
            }
        }
        socket.set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &WAIT)?;
        // Never fragmented, and no identification to choose for each packet.
        if address.is_ipv4() {
            let probe = libc::IP_PMTUDISC_PROBE;
            socket.set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &probe)?;
        } else {
            let probe = libc::IPV6_PMTUDISC_PROBE;
            socket.set(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, &probe)?;
        }
        socket.set(libc::SOL_UDP, libc::UDP_GRO, &1)?;
        Ok(socket)
    }

    fn set<T>(&self, level: c_int, name: c_int, value: &T) -> io::Result<()> {
        // SAFETY: `value` outlives the call and has the length given.
        let failed = unsafe {
            libc::setsockopt(
                self.inner.as_raw_fd(),
                level,
                name,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if failed == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// A socket address as the kernel writes it: `sockaddr_in` or `sockaddr_in6`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    bytes: [u8; 28],
    length: u32,
}

impl From<SocketAddr> for Name {
    fn from(address: SocketAddr) -> Self {
        let mut bytes = [0; 28];
        bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        let (family, length) = match address {
            SocketAddr::V4(v4) => {
                bytes[4..8].copy_from_slice(&v4.ip().octets());
                (libc::AF_INET, size_of::<libc::sockaddr_in>())
            }
            SocketAddr::V6(v6) => {
                bytes[8..24].copy_from_slice(&v6.ip().octets());
                bytes[24..].copy_from_slice(&v6.scope_id().to_ne_bytes());
                (libc::AF_INET6, size_of::<libc::sockaddr_in6>())
            }
        };
        bytes[..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
        Name {
            bytes,
            length: length as u32,
        }
    }
}

/// A control message with one value of up to eight bytes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Control {
    length: usize,
    level: c_int,
    kind: c_int,
    value: [u8; 8],
}

impl Control {
    const HEAD: usize = 16;
}

/// What one recvmmsg brought.
pub struct Inbox {
    /// All messages; those of `each` are ranges of it.
    pub bytes: Vec<u8>,
    names: Vec<Name>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

impl Inbox {
    /// 4 MiB of address space; pages that no long message touches stay unused.
    pub fn new() -> Self {
        let name = Name {
            bytes: [0; 28],
            length: 28,
        };
        Inbox {
            bytes: vec![0; RECEIVED_AT_ONCE * MESSAGE],
            names: vec![name; RECEIVED_AT_ONCE],
            controls: vec![Control::default(); RECEIVED_AT_ONCE],
            // SAFETY: plain C structures for which all zeros is a value.
            vectors: vec![unsafe { zeroed() }; RECEIVED_AT_ONCE],
            // SAFETY: as above.
            headers: vec![unsafe { zeroed() }; RECEIVED_AT_ONCE],
            received: 0,
        }
    }

    /// Waits for packets, for 50 ms at most, and takes what there is; how many messages.
    pub fn wait(&mut self, socket: &Socket) -> io::Result<usize> {
        self.received = 0;
        self.receive(socket, libc::MSG_WAITFORONE)
    }

    /// Takes what has come since, as far as there is room; how many messages.
    pub fn receive_more(&mut self, socket: &Socket) -> io::Result<usize> {
        self.receive(socket, libc::MSG_DONTWAIT)
    }

    fn receive(&mut self, socket: &Socket, flags: c_int) -> io::Result<usize> {
        let first = self.received;
        for at in first..RECEIVED_AT_ONCE {
            let vector = &mut self.vectors[at];
            vector.iov_base = self.bytes[at * MESSAGE..].as_mut_ptr().cast();
            vector.iov_len = MESSAGE;
            self.names[at].bytes = [0; 28];
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = self.names[at].bytes.as_mut_ptr().cast();
            header.msg_namelen = 28;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[at]).cast();
            header.msg_controllen = size_of::<Control>();
        }
        if first == RECEIVED_AT_ONCE {
            return Ok(0);
        }
        // SAFETY: the headers point into this inbox, whose parts have the lengths given.
        let received = unsafe {
            libc::recvmmsg(
                socket.inner.as_raw_fd(),
                self.headers[first..].as_mut_ptr(),
                (RECEIVED_AT_ONCE - first) as c_uint,
                flags,
                std::ptr::null_mut(),
            )
        };
        if let Ok(received) = usize::try_from(received) {
            self.received += received;
            return Ok(received);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    /// Hands over each datagram: who sent it, its bytes, and where in `bytes` they are.
    pub fn each(&mut self, mut on_datagram: impl FnMut(Name, &mut [u8], usize)) {
        for at in 0..self.received {
            let header = &self.headers[at];
            let mut name = self.names[at];
            name.length = header.msg_hdr.msg_namelen;
            // An IPv6 flow label is the sender's whim.
            if name.length == 28 {
                name.bytes[4..8].fill(0);
            }
            let control = &self.controls[at];
            let length = (header.msg_len as usize).min(MESSAGE);
            let mut segment = length.max(1);
            if header.msg_hdr.msg_controllen >= Control::HEAD + 4
                && (control.level, control.kind) == (libc::SOL_UDP, libc::UDP_GRO)
            {
                let [a, b, c, d, ..] = control.value;
                let told = i32::from_ne_bytes([a, b, c, d]);
                segment = usize::try_from(told).unwrap_or(0).max(1);
            }
            let start = at * MESSAGE;
            let message = &mut self.bytes[start..start + length];
            for (number, datagram) in message.chunks_mut(segment).enumerate() {
                on_datagram(name, datagram, start + number * segment);
            }
        }
    }
}

/// Datagrams to one address, one behind the other: all of `segment` bytes, the last of at most so
/// many.
#[derive(Clone)]
pub struct Run {
    /// Where to.
    pub to: Name,
    /// Where in the arena.
    pub bytes: Range<usize>,
    /// Bytes of each datagram.
    pub segment: usize,
}

/// What sendmmsg is told, used again by each `send`.
pub struct Outbox {
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Outbox {
    /// Room for `SENT_AT_ONCE` runs.
    pub fn new() -> Self {
        Outbox {
            controls: vec![Control::default(); SENT_AT_ONCE],
            // SAFETY: plain C structures for which all zeros is a value.
            vectors: vec![unsafe { zeroed() }; SENT_AT_ONCE],
            // SAFETY: as above.
            headers: vec![unsafe { zeroed() }; SENT_AT_ONCE],
        }
    }

    /// Sends up to `SENT_AT_ONCE` runs that lie in `arena`. What the kernel refuses is lost.
    pub fn send(&mut self, socket: &Socket, arena: &mut [u8], runs: &mut [Run]) {
        let count = runs.len().min(SENT_AT_ONCE);
        for (at, run) in runs[..count].iter_mut().enumerate() {
            let bytes = &mut arena[run.bytes.clone()];
            let vector = &mut self.vectors[at];
            vector.iov_base = bytes.as_mut_ptr().cast();
            vector.iov_len = bytes.len();
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = run.to.bytes.as_mut_ptr().cast();
            header.msg_namelen = run.to.length;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            (header.msg_control, header.msg_controllen) = (std::ptr::null_mut(), 0);
            if bytes.len() > run.segment {
                let control = &mut self.controls[at];
                control.length = Control::HEAD + 2;
                (control.level, control.kind) = (libc::SOL_UDP, libc::UDP_SEGMENT);
                control.value[..2].copy_from_slice(&(run.segment as u16).to_ne_bytes());
                header.msg_control = (&raw mut *control).cast();
                header.msg_controllen = size_of::<Control>();
            }
        }
        let mut done = 0;
        while done < count {
            // SAFETY: the headers point at names, vectors, controls and bytes that outlive the
            // call; `done` is below `count`.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.inner.as_raw_fd(),
                    self.headers.as_mut_ptr().add(done),
                    (count - done) as c_uint,
                    libc::MSG_NOSIGNAL,
                )
            };
            // The first of them is refused: it is left out.
            done += usize::try_from(sent).unwrap_or(0).max(1);
        }
    }
}

/// Lets sleeps of this thread end at most 10 microseconds late, instead of 50.
pub fn wake_in_time() {
    // SAFETY: no pointers. It cannot fail, and would only cost time.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 10_000 as libc::c_ulong) };
}

/// Whether whoever wrote standard input has closed it; what else is written there is left unread.
pub fn standard_input_closed() -> bool {
    let mut asked = libc::pollfd {
        fd: 0,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one structure, which outlives the call.
    if unsafe { libc::poll(&raw mut asked, 1, 0) } != 1 {
        return false;
    }
    let mut byte = 0_u8;
    // SAFETY: one byte, which outlives the call.
    unsafe { libc::read(0, (&raw mut byte).cast(), 1) <= 0 }
}
