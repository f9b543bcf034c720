//! Values as Python writes them, checked.

use std::net::IpAddr;

use conclave_relay_core::command::{Encoding, IceCredentials, PayloadFormat, RepairFormat};
use conclave_relay_core::downtrack::Wish;
use conclave_relay_core::rtp::{Extension, ExtensionMap};
use conclave_relay_core::srtp::{MasterKey, Profile};
use conclave_relay_core::units::{Codec, LayerId, MediaKind, PayloadType, Ssrc};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// A `ValueError` that names what was wrong and shows no value.
pub fn invalid(what: &'static str) -> PyErr {
    PyValueError::new_err(what)
}

pub fn ip(address: &str) -> PyResult<IpAddr> {
    address
        .parse()
        .map_err(|_| invalid("the address is not numeric"))
}

pub fn credentials(ufrag: String, password: String) -> PyResult<IceCredentials> {
    if !(4..=256).contains(&ufrag.len()) || ufrag.contains(':') {
        return Err(invalid("ufrag must have 4 to 256 characters and no colon"));
    }
    if !(22..=256).contains(&password.len()) {
        return Err(invalid("password must have 22 to 256 characters"));
    }
    // RFC 8839 section 5.4 wants letters, digits, plus and slash; not every client keeps to it.
    let printable = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    if !printable(&ufrag) || !printable(&password) {
        return Err(invalid("ufrag and password must be printable ASCII"));
    }
    Ok(IceCredentials { ufrag, password })
}

pub fn profile(name: &str) -> PyResult<Profile> {
    match name {
        "AEAD_AES_128_GCM" => Ok(Profile::AeadAes128Gcm),
        "AES128_CM_HMAC_SHA1_80" => Ok(Profile::Aes128CmHmacSha1_80),
        _ => Err(invalid("profile is none of the policy's")),
    }
}

pub fn master_key(profile: Profile, key: &[u8], salt: &[u8]) -> PyResult<MasterKey> {
    if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
        return Err(invalid(
            "a key or salt has the wrong length for the profile",
        ));
    }
    Ok(MasterKey::new(key, salt))
}

pub const fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::AeadAes128Gcm => "AEAD_AES_128_GCM",
        Profile::Aes128CmHmacSha1_80 => "AES128_CM_HMAC_SHA1_80",
    }
}

pub fn kind(name: &str) -> PyResult<MediaKind> {
    match name {
        "audio" => Ok(MediaKind::Audio),
        "video" => Ok(MediaKind::Video),
        _ => Err(invalid("kind must be audio or video")),
    }
}

fn codec(name: &str) -> PyResult<Codec> {
    match name {
        "opus" => Ok(Codec::Opus),
        "red" => Ok(Codec::Red),
        "vp8" => Ok(Codec::Vp8),
        "vp9" => Ok(Codec::Vp9),
        "h264" => Ok(Codec::H264),
        "av1" => Ok(Codec::Av1),
        _ => Err(invalid("codec is none the relay carries")),
    }
}

pub fn formats(formats: Vec<(u8, String)>) -> PyResult<Vec<PayloadFormat>> {
    if formats.is_empty() || formats.len() > 64 {
        return Err(invalid("formats must have 1 to 64 entries"));
    }
    let format = |(number, name): (u8, String)| {
        if number > 127 {
            return Err(invalid("a payload type is at most 127"));
        }
        Ok(PayloadFormat {
            payload_type: PayloadType(number),
            codec: codec(&name)?,
        })
    };
    formats.into_iter().map(format).collect()
}

/// (payload type, payload type that it repairs).
pub fn repair_formats(formats: Vec<(u8, u8)>) -> PyResult<Vec<RepairFormat>> {
    let valid = |(number, repairs): &(u8, u8)| *number <= 127 && *repairs <= 127;
    if formats.len() > 64 || !formats.iter().all(valid) {
        return Err(invalid(
            "repair_formats must have at most 64 entries of payload types up to 127",
        ));
    }
    let format = |(number, repairs)| RepairFormat {
        payload_type: PayloadType(number),
        repairs: PayloadType(repairs),
    };
    Ok(formats.into_iter().map(format).collect())
}

/// (media SSRC, retransmission SSRC).
pub fn repair_streams(streams: Vec<(u32, u32)>) -> PyResult<Vec<(Ssrc, Ssrc)>> {
    if streams.len() > 16 {
        return Err(invalid("repair_streams must have at most 16 entries"));
    }
    let pair = |(media, repair)| (Ssrc(media), Ssrc(repair));
    Ok(streams.into_iter().map(pair).collect())
}

pub fn extensions(extensions: Vec<(u8, String)>) -> PyResult<ExtensionMap> {
    if extensions.len() > 64 || extensions.iter().any(|(id, _)| *id == 0) {
        return Err(invalid(
            "extensions must have at most 64 entries with ids from 1 to 255",
        ));
    }
    let known = |(id, uri): (u8, String)| Some((id, Extension::from_uri(&uri)?));
    Ok(ExtensionMap::from_pairs(
        extensions.into_iter().filter_map(known),
    ))
}

pub fn mid(mid: String) -> PyResult<String> {
    // A one-byte header extension carries 16 bytes, which is what every browser uses.
    if mid.is_empty() || mid.len() > 32 {
        return Err(invalid("mid must have 1 to 32 bytes"));
    }
    Ok(mid)
}

pub fn cname(cname: String) -> PyResult<String> {
    if cname.is_empty() || cname.len() > 255 {
        return Err(invalid("cname must have 1 to 255 bytes"));
    }
    Ok(cname)
}

pub fn wish(layer: Option<u8>, paused: bool, frame_rate: Option<u8>, priority: u8) -> Wish {
    Wish {
        layer: layer.map(LayerId),
        paused,
        frame_rate,
        priority,
    }
}

#[derive(FromPyObject)]
pub enum RawEncoding {
    Ssrc(u32),
    Rid(String),
}

pub fn encodings(encodings: Vec<Option<RawEncoding>>) -> PyResult<Vec<Encoding>> {
    if encodings.is_empty() || encodings.len() > 16 {
        return Err(invalid("encodings must have 1 to 16 entries"));
    }
    let encoding = |raw| match raw {
        None => Ok(Encoding::Mid),
        Some(RawEncoding::Ssrc(ssrc)) => Ok(Encoding::Ssrc(Ssrc(ssrc))),
        Some(RawEncoding::Rid(rid)) if (1..=255).contains(&rid.len()) => Ok(Encoding::Rid(rid)),
        Some(RawEncoding::Rid(_)) => Err(invalid("a rid must have 1 to 255 characters")),
    };
    encodings.into_iter().map(encoding).collect()
}
