//! What waits for a narrow link, and how it leaves.

use crate::downtrack::Stamp;
use crate::pacer::{Class, STEP};
use crate::peer::PeerKey;
use crate::peer::paths::{Path, SlotId};
use crate::relay::Relay;
use crate::router::{Arrived, Queued, SinkKey, TrackKey};
use crate::units::{LayerId, MediaKind};

impl Relay {
    /// Where the allowance is used up: pictures wait, sound and what is skipped anyhow does not.
    pub(super) fn pass_or_hold(
        &mut self,
        key: PeerKey,
        to: (SlotId, Path),
        sink: SinkKey,
        arrived: &Arrived,
    ) {
        let downtrack = &self.router.sinks[sink].downtrack;
        let skipped = downtrack.is_withheld() || !downtrack.may_take(arrived.layer);
        if skipped || downtrack.kind() == MediaKind::Audio {
            self.pass(key, to, sink, arrived);
            return;
        }
        let queued = Queued::Fresh {
            sink,
            arrived: arrived.clone(),
        };
        let peer = &mut self.peers[key];
        match peer.pacer.hold(self.now, Class::Media, queued) {
            Ok(()) => {
                self.counters.rtp_paced += 1;
                self.counters.rtp_waiting_now += 1;
                self.await_step(key);
            }
            Err(_) => {
                self.counters.rtp_skip_overdue += 1;
                self.give_up(key, sink);
            }
        }
    }

    /// A packet to be sent again waits its turn; whether it may.
    pub(super) fn hold_repair(&mut self, key: PeerKey, sink: SinkKey, stamp: Stamp) -> bool {
        let queued = Queued::Again { sink, stamp };
        let held = self.peers[key].pacer.hold(self.now, Class::Repair, queued);
        if held.is_ok() {
            self.counters.nack_waiting_now += 1;
            self.await_step(key);
        }
        held.is_ok()
    }

    fn await_step(&mut self, key: PeerKey) {
        if self.peers[key].pacer.len() == 1 && !self.paced.contains(&key) {
            self.paced.push(key);
        }
        let due = self.now + STEP;
        self.next_step = Some(self.next_step.map_or(due, |next| next.min(due)));
    }

    /// Lets go what may leave by now, of every subscriber that something waits for.
    pub(super) fn step_pacers(&mut self) {
        let mut paced = std::mem::take(&mut self.paced);
        paced.retain(|key| {
            self.step_pacer(*key);
            let peer = self.peers.get(*key);
            peer.is_some_and(|peer| !peer.pacer.is_empty())
        });
        self.paced = paced;
        self.next_step = (!self.paced.is_empty()).then_some(self.now + STEP);
        self.end_batch();
    }

    fn step_pacer(&mut self, key: PeerKey) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        if peer.pacer.is_empty() {
            return;
        }
        let to = match peer.destination(now) {
            Ok(to) => to,
            Err(held) => {
                let waiting: Vec<SinkKey> = sinks_of(peer.pacer.waiting(Class::Media));
                for sink in waiting {
                    self.router.sinks[sink].downtrack.interrupt();
                }
                let peer = &mut self.peers[key];
                let dropped = peer.pacer.retain(Class::Media, |_| false) as u64;
                let missed = peer.pacer.retain(Class::Repair, |_| false) as u64;
                self.counters.count_held(held, dropped);
                self.counters.rtp_waiting_now -= dropped;
                self.repairs_missed(missed);
                return;
            }
        };
        peer.pacer.refill(now);
        let missed = peer.pacer.forget_old_repairs(now) as u64;
        self.repairs_missed(missed);
        while let Some(oldest) = self.peers[key].pacer.overdue(now) {
            let sink = oldest.sink();
            self.give_up(key, sink);
        }
        while let Some(queued) = self.peers[key].pacer.next_due() {
            self.release(key, to, queued);
        }
    }

    /// Sends what waited.
    pub(super) fn release(&mut self, key: PeerKey, to: (SlotId, Path), queued: Queued) {
        match queued {
            Queued::Fresh { sink, arrived } => {
                self.counters.rtp_waiting_now -= 1;
                self.pass(key, to, sink, &arrived);
            }
            Queued::Again { sink, stamp } => {
                self.counters.nack_waiting_now -= 1;
                if !self.send_again(key, to, sink, &stamp) {
                    self.counters.nack_missed += 1;
                }
            }
        }
    }

    /// Drops what waits for a downtrack up to the last key frame behind the oldest, or all of it: its picture goes on
    /// there, or at the next one that comes. What is dropped had no number yet, so nobody asks for it.
    fn give_up(&mut self, key: PeerKey, sink: SinkKey) {
        let pacer = &mut self.peers[key].pacer;
        let begins = |queued: &Queued| match queued {
            Queued::Fresh { arrived, .. } => arrived.key_frame,
            Queued::Again { .. } => false,
        };
        let mine = pacer.waiting(Class::Media);
        let mine = mine.filter(|queued| queued.sink() == sink);
        let from = mine
            .enumerate()
            .filter(|(place, queued)| *place > 0 && begins(queued))
            .last()
            .map_or(usize::MAX, |(place, _)| place);
        let mut place = 0;
        let dropped = pacer.retain(Class::Media, |queued| {
            if queued.sink() != sink {
                return true;
            }
            place += 1;
            place > from
        }) as u64;
        self.counters.rtp_skip_overdue += dropped;
        self.counters.rtp_waiting_now -= dropped;
        self.router.sinks[sink].downtrack.interrupt();
        self.request_key_frame(sink);
        let track = self.router.sinks[sink].track;
        self.router.mark(track);
    }

    /// Drops all that waits for a downtrack and begins anew at the next key frame it may take.
    pub(super) fn drop_waiting(&mut self, key: PeerKey, sink: SinkKey) {
        let pacer = &mut self.peers[key].pacer;
        let dropped = pacer.retain(Class::Media, |queued| queued.sink() != sink) as u64;
        self.counters.rtp_skip_overdue += dropped;
        self.counters.rtp_waiting_now -= dropped;
        self.router.sinks[sink].downtrack.interrupt();
    }

    /// Nothing of a track waits any longer.
    pub(super) fn abandon_track(&mut self, track: TrackKey) {
        for sink in 0..self.router.tracks[track].sinks.len() {
            self.abandon(self.router.tracks[track].sinks[sink], None);
        }
    }

    /// Nothing of a downtrack, or of one layer of it, waits any longer: it ends, or the layer's indexes come to mean
    /// other packets.
    pub(super) fn abandon(&mut self, sink: SinkKey, layer: Option<LayerId>) {
        let Some(peer) = self.peers.get_mut(self.router.sinks[sink].peer) else {
            return;
        };
        if peer.pacer.is_empty() {
            return;
        }
        let of_layer = |held: LayerId| layer.is_none_or(|layer| layer == held);
        let keep = |queued: &Queued| match queued {
            Queued::Fresh { sink: of, arrived } => *of != sink || !of_layer(arrived.layer),
            Queued::Again { sink: of, stamp } => *of != sink || !of_layer(stamp.layer),
        };
        let dropped = peer.pacer.retain(Class::Media, keep) as u64;
        let missed = peer.pacer.retain(Class::Repair, keep) as u64;
        self.counters.rtp_skip_abandoned += dropped;
        self.counters.rtp_waiting_now -= dropped;
        self.repairs_missed(missed);
    }

    fn repairs_missed(&mut self, missed: u64) {
        self.counters.nack_waiting_now -= missed;
        self.counters.nack_missed += missed;
    }
}

fn sinks_of<'a>(waiting: impl Iterator<Item = &'a Queued>) -> Vec<SinkKey> {
    let mut sinks: Vec<SinkKey> = waiting.map(Queued::sink).collect();
    sinks.sort_unstable();
    sinks.dedup();
    sinks
}
