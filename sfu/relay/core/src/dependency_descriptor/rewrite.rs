//! Another frame number and another mask of active decode targets in a descriptor, the rest as it was.
use super::bits::{BitReader, BitWriter};
use super::{FLAGS, MANDATORY, Parsed, Running};
use std::sync::Arc;

/// Bit position of the flag that a mask is there: the second of the extended fields.
const MASK_FLAG: usize = 8 * MANDATORY + 1;

/// Which decode targets a subscriber is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveTargets {
    /// A bit each.
    pub mask: u32,
    /// How many the structure has, 1 to 32.
    pub count: u8,
}

/// Appends the descriptor with these instead of its own. A mask is written only where one is given; a descriptor that
/// cannot be read keeps what it says of targets.
pub fn rewrite(
    descriptor: &[u8],
    frame_number: u16,
    active: Option<ActiveTargets>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    match active.and_then(|active| with_mask(descriptor, active)) {
        Some(bytes) => out.extend_from_slice(&bytes),
        None => out.extend_from_slice(descriptor),
    }
    if let Some(number) = out.get_mut(start + 1..start + MANDATORY) {
        number.copy_from_slice(&frame_number.to_be_bytes());
    }
}

/// Allocates: only frames of streams that are sent in part are told their mask.
fn with_mask(descriptor: &[u8], active: ActiveTargets) -> Option<Vec<u8>> {
    let count = usize::from(active.count);
    // What stands where depends on the packet's own structure, or else on the number of targets alone.
    let place = Parsed::read(descriptor, |own| {
        Some(Running {
            from: 0,
            active: 0,
            structure: Arc::new(own?),
        })
    });
    let (mask_at, end, has_mask) = match place {
        Some(parsed) => (parsed.mask_at, parsed.end, parsed.has_mask),
        None if carries_structure(descriptor) => return None,
        None => {
            let has_mask = descriptor
                .get(MANDATORY)
                .is_some_and(|byte| byte & 0x40 != 0);
            (8 * MANDATORY + FLAGS, 8 * descriptor.len(), has_mask)
        }
    };
    let mut reader = BitReader::new(descriptor);
    let mut writer = BitWriter::default();
    copy(
        &mut reader,
        &mut writer,
        MASK_FLAG.min(8 * descriptor.len()),
    )?;
    if descriptor.len() == MANDATORY {
        // No structure, a mask, nothing of its own.
        writer.put(0b01000, FLAGS);
    } else {
        reader.take(1)?;
        writer.put(1, 1);
        copy(&mut reader, &mut writer, mask_at - MASK_FLAG - 1)?;
    }
    writer.put(active.mask, count);
    if has_mask {
        reader.take(count)?;
    }
    let rest = end.saturating_sub(reader.position());
    copy(&mut reader, &mut writer, rest)?;
    Some(writer.into_bytes())
}

fn carries_structure(descriptor: &[u8]) -> bool {
    descriptor
        .get(MANDATORY)
        .is_some_and(|byte| byte & 0x80 != 0)
}

fn copy(reader: &mut BitReader<'_>, writer: &mut BitWriter, mut bits: usize) -> Option<()> {
    while bits > 0 {
        let step = bits.min(32);
        writer.put(reader.take(step)?, step);
        bits -= step;
    }
    Some(())
}
