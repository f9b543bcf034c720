//! Key-frame detection of each codec: any bytes, and no verdict that more bytes would take back.

use conclave_relay_core::layers::starts_key_frame;
use conclave_relay_core::units::Codec;

use crate::bytes::Bytes;

const CODECS: [Codec; 5] = [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];

pub fn run(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let described = usize::from(bytes.byte());
    let descriptor = bytes.take(described % 16);
    let descriptor = (described >= 16).then_some(descriptor);
    let payload = bytes.rest();
    for codec in CODECS {
        let whole = starts_key_frame(codec, payload, descriptor);
        let cut = &payload[..payload.len().min(described)];
        if starts_key_frame(codec, cut, descriptor) {
            assert!(whole, "{codec:?}: a longer payload takes the verdict back");
        }
    }
}
