//! UDP in batches: recvmmsg with GRO in, sendmmsg with GSO out, and the local address both ways.
//!
//! Every `unsafe` here is a system call on structures that live on this stack frame or in the batch;
//! each says why it is sound.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use conclave_relay_core::Path;
use conclave_relay_core::outbox::Run;

use crate::control::{CONTROL, Control};

/// Messages of one system call: beyond a few dozen the saving is lost in the noise.
const BATCH: usize = 64;
/// Messages that one recvmmsg asks for: mostly fewer came, and each asked for has to be described.
const AT_ONCE: usize = 16;
/// With GRO one message carries up to 64 KiB of datagrams.
const BUFFER: usize = 65_536;
/// 8 MiB hold a quarter of a second at 250 Mbit/s; the kernel caps it to its own limit.
const SOCKET_BUFFER: libc::c_int = 8 << 20;

/// What sending met with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendCounters {
    /// Calls of sendmmsg.
    pub system_calls: u64,
    /// Datagrams dropped because the socket's buffer was full: the relay never waits.
    pub blocked: u64,
    /// Datagrams the kernel refused for another reason (no route, too long).
    pub failed: u64,
    /// Runs that left in one piece.
    pub gso_runs: u64,
    /// Runs that had to be sent one by one after all.
    pub gso_refused: u64,
}

/// A non-blocking UDP socket that knows which of our addresses was hit.
pub struct UdpSocket {
    fd: OwnedFd,
    local: SocketAddr,
    /// Bound to all addresses of its family: each packet says which it hit.
    wildcard: bool,
    gso: bool,
}

impl UdpSocket {
    /// Binds. IPv6 sockets take IPv6 only, so that both families can have one on the same port.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers; the descriptor is checked below.
        let fd = unsafe { libc::socket(family, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if address.is_ipv6() {
            set_option(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        let wildcard = address.ip().is_unspecified();
        if wildcard && address.is_ipv4() {
            set_option(fd.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        } else if wildcard {
            set_option(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        }
        for (forced, plain) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            if set_option(fd.as_fd(), libc::SOL_SOCKET, forced, SOCKET_BUFFER).is_err() {
                // Not privileged: what the kernel allows has to do.
                let _ = set_option(fd.as_fd(), libc::SOL_SOCKET, plain, SOCKET_BUFFER);
            }
        }
        // Media is never fragmented, and a forged "too big" must not shrink what is sent; the kernel also
        // saves choosing an identification for each packet.
        let _ = if address.is_ipv4() {
            let probe = libc::IP_PMTUDISC_PROBE;
            set_option(fd.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, probe)
        } else {
            let probe = libc::IPV6_PMTUDISC_PROBE;
            set_option(
                fd.as_fd(),
                libc::IPPROTO_IPV6,
                libc::IPV6_MTU_DISCOVER,
                probe,
            )
        };
        // Before Linux 5.0 there is no GRO for UDP; the socket then gets one datagram a message.
        let _ = set_option(fd.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1);
        let mut name = Name::from(address);
        // SAFETY: `name` holds an address of the length given.
        if unsafe { libc::bind(fd.as_raw_fd(), name.as_ptr().cast(), name.length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        name.length = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        let length = &raw mut name.length;
        // SAFETY: the storage has the length given and outlives the call.
        if unsafe { libc::getsockname(fd.as_raw_fd(), name.as_mut_ptr().cast(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let local = name.to_address().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(UdpSocket {
            fd,
            local,
            wildcard,
            gso: true,
        })
    }

    /// Where it is bound, the port the kernel chose included.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Sends runs, many in one system call. Never waits: what does not fit is dropped and counted.
    pub fn send<'r>(
        &mut self,
        mut runs: impl Iterator<Item = Run<'r>>,
        counters: &mut SendCounters,
    ) {
        let mut pending: [Option<Run<'r>>; BATCH] = [None; BATCH];
        loop {
            let mut count = 0;
            for (slot, run) in pending.iter_mut().zip(runs.by_ref()) {
                *slot = Some(run);
                count += 1;
            }
            if count == 0 {
                return;
            }
            self.send_batch(&pending[..count], counters);
            if count < BATCH {
                return;
            }
        }
    }

    fn send_batch(&mut self, runs: &[Option<Run<'_>>], counters: &mut SendCounters) {
        let mut rest = runs;
        while let Some(Some(first)) = rest.first() {
            if !self.gso && first.datagrams().len() > 1 {
                self.send_singly(first, counters);
                rest = &rest[1..];
                continue;
            }
            // With GSO off a run of several ends the batch and is taken apart next time round.
            let apart = |run: &&Option<Run<'_>>| {
                !self.gso && run.as_ref().is_some_and(|run| run.datagrams().len() > 1)
            };
            let together = rest
                .iter()
                .position(|run| apart(&run))
                .unwrap_or(rest.len());
            let sent = self.send_together(&rest[..together], counters);
            rest = &rest[sent..];
            if sent > 0 {
                // Had one of the rest failed, the next call says why: errno is not set yet.
                continue;
            }
            let Some(Some(refused)) = rest.first() else {
                return;
            };
            let error = io::Error::last_os_error().raw_os_error().unwrap_or(0);
            if error == libc::EINTR {
                continue;
            }
            if error == libc::EAGAIN || error == libc::ENOBUFS {
                let dropped = rest
                    .iter()
                    .flatten()
                    .map(|run| run.datagrams().len() as u64);
                counters.blocked += dropped.sum::<u64>();
                return;
            }
            if refused.datagrams().len() > 1 {
                counters.gso_refused += 1;
                // These mean that the device or the kernel has no GSO; any other error (a segment
                // above this path's MTU) is this run's own.
                self.gso &= !matches!(error, libc::EIO | libc::EOPNOTSUPP | libc::ENOPROTOOPT);
                self.send_singly(refused, counters);
            } else {
                counters.failed += 1;
            }
            rest = &rest[1..];
        }
    }

    /// The datagrams of one run, each as its own message.
    fn send_singly(&mut self, run: &Run<'_>, counters: &mut SendCounters) {
        let mut datagrams = run.datagrams();
        loop {
            let mut singles: [Option<Run<'_>>; BATCH] = [None; BATCH];
            let mut count = 0;
            for (slot, bytes) in singles.iter_mut().zip(datagrams.by_ref()) {
                *slot = Some(Run {
                    path: run.path,
                    segment_size: bytes.len(),
                    bytes,
                });
                count += 1;
            }
            if count == 0 {
                return;
            }
            self.send_batch(&singles[..count], counters);
        }
    }

    /// One sendmmsg; returns how many of the runs left. When none did, `errno` says why.
    fn send_together(&self, runs: &[Option<Run<'_>>], counters: &mut SendCounters) -> usize {
        // SAFETY: these are plain C structures for which all zeros is a value.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        let mut names = [const { MaybeUninit::<Name>::uninit() }; BATCH];
        let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
        let mut count = 0;
        for (at, run) in runs.iter().flatten().enumerate() {
            let name = names[at].write(Name::from(run.path.remote));
            let vector = &mut vectors[at];
            vector.iov_base = run.bytes.as_ptr().cast_mut().cast();
            vector.iov_len = run.bytes.len();
            let header = &mut headers[at].msg_hdr;
            header.msg_name = name.as_mut_ptr().cast();
            header.msg_namelen = name.length;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            let segmented = run.bytes.len() > run.segment_size;
            if self.wildcard || segmented {
                let control = controls[at].write(Control::new());
                if self.wildcard {
                    control.put_source(run.path.local);
                }
                if segmented {
                    control.put(libc::SOL_UDP, libc::UDP_SEGMENT, run.segment_size as u16);
                }
                header.msg_control = control.bytes.as_mut_ptr().cast();
                header.msg_controllen = control.length as _;
            }
            count = at + 1;
        }
        counters.system_calls += 1;
        // SAFETY: the headers point at names, vectors, controls and payload that outlive the call.
        let sent = unsafe {
            libc::sendmmsg(
                self.raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_NOSIGNAL,
            )
        };
        let sent = usize::try_from(sent).unwrap_or(0);
        let in_one = |run: &&Run<'_>| run.bytes.len() > run.segment_size;
        counters.gso_runs += runs.iter().take(sent).flatten().filter(in_one).count() as u64;
        sent
    }
}

/// Storage for one recvmmsg.
pub struct ReceiveBatch {
    buffers: Vec<u8>,
    names: Vec<Name>,
    controls: Vec<Control>,
    lengths: [usize; BATCH],
    received: usize,
    /// What the socket is bound to; the local address unless a packet says which it hit.
    bound: IpAddr,
}

impl ReceiveBatch {
    /// 4 MiB of address space; pages that no large message ever touches stay unused.
    pub fn new() -> Self {
        ReceiveBatch {
            buffers: vec![0; BATCH * BUFFER],
            names: vec![Name::empty(); BATCH],
            controls: vec![Control::new(); BATCH],
            lengths: [0; BATCH],
            received: 0,
            bound: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    /// Reads what has arrived, behind what is in the batch already, which must be of the same socket; returns how many
    /// messages came.
    pub fn receive(&mut self, socket: &UdpSocket) -> usize {
        self.bound = socket.local.ip();
        let before = self.received;
        loop {
            let asked = (BATCH - self.received).min(AT_ONCE);
            let received = self.receive_some(socket, asked);
            self.received += received;
            if received < asked || self.is_full() {
                return self.received - before;
            }
        }
    }

    /// One recvmmsg for up to [`AT_ONCE`] messages.
    fn receive_some(&mut self, socket: &UdpSocket, asked: usize) -> usize {
        let first = self.received;
        // SAFETY: these are plain C structures for which all zeros is a value.
        let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut vectors: [libc::iovec; AT_ONCE] = unsafe { zeroed() };
        let buffers = self.buffers.chunks_exact_mut(BUFFER).skip(first);
        for (at, buffer) in buffers.take(asked).enumerate() {
            vectors[at].iov_base = buffer.as_mut_ptr().cast();
            vectors[at].iov_len = buffer.len();
            let header = &mut headers[at].msg_hdr;
            header.msg_name = self.names[first + at].as_mut_ptr().cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut vectors[at];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[first + at].bytes.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
        }
        // SAFETY: the headers asked for point into this batch, whose parts have the lengths given.
        let received = unsafe {
            libc::recvmmsg(
                socket.raw_fd(),
                headers.as_mut_ptr(),
                asked as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).unwrap_or(0);
        for (at, header) in headers.iter().take(received).enumerate() {
            self.names[first + at].length = header.msg_hdr.msg_namelen;
            self.controls[first + at].length = header.msg_hdr.msg_controllen;
            self.lengths[first + at] = header.msg_len as usize;
        }
        received
    }

    /// Whether no more fits; the socket may hold more.
    pub fn is_full(&self) -> bool {
        self.received == BATCH
    }

    /// Hands over each datagram that was read, once.
    pub fn each(&mut self, mut on_datagram: impl FnMut(Path, &mut [u8])) {
        for at in 0..std::mem::take(&mut self.received) {
            let Some((path, segment, bytes)) = self.message(at) else {
                continue;
            };
            if bytes.is_empty() {
                on_datagram(path, bytes);
                continue;
            }
            for datagram in bytes.chunks_mut(segment) {
                on_datagram(path, datagram);
            }
        }
    }

    /// Path, datagram size and bytes of one received message.
    fn message(&mut self, at: usize) -> Option<(Path, usize, &mut [u8])> {
        let remote = self.names[at].to_address()?;
        let (mut local, mut segment) = (self.bound, 0);
        self.controls[at].each(|level, kind, data| match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // struct in_pktinfo: interface, local address for routing, address that was hit.
                if let Some(octets) = data.get(8..12).and_then(|d| <[u8; 4]>::try_from(d).ok()) {
                    local = IpAddr::V4(Ipv4Addr::from(octets));
                }
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                if let Some(octets) = data.get(..16).and_then(|d| <[u8; 16]>::try_from(d).ok()) {
                    local = IpAddr::V6(Ipv6Addr::from(octets));
                }
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                if let Some(size) = data.get(..4).and_then(|d| <[u8; 4]>::try_from(d).ok()) {
                    segment = usize::try_from(i32::from_ne_bytes(size)).unwrap_or(0);
                }
            }
            _ => {}
        });
        let start = at * BUFFER;
        let bytes = self
            .buffers
            .get_mut(start..start + self.lengths[at].min(BUFFER))?;
        let segment = if segment == 0 {
            bytes.len().max(1)
        } else {
            segment
        };
        Some((Path { local, remote }, segment, bytes))
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// A socket address as the kernel writes it.
#[derive(Clone, Copy)]
struct Name {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl Name {
    fn empty() -> Self {
        // SAFETY: a plain C structure for which all zeros is a value.
        Name {
            storage: unsafe { zeroed() },
            length: 0,
        }
    }

    fn as_ptr(&self) -> *const libc::sockaddr_storage {
        &raw const self.storage
    }

    fn as_mut_ptr(&mut self) -> *mut libc::sockaddr_storage {
        &raw mut self.storage
    }

    fn to_address(self) -> Option<SocketAddr> {
        match libc::c_int::from(self.storage.ss_family) {
            libc::AF_INET if self.length as usize >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: family and length say that this is what the storage holds.
                let name = unsafe { *self.as_ptr().cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
            }
            libc::AF_INET6 if self.length as usize >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: as above.
                let name = unsafe { *self.as_ptr().cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
                let port = u16::from_be(name.sin6_port);
                // The flow label is the sender's whim: two packets of one peer may differ in it.
                Some(SocketAddrV6::new(ip, port, 0, name.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for Name {
    fn from(address: SocketAddr) -> Self {
        let mut name = Name::empty();
        match address {
            SocketAddr::V4(v4) => {
                let written = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from(*v4.ip()).to_be(),
                    },
                    sin_zero: [0; 8],
                };
                // SAFETY: the storage is large and aligned enough for any socket address.
                unsafe { name.as_mut_ptr().cast::<libc::sockaddr_in>().write(written) };
                name.length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                let written = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr {
                        s6_addr: v6.ip().octets(),
                    },
                    sin6_scope_id: v6.scope_id(),
                };
                // SAFETY: as above.
                unsafe {
                    name.as_mut_ptr()
                        .cast::<libc::sockaddr_in6>()
                        .write(written)
                };
                name.length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        name
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sets an integer socket option.
fn set_option(
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

#[cfg(test)]
mod tests;
