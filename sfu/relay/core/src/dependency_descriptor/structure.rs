//! The template dependency structure (AV1 RTP specification appendix A.8.2): which frames a stream has, and which decode
//! target needs which of them.
use super::bits::BitReader;

/// Templates a structure can have: their ids have six bits.
pub const MAX_TEMPLATES: usize = 64;

/// Decode targets a structure can have: their number is told in five bits.
pub const MAX_TARGETS: usize = 32;

/// References of one frame that are kept; libwebrtc takes no frame with more than five, an AV1 decoder has eight places.
pub const MAX_REFERENCES: usize = 8;

/// Decode target indications (appendix A.8.3).
const NOT_PRESENT: u32 = 0;
const SWITCH: u32 = 2;

/// Words that end or go on with the list of template layers (appendix A.8.3, `next_layer_idc`).
const NEXT_TEMPORAL: u32 = 1;
const NEXT_SPATIAL: u32 = 2;
const NO_MORE: u32 = 3;

/// What a frame is to each decode target, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indications {
    /// The target needs or shows the frame.
    pub present: u32,
    /// Whoever has this frame can go on with the target from here.
    pub switch: u32,
}

impl Indications {
    /// Two bits for each of `count` targets.
    pub(super) fn read(reader: &mut BitReader<'_>, count: usize) -> Option<Self> {
        let mut read = Indications::default();
        for target in 0..count {
            let indication = reader.take(2)?;
            read.present |= u32::from(indication != NOT_PRESENT) << target;
            read.switch |= u32::from(indication == SWITCH) << target;
        }
        Some(read)
    }
}

/// The frames that one frame refers to, as differences of frame numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    differences: [u16; MAX_REFERENCES],
    len: usize,
}

impl References {
    /// One more; `None` when there are too many.
    pub(super) fn push(&mut self, difference: u16) -> Option<()> {
        *self.differences.get_mut(self.len)? = difference;
        self.len += 1;
        Some(())
    }

    /// Each difference, at least 1.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.differences.iter().copied().take(self.len)
    }
}

/// One kind of frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// What it is to each decode target.
    pub indications: Indications,
    /// What it refers to.
    pub references: References,
}

/// One decode target: the highest layers it shows, and which targets it has all frames of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Highest spatial layer.
    pub spatial: u8,
    /// Highest temporal layer.
    pub temporal: u8,
    /// Targets none of whose frames this one lacks, itself among them, a bit each.
    pub contains: u32,
}

/// One parsed structure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// What the first template is called.
    offset: u32,
    templates: Vec<Template>,
    targets: Vec<Target>,
    /// Chains, of which custom chains have a difference each.
    pub(super) chains: usize,
}

impl Structure {
    /// Reads one; `None` when it is damaged. Bounded by the widths of its fields: 64 templates, 32 targets.
    pub(super) fn read(reader: &mut BitReader<'_>) -> Option<Self> {
        let offset = reader.take(6)?;
        let target_count = reader.take(5)? as usize + 1;
        let mut templates = layers(reader)?;
        for template in &mut templates {
            template.indications = Indications::read(reader, target_count)?;
        }
        for template in &mut templates {
            while reader.flag()? {
                let difference = reader.take(4)? as u16 + 1;
                template.references.push(difference)?;
            }
        }
        let chains = reader.below(target_count as u32 + 1)? as usize;
        if chains > 0 {
            for _ in 0..target_count {
                reader.below(chains as u32)?;
            }
            reader_skip(reader, 4 * chains * templates.len())?;
        }
        let targets = (0..target_count).map(|target| shape(&templates, target));
        let structure = Structure {
            offset,
            targets: targets.collect(),
            templates,
            chains,
        };
        if reader.flag()? {
            let highest = structure.templates.iter().map(|template| template.spatial);
            reader_skip(reader, 32 * (usize::from(highest.max()?) + 1))?;
        }
        Some(structure)
    }

    /// The template of this id, if the structure has it.
    pub fn template(&self, id: u32) -> Option<&Template> {
        let templates = MAX_TEMPLATES as u32;
        let number = (id + templates - self.offset % templates) % templates;
        self.templates.get(number as usize)
    }

    /// The decode targets, in the order of their bits.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// A bit for each decode target.
    pub fn every_target(&self) -> u32 {
        u32::MAX >> (MAX_TARGETS - self.targets.len().clamp(1, MAX_TARGETS))
    }
}

/// The layers of each template (appendix A.8.2, `template_layers`).
fn layers(reader: &mut BitReader<'_>) -> Option<Vec<Template>> {
    let mut templates = Vec::new();
    let (mut spatial, mut temporal) = (0, 0);
    loop {
        if templates.len() == MAX_TEMPLATES {
            return None;
        }
        templates.push(Template {
            spatial,
            temporal,
            ..Template::default()
        });
        match reader.take(2)? {
            NO_MORE => return Some(templates),
            NEXT_TEMPORAL => temporal += 1,
            NEXT_SPATIAL => (spatial, temporal) = (spatial + 1, 0),
            _ => {}
        }
    }
}

fn shape(templates: &[Template], target: usize) -> Target {
    let bit = 1 << target;
    let has = |template: &&Template| template.indications.present & bit != 0;
    let mut shape = Target {
        contains: u32::MAX,
        ..Target::default()
    };
    for template in templates.iter().filter(has) {
        shape.spatial = shape.spatial.max(template.spatial);
        shape.temporal = shape.temporal.max(template.temporal);
    }
    for template in templates.iter().filter(|template| !has(template)) {
        shape.contains &= !template.indications.present;
    }
    shape
}

fn reader_skip(reader: &mut BitReader<'_>, mut bits: usize) -> Option<()> {
    while bits > 0 {
        let step = bits.min(32);
        reader.take(step)?;
        bits -= step;
    }
    Some(())
}
