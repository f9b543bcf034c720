//! `sfu._relay.oracle`: the core's codecs laid bare for differential tests, and for nothing else.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use conclave_relay_core::rtcp::{self, Packet, ReportBlock, SenderInfo};
use conclave_relay_core::rtp::Header;
use conclave_relay_core::srtp::{MasterKey, OpenError, Opener, ReplayWindow, Sealer};
use conclave_relay_core::stun::{self, Class, Message, TransactionId};
use conclave_relay_core::units::{NtpTime, Ssrc, Time};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::convert::{self, invalid};

type Block = (u32, u8, i32, u32, u32, u32, u32);

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let oracle = PyModule::new(module.py(), "oracle")?;
    oracle.add_class::<Srtp>()?;
    oracle.add_function(wrap_pyfunction!(stun_parse, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(stun_verify, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(stun_success, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(stun_request, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(rtcp_parse, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(rtcp_sender_report, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(rtcp_receiver_report, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(rtcp_cname, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(rtcp_bye, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(rtcp_nack, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(rtcp_picture_loss, &oracle)?)?;
    oracle.add_function(wrap_pyfunction!(rtcp_transport_feedback, &oracle)?)?;
    module.add_submodule(&oracle)
}

/// One direction of one session, windows included.
#[pyclass(frozen, module = "sfu._relay.oracle")]
struct Srtp {
    opener: Opener,
    sealer: Sealer,
    windows: Mutex<HashMap<(bool, u32), ReplayWindow>>,
}

#[pymethods]
impl Srtp {
    #[new]
    #[pyo3(signature = (*, profile, key, salt))]
    fn new(profile: &str, key: &[u8], salt: &[u8]) -> PyResult<Self> {
        let profile = convert::profile(profile)?;
        let master = MasterKey::new(key, salt);
        let wrong = |_| invalid("a key or salt of the wrong length");
        Ok(Srtp {
            opener: Opener::new(profile, &master).map_err(wrong)?,
            sealer: Sealer::new(profile, &master).map_err(wrong)?,
            windows: Mutex::default(),
        })
    }

    fn seal_rtp<'py>(
        &self,
        py: Python<'py>,
        packet: Vec<u8>,
        index: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let header = Header::parse(&packet).map_err(|_| invalid("malformed"))?;
        let mut out = packet;
        self.sealer.seal_rtp(index, header.len, &mut out, 0);
        Ok(PyBytes::new(py, &out))
    }

    fn seal_rtcp<'py>(
        &self,
        py: Python<'py>,
        packet: Vec<u8>,
        index: u32,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if packet.len() < 8 || index >> 31 != 0 {
            return Err(invalid("malformed"));
        }
        let mut out = packet;
        self.sealer.seal_rtcp(index, &mut out, 0);
        Ok(PyBytes::new(py, &out))
    }

    fn open_rtp<'py>(
        &self,
        py: Python<'py>,
        mut packet: Vec<u8>,
    ) -> PyResult<(u64, Bound<'py, PyBytes>)> {
        let header = Header::parse(&packet).map_err(|_| invalid("malformed"))?;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((false, header.ssrc.0)).or_default();
        let opened = self.opener.open_rtp(window, &header, &mut packet);
        let (index, len) = opened.map_err(open_error)?;
        Ok((index, PyBytes::new(py, &packet[..len])))
    }

    fn open_rtcp<'py>(
        &self,
        py: Python<'py>,
        mut packet: Vec<u8>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let sender = packet.get(4..8).and_then(|bytes| bytes.try_into().ok());
        let sender = sender.map(u32::from_be_bytes).ok_or(invalid("malformed"))?;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((true, sender)).or_default();
        let len = self
            .opener
            .open_rtcp(window, &mut packet)
            .map_err(open_error)?;
        Ok(PyBytes::new(py, &packet[..len]))
    }
}

fn open_error(error: OpenError) -> PyErr {
    invalid(match error {
        OpenError::Malformed => "malformed",
        OpenError::Replayed => "replayed",
        OpenError::TooOld => "too_old",
        OpenError::BadTag => "bad_tag",
        OpenError::Unencrypted => "unencrypted",
    })
}

#[pyfunction]
fn stun_parse<'py>(py: Python<'py>, datagram: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let message = Message::parse(datagram).map_err(|_| invalid("malformed"))?;
    let class = match message.class() {
        Class::Request => "request",
        Class::Indication => "indication",
        Class::Success => "success",
        Class::Error => "error",
    };
    let mapped = message
        .xor_mapped_address()
        .map(|at| (at.ip().to_string(), at.port()));
    let fields = PyDict::new(py);
    fields.set_item("class", class)?;
    fields.set_item("transaction", PyBytes::new(py, &message.transaction().0))?;
    fields.set_item("username", message.username())?;
    fields.set_item("use_candidate", message.use_candidate())?;
    fields.set_item("ice_controlled", message.ice_controlled())?;
    fields.set_item("error_code", message.error_code())?;
    fields.set_item("xor_mapped_address", mapped)?;
    Ok(fields)
}

#[pyfunction]
fn stun_verify(datagram: &[u8], password: &[u8]) -> PyResult<bool> {
    let message = Message::parse(datagram).map_err(|_| invalid("malformed"))?;
    Ok(message.verify(password).is_ok())
}

#[pyfunction]
fn stun_success<'py>(
    py: Python<'py>,
    transaction: [u8; 12],
    mapped: (String, u16),
    password: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let mapped = SocketAddr::new(convert::ip(&mapped.0)?, mapped.1);
    Ok(bytes(py, |out| {
        stun::write_success(out, TransactionId(transaction), mapped, password)
    }))
}

#[pyfunction]
fn stun_request<'py>(
    py: Python<'py>,
    transaction: [u8; 12],
    username: &str,
    priority: u32,
    tie_breaker: u64,
    password: &[u8],
) -> Bound<'py, PyBytes> {
    let transaction = TransactionId(transaction);
    bytes(py, |out| {
        stun::write_request(out, transaction, username, priority, tie_breaker, password);
    })
}

#[pyfunction]
fn rtcp_parse<'py>(py: Python<'py>, compound: &[u8]) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let packet = |packet: Result<Packet<'_>, rtcp::RtcpError>| {
        to_fields(py, packet.map_err(|_| invalid("malformed"))?)
    };
    rtcp::packets(compound).map(packet).collect()
}

fn to_fields<'py>(py: Python<'py>, packet: Packet<'_>) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    match packet {
        Packet::SenderReport {
            sender,
            info,
            reports,
        } => {
            fields.set_item("kind", "sender_report")?;
            fields.set_item("sender", sender.0)?;
            fields.set_item(
                "info",
                (info.ntp.0, info.rtp_time, info.packets, info.octets),
            )?;
            fields.set_item("reports", blocks(&reports))?;
        }
        Packet::ReceiverReport { sender, reports } => {
            fields.set_item("kind", "receiver_report")?;
            fields.set_item("sender", sender.0)?;
            fields.set_item("reports", blocks(&reports))?;
        }
        Packet::Description { chunks } => {
            let chunks: Vec<_> = chunks
                .iter()
                .map(|(ssrc, name)| (ssrc.0, PyBytes::new(py, name)))
                .collect();
            fields.set_item("kind", "description")?;
            fields.set_item("chunks", chunks)?;
        }
        Packet::Bye { sources } => {
            fields.set_item("kind", "bye")?;
            fields.set_item(
                "sources",
                sources.iter().map(|ssrc| ssrc.0).collect::<Vec<_>>(),
            )?;
        }
        Packet::Nack {
            sender,
            media,
            lost,
        } => {
            fields.set_item("kind", "nack")?;
            fields.set_item("sender", sender.0)?;
            fields.set_item("media", media.0)?;
            fields.set_item("lost", lost)?;
        }
        Packet::PictureLoss { sender, media } => {
            fields.set_item("kind", "picture_loss")?;
            fields.set_item("sender", sender.0)?;
            fields.set_item("media", media.0)?;
        }
        Packet::FullIntra { sender, entries } => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(ssrc, command)| (ssrc.0, command))
                .collect();
            fields.set_item("kind", "full_intra")?;
            fields.set_item("sender", sender.0)?;
            fields.set_item("entries", entries)?;
        }
        Packet::TransportFeedback {
            sender,
            media,
            feedback,
        } => {
            let arrivals: Vec<_> = feedback.arrivals().collect();
            fields.set_item("kind", "transport_feedback")?;
            fields.set_item("sender", sender.0)?;
            fields.set_item("media", media.0)?;
            fields.set_item("reference", feedback.reference())?;
            fields.set_item("count", feedback.count())?;
            fields.set_item("arrivals", arrivals)?;
        }
        Packet::Other {
            packet_type,
            format,
        } => {
            fields.set_item("kind", "other")?;
            fields.set_item("packet_type", packet_type)?;
            fields.set_item("format", format)?;
        }
    }
    Ok(fields)
}

#[pyfunction]
fn rtcp_sender_report<'py>(
    py: Python<'py>,
    sender: u32,
    info: (u64, u32, u32, u32),
    reports: Vec<Block>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (ntp, rtp_time, packets, octets) = info;
    let info = SenderInfo {
        ntp: NtpTime(ntp),
        rtp_time,
        packets,
        octets,
    };
    let reports = to_blocks(&reports)?;
    Ok(bytes(py, |out| {
        rtcp::write_sender_report(out, Ssrc(sender), &info, &reports)
    }))
}

#[pyfunction]
fn rtcp_receiver_report<'py>(
    py: Python<'py>,
    sender: u32,
    reports: Vec<Block>,
) -> PyResult<Bound<'py, PyBytes>> {
    let reports = to_blocks(&reports)?;
    Ok(bytes(py, |out| {
        rtcp::write_receiver_report(out, Ssrc(sender), &reports)
    }))
}

#[pyfunction]
fn rtcp_cname<'py>(py: Python<'py>, source: u32, cname: &str) -> Bound<'py, PyBytes> {
    bytes(py, |out| rtcp::write_cname(out, Ssrc(source), cname))
}

#[pyfunction]
fn rtcp_bye<'py>(py: Python<'py>, sources: Vec<u32>) -> PyResult<Bound<'py, PyBytes>> {
    if sources.len() > 31 {
        return Err(invalid("at most 31 sources"));
    }
    let sources: Vec<Ssrc> = sources.into_iter().map(Ssrc).collect();
    Ok(bytes(py, |out| rtcp::write_bye(out, &sources)))
}

#[pyfunction]
fn rtcp_nack<'py>(py: Python<'py>, sender: u32, media: u32, lost: Vec<u16>) -> Bound<'py, PyBytes> {
    bytes(py, |out| {
        rtcp::write_nack(out, Ssrc(sender), Ssrc(media), &lost)
    })
}

#[pyfunction]
fn rtcp_picture_loss<'py>(py: Python<'py>, sender: u32, media: u32) -> Bound<'py, PyBytes> {
    bytes(py, |out| {
        rtcp::write_picture_loss(out, Ssrc(sender), Ssrc(media))
    })
}

/// `arrivals`: microseconds, or `None` for a packet that did not arrive.
#[pyfunction]
fn rtcp_transport_feedback<'py>(
    py: Python<'py>,
    sender: u32,
    media: u32,
    base: u16,
    feedback_count: u8,
    arrivals: Vec<Option<u64>>,
) -> PyResult<Bound<'py, PyBytes>> {
    if arrivals.len() > 500 {
        return Err(invalid("at most 500 arrivals"));
    }
    let arrivals: Vec<_> = arrivals
        .into_iter()
        .map(|at| at.map(Time::from_micros))
        .collect();
    Ok(bytes(py, |out| {
        let (sender, media) = (Ssrc(sender), Ssrc(media));
        rtcp::write_transport_feedback(out, sender, media, base, feedback_count, &arrivals);
    }))
}

fn bytes<'py>(py: Python<'py>, write: impl FnOnce(&mut Vec<u8>)) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    write(&mut out);
    PyBytes::new(py, &out)
}

fn blocks(reports: &[ReportBlock]) -> Vec<Block> {
    let block = |b: &ReportBlock| {
        let (lost, highest) = (b.cumulative_lost, b.highest_sequence);
        (
            b.ssrc.0,
            b.fraction_lost,
            lost,
            highest,
            b.jitter,
            b.last_sr,
            b.delay_since_last_sr,
        )
    };
    reports.iter().map(block).collect()
}

fn to_blocks(blocks: &[Block]) -> PyResult<Vec<ReportBlock>> {
    if blocks.len() > 31 {
        return Err(invalid("at most 31 report blocks"));
    }
    let block =
        |&(ssrc, fraction_lost, lost, highest, jitter, last_sr, delay): &Block| ReportBlock {
            ssrc: Ssrc(ssrc),
            fraction_lost,
            cumulative_lost: lost,
            highest_sequence: highest,
            jitter,
            last_sr,
            delay_since_last_sr: delay,
        };
    Ok(blocks.iter().map(block).collect())
}
