use super::*;
use proptest::prelude::*;

const SENDER: Ssrc = Ssrc(0x0102_0304);
const MEDIA: Ssrc = Ssrc(0xdead_beef);

fn report(ssrc: u32) -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(ssrc),
        fraction_lost: 12,
        cumulative_lost: -3,
        highest_sequence: 0x0001_fffe,
        jitter: 90,
        last_sr: 0x1234_5678,
        delay_since_last_sr: 65_536,
    }
}

const INFO: SenderInfo = SenderInfo {
    ntp: NtpTime(0x0123_4567_89ab_cdef),
    rtp_time: 0xffff_0001,
    packets: 7,
    octets: 700,
};

fn read(compound: &[u8]) -> Vec<Packet<'_>> {
    packets(compound).map(Result::unwrap).collect()
}

fn errors(compound: &[u8]) -> usize {
    packets(compound).filter(Result::is_err).count()
}

fn header(count: u8, packet_type: u8, body: &[u8]) -> Vec<u8> {
    let words = (body.len() / 4) as u8;
    [&[0x80 | count, packet_type, 0, words], body].concat()
}

#[test]
fn a_compound_reads_back_as_it_was_written() {
    let mut out = Vec::new();
    write_sender_report(&mut out, SENDER, &INFO, &[report(1), report(2)]);
    write_receiver_report(&mut out, SENDER, &[]);
    write_cname(&mut out, SENDER, "conclave");
    write_nack(&mut out, SENDER, MEDIA, &[5]);
    write_picture_loss(&mut out, SENDER, MEDIA);
    write_bye(&mut out, &[SENDER, MEDIA]);
    let expected = [
        Packet::SenderReport {
            sender: SENDER,
            info: INFO,
            reports: vec![report(1), report(2)],
        },
        Packet::ReceiverReport {
            sender: SENDER,
            reports: vec![],
        },
        Packet::Description {
            chunks: vec![(SENDER, b"conclave")],
        },
        Packet::Nack {
            sender: SENDER,
            media: MEDIA,
            lost: vec![5],
        },
        Packet::PictureLoss {
            sender: SENDER,
            media: MEDIA,
        },
        Packet::Bye {
            sources: vec![SENDER, MEDIA],
        },
    ];
    assert_eq!(read(&out), expected);
    assert_eq!(out, COMPOUND_OF_AIORTC);
}

/// The same compound, written by aiortc.
#[rustfmt::skip]
const COMPOUND_OF_AIORTC: [u8; 144] = [
    0x82, 0xc8, 0x00, 0x12, 0x01, 0x02, 0x03, 0x04, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
    0xff, 0xff, 0x00, 0x01, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x02, 0xbc, 0x00, 0x00, 0x00, 0x01,
    0x0c, 0xff, 0xff, 0xfd, 0x00, 0x01, 0xff, 0xfe, 0x00, 0x00, 0x00, 0x5a, 0x12, 0x34, 0x56, 0x78,
    0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x0c, 0xff, 0xff, 0xfd, 0x00, 0x01, 0xff, 0xfe,
    0x00, 0x00, 0x00, 0x5a, 0x12, 0x34, 0x56, 0x78, 0x00, 0x01, 0x00, 0x00, 0x80, 0xc9, 0x00, 0x01,
    0x01, 0x02, 0x03, 0x04, 0x81, 0xca, 0x00, 0x04, 0x01, 0x02, 0x03, 0x04, 0x01, 0x08, 0x63, 0x6f,
    0x6e, 0x63, 0x6c, 0x61, 0x76, 0x65, 0x00, 0x00, 0x81, 0xcd, 0x00, 0x03, 0x01, 0x02, 0x03, 0x04,
    0xde, 0xad, 0xbe, 0xef, 0x00, 0x05, 0x00, 0x00, 0x81, 0xce, 0x00, 0x02, 0x01, 0x02, 0x03, 0x04,
    0xde, 0xad, 0xbe, 0xef, 0x82, 0xcb, 0x00, 0x02, 0x01, 0x02, 0x03, 0x04, 0xde, 0xad, 0xbe, 0xef,
];

#[test]
fn a_receiver_report_is_laid_out_as_rfc_3550_draws_it() {
    let mut out = Vec::new();
    write_receiver_report(&mut out, SENDER, &[report(0xaabb_ccdd)]);
    let expected = [
        0x81, 201, 0, 7, 1, 2, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd, 12, 0xff, 0xff, 0xfd, 0, 1, 0xff,
        0xfe, 0, 0, 0, 90, 0x12, 0x34, 0x56, 0x78, 0, 1, 0, 0,
    ];
    assert_eq!(out, expected);
}

#[test]
fn the_cumulative_loss_keeps_its_sign_and_stays_within_24_bits() {
    for (lost, told) in [
        (-1, -1),
        (0x7f_ffff, 0x7f_ffff),
        (i32::MAX, 0x7f_ffff),
        (i32::MIN, -0x80_0000),
    ] {
        let block = ReportBlock {
            cumulative_lost: lost,
            ..report(1)
        };
        let mut out = Vec::new();
        write_receiver_report(&mut out, SENDER, &[block]);
        let expected = Packet::ReceiverReport {
            sender: SENDER,
            reports: vec![ReportBlock {
                cumulative_lost: told,
                ..report(1)
            }],
        };
        assert_eq!(read(&out), [expected]);
    }
}

#[test]
fn what_one_packet_cannot_count_goes_into_more() {
    let reports: Vec<_> = (0..70).map(report).collect();
    let sources: Vec<_> = (0..70).map(Ssrc).collect();
    let mut out = Vec::new();
    write_sender_report(&mut out, SENDER, &INFO, &reports);
    write_bye(&mut out, &sources);
    write_bye(&mut out, &[]);
    let (mut told, mut ended) = (vec![], vec![]);
    for packet in read(&out) {
        match packet {
            Packet::SenderReport { reports, .. } | Packet::ReceiverReport { reports, .. } => {
                told.extend(reports);
            }
            Packet::Bye { sources } => ended.extend(sources),
            other => assert_eq!(other, Packet::Bye { sources: vec![] }),
        }
    }
    assert_eq!(told, reports);
    assert_eq!(ended, sources);
}

#[test]
fn a_name_of_any_length_is_padded_and_cut_between_characters() {
    for (len, first) in (0..150).flat_map(|len| [(len, "x"), (len, "")]) {
        let name = format!("{first}{}", "é".repeat(len));
        let mut out = Vec::new();
        write_cname(&mut out, SENDER, &name);
        write_picture_loss(&mut out, SENDER, MEDIA);
        // 255 bytes fit; the character across that edge goes.
        let told = &name.as_bytes()[..name.len().min(254 + first.len())];
        let expected = Packet::Description {
            chunks: vec![(SENDER, told)],
        };
        let packets = read(&out);
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0], expected);
    }
}

#[test]
fn a_description_without_a_name_is_passed_over() {
    let body = [
        &[0, 0, 0, 1, 2, 1, b'n', 0][..], // NAME, not CNAME
        &[0, 0, 0, 2, 0, 0, 0, 0],        // no item
        &[0, 0, 0, 3, 7, 1, b'p', 1, 1, b'c', 0, 0],
    ]
    .concat();
    let compound = header(3, 202, &body);
    let expected = Packet::Description {
        chunks: vec![(Ssrc(3), b"c")],
    };
    assert_eq!(read(&compound), [expected]);
}

#[test]
fn a_nack_packs_runs_of_seventeen_and_wraps() {
    let lost = [0xfffe, 0xffff, 0, 14, 15, 100];
    let mut out = Vec::new();
    write_nack(&mut out, SENDER, MEDIA, &lost);
    assert_eq!(out[12..16], [0xff, 0xfe, 0x80, 0x03]);
    assert_eq!(out.len(), 12 + 3 * 4);
    let expected = Packet::Nack {
        sender: SENDER,
        media: MEDIA,
        lost: lost.to_vec(),
    };
    assert_eq!(read(&out), [expected]);
}

#[test]
fn a_nack_of_nothing_is_not_written_and_one_of_too_much_is_cut() {
    let mut out = Vec::new();
    write_nack(&mut out, SENDER, MEDIA, &[]);
    assert!(out.is_empty());
    let sparse: Vec<u16> = (0..1000).map(|n| n * 60).collect();
    write_nack(&mut out, SENDER, MEDIA, &sparse);
    let expected = Packet::Nack {
        sender: SENDER,
        media: MEDIA,
        lost: sparse[..256].to_vec(),
    };
    assert_eq!(read(&out), [expected]);
}

#[test]
fn a_full_intra_request_lists_its_streams() {
    let mut body = [0; 24];
    body[..4].copy_from_slice(&SENDER.0.to_be_bytes());
    body[8..12].copy_from_slice(&MEDIA.0.to_be_bytes());
    body[12] = 9;
    body[19] = 5;
    body[20] = 10;
    let expected = Packet::FullIntra {
        sender: SENDER,
        entries: vec![(MEDIA, 9), (Ssrc(5), 10)],
    };
    assert_eq!(read(&header(4, 206, &body)), [expected]);
    assert_eq!(errors(&header(4, 206, &body[..20])), 1);
    assert_eq!(errors(&header(4, 206, &body[..8])), 1);
}

#[test]
fn what_we_do_not_need_is_seen_and_passed_over() {
    let mut out = header(15, 206, &[0; 16]); // REMB
    out.extend(header(0, 207, &[0; 4])); // XR
    out.extend(header(3, 205, &[0; 8])); // TMMBR
    out.extend(header(3, 204, &[]));
    let kinds = [(206, 15), (207, 0), (205, 3), (204, 3)];
    let expected = kinds.map(|(packet_type, format)| Packet::Other {
        packet_type,
        format,
    });
    assert_eq!(read(&out), expected);
}

#[test]
fn reading_ends_at_the_first_damaged_packet() {
    let mut out = Vec::new();
    write_picture_loss(&mut out, SENDER, MEDIA);
    out.extend(header(1, 201, &[0; 4])); // announces a block that is not there
    write_picture_loss(&mut out, SENDER, MEDIA);
    let read: Vec<_> = packets(&out).map(|packet| packet.is_ok()).collect();
    assert_eq!(read, [true, false]);
}

#[test]
fn counts_and_lengths_that_lie_are_malformed() {
    let mut out = Vec::new();
    write_sender_report(&mut out, SENDER, &INFO, &[report(1)]);
    for len in 1..out.len() {
        assert_eq!(errors(&out[..len]), 1);
    }
    for compound in [
        header(2, 200, &out[4..]),
        header(0, 200, &out[4..24]),
        header(2, 203, &[0; 4]),
        header(1, 202, &[0; 4]),
        header(1, 202, &[0, 0, 0, 1, 1, 3, b'a', b'b']),
        header(1, 202, &[0, 0, 0, 1, 1, 2, b'a', b'b']), // no zero behind the items
        header(1, 205, &[0; 8]),
        header(15, 205, &[0; 12]),
        header(1, 206, &[0; 4]),
        vec![0x40, 201, 0, 1, 0, 0, 0, 0],
    ] {
        assert_eq!(errors(&compound), 1, "{compound:?}");
    }
}

#[test]
fn padding_is_cut_off_any_packet() {
    let mut padded = Vec::new();
    write_picture_loss(&mut padded, SENDER, MEDIA);
    let plain = padded.clone();
    padded.extend_from_slice(&[0, 0, 0, 4]);
    padded[0] |= 0x20;
    padded[3] += 1;
    assert_eq!(read(&padded), read(&plain));
    assert_eq!(read(&[&padded[..], &plain].concat()).len(), 2);
    // Transport feedback as libwebrtc sends it: two bytes of padding behind two of deltas.
    #[rustfmt::skip]
    let feedback = [
        0xaf, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 7, 0, 4, 0, 0, 1, 0, 0x20, 4, 1, 2, 4, 8, 0, 2,
    ];
    assert_eq!(read(&[&feedback[..], &plain].concat()).len(), 2);
}

#[test]
fn a_padding_count_that_lies_is_malformed() {
    let mut padded = header(1, 206, &[0; 12]);
    padded[0] |= 0x20;
    for lie in [0, 5, 13, 255] {
        *padded.last_mut().unwrap() = lie;
        assert_eq!(errors(&padded), 1);
    }
    assert_eq!(errors(&[0xa0, 201, 0, 0]), 1);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(
        mut compound in proptest::collection::vec(any::<u8>(), 0..400),
        headers in proptest::collection::vec((0u8..32, 199u8..208, 0u8..12), 1..8),
    ) {
        packets(&compound).count();
        let mut at = 0;
        for (count, packet_type, words) in headers {
            let Some(header) = compound.get_mut(at..at + 4) else { break };
            header.copy_from_slice(&[0x80 | count, packet_type, 0, words]);
            at += 4 + 4 * usize::from(words);
        }
        packets(&compound).count();
    }

    #[test]
    fn any_losses_read_back_as_they_were_written(
        first: u16,
        gaps in proptest::collection::vec(1u16..40, 0..200),
    ) {
        let mut lost = vec![first];
        for gap in gaps {
            lost.push(lost[lost.len() - 1].wrapping_add(gap));
        }
        let mut out = Vec::new();
        write_nack(&mut out, SENDER, MEDIA, &lost);
        let expected = Packet::Nack { sender: SENDER, media: MEDIA, lost };
        prop_assert_eq!(read(&out), [expected]);
    }
}
