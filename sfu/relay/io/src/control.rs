//! Control messages of a socket: which of our addresses a datagram hit, and how long its segments are.

use std::net::IpAddr;

/// Room for one packet-information and one segment-size message, aligned as control messages must be.
pub const CONTROL: usize = 128;

/// Control messages, written and read by their layout (cmsg(3)) in plain bytes: a header of length,
/// level and type, its data, and padding to the size of a word.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub struct Control {
    pub bytes: [u8; CONTROL],
    pub length: usize,
}

impl Control {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    const WORD: usize = size_of::<usize>();

    pub fn new() -> Self {
        Control {
            bytes: [0; CONTROL],
            length: 0,
        }
    }

    pub fn put_source(&mut self, local: IpAddr) {
        match local {
            IpAddr::V4(ip) => {
                let mut info = [0_u8; 12];
                info[4..8].copy_from_slice(&ip.octets()); // ipi_spec_dst: where it leaves from
                self.put_bytes(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            IpAddr::V6(ip) => {
                let mut info = [0_u8; 20];
                info[..16].copy_from_slice(&ip.octets());
                self.put_bytes(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
    }

    pub fn put(&mut self, level: libc::c_int, kind: libc::c_int, value: u16) {
        self.put_bytes(level, kind, &value.to_ne_bytes());
    }

    fn put_bytes(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let start = self.length;
        let length = Self::HEADER + data.len();
        self.bytes[start..start + Self::WORD].copy_from_slice(&length.to_ne_bytes());
        self.bytes[start + Self::WORD..][..4].copy_from_slice(&level.to_ne_bytes());
        self.bytes[start + Self::WORD + 4..][..4].copy_from_slice(&kind.to_ne_bytes());
        self.bytes[start + Self::HEADER..][..data.len()].copy_from_slice(data);
        self.length = start + length.next_multiple_of(Self::WORD);
    }

    pub fn each(&self, mut on: impl FnMut(libc::c_int, libc::c_int, &[u8])) {
        let mut rest = &self.bytes[..self.length.min(CONTROL)];
        while let Some((header, _)) = rest.split_at_checked(Self::HEADER) {
            let word = |at: usize| <[u8; 4]>::try_from(&header[at..at + 4]).unwrap_or_default();
            let length = header[..Self::WORD]
                .try_into()
                .map_or(0, usize::from_ne_bytes);
            let level = i32::from_ne_bytes(word(Self::WORD));
            let kind = i32::from_ne_bytes(word(Self::WORD + 4));
            let Some(data) = rest.get(Self::HEADER..length) else {
                return;
            };
            on(level, kind, data);
            rest = rest
                .get(length.next_multiple_of(Self::WORD)..)
                .unwrap_or_default();
        }
    }
}
