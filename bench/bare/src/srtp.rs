//! SRTP of one stream: keys derived once, packets opened in place and sealed on the way to where
//! they leave from (RFC 3711, RFC 7714).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use crate::plan::Profile;

/// Bytes a sealed packet can be longer than the plain one: GCM's tag.
pub const LONGEST_TAG: usize = 16;
/// Bytes of HMAC-SHA1 that SRTP keeps (RFC 3711 section 4.2).
const SHORT_TAG: usize = 10;

/// One stream's session keys, their schedules made.
pub struct Stream {
    ssrc: u32,
    salt: [u8; 14],
    cipher: Cipher,
}

/// Boxed, since the HMAC's state is over a kilobyte.
enum Cipher {
    Gcm(LessSafeKey),
    Cm(Box<(EncryptingKey, hmac::Key)>),
}

impl Stream {
    /// Derives the session keys (RFC 3711 section 4.3, RFC 7714 section 11).
    ///
    /// Fails when key or salt have another length than the profile's.
    pub fn new(profile: Profile, ssrc: u32, key: &[u8], salt: &[u8]) -> Result<Self, Unspecified> {
        let generator = EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, key)?)?;
        // GCM's 12 bytes stand for 14 that end in zeros.
        let mut master = [0; 14];
        master
            .get_mut(..salt.len())
            .ok_or(Unspecified)?
            .copy_from_slice(salt);
        let cipher_key: [u8; 16] = derive(&generator, &master, 0)?;
        let cipher = match profile {
            Profile::Gcm => Cipher::Gcm(LessSafeKey::new(UnboundKey::new(
                &AES_128_GCM,
                &cipher_key,
            )?)),
            Profile::Cm => {
                let authentication: [u8; 20] = derive(&generator, &master, 1)?;
                Cipher::Cm(Box::new((
                    EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &cipher_key)?)?,
                    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &authentication),
                )))
            }
        };
        Ok(Stream {
            ssrc,
            salt: derive(&generator, &master, 2)?,
            cipher,
        })
    }

    /// What its packets bear.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Bytes by which a sealed packet is longer.
    pub fn tag_len(&self) -> usize {
        match self.cipher {
            Cipher::Gcm(_) => LONGEST_TAG,
            Cipher::Cm(_) => SHORT_TAG,
        }
    }

    /// Authenticates and decrypts `body` in place; behind it is the tag. What is left is plain.
    pub fn open<'b>(
        &self,
        index: u64,
        head: &[u8],
        body: &'b mut [u8],
    ) -> Result<&'b mut [u8], Unspecified> {
        let plain = body.len().checked_sub(self.tag_len()).ok_or(Unspecified)?;
        let (body, tag) = body.split_at_mut(plain);
        match &self.cipher {
            Cipher::Gcm(key) => {
                let nonce = self.nonce(index);
                key.open_in_place_separate_tag(nonce, Aad::from(head), tag, body)?;
            }
            Cipher::Cm(keys) => {
                let (cipher, authentication) = &**keys;
                verify_slices_are_equal(&tag_of(authentication, index, head, body), tag)?;
                cipher.less_safe_encrypt(body, self.counter(index))?;
            }
        }
        Ok(body)
    }

    /// Encrypts `plain` into `sealed`, which is longer by the tag.
    ///
    /// GCM encrypts from one place to the other, which saves a copy of the packet.
    pub fn seal(
        &self,
        index: u64,
        head: &[u8],
        plain: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), Unspecified> {
        let (body, tag) = sealed.split_at_mut(plain.len());
        match &self.cipher {
            Cipher::Gcm(key) => {
                let (nonce, head) = (self.nonce(index), Aad::from(head));
                key.seal_out_of_place_scatter(nonce, head, plain, body, &[], tag)?;
            }
            Cipher::Cm(keys) => {
                let (cipher, authentication) = &**keys;
                body.copy_from_slice(plain);
                cipher.less_safe_encrypt(body, self.counter(index))?;
                tag.copy_from_slice(&tag_of(authentication, index, head, body));
            }
        }
        Ok(())
    }

    /// RFC 7714 section 8.1: two zero bytes, SSRC, 48-bit index; xor salt.
    fn nonce(&self, index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&self.ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        xor(&mut nonce, &self.salt);
        Nonce::assume_unique_for_key(nonce)
    }

    /// RFC 3711 section 4.1.1: salt * 2^16 xor SSRC * 2^64 xor index * 2^16.
    fn counter(&self, index: u64) -> EncryptionContext {
        let mut counter = [0; 16];
        counter[4..8].copy_from_slice(&self.ssrc.to_be_bytes());
        counter[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        xor(&mut counter, &self.salt);
        EncryptionContext::Iv128(FixedLength::from(counter))
    }
}

/// RFC 3711 section 4.2: over the packet and, behind it, the roll-over counter.
fn tag_of(key: &hmac::Key, index: u64, head: &[u8], body: &[u8]) -> [u8; SHORT_TAG] {
    let mut context = hmac::Context::with_key(key);
    context.update(head);
    context.update(body);
    context.update(&index.to_be_bytes()[2..6]);
    let mut tag = [0; SHORT_TAG];
    tag.copy_from_slice(&context.sign().as_ref()[..SHORT_TAG]);
    tag
}

/// The AES-CM pseudo-random function for one label (RFC 3711 section 4.3.3).
fn derive<const N: usize>(
    generator: &EncryptingKey,
    salt: &[u8; 14],
    label: u8,
) -> Result<[u8; N], Unspecified> {
    let mut counter = [0; 16];
    counter[..14].copy_from_slice(salt);
    counter[7] ^= label;
    let mut key = [0; N];
    let context = EncryptionContext::Iv128(FixedLength::from(counter));
    generator.less_safe_encrypt(&mut key, context)?;
    Ok(key)
}

fn xor(target: &mut [u8], with: &[u8]) {
    for (byte, other) in target.iter_mut().zip(with) {
        *byte ^= other;
    }
}
