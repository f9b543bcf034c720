//! SRTP and SRTCP under both profiles: garbage never opens, what was sealed opens once and unchanged,
//! and no changed byte passes.

use std::cell::OnceCell;

use conclave_relay_core::rtp::{Header, NewHeader, write_header};
use conclave_relay_core::srtp::{MasterKey, OpenError, Opener, Profile, ReplayWindow, Sealer};
use conclave_relay_core::units::{PayloadType, Ssrc};

use crate::bytes::Bytes;

const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80];

thread_local! {
    /// Deriving keys costs more than all else in here.
    static KEYS: OnceCell<[(Sealer, Opener); 2]> = const { OnceCell::new() };
}

pub fn run(input: &[u8]) {
    KEYS.with(|keys| {
        for (sealer, opener) in keys.get_or_init(|| PROFILES.map(pair)) {
            garbage(opener, input);
            rtp(sealer, opener, &mut Bytes::new(input));
            rtcp(sealer, opener, &mut Bytes::new(input));
        }
    });
}

fn pair(profile: Profile) -> (Sealer, Opener) {
    let master = MasterKey::new(&[3; 16], &[5; 14][..profile.salt_len()]);
    let keys = (Sealer::new(profile, &master), Opener::new(profile, &master));
    match keys {
        (Ok(sealer), Ok(opener)) => (sealer, opener),
        _ => panic!("keys of the profile's lengths are taken"),
    }
}

fn garbage(opener: &Opener, input: &[u8]) {
    let mut window = ReplayWindow::new();
    let mut packet = input.to_vec();
    if let Ok(header) = Header::parse(input) {
        let opened = opener.open_rtp(&mut window, &header, &mut packet);
        assert!(opened.is_err(), "garbage opens");
    }
    let mut packet = input.to_vec();
    assert!(opener.open_rtcp(&mut window, &mut packet).is_err());
    assert_eq!(window.estimate(40_000), 40_000, "garbage moved the window");
}

fn rtp(sealer: &Sealer, opener: &Opener, bytes: &mut Bytes<'_>) {
    let (at, flip) = (usize::from(bytes.word()), bytes.byte());
    let mut window = ReplayWindow::new();
    let mut index = u64::from(bytes.word() & 0x7fff);
    for _ in 0..4 {
        let header = NewHeader {
            marker: bytes.flag(),
            payload_type: PayloadType(bytes.byte() & 0x7f),
            sequence: index as u16,
            timestamp: bytes.long(),
            ssrc: Ssrc(9),
        };
        let count = bytes.below(80);
        let element = bytes.take(count);
        let mut out = b"before".to_vec();
        let len = write_header(&mut out, &header, std::iter::once((bytes.byte(), element)));
        let size = bytes.below(120);
        out.extend_from_slice(bytes.take(size));
        let plain = out[6..].to_vec();
        sealer.seal_rtp(index, len, &mut out, 6);
        let sealed = out.split_off(6);

        let mut changed = sealed.clone();
        let place = at % changed.len();
        changed[place] ^= flip;
        // A changed sequence number may look like a leap or a replay; it never opens all the same.
        if flip != 0
            && let Ok(header) = Header::parse(&changed)
        {
            let opened = opener.open_rtp(&mut window, &header, &mut changed);
            assert!(opened.is_err(), "a changed packet opens");
        }
        let header = Header::parse(&sealed).expect("what we seal has a header");
        let mut packet = sealed.clone();
        let opened = opener.open_rtp(&mut window, &header, &mut packet);
        assert_eq!(opened, Ok((index, plain.len())));
        assert_eq!(packet[..plain.len()], plain[..]);
        let again = opener.open_rtp(&mut window, &header, &mut sealed.clone());
        assert_eq!(again, Err(OpenError::Replayed));
        // A leap of 2^15 or more is beyond what a receiver can guess.
        index += 1 + u64::from(bytes.word() & 0x3fff);
    }
}

fn rtcp(sealer: &Sealer, opener: &Opener, bytes: &mut Bytes<'_>) {
    let (at, flip) = (usize::from(bytes.word()), bytes.byte());
    let index = bytes.long() >> 1;
    let size = 8 + bytes.below(200);
    let mut plain = bytes.take(size).to_vec();
    plain.resize(size, 0);
    let mut sealed = plain.clone();
    sealer.seal_rtcp(index, &mut sealed, 0);

    let mut window = ReplayWindow::new();
    let mut changed = sealed.clone();
    let place = at % changed.len();
    changed[place] ^= flip;
    if flip != 0 {
        let opened = opener.open_rtcp(&mut window, &mut changed);
        assert!(opened.is_err(), "a changed compound opens");
    }
    let mut packet = sealed.clone();
    assert_eq!(opener.open_rtcp(&mut window, &mut packet), Ok(size));
    assert_eq!(packet[..size], plain[..]);
    let again = opener.open_rtcp(&mut window, &mut sealed);
    assert_eq!(again, Err(OpenError::Replayed));
}
