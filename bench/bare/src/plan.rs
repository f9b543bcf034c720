//! What to forward: one JSON object on one line.
//!
//! ```json
//! {"profile": "gcm", "sources": [{"ssrc": 1, "key": "00…", "salt": "00…", "from": "127.0.0.1:4000",
//!   "sinks": [{"to": "127.0.0.1:5000", "ssrc": 2, "key": "00…", "salt": "00…"}]}]}
//! ```
//!
//! Keys and salts are SRTP master keys and salts in hexadecimal digits.

use std::collections::HashSet;
use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, de::Error};

/// Both AES with keys of 128 bits, by the names the plan has for them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// AEAD_AES_128_GCM (RFC 7714).
    Gcm,
    /// AES128_CM_HMAC_SHA1_80 (RFC 3711).
    Cm,
}

impl Profile {
    /// Bytes of a master salt.
    fn salt_len(self) -> usize {
        match self {
            Profile::Gcm => 12,
            Profile::Cm => 14,
        }
    }
}

/// All that is forwarded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Of all streams, in and out.
    pub profile: Profile,
    /// Streams that come in.
    pub sources: Vec<Source>,
}

/// A stream that comes in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// As the sender chose it.
    pub ssrc: u32,
    /// Master key of the sender.
    #[serde(deserialize_with = "hexadecimal")]
    pub key: Vec<u8>,
    /// Master salt of the sender.
    #[serde(deserialize_with = "hexadecimal")]
    pub salt: Vec<u8>,
    /// The only address it is taken from.
    pub from: SocketAddr,
    /// Who gets it.
    pub sinks: Vec<Sink>,
}

/// A stream that goes out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// Where to.
    pub to: SocketAddr,
    /// What the receiver knows it by.
    pub ssrc: u32,
    /// Master key of what this receiver gets.
    #[serde(deserialize_with = "hexadecimal")]
    pub key: Vec<u8>,
    /// Master salt of what this receiver gets.
    #[serde(deserialize_with = "hexadecimal")]
    pub salt: Vec<u8>,
}

impl Plan {
    /// Reads a plan; the error is a sentence that says what is wrong, and where.
    pub fn parse(line: &str) -> Result<Plan, String> {
        let plan: Plan =
            serde_json::from_str(line).map_err(|error| format!("bad plan: {error}"))?;
        plan.check().map_err(|what| format!("bad plan: {what}"))?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), String> {
        let mut sources = HashSet::new();
        let mut sealed = HashSet::new();
        for source in &self.sources {
            let name = format!("source {}", source.ssrc);
            self.check_lengths(&name, &source.key, &source.salt)?;
            if !sources.insert(source.ssrc) {
                return Err(format!("{name} is there twice"));
            }
            for sink in &source.sinks {
                let name = format!("sink {} of {name}", sink.ssrc);
                self.check_lengths(&name, &sink.key, &sink.salt)?;
                if sink.to.is_ipv4() != source.from.is_ipv4() {
                    return Err(format!("{name} is of another IP version than its source"));
                }
                // Two streams sealed alike would give away what GCM authenticates with.
                if !sealed.insert((&sink.key, &sink.salt, sink.ssrc)) {
                    return Err(format!("{name} has key, salt and SSRC of another sink"));
                }
            }
        }
        Ok(())
    }

    fn check_lengths(&self, name: &str, key: &[u8], salt: &[u8]) -> Result<(), String> {
        let wanted = self.profile.salt_len();
        if key.len() != 16 {
            return Err(format!(
                "the key of {name} has {} bytes instead of 16",
                key.len()
            ));
        }
        if salt.len() != wanted {
            return Err(format!(
                "the salt of {name} has {} bytes instead of {wanted}",
                salt.len()
            ));
        }
        Ok(())
    }
}

fn hexadecimal<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = <&str>::deserialize(from)?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| D::Error::custom("a key or salt is not hexadecimal"))
}
