use super::*;
use crate::rtp::{NewHeader, write_header};
use crate::units::{PayloadType, Ssrc};
use proptest::prelude::*;

const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80];
const SSRC: Ssrc = Ssrc(0xcafe_babe);

/// Key 10 11 .. 1f, salt a0 a1 ..
fn master(profile: Profile) -> MasterKey {
    let run = |from: u8, len: usize| (from..).take(len).collect::<Vec<u8>>();
    MasterKey::new(&run(0x10, 16), &run(0xa0, profile.salt_len()))
}

/// Both ends of one direction, and one stream's window.
struct Pair {
    sealer: Sealer,
    opener: Opener,
    window: ReplayWindow,
}

impl Pair {
    fn new(profile: Profile) -> Self {
        Pair {
            sealer: Sealer::new(profile, &master(profile)).unwrap(),
            opener: Opener::new(profile, &master(profile)).unwrap(),
            window: ReplayWindow::new(),
        }
    }

    fn sealed(&self, index: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = b"ahead".to_vec();
        let header_len = plain_into(&mut out, index as u16, payload);
        self.sealer.seal_rtp(index, header_len, &mut out, 5);
        out.split_off(5)
    }

    fn open(&mut self, packet: &[u8]) -> Result<(u64, Vec<u8>), OpenError> {
        let mut packet = packet.to_vec();
        let header = Header::parse(&packet).unwrap();
        let opened = self.opener.open_rtp(&mut self.window, &header, &mut packet);
        opened.map(|(index, len)| (index, packet[header.len..len].to_vec()))
    }

    fn sealed_rtcp(&self, index: u32, plain: &[u8]) -> Vec<u8> {
        let mut out = [b"ahead", plain].concat();
        self.sealer.seal_rtcp(index, &mut out, 5);
        out.split_off(5)
    }

    fn open_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut packet = packet.to_vec();
        let len = self.opener.open_rtcp(&mut self.window, &mut packet)?;
        packet.truncate(len);
        Ok(packet)
    }
}

fn plain_into(out: &mut Vec<u8>, sequence: u16, payload: &[u8]) -> usize {
    let header = NewHeader {
        marker: false,
        payload_type: PayloadType(96),
        sequence,
        timestamp: 0x0102_0304,
        ssrc: SSRC,
    };
    let extensions = [(1, &b"\x42"[..])];
    let header_len = write_header(out, &header, extensions.into_iter());
    out.extend_from_slice(payload);
    header_len
}

fn report() -> Vec<u8> {
    let head = [0x80, 200, 0, 6, 0xca, 0xfe, 0xba, 0xbe];
    head.into_iter().chain(0..20).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

/// Sealed by libsrtp 2 with the keys above: sequence 0xfffe with ROC 0, sequence 1 with ROC 1, and
/// [`report`] under SRTCP index 2.
fn sealed_by_libsrtp(profile: Profile) -> [Vec<u8>; 3] {
    match profile {
        Profile::AeadAes128Gcm => [
            bytes(
                "9060fffe01020304cafebabebede0001104200001b16455e06c3c012\
                 cecec4ac44b67b1aa9075da151fa0cdf",
            ),
            bytes(
                "9060000101020304cafebabebede000110420000d442f376bad5dd31\
                 46fb3504ca2a22828488beafb7f6d1ef",
            ),
            bytes(
                "80c80006cafebabe52e17a2da525547523c3bc80a4d918f074156c26\
                 1da064970e2be05f2eea8559d4de867880000002",
            ),
        ],
        Profile::Aes128CmHmacSha1_80 => [
            bytes("9060fffe01020304cafebabebede00011042000075f4fc9ee8cab2f372475fa1abc4d1609539"),
            bytes("9060000101020304cafebabebede000110420000069a1023d40d3337659528717354b82074e6"),
            bytes(
                "80c80006cafebabec21d6040bbc3a9989dd682ba2ceb8defd02106f7\
                 8000000240cd11eab39bc3e667df",
            ),
        ],
    }
}

#[test]
fn what_we_seal_is_what_libsrtp_seals() {
    for profile in PROFILES {
        let pair = Pair::new(profile);
        let [first, wrapped, rtcp] = sealed_by_libsrtp(profile);
        assert_eq!(pair.sealed(0xfffe, b"conclave"), first);
        assert_eq!(pair.sealed(0x1_0001, b"conclave"), wrapped);
        assert_eq!(pair.sealed_rtcp(2, &report()), rtcp);
        let overhead = first.len() - "conclave".len() - 20;
        assert_eq!(overhead, profile.rtp_overhead());
        assert_eq!(rtcp.len() - report().len(), profile.rtcp_overhead());
    }
}

#[test]
fn what_libsrtp_seals_we_open() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        let [first, wrapped, rtcp] = sealed_by_libsrtp(profile);
        assert_eq!(pair.open(&first), Ok((0xfffe, b"conclave".to_vec())));
        assert_eq!(pair.open(&wrapped), Ok((0x1_0001, b"conclave".to_vec())));
        pair.window = ReplayWindow::new();
        assert_eq!(pair.open_rtcp(&rtcp), Ok(report()));
    }
}

#[test]
fn packets_from_around_the_roll_over_open_in_any_order() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        for index in [0xfff0, 0x1_0002, 0xffff, 0x1_0000, 0xfffe, 0x1_0001, 0xfff1] {
            let packet = pair.sealed(index, &index.to_be_bytes());
            assert_eq!(
                pair.open(&packet),
                Ok((index, index.to_be_bytes().to_vec()))
            );
        }
    }
}

#[test]
fn a_packet_sent_again_opens_with_a_fresh_window_and_is_refused_by_the_streams() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        let packet = pair.sealed(7, b"once");
        assert!(pair.open(&packet).is_ok());
        assert_eq!(pair.open(&packet), Err(OpenError::Replayed));
        let report = pair.sealed_rtcp(3, &report());
        let seen = std::mem::take(&mut pair.window);
        assert!(pair.open_rtcp(&report).is_ok());
        assert_eq!(pair.open_rtcp(&report), Err(OpenError::Replayed));
        pair.window = ReplayWindow::new(); // the defence off: the attack works
        assert!(pair.open(&packet).is_ok());
        pair.window = seen;
        assert_eq!(pair.open(&packet), Err(OpenError::Replayed));
    }
}

#[test]
fn a_packet_older_than_the_window_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        let (newest, edge, old) = (
            pair.sealed(3000, b""),
            pair.sealed(3000 - 1023, b""),
            pair.sealed(3000 - 1024, b""),
        );
        assert!(pair.open(&newest).is_ok());
        assert!(pair.open(&edge).is_ok());
        assert_eq!(pair.open(&old), Err(OpenError::TooOld));
    }
}

#[test]
fn any_changed_bit_is_refused_and_leaves_the_window_where_it_was() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        pair.open(&pair.sealed(100, b"first")).unwrap();
        let packet = pair.sealed(200, b"payload");
        for at in 1..packet.len() {
            let mut forged = packet.clone();
            forged[at] ^= 1;
            // A changed extension length may leave no whole header: refused one step earlier.
            if Header::parse(&forged).is_err() {
                continue;
            }
            let error = pair.open(&forged).unwrap_err();
            assert!(matches!(error, OpenError::BadTag | OpenError::Malformed));
        }
        assert_eq!(pair.window.estimate(100), 100);
        assert!(pair.open(&packet).is_ok());
    }
}

#[test]
fn a_forged_leap_ahead_does_not_push_honest_packets_out_of_the_window() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        pair.open(&pair.sealed(100, b"first")).unwrap();
        let mut forged = pair.sealed(30_000, b"leap");
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(pair.open(&forged), Err(OpenError::BadTag));
        assert!(pair.open(&pair.sealed(101, b"next")).is_ok());
    }
}

#[test]
fn any_changed_bit_of_an_rtcp_compound_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        let packet = pair.sealed_rtcp(5, &report());
        let index_word = match profile {
            Profile::AeadAes128Gcm => packet.len() - 4,
            Profile::Aes128CmHmacSha1_80 => packet.len() - 14,
        };
        for at in 0..packet.len() {
            let mut forged = packet.clone();
            forged[at] ^= 0x80;
            let expected = if at == index_word {
                OpenError::Unencrypted
            } else {
                OpenError::BadTag
            };
            assert_eq!(pair.open_rtcp(&forged), Err(expected));
        }
        assert!(pair.open_rtcp(&packet).is_ok());
    }
}

#[test]
fn a_packet_under_another_streams_ssrc_is_refused() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        let mut packet = pair.sealed(7, b"mine");
        packet[8..12].copy_from_slice(&0x0bad_cafe_u32.to_be_bytes());
        assert_eq!(pair.open(&packet), Err(OpenError::BadTag));
    }
}

#[test]
fn a_packet_sealed_with_one_profile_does_not_open_with_the_other() {
    let [gcm, cm] = PROFILES.map(Pair::new);
    let (mut gcm, mut cm) = (gcm, cm);
    assert_eq!(
        gcm.open(&cm.sealed(1, b"some payload")),
        Err(OpenError::BadTag)
    );
    assert_eq!(
        cm.open(&gcm.sealed(1, b"some payload")),
        Err(OpenError::BadTag)
    );
}

#[test]
fn a_packet_without_room_for_its_tag_is_malformed() {
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        let packet = pair.sealed(1, b"");
        assert!(pair.open(&packet).is_ok());
        for len in 20..packet.len() {
            assert_eq!(pair.open(&packet[..len]), Err(OpenError::Malformed));
        }
        let compound = pair.sealed_rtcp(1, &report()[..8]);
        for len in 0..compound.len() {
            assert_eq!(pair.open_rtcp(&compound[..len]), Err(OpenError::Malformed));
        }
        pair.window = ReplayWindow::new();
        assert!(pair.open_rtcp(&compound).is_ok());
    }
}

#[test]
fn the_last_index_of_a_key_serves_and_the_next_does_not() {
    let last = (1 << 48) - 1;
    for profile in PROFILES {
        let mut pair = Pair::new(profile);
        pair.window.accept(last - 1);
        let (packet, past) = (pair.sealed(last, b"x"), pair.sealed(last + 1, b"x"));
        assert_eq!(pair.open(&packet), Ok((last, b"x".to_vec())));
        assert!(past.is_empty());
        let wrapped = pair.sealed(0, b"x");
        assert_eq!(pair.open(&wrapped), Err(OpenError::TooOld));
        assert!(pair.sealed_rtcp(1 << 31, &report()).is_empty());
        assert!(!pair.sealed_rtcp((1 << 31) - 1, &report()).is_empty());
    }
}

#[test]
fn what_cannot_be_sealed_is_cut_off() {
    for profile in PROFILES {
        let sealer = Sealer::new(profile, &master(profile)).unwrap();
        let mut out = b"ahead of it, short".to_vec();
        sealer.seal_rtp(1, 12, &mut out, 12);
        assert_eq!(out, b"ahead of it,");
        out.extend_from_slice(b"short");
        sealer.seal_rtcp(1, &mut out, 12);
        assert_eq!(out, b"ahead of it,");
        sealer.seal_rtp(1, 0, &mut out, 99);
        sealer.seal_rtcp(1, &mut out, 99);
        assert_eq!(out, b"ahead of it,");
    }
}

#[test]
fn keys_of_another_length_than_the_profiles_open_and_seal_nothing() {
    let [gcm, cm] = PROFILES;
    for (profile, wrong) in [(gcm, master(cm)), (cm, master(gcm))] {
        assert_eq!(Opener::new(profile, &wrong).err(), Some(BadKeyLength));
        assert_eq!(Sealer::new(profile, &wrong).err(), Some(BadKeyLength));
    }
}

proptest! {
    #[test]
    fn a_lossy_reordered_stream_opens_to_what_was_sealed(
        gcm: bool,
        first in 0u64..0x1_8000,
        steps in proptest::collection::vec((1u64..3000, 0u64..800, 0usize..64), 1..60),
    ) {
        let profile = PROFILES[usize::from(gcm)];
        let mut pair = Pair::new(profile);
        pair.window.accept(first);
        let mut newest = first;
        for (forward, back, len) in steps {
            newest += forward;
            for index in [newest, newest - back.min(forward - 1)] {
                let payload = vec![index as u8; len];
                let packet = pair.sealed(index, &payload);
                match pair.open(&packet) {
                    Ok(opened) => prop_assert_eq!(opened, (index, payload)),
                    Err(error) => prop_assert_eq!((error, index), (OpenError::Replayed, newest)),
                }
            }
        }
    }

    #[test]
    fn no_bytes_open_and_none_make_the_opener_panic(
        gcm: bool,
        mut packet in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut pair = Pair::new(PROFILES[usize::from(gcm)]);
        prop_assert!(pair.open_rtcp(&packet).is_err());
        if let [first, ..] = &mut packet[..] {
            *first = 0x80 | (*first & 0x31);
        }
        if let Ok(header) = Header::parse(&packet) {
            prop_assert!(pair.open(&packet).is_err());
            // A header that belongs to a longer packet.
            let short = packet.len() / 2;
            let opened = pair.opener.open_rtp(&mut pair.window, &header, &mut packet[..short]);
            prop_assert!(opened.is_err());
        }
    }
}
