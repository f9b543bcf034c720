//! The numbers that run on from picture to picture, by which receivers tell what is missing and what a picture needs.

/// One packet's numbers; nought where it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// PictureID of VP8 and VP9, of which a short one shows the lower 7 of 15 bits.
    pub picture_id: u16,
    /// TL0PICIDX of VP8 and VP9.
    pub tl0_index: u8,
    /// KEYIDX of VP8, 5 bits.
    pub key_index: u8,
    /// Frame number of the dependency descriptor.
    pub frame_number: u16,
}

/// A packet's numbers, and which of them it has places for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The numbers themselves.
    pub numbers: Numbers,
    /// Bits of its PictureID: 15, 7, or 0 when it has none.
    pub picture_id_bits: u32,
    /// It has a TL0PICIDX.
    pub tl0_index: bool,
    /// It has a KEYIDX.
    pub key_index: bool,
    /// It has a frame number.
    pub frame_number: bool,
}

impl Shown {
    /// Whether it has any of them.
    pub fn is_any(&self) -> bool {
        self.picture_id_bits != 0 || self.tl0_index || self.key_index || self.frame_number
    }
}
