//! By the layer that each packet names: VP8 (RFC 7741) and VP9 (RFC 9628).
use super::{Ceiling, Frame, Verdict};

/// What is kept now.
#[derive(Default)]
pub struct ByLayer {
    spatial: u8,
    temporal: u8,
    /// The picture under way.
    picture: Option<u64>,
    /// The highest spatial layer seen since the last key frame.
    sent: u8,
}

impl ByLayer {
    /// The first packet seen of a frame. The very first picture is all or up to the ceiling: nothing is missing before it.
    pub fn judge(&mut self, frame: &Frame<'_>, key_frame: bool, ceiling: Ceiling) -> Verdict {
        let spatial = ceiling.spatial.unwrap_or(u8::MAX);
        let temporal = ceiling.temporal.unwrap_or(u8::MAX);
        if self.picture != Some(frame.picture) {
            let begins = key_frame || self.picture.is_none();
            self.picture = Some(frame.picture);
            if begins {
                (self.spatial, self.temporal, self.sent) = (spatial, temporal, 0);
            }
            self.spatial = self.spatial.min(spatial);
            self.temporal = self.temporal.min(temporal);
            if let Some(opening) = frame.opening
                && self.temporal >= opening.needs
            {
                self.temporal = self.temporal.max(opening.to.min(temporal));
            }
        }
        self.sent = self.sent.max(frame.spatial);
        if frame.temporal > self.temporal {
            Verdict::LeaveOut
        } else if frame.spatial <= self.spatial {
            Verdict::Keep
        } else if frame.spatial <= spatial {
            Verdict::AwaitKeyFrame
        } else {
            Verdict::LeaveOut
        }
    }

    /// Whether a spatial layer is wanted that is sent but not kept.
    pub fn awaits_key_frame(&self, ceiling: Ceiling) -> bool {
        ceiling.spatial.unwrap_or(u8::MAX).min(self.sent) > self.spatial
    }

    /// Whether a packet is the last one of its picture for this subscriber (VP9's marker is the highest layer's).
    pub fn ends_picture(&self, frame: &Frame<'_>) -> bool {
        frame.ends && frame.spatial == self.spatial
    }
}
