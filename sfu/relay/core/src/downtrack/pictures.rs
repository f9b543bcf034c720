//! The running numbers of pictures (RFC 7741 section 4.2, RFC 9628 section 4.2, the dependency descriptor's frame
//! numbers) as one subscriber sees them: plus an offset, chosen anew wherever the stream goes over to another source,
//! goes on after an interruption, or leaves a picture of VP8 out.
//!
//! Receivers tell by them which pictures are missing and which ones a picture needs. Each layer counts for itself, so
//! untouched numbers would jump at a switch, backwards too, and a picture that never was would be waited for. Where
//! needs are told as differences of numbers (VP9, the dependency descriptor), left out pictures leave their gap.
use std::collections::VecDeque;

use crate::numbers::{Numbers, Shown};

/// Pieces of one source kept for late packets; one more begins with each interruption and each picture left out.
const MAX_PIECES: usize = 64;

/// Bits of TL0PICIDX.
const TL0_INDEX_BITS: u32 = 8;

/// Bits of KEYIDX.
const KEY_INDEX_BITS: u32 = 5;

/// Bits of a frame number.
const FRAME_NUMBER_BITS: u32 = 16;

/// Maps the numbers of the current source into the stream's own.
#[derive(Default)]
pub struct Pictures {
    /// Oldest first; the last one is running.
    pieces: VecDeque<Piece>,
    picture_id: Running,
    tl0_index: Running,
    key_index: Running,
    frame_number: Running,
}

/// From the source index `first` on, these are added.
struct Piece {
    first: u64,
    offset: Numbers,
    /// It was interrupted, and went on with a key frame.
    last: Option<Last>,
}

/// The newest numbers at an interruption. Those after them were given anew, so what was lost right before it and comes
/// late has none.
#[derive(Clone, Copy)]
struct Last {
    picture_id: Running,
    frame_number: Running,
}

impl Last {
    fn has_given_anew(&self, ours: &Numbers, shown: &Shown) -> bool {
        let bits = shown.picture_id_bits;
        bits != 0 && self.picture_id.is_before(ours.picture_id, bits)
            || shown.frame_number
                && self
                    .frame_number
                    .is_before(ours.frame_number, FRAME_NUMBER_BITS)
    }
}

impl Pictures {
    /// Goes over to another source at its packet `index`, of a key frame, whose picture follows the newest one.
    pub fn join(&mut self, index: u64, shown: &Shown) {
        self.pieces.clear();
        self.begin(index, shown);
    }

    /// Goes on with the same source at its packet `index`, of a key frame, whose picture follows the newest one.
    pub fn resume(&mut self, index: u64, shown: &Shown) {
        let last = Last {
            picture_id: self.picture_id,
            frame_number: self.frame_number,
        };
        for piece in self.pieces.iter_mut().rev() {
            if piece.last.is_some() {
                break;
            }
            piece.last = Some(last);
        }
        self.begin(index, shown);
    }

    /// A picture of which `index` is the first packet seen is left out: what follows takes its PictureID. Its TL0PICIDX
    /// stays, since only pictures above the lowest temporal layer are left out.
    pub fn leave_out(&mut self, index: u64) {
        if let Some(running) = self.pieces.back() {
            let picture_id = running.offset.picture_id.wrapping_sub(1);
            let offset = Numbers {
                picture_id,
                ..running.offset
            };
            self.run(index, offset);
        }
    }

    /// The numbers of a packet of the current source; `None` when it is from before anything remembered, or when those
    /// that it would have had are another's by now.
    pub fn place(&mut self, index: u64, shown: &Shown) -> Option<Numbers> {
        let mut pieces = self.pieces.iter().rev();
        let piece = pieces.find(|piece| piece.first <= index)?;
        let offset = &piece.offset;
        let theirs = &shown.numbers;
        let ours = Numbers {
            picture_id: theirs.picture_id.wrapping_add(offset.picture_id) & 0x7fff,
            tl0_index: theirs.tl0_index.wrapping_add(offset.tl0_index),
            key_index: theirs.key_index.wrapping_add(offset.key_index) & 0x1f,
            frame_number: theirs.frame_number.wrapping_add(offset.frame_number),
        };
        if piece
            .last
            .is_some_and(|last| last.has_given_anew(&ours, shown))
        {
            return None;
        }
        if shown.picture_id_bits != 0 {
            self.picture_id
                .advance(ours.picture_id, shown.picture_id_bits);
        }
        if shown.tl0_index {
            self.tl0_index
                .advance(u16::from(ours.tl0_index), TL0_INDEX_BITS);
        }
        if shown.key_index {
            self.key_index
                .advance(u16::from(ours.key_index), KEY_INDEX_BITS);
        }
        if shown.frame_number {
            self.frame_number
                .advance(ours.frame_number, FRAME_NUMBER_BITS);
        }
        Some(ours)
    }

    fn begin(&mut self, index: u64, shown: &Shown) {
        let theirs = &shown.numbers;
        // Numbers grow to the left, so that cutting one to its bits is all that its width asks for.
        let offset = Numbers {
            picture_id: self.picture_id.offset(theirs.picture_id),
            tl0_index: self.tl0_index.offset(u16::from(theirs.tl0_index)) as u8,
            key_index: self.key_index.offset(u16::from(theirs.key_index)) as u8,
            frame_number: self.frame_number.offset(theirs.frame_number),
        };
        self.run(index, offset);
    }

    fn run(&mut self, first: u64, offset: Numbers) {
        if self.pieces.len() == MAX_PIECES {
            self.pieces.pop_front();
        }
        self.pieces.push_back(Piece {
            first,
            offset,
            last: None,
        });
    }
}

/// The newest of one kind of number, if one was given.
#[derive(Clone, Copy, Default)]
struct Running(Option<u16>);

impl Running {
    /// What makes `theirs` the one after the newest.
    fn offset(&self, theirs: u16) -> u16 {
        let next = |newest: u16| newest.wrapping_add(1).wrapping_sub(theirs);
        self.0.map_or(0, next)
    }

    /// One of so many bits was given; an older one changes nothing.
    fn advance(&mut self, given: u16, bits: u32) {
        let newest = *self.0.get_or_insert(given);
        if let Some(ahead) = ahead(newest, given, bits) {
            self.0 = Some(newest.wrapping_add(ahead));
        }
    }

    /// Whether this one of so many bits would come after the newest.
    fn is_before(&self, number: u16, bits: u32) -> bool {
        let ahead = self.0.and_then(|newest| ahead(newest, number, bits));
        ahead.is_some_and(|ahead| ahead > 0)
    }
}

/// By how much a number of so many bits, at most 16, is ahead of another; `None` when it is behind.
fn ahead(of: u16, number: u16, bits: u32) -> Option<u16> {
    let ahead = u32::from(number.wrapping_sub(of)) & ((1 << bits) - 1);
    (ahead < 1 << (bits - 1)).then_some(ahead as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vp8::Descriptor;

    /// A packet with all numbers: a long picture id, TL0PICIDX, and KEYIDX.
    fn long(picture_id: u16, tl0_index: u8, key_index: u8) -> Shown {
        let [high, low] = picture_id.to_be_bytes();
        let payload = [0x90, 0xf0, high | 0x80, low, tl0_index, key_index];
        Descriptor::parse(&payload).unwrap().shown()
    }

    fn short(picture_id: u8) -> Shown {
        Descriptor::parse(&[0x90, 0x80, picture_id])
            .unwrap()
            .shown()
    }

    fn numbers(picture_id: u16, tl0_index: u8, key_index: u8) -> Option<Numbers> {
        Some(Numbers {
            picture_id,
            tl0_index,
            key_index,
            frame_number: 0,
        })
    }

    #[test]
    fn the_first_source_keeps_its_numbers() {
        let mut pictures = Pictures::default();
        pictures.join(5, &long(0x7fff, 255, 31));
        let first = pictures.place(5, &long(0x7fff, 255, 31));
        assert_eq!(first, numbers(0x7fff, 255, 31));
        assert_eq!(pictures.place(6, &long(0, 0, 0)), numbers(0, 0, 0));
    }

    #[test]
    fn the_next_source_goes_on_where_the_last_one_was() {
        let mut pictures = Pictures::default();
        pictures.join(5, &long(100, 7, 1));
        pictures.place(5, &long(100, 7, 1));
        pictures.place(6, &long(101, 8, 1));
        pictures.join(900, &long(20, 200, 30));
        let packets = [
            (long(20, 200, 30), numbers(102, 9, 2)),
            (long(20, 200, 30), numbers(102, 9, 2)),
            (long(21, 200, 30), numbers(103, 9, 2)),
            (long(23, 201, 30), numbers(105, 10, 2)),
        ];
        for (step, (theirs, ours)) in packets.into_iter().enumerate() {
            assert_eq!(pictures.place(900 + step as u64, &theirs), ours);
        }
        assert_eq!(pictures.place(899, &long(19, 199, 30)), None);
    }

    #[test]
    fn a_late_picture_has_the_number_it_would_have_had() {
        let mut pictures = Pictures::default();
        pictures.join(5, &long(100, 7, 1));
        pictures.place(7, &long(102, 9, 1));
        pictures.resume(50, &long(140, 30, 2));
        let resumed = pictures.place(50, &long(140, 30, 2));
        assert_eq!(resumed, numbers(103, 10, 2));
        assert_eq!(
            pictures.place(6, &long(101, 8, 1)),
            numbers(101, 8, 1),
            "lost before the interruption, late after it"
        );
        pictures.resume(90, &long(200, 60, 3));
        let again = pictures.place(90, &long(200, 60, 3));
        assert_eq!(again, numbers(104, 11, 3));
    }

    #[test]
    fn a_late_picture_has_no_number_where_its_own_was_given_anew() {
        let mut pictures = Pictures::default();
        pictures.join(5, &long(100, 7, 1));
        pictures.place(5, &long(100, 7, 1));
        // 101 is lost, and before the interruption nothing comes that has a number.
        pictures.resume(50, &long(140, 30, 2));
        let resumed = pictures.place(50, &long(140, 30, 2));
        assert_eq!(resumed, numbers(101, 8, 2));
        assert_eq!(pictures.place(6, &long(101, 8, 1)), None);
        let another_part = pictures.place(4 + 3, &long(100, 7, 1));
        assert_eq!(another_part, numbers(100, 7, 1));
        pictures.resume(90, &long(200, 60, 3));
        assert_eq!(pictures.place(6, &long(101, 8, 1)), None);
    }

    #[test]
    fn short_ids_run_on_past_their_width() {
        let mut pictures = Pictures::default();
        pictures.join(0, &short(120));
        for step in 0..20u8 {
            let theirs = (120 + step) % 128;
            let ours = pictures.place(u64::from(step), &short(theirs)).unwrap();
            assert_eq!(ours.picture_id & 0x7f, u16::from(theirs));
        }
        // The newest was 120 + 19, shown as 11.
        pictures.join(500, &short(3));
        let ours = pictures.place(500, &short(3)).unwrap();
        assert_eq!(ours.picture_id & 0x7f, 12);
    }

    #[test]
    fn a_source_without_numbers_in_between_costs_nothing() {
        let bare = Descriptor::parse(&[0x10]).unwrap().shown();
        let mut pictures = Pictures::default();
        pictures.join(0, &long(100, 7, 1));
        pictures.place(0, &long(100, 7, 1));
        pictures.join(0, &bare);
        pictures.place(0, &bare);
        pictures.join(0, &long(5, 5, 5));
        assert_eq!(pictures.place(0, &long(5, 5, 5)), numbers(101, 8, 2));
    }

    #[test]
    fn what_follows_a_picture_left_out_takes_its_id_and_what_preceded_it_keeps_its_own() {
        let mut pictures = Pictures::default();
        pictures.join(5, &long(100, 7, 1));
        pictures.place(5, &long(100, 7, 1));
        // 101 is lost for now, 102 is left out.
        pictures.leave_out(7);
        assert_eq!(pictures.place(8, &long(103, 8, 1)), numbers(102, 8, 1));
        assert_eq!(pictures.place(6, &long(101, 7, 1)), numbers(101, 7, 1));
        pictures.leave_out(9);
        assert_eq!(pictures.place(10, &long(105, 9, 1)), numbers(103, 9, 1));
    }

    #[test]
    fn frame_numbers_run_on_from_one_source_to_the_next_across_the_wrap() {
        let frame = |frame_number| Shown {
            numbers: Numbers {
                frame_number,
                ..Numbers::default()
            },
            frame_number: true,
            ..Shown::default()
        };
        let mut pictures = Pictures::default();
        pictures.join(5, &frame(65_535));
        pictures.place(5, &frame(65_535));
        let mut place = |index, number| {
            let ours = pictures.place(index, &frame(number));
            ours.map(|ours| ours.frame_number)
        };
        assert_eq!(place(6, 2), Some(2), "gaps stay");
        pictures.join(900, &frame(30_000));
        let ours = pictures.place(900, &frame(30_000));
        assert_eq!(ours.map(|ours| ours.frame_number), Some(3));
    }

    #[test]
    fn any_number_of_interruptions_takes_bounded_memory() {
        let mut pictures = Pictures::default();
        for step in 0..1_000 {
            pictures.resume(step * 10, &long(step as u16 * 7, 0, 0));
            let ours = pictures.place(step * 10, &long(step as u16 * 7, 0, 0));
            assert_eq!(ours.map(|ours| ours.picture_id), Some(step as u16));
        }
        assert_eq!(pictures.pieces.len(), MAX_PIECES);
    }
}
