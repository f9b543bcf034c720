use super::*;
use proptest::prelude::*;

/// RFC 5769: the password of all samples, and their transaction.
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
const TRANSACTION: TransactionId = TransactionId([
    0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
]);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// RFC 5769 section 2.1.
fn sample_request() -> Vec<u8> {
    bytes(
        "00010058 2112a442 b7e7a701 bc34d686 fa87dfae
         80220010 5354554e 20746573 7420636c 69656e74
         00240004 6e0001ff
         80290008 932ff9b1 51263b36
         00060009 6576746a 3a683676 59202020
         00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
         80280004 e57a3bcf",
    )
}

/// RFC 5769 section 2.2.
fn sample_ipv4_response() -> Vec<u8> {
    bytes(
        "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
         8022000b 74657374 20766563 746f7220
         00200008 0001a147 e112a643
         00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
         80280004 c07d4c96",
    )
}

/// RFC 5769 section 2.3.
fn sample_ipv6_response() -> Vec<u8> {
    bytes(
        "01010048 2112a442 b7e7a701 bc34d686 fa87dfae
         8022000b 74657374 20766563 746f7220
         00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
         00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
         80280004 c8fb0b4c",
    )
}

/// A request of these attributes, unsealed.
fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = [&[0, 1, 0, 0][..], &MAGIC_COOKIE, &TRANSACTION.0].concat();
    for (kind, value) in attributes {
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&(value.len() as u16).to_be_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
    }
    let body = (message.len() - HEADER) as u16;
    message[2..4].copy_from_slice(&body.to_be_bytes());
    message
}

fn refusal(datagram: &[u8]) -> Option<StunError> {
    Message::parse(datagram).err()
}

#[test]
fn the_sample_request_of_rfc_5769_is_understood() {
    let datagram = sample_request();
    let message = Message::parse(&datagram).unwrap();
    assert_eq!(message.class(), Class::Request);
    assert_eq!(message.transaction(), TRANSACTION);
    assert_eq!(message.username(), Some(("evtj", "h6vY")));
    assert_eq!(message.verify(PASSWORD), Ok(()));
    assert!(message.ice_controlled());
    assert!(!message.use_candidate());
    assert_eq!(message.xor_mapped_address(), None);
    assert_eq!(message.error_code(), None);
}

#[test]
fn the_sample_responses_of_rfc_5769_are_understood() {
    for (datagram, mapped) in [
        (sample_ipv4_response(), "192.0.2.1:32853"),
        (
            sample_ipv6_response(),
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
        ),
    ] {
        let message = Message::parse(&datagram).unwrap();
        assert_eq!(message.class(), Class::Success);
        assert_eq!(message.transaction(), TRANSACTION);
        assert_eq!(message.verify(PASSWORD), Ok(()));
        assert_eq!(message.xor_mapped_address(), Some(mapped.parse().unwrap()));
    }
}

#[test]
fn a_success_reads_back_with_the_address_it_was_written_with() {
    for (seen, told) in [
        ("192.0.2.1:32853", "192.0.2.1:32853"),
        ("[2001:db8::7]:1", "[2001:db8::7]:1"),
        ("[::ffff:192.0.2.1]:9", "192.0.2.1:9"),
    ] {
        let mut out = b"ahead".to_vec();
        write_success(&mut out, TRANSACTION, seen.parse().unwrap(), b"secret");
        let message = Message::parse(&out[5..]).unwrap();
        assert_eq!(message.class(), Class::Success);
        assert_eq!(message.transaction(), TRANSACTION);
        assert_eq!(message.xor_mapped_address(), Some(told.parse().unwrap()));
        assert_eq!(message.verify(b"secret"), Ok(()));
    }
}

#[test]
fn our_attributes_are_byte_for_byte_those_of_the_samples() {
    for sample in [sample_ipv4_response(), sample_ipv6_response()] {
        let mapped = Message::parse(&sample).unwrap().xor_mapped_address();
        let mut ours = Vec::new();
        write_success(&mut ours, TRANSACTION, mapped.unwrap(), PASSWORD);
        let software = HEADER + 16; // the sample has SOFTWARE first, and so another tag
        let address = sample.len() - 32 - software;
        assert_eq!(
            ours[HEADER..HEADER + address],
            sample[software..][..address]
        );
        assert_eq!(ours.len(), sample.len() - 16);
    }
}

#[test]
fn a_request_of_ours_reads_back() {
    let mut out = b"ahead".to_vec();
    write_request(&mut out, TRANSACTION, "theirs:ours", 1, 2, b"secret");
    let message = Message::parse(&out[5..]).unwrap();
    assert_eq!(message.class(), Class::Request);
    assert_eq!(message.username(), Some(("theirs", "ours")));
    assert!(message.ice_controlled());
    assert_eq!(message.verify(b"secret"), Ok(()));
}

#[test]
fn an_error_of_ours_reads_back() {
    let long = "é".repeat(500);
    for reason in ["Role Conflict", "", &long] {
        let mut out = Vec::new();
        write_error(&mut out, TRANSACTION, 487, reason, b"secret");
        let message = Message::parse(&out).unwrap();
        assert_eq!(message.class(), Class::Error);
        assert_eq!(message.error_code(), Some(487));
        assert_eq!(message.verify(b"secret"), Ok(()));
    }
}

#[test]
fn what_we_write_is_byte_for_byte_what_aioice_writes() {
    let mut out = Vec::new();
    let tie_breaker = 0x932f_f9b1_5126_3b36;
    write_request(
        &mut out,
        TRANSACTION,
        "theirs:ours",
        0x6e00_01ff,
        tie_breaker,
        b"secret",
    );
    let expected = "00010044 2112a442 b7e7a701 bc34d686 fa87dfae
                    0006000b 74686569 72733a6f 75727300 00240004 6e0001ff
                    80290008 932ff9b1 51263b36
                    00080014 b36765f4 7c9d82ed 4656f50d 8fb7d7bd 312a1988
                    80280004 c461d649";
    assert_eq!(out, bytes(expected));

    out.clear();
    let mapped = "192.0.2.1:32853".parse().unwrap();
    write_success(&mut out, TRANSACTION, mapped, b"secret");
    let expected = "0101002c 2112a442 b7e7a701 bc34d686 fa87dfae
                    00200008 0001a147 e112a643
                    00080014 a45332c4 94951602 6b075c2e cb970848 3d08b979
                    80280004 d7562e17";
    assert_eq!(out, bytes(expected));

    out.clear();
    write_error(&mut out, TRANSACTION, 487, "Role Conflict", b"secret");
    let expected = "01110038 2112a442 b7e7a701 bc34d686 fa87dfae
                    00090011 00000457 526f6c65 20436f6e 666c6963 74000000
                    00080014 081363a9 e4f96c1b 6907812b 264e3ed6 13e15c5d
                    80280004 09ac49e5";
    assert_eq!(out, bytes(expected));
}

#[test]
fn another_password_does_not_verify() {
    let datagram = sample_request();
    let message = Message::parse(&datagram).unwrap();
    assert_eq!(message.verify(b"guess"), Err(StunError::BadIntegrity));
    assert_eq!(message.verify(b""), Err(StunError::BadIntegrity));
}

#[test]
fn a_message_without_integrity_never_verifies() {
    let datagram = request(&[(attribute::USERNAME, b"a:b")]);
    let message = Message::parse(&datagram).unwrap();
    assert_eq!(message.verify(PASSWORD), Err(StunError::MissingAttribute));
}

#[test]
fn any_changed_bit_is_noticed_by_the_fingerprint() {
    let datagram = sample_request();
    for at in 0..datagram.len() {
        let mut forged = datagram.clone();
        forged[at] ^= 1;
        // A change to the attribute's own type makes it another one: then the integrity still
        // holds.
        if at < datagram.len() - 8 {
            assert!(refusal(&forged).is_some(), "byte {at}");
        }
    }
}

#[test]
fn any_changed_bit_before_the_integrity_is_noticed_without_a_fingerprint() {
    let mut datagram = sample_request();
    datagram.truncate(datagram.len() - 8);
    datagram[3] -= 8;
    assert!(Message::parse(&datagram).unwrap().verify(PASSWORD).is_ok());
    for at in 0..datagram.len() {
        let mut forged = datagram.clone();
        forged[at] ^= 1;
        if let Ok(message) = Message::parse(&forged) {
            assert!(message.verify(PASSWORD).is_err(), "byte {at}");
        }
    }
}

#[test]
fn what_stands_behind_the_integrity_does_not_count() {
    let mut datagram = sample_request();
    datagram.truncate(datagram.len() - 8);
    datagram.extend_from_slice(&[0, 0x25, 0, 0]); // USE-CANDIDATE
    datagram.extend_from_slice(&[0x7f, 0xff, 0, 0]); // unknown, to be understood
    let message = Message::parse(&datagram).unwrap();
    assert!(message.verify(PASSWORD).is_ok());
    assert!(!message.use_candidate());
}

#[test]
fn nothing_may_stand_behind_the_fingerprint() {
    let mut datagram = sample_request();
    datagram.extend_from_slice(&[0x80, 0x22, 0, 0]);
    datagram[3] += 4;
    assert_eq!(refusal(&datagram), Some(StunError::Malformed));
}

#[test]
fn a_wrong_fingerprint_is_refused() {
    let mut datagram = sample_request();
    *datagram.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(&datagram), Some(StunError::BadFingerprint));
}

#[test]
fn an_unknown_attribute_is_refused_unless_it_may_be_skipped() {
    let optional = request(&[(0xc057, b"abcde"), (attribute::USE_CANDIDATE, b"")]);
    assert!(Message::parse(&optional).unwrap().use_candidate());
    let required = request(&[(0x7057, b"abcde")]);
    assert_eq!(refusal(&required), Some(StunError::UnknownAttribute));
}

#[test]
fn lengths_that_do_not_add_up_are_malformed() {
    let good = sample_request();
    for len in 0..good.len() {
        assert_eq!(refusal(&good[..len]), Some(StunError::Malformed));
    }
    let longer = [&good[..], &[0; 4]].concat();
    assert_eq!(refusal(&longer), Some(StunError::Malformed));
    let mut overrun = request(&[(0xc057, b"abcd")]);
    overrun[HEADER + 3] = 5;
    assert_eq!(refusal(&overrun), Some(StunError::Malformed));
    let huge = request(&[(0xc057, &[0; MAX_MESSAGE])]);
    assert_eq!(refusal(&huge), Some(StunError::Malformed));
    for (kind, len) in [
        (attribute::MESSAGE_INTEGRITY, 32),
        (attribute::PRIORITY, 3),
        (attribute::USE_CANDIDATE, 1),
        (attribute::ICE_CONTROLLED, 4),
        (attribute::ICE_CONTROLLING, 0),
        (attribute::FINGERPRINT, 8),
    ] {
        let datagram = request(&[(kind, &vec![0; len])]);
        assert_eq!(refusal(&datagram), Some(StunError::Malformed), "{kind:#x}");
    }
}

#[test]
fn only_binding_is_served() {
    let mut datagram = request(&[]);
    for (message_type, class) in [
        (0x0001_u16, Some(Class::Request)),
        (0x0011, Some(Class::Indication)),
        (0x0101, Some(Class::Success)),
        (0x0111, Some(Class::Error)),
        (0x0003, None), // TURN Allocate
        (0x4001, None),
    ] {
        datagram[..2].copy_from_slice(&message_type.to_be_bytes());
        let parsed = Message::parse(&datagram).ok();
        assert_eq!(parsed.map(|message| message.class()), class);
    }
}

#[test]
fn another_cookie_is_malformed() {
    let mut datagram = request(&[]);
    assert_eq!(refusal(&datagram), None);
    datagram[4] ^= 1;
    assert_eq!(refusal(&datagram), Some(StunError::Malformed));
}

#[test]
fn a_username_is_two_fragments_around_one_colon() {
    for (username, expected) in [
        (&b"here:there"[..], Some(("here", "there"))),
        (b"here", None),
        (b":there", None),
        (b"here:", None),
        (b"a:b:c", None),
        (b"\xff:\xff", None),
    ] {
        let datagram = request(&[
            (attribute::USERNAME, username),
            (attribute::USERNAME, b"second:one"),
        ]);
        assert_eq!(Message::parse(&datagram).unwrap().username(), expected);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        kinds in proptest::collection::vec(
            (prop_oneof![0u16..0x30, 0x8020u16..0x8030, any::<u16>()],
             proptest::collection::vec(any::<u8>(), 0..30)), 0..8),
    ) {
        let _ = Message::parse(&body);
        let attributes: Vec<_> = kinds.iter().map(|(k, v)| (*k, v.as_slice())).collect();
        let mut datagram = request(&attributes);
        datagram.extend_from_slice(&body[..body.len() & !3]);
        let len = (datagram.len() - HEADER) as u16;
        datagram[2..4].copy_from_slice(&len.to_be_bytes());
        for datagram in [request(&attributes), datagram] {
            if let Ok(message) = Message::parse(&datagram) {
                message.username();
                message.error_code();
                message.xor_mapped_address();
                prop_assert!(message.verify(PASSWORD).is_err());
            }
        }
    }
}
