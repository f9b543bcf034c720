//! RTCP compounds: any bytes; lists never outgrow their packet; what we write reads back.

use conclave_relay_core::rtcp::{
    MAX_CLAIMED, Packet, ReportBlock, SenderInfo, packets, write_bye, write_cname, write_nack,
    write_picture_loss, write_receiver_report, write_sender_report, write_transport_feedback,
};
use conclave_relay_core::units::{NtpTime, Ssrc, Time};

use crate::bytes::Bytes;

pub fn run(input: &[u8]) {
    read(input);
    write(&mut Bytes::new(input));
}

fn read(compound: &[u8]) {
    let mut damaged = false;
    for packet in packets(compound) {
        assert!(!damaged, "nothing is read behind damage");
        let Ok(packet) = packet else {
            damaged = true;
            continue;
        };
        let entries = match packet {
            Packet::SenderReport { reports, .. } | Packet::ReceiverReport { reports, .. } => {
                24 * reports.len()
            }
            Packet::Description { chunks } => chunks.iter().map(|(_, name)| 4 + name.len()).sum(),
            Packet::Bye { sources } => 4 * sources.len(),
            Packet::Nack { lost, .. } => lost.len() * 4 / 17,
            Packet::FullIntra { entries, .. } => 8 * entries.len(),
            Packet::TransportFeedback { feedback, .. } => {
                let all = feedback.arrivals().count();
                assert_eq!(all, usize::from(feedback.statuses()));
                assert!(all <= usize::from(MAX_CLAIMED));
                let arrivals = feedback.arrivals();
                arrivals.filter(|(_, arrival)| arrival.is_some()).count()
            }
            Packet::PictureLoss { .. } | Packet::Other { .. } => 0,
        };
        assert!(entries <= compound.len(), "lists fit their packet");
    }
}

fn write(bytes: &mut Bytes<'_>) {
    let (sender, media) = (Ssrc(bytes.long()), Ssrc(bytes.long()));
    let info = SenderInfo {
        ntp: NtpTime(bytes.huge()),
        rtp_time: bytes.long(),
        packets: bytes.long(),
        octets: bytes.long(),
    };
    let reports: Vec<ReportBlock> = (0..bytes.below(40)).map(|_| report(bytes)).collect();
    let lost: Vec<u16> = (0..bytes.below(64)).map(|_| bytes.word()).collect();
    let name = String::from_utf8_lossy(bytes.take(300)).into_owned();
    let mut now = Time::from_micros(bytes.huge() >> 8);
    let (base, count) = (bytes.word(), bytes.byte());
    let arrivals: Vec<Option<Time>> = (0..bytes.word() % 600)
        .map(|_| {
            let step = bytes.word();
            now = Time::from_micros(now.as_micros() + u64::from(step) * 50);
            (step != 0).then_some(now)
        })
        .collect();

    let mut out = Vec::new();
    write_sender_report(&mut out, sender, &info, &reports);
    write_receiver_report(&mut out, sender, &reports);
    write_cname(&mut out, sender, &name);
    write_nack(&mut out, sender, media, &lost);
    write_picture_loss(&mut out, sender, media);
    write_transport_feedback(&mut out, sender, media, base, count, &arrivals);
    write_bye(&mut out, &[sender, media]);
    assert_eq!(out.len() % 4, 0);

    let (mut told, mut asked, mut named, mut ended) = (Vec::new(), Vec::new(), None, 0);
    for packet in packets(&out) {
        match packet.expect("what we write parses") {
            Packet::SenderReport {
                info: read,
                reports,
                ..
            } => {
                assert_eq!(read, info);
                told.extend(reports);
            }
            Packet::ReceiverReport { reports, .. } => told.extend(reports),
            Packet::Nack { lost, .. } => asked = lost,
            Packet::Description { chunks } => named = chunks.first().map(|(_, name)| name.to_vec()),
            Packet::Bye { sources } => ended = sources.len(),
            Packet::PictureLoss { media: of, .. } => assert_eq!(of, media),
            Packet::TransportFeedback { feedback, .. } => {
                let told = feedback.arrivals().map(|(_, arrival)| arrival.is_some());
                let arrived = arrivals.iter().take(500).map(Option::is_some);
                assert!(told.eq(arrived), "what arrived is told");
                assert_eq!((feedback.base(), feedback.count()), (base, count));
            }
            Packet::Other { .. } => {}
            Packet::FullIntra { .. } => panic!("nobody wrote a FIR"),
        }
    }
    assert_eq!(told, [&reports[..], &reports[..]].concat());
    let (mut lost, mut asked) = (lost, asked);
    for list in [&mut lost, &mut asked] {
        list.sort_unstable();
        list.dedup();
    }
    assert_eq!(asked, lost, "what is asked again is what was lost");
    let named = named.expect("one name was written");
    assert!(name.as_bytes().starts_with(&named) && (name.len() > 255 || name.len() == named.len()));
    assert_eq!(ended, 2);
}

fn report(bytes: &mut Bytes<'_>) -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(bytes.long()),
        fraction_lost: bytes.byte(),
        cumulative_lost: (bytes.long() as i32) >> 8,
        highest_sequence: bytes.long(),
        jitter: bytes.long(),
        last_sr: bytes.long(),
        delay_since_last_sr: bytes.long(),
    }
}
