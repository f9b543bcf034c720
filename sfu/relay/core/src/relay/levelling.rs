//! Packets of one picture made equally long. Encoders' packets differ by a byte or two, since a picture is split into
//! parts as equal as may be, and a run of GSO takes equal ones only (DESIGN 2.9): with a byte of RTP padding
//! (RFC 3550 section 5.1) they leave with one call instead of several.

use crate::router::Arrived;

/// Shorter ones are no parts of a large picture.
const LEAST_PAYLOAD: usize = 400;
/// Of the longest packet of a run, in hundredths: what padding may cost the subscriber's link.
const MOST_PADDING: usize = 1;

/// Sets the padding of packets that came one after another on one layer of a picture.
pub(super) fn level(batch: &mut [Arrived]) {
    let same =
        |one: &Arrived, other: &Arrived| (one.track, one.layer) == (other.track, other.layer);
    for run in batch.chunk_by_mut(same) {
        let longest = run.iter().map(|arrived| arrived.levelled).max();
        let Some(longest) = longest
            .map(usize::from)
            .filter(|longest| *longest >= LEAST_PAYLOAD)
        else {
            continue;
        };
        for arrived in run {
            let missing = longest - usize::from(arrived.levelled);
            if missing * 100 <= longest * MOST_PADDING {
                arrived.padding = u8::try_from(missing).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::LayerId;

    fn arrived(layer: u8, payload: u16) -> Arrived {
        Arrived {
            track: 0,
            layer: LayerId(layer),
            index: 0,
            key_frame: false,
            mapping: None,
            dependency: None,
            levelled: payload,
            padding: 0,
        }
    }

    fn levelled(packets: &[(u8, u16)]) -> Vec<u8> {
        let mut batch: Vec<_> = packets
            .iter()
            .map(|(layer, len)| arrived(*layer, *len))
            .collect();
        level(&mut batch);
        batch.iter().map(|arrived| arrived.padding).collect()
    }

    #[test]
    fn parts_of_one_picture_become_equal_and_the_short_end_stays_short() {
        let picture = [(0, 1_150), (0, 1_149), (0, 1_151), (0, 1_151), (0, 300)];
        assert_eq!(levelled(&picture), [1, 2, 0, 0, 0]);
    }

    #[test]
    fn no_more_than_a_hundredth_is_added() {
        assert_eq!(levelled(&[(0, 1_000), (0, 990), (0, 989)]), [0, 10, 0]);
    }

    #[test]
    fn what_lies_alone_or_is_small_or_of_another_layer_is_left_alone() {
        assert_eq!(levelled(&[(0, 1_150)]), [0]);
        assert_eq!(levelled(&[(0, 100), (0, 99)]), [0, 0]);
        assert_eq!(levelled(&[(0, 1_150), (1, 1_151), (0, 1_152)]), [0, 0, 0]);
        assert_eq!(levelled(&[]), []);
    }
}
