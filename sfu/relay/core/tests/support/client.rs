//! One simulated client: its own credentials, keys, streams, and what it received.

use std::collections::HashMap;
use std::net::SocketAddr;

use aws_lc_rs::hmac;
use conclave_relay_core::command::{Command, IceCredentials};
use conclave_relay_core::demux::{Protocol, classify};
use conclave_relay_core::rtcp::{self, Packet};
use conclave_relay_core::rtp::{Header, NewHeader, write_header};
use conclave_relay_core::srtp::{MasterKey, OpenError, Opener, Profile, ReplayWindow, Sealer};
use conclave_relay_core::stun::{Class, Message, write_success};
use conclave_relay_core::twcc::ArrivalRecorder;
use conclave_relay_core::units::{PayloadType, PeerId, Ssrc, Time};

use super::{TWCC_ID, address};

/// One packet that opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub at: Time,
    pub header: Header,
    pub index: u64,
    /// Its number on this transport.
    pub number: Option<u16>,
    pub payload: Vec<u8>,
}

/// RTCP that opened, by what a test may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    pub picture_losses: Vec<(Time, Ssrc)>,
    pub sender_reports: Vec<(Time, Ssrc, rtcp::SenderInfo)>,
    pub receiver_reports: Vec<rtcp::ReportBlock>,
    pub byes: Vec<Ssrc>,
    pub names: Vec<(Ssrc, Vec<u8>)>,
    pub transport_feedback: usize,
    pub nacks: Vec<(Time, Ssrc, Vec<u16>)>,
}

pub struct Client {
    pub id: PeerId,
    pub address: SocketAddr,
    pub profile: Profile,
    pub server: IceCredentials,
    pub own: IceCredentials,
    /// Whether it answers the relay's questions, as any full agent does.
    pub answers: bool,
    pub questions: usize,
    pub stun_answers: Vec<(Class, Option<u16>)>,
    pub media: Vec<Received>,
    pub feedback: Feedback,
    /// Packets that came twice, or that did not open at all.
    pub replayed: usize,
    pub broken: usize,
    pub dtls: Vec<Vec<u8>>,
    /// Whether it tells when numbered packets arrived, as libwebrtc does.
    pub tells_arrivals: bool,
    arrivals: ArrivalRecorder,
    sealer: Sealer,
    opener: Opener,
    windows: HashMap<Ssrc, ReplayWindow>,
    rtcp_windows: HashMap<Ssrc, ReplayWindow>,
    streams: HashMap<Ssrc, (u64, u32)>,
    transport_sequence: u16,
    rtcp_index: u32,
    transaction: u8,
}

impl Client {
    pub fn new(number: u64, profile: Profile) -> Self {
        let (send, receive) = (master(profile, number, 1), master(profile, number, 2));
        Client {
            id: PeerId(number),
            address: address(number as u8, 40_000),
            profile,
            server: credentials("server", number),
            own: credentials("client", number),
            answers: true,
            questions: 0,
            stun_answers: Vec::new(),
            media: Vec::new(),
            feedback: Feedback::default(),
            replayed: 0,
            broken: 0,
            dtls: Vec::new(),
            tells_arrivals: false,
            arrivals: ArrivalRecorder::new(),
            sealer: Sealer::new(profile, &send).unwrap(),
            opener: Opener::new(profile, &receive).unwrap(),
            windows: HashMap::new(),
            rtcp_windows: HashMap::new(),
            streams: HashMap::new(),
            transport_sequence: 0,
            rtcp_index: 0,
            transaction: 0,
        }
    }

    pub fn open_command(&self) -> Command {
        Command::OpenPeer {
            peer: self.id,
            local: self.server.clone(),
        }
    }

    pub fn remote_ice_command(&self) -> Command {
        Command::SetRemoteIce {
            peer: self.id,
            remote: self.own.clone(),
        }
    }

    pub fn keys_command(&self) -> Command {
        Command::InstallKeys {
            peer: self.id,
            profile: self.profile,
            local: master(self.profile, self.id.0, 2),
            remote: master(self.profile, self.id.0, 1),
        }
    }

    /// A connectivity check as the controlling agent.
    pub fn binding_request(&mut self, nominate: bool) -> Vec<u8> {
        self.transaction += 1;
        let username = format!("{}:{}", self.server.ufrag, self.own.ufrag);
        binding_request(
            &username,
            &self.server.password,
            [self.transaction; 12],
            true,
            nominate,
        )
    }

    /// The next packet of a stream, sealed. `extensions` beside a transport-wide number, if any are given.
    pub fn rtp(
        &mut self,
        ssrc: Ssrc,
        payload_type: PayloadType,
        ticks: u32,
        marker: bool,
        extensions: &[(u8, &[u8])],
        payload: &[u8],
    ) -> Vec<u8> {
        let (index, timestamp) = self.streams.entry(ssrc).or_insert((1_000, 5_000));
        *index += 1;
        *timestamp = timestamp.wrapping_add(ticks);
        let (index, timestamp) = (*index, *timestamp);
        self.rtp_at(
            ssrc,
            index,
            timestamp,
            payload_type,
            marker,
            extensions,
            payload,
        )
    }

    #[allow(clippy::too_many_arguments)] // a packet has that many parts
    pub fn rtp_at(
        &mut self,
        ssrc: Ssrc,
        index: u64,
        timestamp: u32,
        payload_type: PayloadType,
        marker: bool,
        extensions: &[(u8, &[u8])],
        payload: &[u8],
    ) -> Vec<u8> {
        let sequence = index as u16;
        let header = NewHeader {
            marker,
            payload_type,
            sequence,
            timestamp,
            ssrc,
        };
        let mut out = Vec::new();
        let len = write_header(&mut out, &header, extensions.iter().copied());
        out.extend_from_slice(payload);
        self.sealer.seal_rtp(index, len, &mut out, 0);
        out
    }

    /// The next transport-wide number.
    pub fn next_transport_sequence(&mut self) -> [u8; 2] {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        self.transport_sequence.to_be_bytes()
    }

    pub fn rtcp(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        self.sealer.seal_rtcp(self.rtcp_index, &mut out, 0);
        self.rtcp_index += 1;
        out
    }

    /// When its next transport feedback is due.
    pub fn feedback_due(&self) -> Option<Time> {
        self.arrivals.deadline()
    }

    /// The transport feedback that is due, if any.
    pub fn transport_feedback(&mut self, now: Time) -> Option<Vec<u8>> {
        let mut feedback = Vec::new();
        let due = self.arrivals.poll(now, Ssrc(1), &mut feedback);
        due.then(|| {
            self.rtcp(|out| {
                rtcp::write_receiver_report(out, Ssrc(1), &[]);
                out.extend_from_slice(&feedback);
            })
        })
    }

    /// Takes a datagram in; returns what a full ICE agent answers.
    pub fn receive(&mut self, now: Time, datagram: &mut [u8]) -> Option<Vec<u8>> {
        match classify(datagram) {
            Protocol::Stun => return self.on_stun(datagram),
            Protocol::Dtls => self.dtls.push(datagram.to_vec()),
            Protocol::Rtp => self.on_rtp(now, datagram),
            Protocol::Rtcp => self.on_rtcp(now, datagram),
            Protocol::Unknown => panic!("the relay sent something that is no protocol of ours"),
        }
        None
    }

    fn on_stun(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let message = Message::parse(datagram).unwrap();
        if message.class() != Class::Request {
            message.verify(self.server.password.as_bytes()).unwrap();
            self.stun_answers
                .push((message.class(), message.error_code()));
            return None;
        }
        self.questions += 1;
        message.verify(self.own.password.as_bytes()).unwrap();
        assert_eq!(
            message.username(),
            Some((&*self.own.ufrag, &*self.server.ufrag))
        );
        self.answers.then(|| {
            let mut out = Vec::new();
            let mapped = address(250, 1);
            let password = self.own.password.as_bytes();
            write_success(&mut out, message.transaction(), mapped, password);
            out
        })
    }

    fn on_rtp(&mut self, now: Time, datagram: &mut [u8]) {
        let header = Header::parse(datagram).unwrap();
        let window = self.windows.entry(header.ssrc).or_default();
        match self.opener.open_rtp(window, &header, datagram) {
            Ok((index, len)) => {
                let payload = header.payload(&datagram[..len]).unwrap().to_vec();
                let mut extensions = header.extensions(&datagram[..len]);
                let number = extensions
                    .find(|(id, _)| *id == TWCC_ID)
                    .map(|(_, value)| u16::from_be_bytes(value.try_into().unwrap()));
                drop(extensions);
                if let Some(number) = number.filter(|_| self.tells_arrivals) {
                    self.arrivals.on_packet(now, number, header.ssrc);
                }
                self.media.push(Received {
                    at: now,
                    header,
                    index,
                    number,
                    payload,
                });
            }
            Err(OpenError::Replayed) => self.replayed += 1,
            Err(_) => self.broken += 1,
        }
    }

    fn on_rtcp(&mut self, now: Time, datagram: &mut [u8]) {
        let sender = Ssrc(u32::from_be_bytes(datagram[4..8].try_into().unwrap()));
        let window = self.rtcp_windows.entry(sender).or_default();
        let len = match self.opener.open_rtcp(window, datagram) {
            Ok(len) => len,
            Err(OpenError::Replayed) => {
                self.replayed += 1;
                return;
            }
            Err(_) => {
                self.broken += 1;
                return;
            }
        };
        for packet in rtcp::packets(&datagram[..len]) {
            match packet.unwrap() {
                Packet::SenderReport { sender, info, .. } => {
                    self.feedback.sender_reports.push((now, sender, info));
                }
                Packet::ReceiverReport { reports, .. } => {
                    self.feedback.receiver_reports.extend(reports);
                }
                Packet::PictureLoss { media, .. } => {
                    self.feedback.picture_losses.push((now, media));
                }
                Packet::Nack { media, lost, .. } => self.feedback.nacks.push((now, media, lost)),
                Packet::Bye { sources } => self.feedback.byes.extend(sources),
                Packet::Description { chunks } => {
                    let chunks = chunks.into_iter().map(|(ssrc, name)| (ssrc, name.to_vec()));
                    self.feedback.names.extend(chunks);
                }
                Packet::TransportFeedback { .. } => self.feedback.transport_feedback += 1,
                _ => {}
            }
        }
    }

    /// What arrived on one SSRC, in order of arrival.
    pub fn heard(&self, ssrc: Ssrc) -> Vec<&Received> {
        self.media
            .iter()
            .filter(|received| received.header.ssrc == ssrc)
            .collect()
    }
}

/// Keys that differ by client and direction.
pub fn master(profile: Profile, number: u64, direction: u8) -> MasterKey {
    let key: Vec<u8> = (0..16)
        .map(|at| at ^ direction ^ (number as u8).wrapping_mul(31))
        .collect();
    let salt: Vec<u8> = (0..profile.salt_len() as u8)
        .map(|at| at ^ direction)
        .collect();
    MasterKey::new(&key, &salt)
}

fn credentials(side: &str, number: u64) -> IceCredentials {
    IceCredentials {
        ufrag: format!("{side}{number}"),
        password: format!("{side}-password-of-peer-{number:08}"),
    }
}

/// A Binding request (RFC 8445 section 7.1.1) as either role, written out by hand.
pub fn binding_request(
    username: &str,
    password: &str,
    transaction: [u8; 12],
    controlling: bool,
    nominate: bool,
) -> Vec<u8> {
    let mut out = vec![0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    out.extend_from_slice(&transaction);
    put(&mut out, 0x0006, username.as_bytes());
    put(&mut out, 0x0024, &0x6e00_1eff_u32.to_be_bytes());
    put(&mut out, if controlling { 0x802a } else { 0x8029 }, &[1; 8]);
    if nominate {
        put(&mut out, 0x0025, &[]);
    }
    set_length(&mut out, 24);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &out);
    put(&mut out, 0x0008, tag.as_ref());
    out
}

fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    set_length(out, 0);
}

fn set_length(out: &mut [u8], beyond: usize) {
    let body = (out.len() - 20 + beyond) as u16;
    out[2..4].copy_from_slice(&body.to_be_bytes());
}
