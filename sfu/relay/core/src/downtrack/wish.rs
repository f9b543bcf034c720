//! What a subscriber asks of one track.
use crate::layers::LayerSet;
use crate::units::LayerId;

/// A subscriber's choice; without one it gets the best there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The highest layer wanted; `None` for whatever is highest.
    pub layer: Option<LayerId>,
    /// Nothing is wanted for now.
    pub paused: bool,
    /// Pictures a second that are enough; `None` for as many as there are.
    pub frame_rate: Option<u8>,
}

impl Wish {
    /// The layer to aim at while these are live: the highest up to the one wanted, or the lowest there is.
    pub fn target(self, live: LayerSet) -> Option<LayerId> {
        match self.layer {
            Some(layer) => live.nearest(layer),
            None => live.highest(),
        }
    }
}
