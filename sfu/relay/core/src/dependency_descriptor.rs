//! The dependency descriptor (AV1 RTP specification appendix A): which frame a packet belongs to, what that frame needs,
//! and who needs it. A header extension, never encrypted end to end; VP8, VP9, H.264 and AV1 are sent with it.
//!
//! Most descriptors speak of a structure that came before, with the last key frame: [`DescriptorReader`] keeps it. What
//! cannot be read is `None`, never an error: the packet is then forwarded as if it had no descriptor.
pub mod bits;
mod rewrite;
mod structure;

use std::collections::VecDeque;
use std::sync::Arc;

use bits::BitReader;

pub use rewrite::{ActiveTargets, rewrite};
pub use structure::{Indications, References, Structure, Target};

/// Start, end, template and frame number (appendix A.8.2, `mandatory_descriptor_fields`).
const MANDATORY: usize = 3;

/// Flags at the beginning of the extended fields.
const FLAGS: usize = 5;

/// What one packet's descriptor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// What it speaks of.
    pub structure: Arc<Structure>,
    /// It carries the structure itself, as key frames do.
    pub has_structure: bool,
    /// First packet of the frame.
    pub starts_frame: bool,
    /// Last packet of the frame.
    pub ends_frame: bool,
    /// Modulo 2^16.
    pub frame_number: u16,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// What the frame is to each decode target.
    pub indications: Indications,
    /// Frames it refers to.
    pub references: References,
    /// Decode targets that the publisher sends now, a bit each.
    pub active: u32,
}

/// Structures kept for late packets. One comes with each key frame, and key frames are asked for a few times a second at
/// most, so that is longer than anything can be late.
const MAX_STRUCTURES: usize = 8;

/// Reads the descriptors of one incoming stream.
#[derive(Default)]
pub struct DescriptorReader {
    /// Oldest first; the last one is running, the others are for late packets.
    structures: VecDeque<Running>,
}

#[derive(Clone)]
struct Running {
    /// Index of the packet that brought the structure.
    from: u64,
    structure: Arc<Structure>,
    active: u32,
}

impl DescriptorReader {
    /// The descriptor of the packet of this index; `None` when it is damaged, or speaks of a structure that never came.
    pub fn read(&mut self, index: u64, descriptor: &[u8]) -> Option<Dependency> {
        let parsed = Parsed::read(descriptor, |structure| match structure {
            Some(structure) => Some(Running {
                from: index,
                active: structure.every_target(),
                structure: Arc::new(structure),
            }),
            None => self.running_at(index).cloned(),
        })?;
        let Parsed {
            dependency,
            running,
            ..
        } = parsed;
        let newest = self.structures.back().map(|newest| newest.from);
        if dependency.has_structure {
            if newest.is_none_or(|newest| newest < index) {
                if self.structures.len() == MAX_STRUCTURES {
                    self.structures.pop_front();
                }
                self.structures.push_back(running);
            }
        } else if let Some(newest) = self.structures.back_mut()
            && newest.from <= index
        {
            newest.active = running.active;
        }
        Some(dependency)
    }

    fn running_at(&self, index: u64) -> Option<&Running> {
        let mut structures = self.structures.iter().rev();
        structures.find(|running| running.from <= index)
    }
}

/// A descriptor read, and where its mask stands.
struct Parsed {
    dependency: Dependency,
    running: Running,
    /// Bit position of the active targets' mask, or where it would stand.
    mask_at: usize,
    /// Bit position behind all that means something.
    end: usize,
    has_mask: bool,
}

impl Parsed {
    /// `find` makes the state that the packet speaks of out of the structure it carries, if it does.
    fn read(
        descriptor: &[u8],
        find: impl FnOnce(Option<Structure>) -> Option<Running>,
    ) -> Option<Parsed> {
        let mut reader = BitReader::new(descriptor);
        let starts_frame = reader.flag()?;
        let ends_frame = reader.flag()?;
        let template = reader.take(6)?;
        let frame_number = reader.take(16)? as u16;
        let mut flags = [false; FLAGS];
        if descriptor.len() > MANDATORY {
            for flag in &mut flags {
                *flag = reader.flag()?;
            }
        }
        let [
            has_structure,
            has_mask,
            has_indications,
            has_references,
            has_chains,
        ] = flags;
        let structure = if has_structure {
            // Only at a frame's beginning (appendix A.8.3); elsewhere it is damage.
            Some(Structure::read(&mut reader).filter(|_| starts_frame)?)
        } else {
            None
        };
        let mut running = find(structure)?;
        let targets = running.structure.targets().len();
        let mask_at = reader.position();
        if has_mask {
            // The lowest bit is the first target's: written last.
            running.active = reader.take(targets)?;
        }
        let template = running.structure.template(template)?;
        let mut indications = template.indications;
        if has_indications {
            indications = Indications::read(&mut reader, targets)?;
        }
        let mut references = template.references;
        if has_references {
            references = custom_references(&mut reader)?;
        }
        if has_chains {
            for _ in 0..running.structure.chains {
                reader.take(8)?;
            }
        }
        let dependency = Dependency {
            has_structure,
            starts_frame,
            ends_frame,
            frame_number,
            spatial: template.spatial,
            temporal: template.temporal,
            indications,
            references,
            active: running.active,
            structure: Arc::clone(&running.structure),
        };
        Some(Parsed {
            dependency,
            mask_at,
            end: reader.position(),
            has_mask,
            running,
        })
    }
}

fn custom_references(reader: &mut BitReader<'_>) -> Option<References> {
    let mut references = References::default();
    loop {
        let nibbles = reader.take(2)? as usize;
        if nibbles == 0 {
            return Some(references);
        }
        references.push(reader.take(4 * nibbles)? as u16 + 1)?;
    }
}
