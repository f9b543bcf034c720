//! By decode target: the dependency descriptor says of each frame who needs it, and from where on a target can be
//! decoded by whoever has the frame (AV1 RTP specification appendix A.8.3, decode target indications).
use std::cmp::Reverse;
use std::sync::Arc;

use super::{Ceiling, Verdict};
use crate::dependency_descriptor::{ActiveTargets, Dependency, Structure};

/// Frames that references are looked up among; farther ones count as never sent.
const FRAMES: u16 = 1024;

/// One decode target at a time.
pub struct ByTarget {
    structure: Arc<Structure>,
    current: usize,
    /// What the publisher sends now.
    active: u32,
    /// The picture under way, and whether anything of it was kept.
    picture: Option<u64>,
    is_begun: bool,
    kept: KeptFrames,
    /// What the subscriber was told last.
    told: u32,
}

impl ByTarget {
    /// At a key frame with what the ceiling allows. Elsewhere all has been kept so far, so the highest target is being
    /// decoded.
    pub fn new(dependency: &Dependency, ceiling: Ceiling, key_frame: bool) -> Self {
        let structure = Arc::clone(&dependency.structure);
        let begins = key_frame && dependency.has_structure;
        let ceiling = if begins { ceiling } else { Ceiling::default() };
        let active = dependency.active;
        ByTarget {
            current: best(&structure, active, ceiling).unwrap_or(0),
            active,
            structure,
            picture: None,
            is_begun: false,
            kept: KeptFrames::default(),
            told: active,
        }
    }

    /// The first packet seen of a frame.
    pub fn judge(&mut self, picture: u64, frame: &Dependency, ceiling: Ceiling) -> Verdict {
        if self.picture.replace(picture) != Some(picture) {
            self.is_begun = false;
        }
        self.active = frame.active;
        if frame.has_structure && !Arc::ptr_eq(&self.structure, &frame.structure) {
            self.structure = Arc::clone(&frame.structure);
            // Targets may be others than before; of the old ones none is known to go on.
            let wanted = candidates(&frame.structure, frame.active, ceiling);
            let begins = wanted.iter().find(|target| is_switch(frame, **target));
            self.current = begins.or(wanted.first()).copied().unwrap_or(0);
        }
        let best = best(&frame.structure, frame.active, ceiling);
        if best != Some(self.current) {
            self.go_over(frame, ceiling);
        }
        if is_present(frame, self.current) {
            self.is_begun = true;
            self.kept(frame);
            return Verdict::Keep;
        }
        match best.filter(|best| is_present(frame, *best) && self.lacks(*best)) {
            Some(_) => Verdict::AwaitKeyFrame,
            None => Verdict::LeaveOut,
        }
    }

    /// To the best target that can be decoded from this frame on. Within a picture the spatial layer stays, since its end
    /// is marked there.
    fn go_over(&mut self, frame: &Dependency, ceiling: Ceiling) {
        let decodable = frame.references.iter().all(|difference| {
            let number = frame.frame_number.wrapping_sub(difference);
            self.kept.contains(number)
        });
        for target in candidates(&frame.structure, frame.active, ceiling) {
            if target == self.current {
                return;
            }
            let ends_alike =
                rank(&self.structure, target).0 == rank(&self.structure, self.current).0;
            let may_begin = decodable && is_switch(frame, target);
            if !self.is_begun && (self.contains(target) || may_begin) || ends_alike && may_begin {
                self.current = target;
                return;
            }
        }
        // A key frame has to come first: until then the same spatial layer, no faster than is wanted.
        let Some(now) = self.structure.targets().get(self.current).copied() else {
            return;
        };
        let slower = Ceiling {
            spatial: Some(now.spatial),
            ..ceiling
        };
        let slower = best(&frame.structure, frame.active & now.contains, slower);
        if let Some(slower) = slower.filter(|_| !self.is_begun) {
            let targets = self.structure.targets();
            if targets[slower].spatial == now.spatial {
                self.current = slower;
            }
        }
    }

    /// A frame is being sent.
    pub fn kept(&mut self, frame: &Dependency) {
        self.kept.insert(frame.frame_number);
    }

    /// Whether what is wanted is another spatial layer that cannot be gone over to.
    pub fn awaits_key_frame(&self, ceiling: Ceiling) -> bool {
        let best = best(&self.structure, self.active, ceiling);
        best.is_some_and(|best| self.lacks(best))
    }

    /// Whether a packet is the last one of its picture for this subscriber.
    pub fn ends_picture(&self, frame: &Dependency) -> bool {
        let target = self.structure.targets().get(self.current);
        frame.ends_frame && target.is_some_and(|target| frame.spatial == target.spatial)
    }

    /// What the subscriber is to be told of decode targets with this packet: those it has all frames of, at the
    /// beginning of each frame where the publisher says something else, and once where it no longer does.
    pub fn tell(&mut self, frame: &Dependency) -> Option<ActiveTargets> {
        if !frame.starts_frame {
            return None;
        }
        let target = self.structure.targets().get(self.current)?;
        let mask = frame.active & target.contains;
        let due = mask != frame.active || self.told != mask;
        self.told = mask;
        due.then_some(ActiveTargets {
            mask,
            count: self.structure.targets().len() as u8, // at most 32
        })
    }

    fn contains(&self, target: usize) -> bool {
        let current = self.structure.targets().get(self.current);
        current.is_some_and(|current| current.contains & 1 << target != 0)
    }

    /// Another spatial layer, of which frames are missing.
    fn lacks(&self, target: usize) -> bool {
        let targets = self.structure.targets();
        match (targets.get(self.current), targets.get(target)) {
            (Some(current), Some(wanted)) => {
                current.spatial != wanted.spatial && !self.contains(target)
            }
            _ => false,
        }
    }
}

/// The highest active decode target within the ceiling; where there is none, the least.
fn best(structure: &Structure, active: u32, ceiling: Ceiling) -> Option<usize> {
    let rank = |target: &usize| rank(structure, *target);
    let within = within(structure, active, ceiling).max_by_key(rank);
    within.or_else(|| self::within(structure, active, Ceiling::default()).min_by_key(rank))
}

/// Active decode targets within the ceiling, best first.
fn candidates(structure: &Structure, active: u32, ceiling: Ceiling) -> Vec<usize> {
    let mut found: Vec<usize> = within(structure, active, ceiling).collect();
    if found.is_empty() {
        return best(structure, active, ceiling).into_iter().collect();
    }
    found.sort_by_key(|target| Reverse(rank(structure, *target)));
    found
}

fn within(
    structure: &Structure,
    active: u32,
    ceiling: Ceiling,
) -> impl Iterator<Item = usize> + '_ {
    let targets = structure.targets().iter().enumerate();
    targets
        .filter(move |(number, target)| {
            active & 1 << number != 0
                && ceiling.spatial.is_none_or(|most| target.spatial <= most)
                && ceiling.temporal.is_none_or(|most| target.temporal <= most)
        })
        .map(|(number, _)| number)
}

fn rank(structure: &Structure, target: usize) -> (u8, u8) {
    let targets = structure.targets();
    targets
        .get(target)
        .map_or((0, 0), |target| (target.spatial, target.temporal))
}

fn is_present(frame: &Dependency, target: usize) -> bool {
    frame.indications.present & 1 << target != 0
}

fn is_switch(frame: &Dependency, target: usize) -> bool {
    frame.indications.switch & 1 << target != 0
}

/// Which of the last frames were kept.
struct KeptFrames {
    newest: Option<u16>,
    bits: [u64; FRAMES as usize / 64],
}

impl Default for KeptFrames {
    fn default() -> Self {
        KeptFrames {
            newest: None,
            bits: [0; FRAMES as usize / 64],
        }
    }
}

impl KeptFrames {
    fn insert(&mut self, number: u16) {
        let newest = *self.newest.get_or_insert(number);
        let ahead = number.wrapping_sub(newest);
        if ahead < 1 << 15 {
            for step in 1..=ahead.min(FRAMES) {
                self.set(newest.wrapping_add(step), false);
            }
            self.newest = Some(number);
        } else if newest.wrapping_sub(number) >= FRAMES {
            return;
        }
        self.set(number, true);
    }

    fn contains(&self, number: u16) -> bool {
        let Some(newest) = self.newest else {
            return false;
        };
        let (word, bit) = place(number);
        newest.wrapping_sub(number) < FRAMES && self.bits[word] & bit != 0
    }

    fn set(&mut self, number: u16, kept: bool) {
        let (word, bit) = place(number);
        if kept {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
    }
}

fn place(number: u16) -> (usize, u64) {
    let number = number % FRAMES;
    (usize::from(number / 64), 1 << (number % 64))
}
