//! Master keys, and the session keys derived from them (RFC 3711 section 4.3, RFC 7714 section 11).

use super::{BadKeyLength, Profile};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

/// Master key and salt as exported from DTLS (RFC 5764 section 4.2); wiped on drop, never printed.
#[derive(Clone)]
pub struct MasterKey {
    key: Zeroizing<Vec<u8>>,
    salt: Zeroizing<Vec<u8>>,
}

impl MasterKey {
    /// Keeps a copy; lengths are checked where the profile is known.
    pub fn new(key: &[u8], salt: &[u8]) -> Self {
        MasterKey {
            key: Zeroizing::new(key.to_vec()),
            salt: Zeroizing::new(salt.to_vec()),
        }
    }

    /// The session keys of SRTP and of SRTCP. The key derivation rate is zero: once for all
    /// packets.
    pub(super) fn session_keys(
        &self,
        profile: Profile,
    ) -> Result<(SessionKeys, SessionKeys), BadKeyLength> {
        if self.key.len() != profile.key_len() || self.salt.len() != profile.salt_len() {
            return Err(BadKeyLength);
        }
        let unbound = UnboundCipherKey::new(&AES_128, &self.key).map_err(|_| BadKeyLength)?;
        let generator = EncryptingKey::ctr(unbound).map_err(|_| BadKeyLength)?;
        // A 12-byte salt stands for 14 bytes that end in two zeros (RFC 7714 section 11).
        let mut salt = Zeroizing::new([0; 14]);
        salt[..self.salt.len()].copy_from_slice(&self.salt);
        let derive = |labels: [u8; 3]| -> Result<SessionKeys, BadKeyLength> {
            let [cipher, authentication, salting] = labels;
            Ok(SessionKeys {
                cipher: generate(&generator, &salt, cipher)?,
                authentication: generate(&generator, &salt, authentication)?,
                salt: generate(&generator, &salt, salting)?,
            })
        };
        Ok((derive([0, 1, 2])?, derive([3, 4, 5])?))
    }
}

/// What one protocol of one direction seals with; wiped on drop, never printed.
pub(super) struct SessionKeys {
    pub(super) cipher: Zeroizing<[u8; 16]>,
    /// Of HMAC-SHA1; GCM has no use for it.
    pub(super) authentication: Zeroizing<[u8; 20]>,
    /// GCM uses the first 12 bytes.
    pub(super) salt: Zeroizing<[u8; 14]>,
}

/// The AES-CM pseudo-random function for one label (RFC 3711 section 4.3.3).
fn generate<const N: usize>(
    generator: &EncryptingKey,
    salt: &[u8; 14],
    label: u8,
) -> Result<Zeroizing<[u8; N]>, BadKeyLength> {
    let mut iv = Zeroizing::new([0; 16]);
    iv[..14].copy_from_slice(salt);
    iv[7] ^= label;
    let mut key = Zeroizing::new([0; N]);
    let context = EncryptionContext::Iv128(FixedLength::from(&*iv));
    let done = generator.less_safe_encrypt(key.as_mut_slice(), context);
    done.map(|_| key).map_err(|_| BadKeyLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_keys_are_those_of_rfc_3711_b3() {
        let key = 0xe1f9_7a0d_3e01_8be0_d64f_a32c_06de_4139_u128.to_be_bytes();
        let salt = &0x0ec6_75ad_498a_feeb_b696_0b3a_abe6_u128.to_be_bytes()[2..];
        let master = MasterKey::new(&key, salt);
        let (rtp, _) = master.session_keys(Profile::Aes128CmHmacSha1_80).unwrap();
        assert_eq!(
            *rtp.cipher,
            0xc61e_7a93_744f_39ee_1073_4afe_3ff7_a087_u128.to_be_bytes()
        );
        assert_eq!(
            rtp.salt[..],
            0x30cb_bc08_863d_8c85_d49d_b34a_9ae1_u128.to_be_bytes()[2..]
        );
        let authentication = [
            0xce, 0xbe, 0x32, 0x1f, 0x6f, 0xf7, 0x71, 0x6b, 0x6f, 0xd4, 0xab, 0x49, 0xaf, 0x25,
            0x6a, 0x15, 0x6d, 0x38, 0xba, 0xa4,
        ];
        assert_eq!(*rtp.authentication, authentication);
    }

    #[test]
    fn every_session_key_is_another() {
        let master = MasterKey::new(&[7; 16], &[9; 12]);
        let (rtp, rtcp) = master.session_keys(Profile::AeadAes128Gcm).unwrap();
        assert_ne!(*rtp.cipher, *rtcp.cipher);
        assert_ne!(*rtp.salt, *rtcp.salt);
        assert_ne!(*rtp.authentication, *rtcp.authentication);
    }

    #[test]
    fn keys_of_another_length_than_the_profiles_are_refused() {
        let lengths = |key, salt| MasterKey::new(&vec![1; key], &vec![1; salt]);
        for (profile, salt) in [
            (Profile::AeadAes128Gcm, 12),
            (Profile::Aes128CmHmacSha1_80, 14),
        ] {
            assert!(lengths(16, salt).session_keys(profile).is_ok());
            assert!(lengths(16, 26 - salt).session_keys(profile).is_err());
            assert!(lengths(32, salt).session_keys(profile).is_err());
            assert!(lengths(0, 0).session_keys(profile).is_err());
        }
    }
}
