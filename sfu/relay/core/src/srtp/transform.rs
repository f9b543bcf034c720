//! The two ciphers, on packets already taken apart: clear head, body to seal, tag.

use super::keys::SessionKeys;
use super::{BadKeyLength, OpenError, Profile, RTCP_CLEAR};
use crate::units::Ssrc;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

/// One protocol (SRTP or SRTCP) of one direction.
///
/// Key schedules are made once, in `new`; no method allocates.
pub(super) enum Transform {
    Gcm(Gcm),
    /// Boxed, since the HMAC state is over a kilobyte and the other profile is the rule.
    Cm(Box<Cm>),
}

/// The authentication tag of one packet.
pub(super) struct Tag {
    bytes: [u8; 16],
    len: usize,
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Transform {
    pub(super) fn new(profile: Profile, keys: &SessionKeys) -> Result<Self, BadKeyLength> {
        Ok(match profile {
            Profile::AeadAes128Gcm => Transform::Gcm(Gcm::new(keys)?),
            Profile::Aes128CmHmacSha1_80 => Transform::Cm(Box::new(Cm::new(keys)?)),
        })
    }

    /// Encrypts `body` in place. The SSRC is read from `head`.
    pub(super) fn seal_rtp(&self, index: u64, head: &[u8], body: &mut [u8]) -> Option<Tag> {
        let ssrc = Ssrc(u32::from_be_bytes(*head.get(8..)?.first_chunk()?));
        match self {
            Transform::Gcm(gcm) => gcm.seal(gcm.rtp_nonce(ssrc, index), head, body),
            Transform::Cm(cm) => {
                cm.apply_keystream(ssrc, index, body)?;
                Some(cm.tag(head, body, rollover(index)))
            }
        }
    }

    /// Authenticates, then decrypts `body` in place.
    pub(super) fn open_rtp(
        &self,
        ssrc: Ssrc,
        index: u64,
        head: &[u8],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), OpenError> {
        match self {
            Transform::Gcm(gcm) => gcm.open(gcm.rtp_nonce(ssrc, index), head, body, tag),
            Transform::Cm(cm) => {
                cm.verify(head, body, rollover(index), tag)?;
                let done = cm.apply_keystream(ssrc, index, body);
                done.ok_or(OpenError::Malformed)
            }
        }
    }

    /// Encrypts `body` in place; `word` is the index with the E bit.
    pub(super) fn seal_rtcp(
        &self,
        word: u32,
        head: &[u8; RTCP_CLEAR],
        body: &mut [u8],
    ) -> Option<Tag> {
        let (ssrc, index) = (rtcp_ssrc(head), rtcp_index(word));
        match self {
            Transform::Gcm(gcm) => gcm.seal(
                gcm.rtcp_nonce(ssrc, index),
                &rtcp_associated(head, word),
                body,
            ),
            Transform::Cm(cm) => {
                cm.apply_keystream(ssrc, u64::from(index), body)?;
                Some(cm.tag(head, body, word))
            }
        }
    }

    /// Authenticates, then decrypts `body` in place.
    pub(super) fn open_rtcp(
        &self,
        word: u32,
        head: &[u8; RTCP_CLEAR],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), OpenError> {
        let (ssrc, index) = (rtcp_ssrc(head), rtcp_index(word));
        match self {
            Transform::Gcm(gcm) => gcm.open(
                gcm.rtcp_nonce(ssrc, index),
                &rtcp_associated(head, word),
                body,
                tag,
            ),
            Transform::Cm(cm) => {
                cm.verify(head, body, word, tag)?;
                let done = cm.apply_keystream(ssrc, u64::from(index), body);
                done.ok_or(OpenError::Malformed)
            }
        }
    }
}

fn rollover(index: u64) -> u32 {
    (index >> 16) as u32
}

fn rtcp_ssrc(head: &[u8; RTCP_CLEAR]) -> Ssrc {
    let [_, _, _, _, a, b, c, d] = *head;
    Ssrc(u32::from_be_bytes([a, b, c, d]))
}

fn rtcp_index(word: u32) -> u32 {
    word & 0x7fff_ffff
}

/// What SRTCP authenticates beside the body: first eight bytes and index word (RFC 7714 section
/// 9.2).
fn rtcp_associated(head: &[u8; RTCP_CLEAR], word: u32) -> [u8; RTCP_CLEAR + 4] {
    let mut associated = [0; RTCP_CLEAR + 4];
    associated[..RTCP_CLEAR].copy_from_slice(head);
    associated[RTCP_CLEAR..].copy_from_slice(&word.to_be_bytes());
    associated
}

/// AEAD_AES_128_GCM (RFC 7714).
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: Zeroizing<[u8; 12]>,
}

impl Gcm {
    fn new(keys: &SessionKeys) -> Result<Self, BadKeyLength> {
        let key = UnboundKey::new(&AES_128_GCM, &keys.cipher[..]).map_err(|_| BadKeyLength)?;
        let mut salt = Zeroizing::new([0; 12]);
        salt.copy_from_slice(&keys.salt[..12]);
        Ok(Gcm {
            key: LessSafeKey::new(key),
            salt,
        })
    }

    /// Section 8.1: two zero bytes, SSRC, 48-bit index; xor salt.
    fn rtp_nonce(&self, ssrc: Ssrc, index: u64) -> Nonce {
        self.nonce(ssrc, &index.to_be_bytes()[2..])
    }

    /// Section 9.1: two zero bytes, SSRC, two zero bytes, 31-bit index; xor salt.
    fn rtcp_nonce(&self, ssrc: Ssrc, index: u32) -> Nonce {
        self.nonce(ssrc, &u64::from(index).to_be_bytes()[2..])
    }

    fn nonce(&self, ssrc: Ssrc, index: &[u8]) -> Nonce {
        let mut nonce = *self.salt;
        xor(&mut nonce[2..6], &ssrc.0.to_be_bytes());
        xor(&mut nonce[6..], index);
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, nonce: Nonce, associated: &[u8], body: &mut [u8]) -> Option<Tag> {
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(associated), body);
        let bytes = *sealed.ok()?.as_ref().first_chunk()?;
        Some(Tag { bytes, len: 16 })
    }

    fn open(
        &self,
        nonce: Nonce,
        associated: &[u8],
        body: &mut [u8],
        tag: &[u8],
    ) -> Result<(), OpenError> {
        let opened = self
            .key
            .open_in_place_separate_tag(nonce, Aad::from(associated), tag, body);
        opened.map(|_| ()).map_err(|_| OpenError::BadTag)
    }
}

/// AES128_CM_HMAC_SHA1_80 (RFC 3711).
pub(super) struct Cm {
    cipher: EncryptingKey,
    authentication: hmac::Key,
    salt: Zeroizing<[u8; 14]>,
}

/// Bytes of the truncated tag.
const SHORT_TAG: usize = 10;

impl Cm {
    fn new(keys: &SessionKeys) -> Result<Self, BadKeyLength> {
        let key = UnboundCipherKey::new(&AES_128, &keys.cipher[..]).map_err(|_| BadKeyLength)?;
        Ok(Cm {
            cipher: EncryptingKey::ctr(key).map_err(|_| BadKeyLength)?,
            authentication: hmac::Key::new(
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                &keys.authentication[..],
            ),
            salt: keys.salt.clone(),
        })
    }

    /// Section 4.1.1: the counter starts at salt * 2^16 xor SSRC * 2^64 xor index * 2^16.
    fn apply_keystream(&self, ssrc: Ssrc, index: u64, body: &mut [u8]) -> Option<()> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt[..]);
        xor(&mut iv[4..8], &ssrc.0.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        let context = EncryptionContext::Iv128(FixedLength::from(&iv));
        self.cipher.less_safe_encrypt(body, context).ok().map(drop)
    }

    /// Section 4.2: over the packet and, behind it, the roll-over counter or SRTCP's index word.
    fn tag(&self, head: &[u8], body: &[u8], behind: u32) -> Tag {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(head);
        context.update(body);
        context.update(&behind.to_be_bytes());
        let full = context.sign();
        let mut bytes = [0; 16];
        xor(&mut bytes[..SHORT_TAG], full.as_ref());
        Tag {
            bytes,
            len: SHORT_TAG,
        }
    }

    fn verify(&self, head: &[u8], body: &[u8], behind: u32, tag: &[u8]) -> Result<(), OpenError> {
        let ours = self.tag(head, body, behind);
        verify_slices_are_equal(ours.as_ref(), tag).map_err(|_| OpenError::BadTag)
    }
}

/// Up to the end of the shorter.
fn xor(target: &mut [u8], with: &[u8]) {
    for (byte, other) in target.iter_mut().zip(with) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(cipher: u128, salt: &[u8]) -> SessionKeys {
        let mut padded = [0; 14];
        padded[..salt.len()].copy_from_slice(salt);
        SessionKeys {
            cipher: Zeroizing::new(cipher.to_be_bytes()),
            authentication: Zeroizing::new([0; 20]),
            salt: Zeroizing::new(padded),
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|p| pair(p).unwrap()).collect()
    }

    const RTP: &str = "8040f17b 8041f8d3 5501a0b2";
    const RTP_PLAIN: &[u8] = b"Gallia est omnis divisa in partes tres";
    const RTP_SEALED: &str = "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a \
                              51c7d19b 36de3adf 8833";
    const RTP_TAG: &str = "899d7f27 beb16a91 52cf765e e4390cce";

    fn gcm_of_rfc_7714() -> Transform {
        let keys = keys(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f, b"Quid pro quo");
        Transform::new(Profile::AeadAes128Gcm, &keys).unwrap()
    }

    #[test]
    fn gcm_seals_and_opens_the_srtp_packet_of_rfc_7714_16_1() {
        let (gcm, head, mut body) = (gcm_of_rfc_7714(), bytes(RTP), RTP_PLAIN.to_vec());
        let tag = gcm.seal_rtp(0xf17b, &head, &mut body).unwrap();
        assert_eq!(body, bytes(RTP_SEALED));
        assert_eq!(tag.as_ref(), bytes(RTP_TAG));
        let ssrc = Ssrc(0x5501_a0b2);
        gcm.open_rtp(ssrc, 0xf17b, &head, &mut body, tag.as_ref())
            .unwrap();
        assert_eq!(body, RTP_PLAIN);
    }

    #[test]
    fn gcm_seals_and_opens_the_srtcp_packet_of_rfc_7714_17_1() {
        let gcm = gcm_of_rfc_7714();
        let head = *bytes("81c8000d 4d617273").first_chunk().unwrap();
        let plain = bytes(
            "4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
             deadbeef deadbeef deadbeef deadbeef deadbeef",
        );
        let mut body = plain.clone();
        let tag = gcm.seal_rtcp(0x8000_05d4, &head, &mut body).unwrap();
        assert_eq!(
            body,
            bytes(
                "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
                 c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b"
            )
        );
        assert_eq!(tag.as_ref(), bytes("c84aa458 96cf4d2f c5abf872 45d9eade"));
        gcm.open_rtcp(0x8000_05d4, &head, &mut body, tag.as_ref())
            .unwrap();
        assert_eq!(body, plain);
    }

    #[test]
    fn the_counter_mode_keystream_is_that_of_rfc_3711_b2() {
        let salt = bytes("f0f1f2f3 f4f5f6f7 f8f9fafb fcfd");
        let cm = Cm::new(&keys(0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c, &salt)).unwrap();
        let mut stream = vec![0; 0xff02 * 16];
        cm.apply_keystream(Ssrc(0), 0, &mut stream).unwrap();
        assert_eq!(
            stream[..48],
            bytes(
                "e03ead09 35c95e80 e166b16d d92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab
                 41e95b3b b0a2e8dd 477901e4 fca894c0"
            )
        );
        assert_eq!(
            stream[0xfeff * 16..],
            bytes(
                "ec8cdf73 98607cb0 f2d21675 ea9ea1e4 362b7c3c 6773516318a077d7fc5073ae
                 6a2cc378 7889374f beb4c81b 17ba6c44"
            )
        );
    }
}
