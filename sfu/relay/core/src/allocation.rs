//! Who gets what of a subscriber's link: pure arithmetic with a memory of what it decided before.
//!
//! Sound is never withheld; its rate is taken off first, whatever remains. Pictures are then raised step by step in one
//! fixed order, and each step that fits is taken:
//! 1. the lowest step of screen shares, then that of who speaks;
//! 2. all other steps of screen shares;
//! 3. the lowest step of the rest;
//! 4. the other steps of who speaks, then of the rest, one step of each at a time.
//!
//! So everybody is seen before anybody is seen well, except that a screen goes before the faces of those who are silent:
//! text that cannot be read is worth nothing, while a small face missing costs little. A step that does not fit is passed
//! over, and a smaller one further on may still fit, so that no room is left unused.
//!
//! Down is at once, since a queue grows meanwhile. Up wants a margin, and time where it went wrong before: much time where
//! it needs nearly all there is. A picture that never fell is raised without waiting: at the start of a call nothing is
//! known that speaks against it. Only its lowest step, which goes before better ones of others, waits where it would take
//! such a one with hardly room for itself: a lucky moment of the estimate is worth nobody's picture.
//!
//! A wish is never withdrawn here. What is granted is a limit beside the wish: layers that nobody sends, because nobody
//! asked for them, come live by the wishes alone, and are steps from then on.
use std::time::Duration;

use crate::units::{Bitrate, DowntrackId, LayerId, Time};

/// Room to spare above what a raise needs. The estimator's own unrest and a picture's are of this size, and a margin
/// beyond it would keep a picture from a link that carries it.
pub const MARGIN: f64 = 0.10;

/// How long a raise must have fitted, margin included, after the picture fell: longer than the estimator needs to see
/// whether more goes through. Doubled each time that it falls again soon after.
pub const HOLD: Duration = Duration::from_secs(2);
/// A picture that is not seen at all waits for so much less: a frozen face is worse than one that comes and goes.
const LOWEST_SOONER: u32 = 2;
/// The longest such time. A link that became better is used within a quarter of a minute.
pub const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// What needs the second margin too waits so many times as long after it went wrong: the link, not the estimate, may be
/// what is short, and each trial costs those who watch a second. A link that became better is sure again.
const UNSURE_WAITS: u32 = 6;
/// A raise that lasted so long was right.
pub const PROVEN_AFTER: Duration = Duration::from_secs(20);

/// What a picture shows; the first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What somebody shows to all.
    Screen,
    /// Who speaks, or what the subscriber looks at.
    Speaker,
    /// The rest.
    Other,
}

/// One way to send a picture: up to this layer, and up to this temporal layer of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The simulcast or spatial layer.
    pub layer: LayerId,
    /// The highest temporal layer; `None` for all there are.
    pub temporal: Option<u8>,
    /// What it takes, measured. A layer that has not run for long enough to be measured is no step yet, save where it is
    /// the lowest and something must be shown.
    pub rate: Bitrate,
}

/// One picture that the subscriber wants.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Which stream.
    pub downtrack: DowntrackId,
    /// What it shows.
    pub class: Class,
    /// Within its class the heavier goes first, by what the client says of size or priority; of equals the older stream.
    pub weight: u32,
    /// What is live, from the least to the best; where a better one takes less than a lesser one, it counts as much.
    /// Fewer pictures a second are worth it only to keep a picture at all, or a screen readable: of a camera list
    /// temporal steps of the lowest layer, of a screen of the highest.
    pub steps: &'a [Step],
    /// The highest layer wanted; `None` for the best. Where all are above it, the lowest is wanted.
    pub wish: Option<LayerId>,
}

/// What one picture is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which.
    pub downtrack: DowntrackId,
    /// How it is to be sent; `None` withholds it, for want of room, or of anything live.
    pub step: Option<Step>,
    /// Something live and wanted is not sent at all for want of room; what a client is told as a paused stream.
    pub withheld: bool,
    /// More is live and wanted than is given.
    pub limited: bool,
}

/// What came of one division.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Division {
    /// In the order of the pictures.
    pub grants: Vec<Grant>,
    /// What all that is granted takes, sound included.
    pub used: Bitrate,
    /// What an estimate would have to be for every wish to be granted, margin included: for the estimator to look for.
    pub wanted: Bitrate,
}

/// Divides one subscriber's link, again and again.
#[derive(Default)]
pub struct Allocator {
    held: Vec<Held>,
    /// Storage, kept between calls.
    raises: Vec<(usize, usize)>,
}

/// What goes first, by class and weight; less is more.
type Precedence = (Class, u32);

/// What is remembered of one picture.
#[derive(Clone, Copy)]
struct Held {
    downtrack: DowntrackId,
    /// What it was given last.
    given: Option<(LayerId, Option<u8>)>,
    raised: Time,
    /// What it was when it was raised.
    raised_as: Precedence,
    /// It fell before; raises have to wait so long.
    hold: Option<Duration>,
    /// Since when the next raise has fitted.
    fits_since: Option<Time>,
}

/// A picture under way.
struct Share<'a> {
    /// Steps within the wish.
    steps: &'a [Step],
    /// How many of them it has now, and had before.
    taken: usize,
    before: usize,
    precedence: Precedence,
    held: Held,
    /// The next raise fits, but has to wait.
    waits: bool,
}

impl Allocator {
    /// Nothing is granted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Divides what the estimate leaves beside sound. Call whenever the estimate fell, and several times a second, since
    /// raises wait for time to pass. A picture that is left out is forgotten.
    pub fn divide_into(
        &mut self,
        now: Time,
        estimate: Bitrate,
        sound: Bitrate,
        pictures: &[Picture<'_>],
        division: &mut Division,
    ) {
        let mut shares: Vec<Share<'_>> = pictures
            .iter()
            .map(|picture| self.share(now, picture))
            .collect();
        let mut ledger = Ledger {
            room: estimate,
            roomy: estimate.scaled(1.0 / (1.0 + MARGIN)),
            sure: estimate.scaled(1.0 / ((1.0 + MARGIN) * (1.0 + MARGIN))),
            used: sound,
            reserved: sound,
            claimed: shares
                .iter()
                .map(|share| share.needs(share.before))
                .fold(sound, Bitrate::plus),
        };
        order_raises(pictures, &shares, &mut self.raises);
        for &(place, step) in &self.raises {
            shares[place].raise(now, step, &mut ledger);
        }
        let wanted = shares.iter().map(|share| share.needs(share.steps.len()));
        let wanted = wanted.fold(sound, Bitrate::plus).scaled(1.0 + MARGIN);
        let raises = shares.iter().any(|share| share.taken > share.before);
        self.held.clear();
        self.held
            .extend(shares.iter_mut().map(|share| share.settle(now, raises)));
        let grants = pictures.iter().zip(&shares);
        division.grants.clear();
        division
            .grants
            .extend(grants.map(|(picture, share)| share.grant(picture.downtrack)));
        (division.used, division.wanted) = (ledger.used, wanted);
    }

    fn share<'a>(&self, now: Time, picture: &Picture<'a>) -> Share<'a> {
        let known = |held: &&Held| held.downtrack == picture.downtrack;
        let held = self.held.iter().find(known).copied().unwrap_or(Held {
            downtrack: picture.downtrack,
            given: None,
            raised: now,
            raised_as: precedence(picture),
            hold: None,
            fits_since: None,
        });
        let steps = within(picture.steps, picture.wish);
        let had = |step: &&Step| {
            held.given
                .is_some_and(|given| order(step) <= order_of(given))
        };
        Share {
            steps,
            taken: 0,
            before: steps.iter().filter(had).count(),
            precedence: precedence(picture),
            held,
            waits: false,
        }
    }
}

/// What is left.
struct Ledger {
    room: Bitrate,
    /// Room with a margin.
    roomy: Bitrate,
    /// Room with two of them.
    sure: Bitrate,
    used: Bitrate,
    /// Used, or to be used soon by raises that wait: what comes after them does not take it away.
    reserved: Bitrate,
    /// What all have had so far, and all raises: a raise beyond the room takes from another.
    claimed: Bitrate,
}

impl Share<'_> {
    /// What so many steps take: as much as the dearest of them.
    fn needs(&self, steps: usize) -> Bitrate {
        let taken = self.steps.iter().take(steps);
        taken.map(|step| step.rate).max().unwrap_or_default()
    }

    fn raise(&mut self, now: Time, step: usize, ledger: &mut Ledger) {
        if self.taken != step {
            return; // a lower one did not fit
        }
        let more = self.needs(step + 1).less(self.needs(step));
        let used = ledger.used.plus(more);
        let reserved = ledger.reserved.plus(more);
        if step < self.before {
            if used <= ledger.room {
                self.taken += 1;
                ledger.used = used;
                ledger.reserved = reserved;
            }
            return;
        }
        let claimed = ledger.claimed.plus(more);
        let is_first = step == 0 && self.held.hold.is_none();
        if is_first && used <= ledger.room && claimed <= ledger.room {
            self.taken += 1;
            (ledger.used, ledger.reserved, ledger.claimed) = (used, reserved, claimed);
            return;
        }
        if reserved > ledger.roomy {
            return;
        }
        self.waits = true;
        let since = *self.held.fits_since.get_or_insert(now);
        ledger.reserved = reserved;
        let sooner = if step == 0 { LOWEST_SOONER } else { 1 };
        let is_sure = reserved <= ledger.sure;
        let hold = match self.held.hold {
            Some(hold) if hold > HOLD && !is_sure => hold * UNSURE_WAITS,
            Some(hold) => hold,
            None if step == 0 && claimed > ledger.room && !is_sure => HOLD,
            None => Duration::ZERO,
        } / sooner;
        if now.since(since) >= hold && used <= ledger.room {
            self.taken += 1;
            self.waits = false;
            self.held.fits_since = None;
            (ledger.used, ledger.claimed) = (used, claimed);
        }
    }

    /// What is remembered of the outcome. `raises`: another picture is given more.
    fn settle(&mut self, now: Time, raises: bool) -> Held {
        let held = &mut self.held;
        if !self.waits {
            held.fits_since = None;
        }
        if self.taken > self.before {
            held.raised = now;
            held.raised_as = self.precedence;
        }
        // What goes before it now took its place: that tells nothing against the estimate.
        let makes_room = raises && self.precedence > held.raised_as;
        if self.taken < self.before && !makes_room {
            let too_soon = now.since(held.raised) < PROVEN_AFTER;
            held.hold = Some(match held.hold {
                Some(hold) if too_soon => (hold * 2).min(LONGEST_HOLD),
                _ => HOLD,
            });
        }
        let top = self
            .taken
            .checked_sub(1)
            .and_then(|top| self.steps.get(top));
        // What lies dead for the moment is not fallen from: it is given again when it lives.
        if self.taken != self.before || held.given.is_none() {
            held.given = top.map(|step| (step.layer, step.temporal));
        }
        *held
    }

    fn grant(&self, downtrack: DowntrackId) -> Grant {
        let top = self
            .taken
            .checked_sub(1)
            .and_then(|top| self.steps.get(top));
        Grant {
            downtrack,
            step: top.copied(),
            withheld: top.is_none() && !self.steps.is_empty(),
            limited: self.taken < self.steps.len(),
        }
    }
}

/// The steps that the wish allows.
fn within(steps: &[Step], wish: Option<LayerId>) -> &[Step] {
    let Some(limit) = wish else {
        return steps;
    };
    let count = steps.iter().take_while(|step| step.layer <= limit).count();
    let lowest = steps.first().map(|first| first.layer);
    match count {
        // All layers are above: the lowest of them, whole.
        0 => {
            let of_lowest = |step: &&Step| Some(step.layer) == lowest;
            &steps[..steps.iter().take_while(of_lowest).count()]
        }
        _ => &steps[..count],
    }
}

fn precedence(picture: &Picture<'_>) -> Precedence {
    (picture.class, u32::MAX - picture.weight)
}

fn order(step: &Step) -> (LayerId, u8) {
    order_of((step.layer, step.temporal))
}

fn order_of((layer, temporal): (LayerId, Option<u8>)) -> (LayerId, u8) {
    (layer, temporal.unwrap_or(u8::MAX))
}

/// Every step of every picture, in the order in which they are raised: (place of the picture, step).
fn order_raises(pictures: &[Picture<'_>], shares: &[Share<'_>], raises: &mut Vec<(usize, usize)>) {
    raises.clear();
    for (place, share) in shares.iter().enumerate() {
        raises.extend((0..share.steps.len()).map(|step| (place, step)));
    }
    raises.sort_unstable_by_key(|&(place, step)| {
        let picture = &pictures[place];
        let round = match (picture.class, step) {
            (Class::Screen, 0) => 0,
            (Class::Speaker, 0) => 1,
            (Class::Screen, _) => 2,
            (Class::Other, 0) => 3,
            (Class::Speaker, _) => 4,
            (Class::Other, _) => 5,
        };
        (round, step, u32::MAX - picture.weight, picture.downtrack)
    });
}

#[cfg(test)]
mod tests;
