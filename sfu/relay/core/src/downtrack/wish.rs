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
    /// Of two pictures for which the link has not enough room, that of the higher priority is served first.
    pub priority: u8,
}

/// How much of a wish the link to the subscriber has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// All of it.
    #[default]
    All,
    /// No layer above this one.
    UpTo(LayerId),
    /// Nothing.
    Nothing,
}

impl Wish {
    /// The priority of what somebody shows to all: above faces, below what a subscriber chose itself.
    pub const SCREEN: u8 = 2;

    /// The layer to aim at while these are live: the highest up to the one wanted and allowed, or the lowest there is.
    pub fn target(self, live: LayerSet, allowed: Allowed) -> Option<LayerId> {
        let limit = match allowed {
            Allowed::UpTo(layer) => Some(self.layer.map_or(layer, |wanted| wanted.min(layer))),
            Allowed::All | Allowed::Nothing => self.layer,
        };
        match limit {
            Some(layer) => live.nearest(layer),
            None => live.highest(),
        }
    }
}
