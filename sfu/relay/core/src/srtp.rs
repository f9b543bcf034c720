//! SRTP and SRTCP (RFC 3711, RFC 7714) for the two profiles of the policy; no other can be named.
//!
//! An [`Opener`] or [`Sealer`] holds the session keys of one direction of one transport. Replay
//! windows and packet indices belong to the streams, so both are shared by all streams and never
//! change.

mod keys;
mod replay;
mod transform;

pub use keys::MasterKey;
pub use replay::ReplayWindow;

use crate::rtp::Header;
use transform::Transform;

/// An SRTP protection profile (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// AES-128 in Galois/counter mode, 16-byte tag.
    AeadAes128Gcm,
    /// AES-128 in counter mode, HMAC-SHA1 cut to 10 bytes.
    Aes128CmHmacSha1_80,
}

impl Profile {
    /// Bytes of the master key.
    pub const fn key_len(self) -> usize {
        16
    }

    /// Bytes of the master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Profile::AeadAes128Gcm => 12,
            Profile::Aes128CmHmacSha1_80 => 14,
        }
    }

    /// Bytes that sealing adds to an RTP packet.
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Profile::AeadAes128Gcm => 16,
            Profile::Aes128CmHmacSha1_80 => 10,
        }
    }

    /// Bytes that sealing adds to a compound RTCP packet (tag and index word).
    pub const fn rtcp_overhead(self) -> usize {
        self.rtp_overhead() + 4
    }
}

/// Why a packet was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Too short for what it must hold.
    Malformed,
    /// Seen before.
    Replayed,
    /// Older than the window, or past the last index that one key may serve (2^48 - 1).
    TooOld,
    /// Not sealed with this key, or changed on the way.
    BadTag,
    /// SRTCP without encryption (E bit clear).
    Unencrypted,
}

/// A master key or salt of another length than the profile's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKeyLength;

/// The last RTP packet index of a key (RFC 3711 section 9.2).
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;
/// The last SRTCP index of a key.
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;
/// What SRTCP leaves readable: first word and sender SSRC (RFC 3711 section 3.4).
const RTCP_CLEAR: usize = 8;
/// SRTCP's index word.
const INDEX_WORD: usize = 4;
/// The bit of the index word that says "encrypted".
const E_BIT: u32 = 1 << 31;

/// Opens what the peer seals. Holds session keys only; windows belong to the streams.
pub struct Opener {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
}

impl Opener {
    /// Derives the session keys.
    ///
    /// # Errors
    /// [`BadKeyLength`] unless key and salt have the profile's lengths.
    pub fn new(profile: Profile, master: &MasterKey) -> Result<Self, BadKeyLength> {
        let (rtp, rtcp) = transforms(profile, master)?;
        Ok(Opener { profile, rtp, rtcp })
    }

    /// Checks replay, authenticates and decrypts in place; the window moves only on success.
    /// Returns the packet index (roll-over counter << 16 | sequence) and the plain length (tag cut
    /// off).
    ///
    /// `header` is [`Header::parse`] of this packet, still sealed.
    ///
    /// # Errors
    /// [`OpenError`]; after [`OpenError::BadTag`] what follows the header may have been wiped.
    pub fn open_rtp(
        &self,
        window: &mut ReplayWindow,
        header: &Header,
        packet: &mut [u8],
    ) -> Result<(u64, usize), OpenError> {
        let sealed = packet.split_at_mut_checked(header.len);
        let (head, rest) = sealed.ok_or(OpenError::Malformed)?;
        let plain = rest.len().checked_sub(self.profile.rtp_overhead());
        let (body, tag) = rest.split_at_mut(plain.ok_or(OpenError::Malformed)?);
        let index = window.estimate(header.sequence);
        if index > MAX_RTP_INDEX {
            return Err(OpenError::TooOld);
        }
        window.check(index)?;
        self.rtp.open_rtp(header.ssrc, index, head, body, tag)?;
        window.accept(index);
        Ok((index, head.len() + body.len()))
    }

    /// The same for SRTCP; the window runs over the 31-bit SRTCP index. Returns the plain length.
    ///
    /// # Errors
    /// [`OpenError`]; after [`OpenError::BadTag`] what follows the first eight bytes may have been
    /// wiped.
    pub fn open_rtcp(
        &self,
        window: &mut ReplayWindow,
        packet: &mut [u8],
    ) -> Result<usize, OpenError> {
        let sealed = packet.split_first_chunk_mut::<RTCP_CLEAR>();
        let (head, rest) = sealed.ok_or(OpenError::Malformed)?;
        let plain = rest.len().checked_sub(self.profile.rtcp_overhead());
        let (body, trailer) = rest.split_at_mut(plain.ok_or(OpenError::Malformed)?);
        // The index word stands before the tag of HMAC (RFC 3711 section 3.4), behind that of GCM
        // (RFC 7714 section 9.1).
        let (word, tag) = match self.profile {
            Profile::Aes128CmHmacSha1_80 => trailer.split_at(INDEX_WORD),
            Profile::AeadAes128Gcm => {
                let (tag, word) = trailer.split_at(trailer.len() - INDEX_WORD);
                (word, tag)
            }
        };
        let word = u32::from_be_bytes(*word.first_chunk().ok_or(OpenError::Malformed)?);
        if word & E_BIT == 0 {
            return Err(OpenError::Unencrypted);
        }
        window.check(u64::from(word & !E_BIT))?;
        self.rtcp.open_rtcp(word, head, body, tag)?;
        window.accept(u64::from(word & !E_BIT));
        Ok(head.len() + body.len())
    }
}

/// Seals what we send. Holds session keys; the indices of each of our SSRCs are the caller's.
///
/// Never seal two contents under one (SSRC, index): GCM would lose its authentication key (DESIGN
/// 2.8).
pub struct Sealer {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
}

impl Sealer {
    /// Derives the session keys.
    ///
    /// # Errors
    /// [`BadKeyLength`] unless key and salt have the profile's lengths.
    pub fn new(profile: Profile, master: &MasterKey) -> Result<Self, BadKeyLength> {
        let (rtp, rtcp) = transforms(profile, master)?;
        Ok(Sealer { profile, rtp, rtcp })
    }

    /// Seals the RTP packet that starts at `start` in `out`, appending the tag. `index` is
    /// ROC << 16 | seq; `header_len` as [`crate::rtp::write_header`] returned it.
    ///
    /// A packet that cannot be sealed (index past 2^48 - 1, lengths that disagree) is cut off
    /// `out`, so that nothing ever leaves in the clear or under a used index.
    pub fn seal_rtp(&self, index: u64, header_len: usize, out: &mut Vec<u8>, start: usize) {
        out.reserve(self.profile.rtp_overhead());
        let packet = out.get_mut(start..).unwrap_or_default();
        let sealed = packet
            .split_at_mut_checked(header_len)
            .filter(|_| index <= MAX_RTP_INDEX)
            .and_then(|(head, body)| self.rtp.seal_rtp(index, head, body));
        match sealed {
            Some(tag) => out.extend_from_slice(tag.as_ref()),
            None => out.truncate(start),
        }
    }

    /// Seals the compound RTCP packet that starts at `start` in `out` under `index` (31 bits).
    ///
    /// A packet that cannot be sealed is cut off `out`, as by [`Sealer::seal_rtp`].
    pub fn seal_rtcp(&self, index: u32, out: &mut Vec<u8>, start: usize) {
        out.reserve(self.profile.rtcp_overhead());
        let packet = out.get_mut(start..).unwrap_or_default();
        let word = index | E_BIT;
        let sealed = packet
            .split_first_chunk_mut::<RTCP_CLEAR>()
            .filter(|_| index <= MAX_RTCP_INDEX)
            .and_then(|(head, body)| self.rtcp.seal_rtcp(word, head, body));
        let Some(tag) = sealed else {
            return out.truncate(start);
        };
        match self.profile {
            Profile::AeadAes128Gcm => {
                out.extend_from_slice(tag.as_ref());
                out.extend_from_slice(&word.to_be_bytes());
            }
            Profile::Aes128CmHmacSha1_80 => {
                out.extend_from_slice(&word.to_be_bytes());
                out.extend_from_slice(tag.as_ref());
            }
        }
    }
}

/// What one direction seals or opens RTP and RTCP with.
fn transforms(
    profile: Profile,
    master: &MasterKey,
) -> Result<(Transform, Transform), BadKeyLength> {
    let (rtp, rtcp) = master.session_keys(profile)?;
    Ok((
        Transform::new(profile, &rtp)?,
        Transform::new(profile, &rtcp)?,
    ))
}

#[cfg(test)]
mod tests;
