//! A handful of layers of one track.
use crate::units::LayerId;

/// Layers a set can hold; a track has at most as many encodings.
pub const MAX_LAYERS: usize = 32;

/// Some of a track's layers, as one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerSet(u32);

impl LayerSet {
    /// Adds a layer; one at or past [`MAX_LAYERS`] is ignored.
    pub fn insert(&mut self, layer: LayerId) {
        self.0 |= 1u32.checked_shl(u32::from(layer.0)).unwrap_or(0);
    }

    /// Whether it holds this layer.
    pub fn contains(self, layer: LayerId) -> bool {
        self.0 & 1u32.checked_shl(u32::from(layer.0)).unwrap_or(0) != 0
    }

    /// Each of them, lowest first.
    pub fn iter(self) -> impl Iterator<Item = LayerId> {
        let all = (0..MAX_LAYERS as u8).map(LayerId);
        all.filter(move |layer| self.contains(*layer))
    }

    /// The lowest one.
    pub fn lowest(self) -> Option<LayerId> {
        (self.0 != 0).then(|| LayerId(self.0.trailing_zeros() as u8))
    }

    /// The highest one.
    pub fn highest(self) -> Option<LayerId> {
        (self.0 != 0).then(|| LayerId(31 - self.0.leading_zeros() as u8))
    }

    /// The highest one that is not above `limit`; where all are above it, the lowest.
    pub fn nearest(self, limit: LayerId) -> Option<LayerId> {
        let up_to = u32::MAX >> 31u32.saturating_sub(u32::from(limit.0));
        LayerSet(self.0 & up_to).highest().or(self.lowest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(layers: &[u8]) -> LayerSet {
        let mut set = LayerSet::default();
        layers.iter().for_each(|layer| set.insert(LayerId(*layer)));
        set
    }

    #[test]
    fn it_holds_what_was_put_in() {
        let some = set(&[0, 2, 31, 32, 255]);
        let held: Vec<u8> = (0..=255).filter(|l| some.contains(LayerId(*l))).collect();
        assert_eq!(held, [0, 2, 31]);
        assert_eq!(some.iter().map(|layer| layer.0).collect::<Vec<_>>(), held);
        assert_eq!(
            (some.lowest(), some.highest()),
            (Some(LayerId(0)), Some(LayerId(31)))
        );
    }

    #[test]
    fn the_nearest_to_a_wish_is_below_it_where_there_is_one() {
        let some = set(&[1, 3]);
        let nearest: Vec<u8> = (0..6)
            .map(|limit| some.nearest(LayerId(limit)).unwrap().0)
            .collect();
        assert_eq!(nearest, [1, 1, 1, 3, 3, 3]);
        assert_eq!(some.nearest(LayerId(255)), Some(LayerId(3)));
        assert_eq!(LayerSet::default().nearest(LayerId(1)), None);
    }
}
