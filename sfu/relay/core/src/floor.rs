//! Whose faces go first over one subscriber's link: those who speak, or did a moment ago.
//!
//! One of them leads. Another takes the lead only once the leader is silent and has led for a while, so that a quick
//! exchange does not make large pictures of small ones with every word. Nobody takes a place from one who uses it.
use std::time::Duration;

use crate::peer::PeerKey;
use crate::units::Time;

/// How many go first at once; of more, somebody is only talking over others.
pub const MOST: usize = 3;

/// How long somebody still goes first after the last word: an answer to a question often comes within it.
pub const HOLD: Duration = Duration::from_secs(4);

/// The shortest time somebody leads: a large picture needs a key frame, and a look.
pub const LEADS_FOR: Duration = Duration::from_secs(3);

/// After so much silence a place goes to somebody who speaks, where all are taken.
const YIELDS_AFTER: Duration = Duration::from_secs(1);

/// Who has the floor, for one subscriber.
#[derive(Default)]
pub struct Floor {
    /// The first leads.
    holders: Vec<Holder>,
    led_since: Time,
}

struct Holder {
    peer: PeerKey,
    spoke: Time,
}

impl Floor {
    /// This publisher spoke at that time. What was told before is no news.
    pub fn hear(&mut self, peer: PeerKey, spoke: Time) {
        if let Some(holder) = self.holders.iter_mut().find(|holder| holder.peer == peer) {
            holder.spoke = holder.spoke.max(spoke);
            return;
        }
        let newcomer = Holder { peer, spoke };
        if self.holders.len() < MOST {
            self.holders.push(newcomer);
            return;
        }
        let silent = self.holders.iter_mut().skip(1);
        let silent = silent.min_by_key(|holder| holder.spoke);
        if let Some(holder) = silent.filter(|holder| spoke.since(holder.spoke) >= YIELDS_AFTER) {
            *holder = newcomer;
        }
    }

    /// Time passes; call after all that was heard by now.
    pub fn settle(&mut self, now: Time) {
        let leader = self.holders.first().map(|holder| holder.peer);
        self.holders.retain(|holder| now.since(holder.spoke) < HOLD);
        let newest = self.holders.iter().map(|holder| holder.spoke).max();
        let Some(newest) = newest else { return };
        let next = self
            .holders
            .iter()
            .position(|holder| holder.spoke == newest);
        // Who leads goes on in the same breath as others.
        let is_outspoken = self.holders[0].spoke != newest;
        if let Some(next) = next
            && is_outspoken
            && now.since(self.led_since) >= LEADS_FOR
        {
            self.holders[..=next].rotate_right(1);
        }
        if self.holders.first().map(|holder| holder.peer) != leader {
            self.led_since = now;
        }
    }

    /// How far a publisher goes before others: the leader farthest, whoever has not spoken not at all.
    pub fn precedence(&self, peer: PeerKey) -> Option<u8> {
        let place = self.holders.iter().position(|holder| holder.peer == peer)?;
        u8::try_from(MOST.saturating_sub(place)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: PeerKey = 1;
    const BOB: PeerKey = 2;
    const CLEO: PeerKey = 3;
    const DAN: PeerKey = 4;

    /// Who leads, each 50 ms, while `speaks` says who speaks.
    fn play(
        floor: &mut Floor,
        millis: std::ops::Range<u64>,
        speaks: impl Fn(u64) -> Vec<PeerKey>,
    ) -> Vec<(u64, Option<PeerKey>)> {
        let mut told: Vec<(u64, Option<PeerKey>)> = Vec::new();
        for at in millis.step_by(50) {
            let now = Time::from_millis(at);
            for peer in speaks(at) {
                floor.hear(peer, now);
            }
            floor.settle(now);
            let leads = floor.holders.first().map(|holder| holder.peer);
            if told.last().is_none_or(|(_, last)| *last != leads) {
                told.push((at, leads));
            }
        }
        told
    }

    #[test]
    fn who_speaks_leads_at_once_and_for_a_while_after_the_last_word() {
        let mut floor = Floor::default();
        let led = play(&mut floor, 5_000..20_000, |at| {
            if at < 8_000 { vec![ANN] } else { vec![] }
        });
        let end = 7_950 + HOLD.as_millis() as u64;
        assert_eq!(led, [(5_000, Some(ANN)), (end, None)]);
        assert_eq!(floor.precedence(ANN), None);
    }

    #[test]
    fn another_leads_once_the_leader_is_silent_and_has_led_for_long_enough() {
        let mut floor = Floor::default();
        let led = play(&mut floor, 0..10_000, |at| match at {
            0..1_000 => vec![ANN],
            1_000..9_000 => vec![BOB],
            _ => vec![ANN, BOB],
        });
        let change = LEADS_FOR.as_millis() as u64;
        assert_eq!(led, [(0, Some(ANN)), (change, Some(BOB))]);
        assert_eq!(
            (floor.precedence(BOB), floor.precedence(ANN)),
            (Some(3), Some(2))
        );
    }

    #[test]
    fn a_quick_exchange_changes_the_lead_no_more_often_than_the_shortest_lead() {
        let mut floor = Floor::default();
        let led = play(&mut floor, 0..30_000, |at| {
            vec![if at / 400 % 2 == 0 { ANN } else { BOB }]
        });
        assert!(led.len() > 2);
        let shortest = LEADS_FOR.as_millis() as u64;
        assert!(
            led.windows(2).all(|pair| pair[1].0 - pair[0].0 >= shortest),
            "{led:?}"
        );
    }

    #[test]
    fn nobody_takes_a_place_from_one_who_uses_it_and_all_places_are_few() {
        let mut floor = Floor::default();
        play(&mut floor, 0..5_000, |_| vec![ANN, BOB, CLEO, DAN]);
        assert_eq!(floor.holders.len(), MOST);
        assert_eq!(floor.precedence(DAN), None);
        play(&mut floor, 5_000..7_000, |_| vec![ANN, BOB, DAN]);
        assert_eq!(floor.precedence(CLEO), None);
        assert!(floor.precedence(DAN).is_some());
    }
}
