//! Bit fields, most significant bit first, as the AV1 RTP specification writes them (appendix A.8.1).

/// Reads fields one after another; past the end there is nothing.
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// From the first bit on.
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0 }
    }

    /// How many bits were read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// `f(n)`: the next `bits`, up to 32; `None` when there are fewer.
    pub fn take(&mut self, bits: usize) -> Option<u32> {
        if bits > 32 || self.at + bits > self.bytes.len() * 8 {
            return None;
        }
        let mut value = 0u64;
        for bit in self.at..self.at + bits {
            let byte = self.bytes[bit / 8];
            value = value << 1 | u64::from(byte >> (7 - bit % 8) & 1);
        }
        self.at += bits;
        Some(value as u32) // at most 32 bits
    }

    /// The next bit.
    pub fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? != 0)
    }

    /// `ns(n)`: a value below `count`, in as few bits as that allows (appendix A.8.1). `count` at least 1.
    pub fn below(&mut self, count: u32) -> Option<u32> {
        let width = u32::BITS - count.leading_zeros();
        let short = (1u64 << width) - u64::from(count);
        let value = self.take(width.saturating_sub(1) as usize)?;
        if u64::from(value) < short {
            return Some(value);
        }
        let extra = self.take(1)?;
        u32::try_from((u64::from(value) << 1) - short + u64::from(extra)).ok()
    }
}

/// Writes fields one after another; the last byte is filled up with zeros.
#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    len: usize,
}

impl BitWriter {
    /// Appends the lower `bits` of a value, up to 32.
    pub fn put(&mut self, value: u32, bits: usize) {
        for bit in (0..bits.min(32)).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << (7 - self.len % 8);
            }
            self.len += 1;
        }
    }

    /// Appends `ns(count)` of a value below it.
    pub fn put_below(&mut self, value: u32, count: u32) {
        let width = (u32::BITS - count.leading_zeros()) as usize;
        let short = ((1u64 << width) - u64::from(count)) as u32;
        if value < short {
            self.put(value, width.saturating_sub(1));
        } else {
            self.put(value.wrapping_add(short), width);
        }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut reader = BitReader::new(&[0xa5]);
        assert_eq!(reader.take(3), Some(5));
        assert_eq!(reader.take(6), None);
        assert_eq!(reader.take(5), Some(5));
        assert_eq!(reader.flag(), None);
        assert_eq!(reader.take(0), Some(0));
        assert_eq!(reader.position(), 8);
    }

    proptest! {
        #[test]
        fn fields_read_back_as_they_were_written(
            fields in prop::collection::vec((any::<u32>(), 0usize..=32), 0..40),
        ) {
            let mut writer = BitWriter::default();
            fields.iter().for_each(|(value, bits)| writer.put(*value, *bits));
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes);
            for (value, bits) in fields {
                let kept = u64::from(value) & ((1u64 << bits) - 1);
                prop_assert_eq!(reader.take(bits).map(u64::from), Some(kept));
            }
        }

        #[test]
        fn values_below_a_count_read_back(count in 1u32..70, seed in any::<u32>()) {
            let value = seed % count;
            let mut writer = BitWriter::default();
            writer.put_below(value, count);
            let bytes = writer.into_bytes();
            prop_assert_eq!(BitReader::new(&bytes).below(count), Some(value));
        }
    }
}
