//! FINGERPRINT: the CRC-32 of ITU-T V.42, masked so that it differs from the application's own
//! (RFC 8489 section 14.7).

const MASK: u32 = 0x5354_554e;
/// The generator polynomial, lowest bit first.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The fingerprint of a message up to the attribute itself.
pub(super) fn of(covered: &[u8]) -> u32 {
    let crc = covered.iter().fold(!0u32, |crc, byte| {
        TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8)
    });
    !crc ^ MASK
}

/// The remainder of each byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_has_its_published_check_value() {
        assert_eq!(of(b"123456789") ^ MASK, 0xcbf4_3926);
    }
}
