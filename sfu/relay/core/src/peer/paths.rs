//! Which address a peer is at (DESIGN 2.4), as a pure state machine: it is told what happened and
//! decides who is questioned, who is believed, and how much may be sent where.
//!
//! Laws:
//! 1. Valid STUN proves the password, not the address. It earns a *tentative* path, nothing more.
//! 2. A tentative path gets at most three times the bytes that came from it.
//! 3. DTLS binds the path it completes on. A DTLS flight can be sent from a forged address by a peer
//!    that is itself the attacker, so law 2 goes on until the path is *proven*: it answered a Binding
//!    request of ours with a random transaction id. That question is asked while the handshake runs.
//! 4. Media moves only to a proven path, and only where the peer nominates it or falls silent elsewhere.
//! 5. A bound or proven address is not given to another peer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::limits::Defences;
use crate::stun::TransactionId;
use crate::units::Time;

/// A way to a remote: the address of ours that it hit, and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Our address; answers leave from it.
    pub local: IpAddr,
    /// Theirs.
    pub remote: SocketAddr,
}

/// Candidates of one client that are alive at once: a handful of interfaces and relays.
pub const MAX_PATHS: usize = 8;
/// RFC 7675 section 5.1.
pub const CONSENT_EXPIRY: Duration = Duration::from_secs(30);
/// An agent checks every 2.5 s or so (RFC 7675 4 to 6 s); twice missed is silent.
const SILENT_AFTER: Duration = Duration::from_secs(12);
/// The factor of RFC 9000 section 8.1, for the same reason.
const AMPLIFICATION: u64 = 3;
/// RFC 8489 section 6.2.1: Rc.
const MAX_TRIES: u8 = 7;
/// First retransmission of a question; doubles up to `MAX_RETRY`.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const MAX_RETRY: Duration = Duration::from_secs(2);
/// After an unanswered question the path is left alone for so long.
const REST: Duration = Duration::from_secs(10);
/// At most one new question per peer in this time (RFC 8445 section 14.2, Ta).
const QUESTION_INTERVAL: Duration = Duration::from_millis(50);
/// Nominations move media at most this often, so that two paths cannot make it flap.
const MIGRATION_INTERVAL: Duration = Duration::from_secs(1);

/// A path's place; stays the same while the path is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(usize);

#[derive(Clone, Debug)]
#[repr(C)]
struct Slot {
    path: Path,
    proven: bool,
    nominated: bool,
    /// Bytes; both count from when the path was last unproven.
    received: u64,
    sent: u64,
    heard: Time,
    question: Option<Question>,
    rests_until: Time,
}

#[derive(Clone, Debug)]
struct Question {
    transaction: TransactionId,
    tries: u8,
    again_at: Time,
    first: Time,
}

impl Slot {
    /// It has to be questioned anew should media ever go there, and earns its allowance anew.
    fn unprove(&mut self) {
        self.proven = false;
        self.nominated = false;
        self.received = 0;
        self.sent = 0;
    }
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The path is proven; media stays where it is.
    Proven,
    /// Media goes there from now on.
    Migrated,
}

/// The paths of one peer.
#[repr(C)]
pub struct Paths {
    /// Where media goes.
    bound: Option<SlotId>,
    slots: [Option<Slot>; MAX_PATHS],
    /// Where DTLS last came from, before anything is bound.
    dtls: Option<SlotId>,
    keyed: bool,
    /// The bound path is so by the control plane's word, and needs no consent.
    pinned: bool,
    last_question: Option<Time>,
    last_migration: Option<Time>,
    defences: Defences,
}

impl Paths {
    /// Knows no path.
    pub fn new(defences: Defences) -> Self {
        Paths {
            slots: [const { None }; MAX_PATHS],
            bound: None,
            dtls: None,
            keyed: false,
            pinned: false,
            last_question: None,
            last_migration: None,
            defences,
        }
    }

    /// The peer is there and nowhere else: the other end of a pipe, by the control plane's word.
    pub fn pin(&mut self, now: Time, path: Path) {
        let (id, _) = self.insert(now, path);
        if let Some(slot) = self.slot_mut(id) {
            slot.proven = true;
        }
        (self.bound, self.keyed, self.pinned) = (Some(id), true, true);
    }

    /// Whether it is so by the control plane's word.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// The slot of a known path.
    pub fn find(&self, path: Path) -> Option<SlotId> {
        if let Some(bound) = self.bound
            && self.slot(bound).is_some_and(|slot| slot.path == path)
        {
            return Some(bound);
        }
        let mut slots = self.slots.iter();
        slots
            .position(|slot| slot.as_ref().is_some_and(|slot| slot.path == path))
            .map(SlotId)
    }

    /// The path in a slot.
    pub fn path(&self, id: SlotId) -> Option<Path> {
        self.slot(id).map(|slot| slot.path)
    }

    /// A request with valid integrity came. Returns the path's slot, and the address that had to
    /// make room for it, if that is now unknown.
    pub fn on_request(
        &mut self,
        now: Time,
        path: Path,
        bytes: usize,
        nominated: bool,
    ) -> (SlotId, Option<SocketAddr>) {
        let (id, evicted) = match self.find(path) {
            Some(id) => (id, None),
            None => self.insert(now, path),
        };
        if let Some(slot) = self.slot_mut(id) {
            slot.heard = now;
            slot.nominated = nominated;
            slot.received += bytes as u64;
        }
        if !self.defences.questions_addresses() && self.wants_to_move(now, id) {
            self.prove(now, id);
        }
        (id, evicted)
    }

    /// Anything else came from a known path.
    pub fn on_bytes(&mut self, id: SlotId, bytes: usize) {
        if let Some(slot) = self.slot_mut(id) {
            slot.received += bytes as u64;
        }
    }

    /// DTLS came from a known path; until keys are installed, answers go there.
    pub fn on_dtls(&mut self, id: SlotId) {
        if self.bound.is_none() {
            self.dtls = Some(id);
            if self.keyed {
                self.bound = Some(id);
            }
        }
    }

    /// DTLS completed: binds the path it last came from. Without a way to question it
    /// (`can_question` false: the peer's credentials are unknown) that has to be proof enough.
    pub fn on_keys(&mut self, can_question: bool) {
        self.keyed = true;
        self.bound = self.dtls;
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if let Some(slot) = slot.as_mut().filter(|_| self.bound != Some(SlotId(place))) {
                slot.unprove();
            }
        }
        if let Some(slot) = self.bound.and_then(|id| self.slot_mut(id))
            && !can_question
        {
            slot.proven = true;
        }
    }

    /// Where media and, once bound, DTLS go.
    pub fn bound(&self) -> Option<SlotId> {
        self.bound
    }

    /// Where DTLS goes.
    pub fn dtls(&self) -> Option<SlotId> {
        self.bound.or(self.dtls)
    }

    /// Whether so many bytes may go there now; counts them where there is a bound.
    pub fn allow(&mut self, id: SlotId, bytes: usize) -> bool {
        let Some(slot) = self.slots.get_mut(id.0).and_then(Option::as_mut) else {
            return false;
        };
        if slot.proven || !self.defences.bounds_reflection() {
            return true;
        }
        let sent = slot.sent + bytes as u64;
        let allowed = sent <= slot.received * AMPLIFICATION;
        if allowed {
            slot.sent = sent;
        }
        allowed
    }

    /// A path that is to be asked, first or again, now.
    pub fn poll_question(&mut self, now: Time) -> Option<SlotId> {
        (0..MAX_PATHS)
            .map(SlotId)
            .find(|id| self.is_question_due(now, *id))
    }

    /// Notes that a question was put; `fresh` is its transaction id unless the one under way is
    /// repeated. Returns the id to send.
    pub fn ask(&mut self, now: Time, id: SlotId, fresh: TransactionId) -> Option<TransactionId> {
        let slot = self.slots.get_mut(id.0)?.as_mut()?;
        let question = slot.question.get_or_insert(Question {
            transaction: fresh,
            tries: 0,
            again_at: now,
            first: now,
        });
        let doubled = FIRST_RETRY * (1 << question.tries.min(6));
        question.tries += 1;
        question.again_at = now + doubled.min(MAX_RETRY);
        let transaction = question.transaction;
        if question.tries == MAX_TRIES {
            slot.rests_until = question.again_at + REST;
        }
        if question.tries == 1 {
            self.last_question = Some(now);
        }
        Some(transaction)
    }

    /// Drops questions that stayed unanswered, so that their paths may be asked again after a rest.
    pub fn retire_questions(&mut self, now: Time) {
        for slot in self.slots.iter_mut().flatten() {
            let over = |q: &Question| q.tries >= MAX_TRIES && now >= q.again_at;
            if slot.question.as_ref().is_some_and(over) {
                slot.question = None;
            }
        }
    }

    /// Whether a question was put and is not answered.
    pub fn is_asking(&self) -> bool {
        let mut slots = self.slots.iter().flatten();
        slots.any(|slot| slot.question.is_some())
    }

    /// Whether this is the answer to a question put to that very path.
    pub fn is_answer(&self, path: Path, transaction: TransactionId) -> Option<SlotId> {
        let id = self.find(path)?;
        let question = self.slot(id)?.question.as_ref()?;
        (question.transaction == transaction).then_some(id)
    }

    /// When the question under way was put, if it was put once only.
    pub fn asked_once(&self, id: SlotId) -> Option<Time> {
        let question = self.slot(id)?.question.as_ref()?;
        (question.tries == 1).then_some(question.first)
    }

    /// The answer's integrity was right.
    pub fn on_answer(&mut self, now: Time, id: SlotId) -> Proof {
        let moves = self.wants_to_move(now, id);
        if let Some(slot) = self.slot_mut(id) {
            slot.question = None;
            slot.proven = true;
        }
        if !moves {
            return Proof::Proven;
        }
        self.prove(now, id);
        Proof::Migrated
    }

    /// Whether the address is bound or proven here, so that no other peer may have it.
    pub fn holds(&self, remote: SocketAddr) -> bool {
        self.slots.iter().enumerate().any(|(place, slot)| {
            slot.as_ref().is_some_and(|slot| {
                slot.path.remote == remote && (slot.proven || self.bound == Some(SlotId(place)))
            })
        })
    }

    /// Whether any path has this address.
    pub fn knows(&self, remote: SocketAddr) -> bool {
        self.slots
            .iter()
            .flatten()
            .any(|slot| slot.path.remote == remote)
    }

    /// Gives an address up.
    pub fn forget(&mut self, remote: SocketAddr) {
        for place in 0..MAX_PATHS {
            if self.slots[place]
                .as_ref()
                .is_some_and(|slot| slot.path.remote == remote)
            {
                self.clear(SlotId(place));
            }
        }
    }

    /// One path that nobody has been heard on for as long as consent lasts, given up; the bound one
    /// is not among them. Call until `None`.
    pub fn expire(&mut self, now: Time) -> Option<SocketAddr> {
        let place = (0..MAX_PATHS).find(|place| {
            self.bound != Some(SlotId(*place))
                && self.slots[*place]
                    .as_ref()
                    .is_some_and(|slot| now.since(slot.heard) >= CONSENT_EXPIRY)
        })?;
        self.clear(SlotId(place)).map(|slot| slot.path.remote)
    }

    /// Whether consent for the bound path ran out (RFC 7675).
    pub fn consent_expired(&self, now: Time) -> bool {
        let bound = self.bound.and_then(|id| self.slot(id));
        !self.pinned && bound.is_some_and(|slot| now.since(slot.heard) >= CONSENT_EXPIRY)
    }

    /// Whether nothing valid has come over the bound path for so long that two checks in a row are missing.
    pub fn is_silent(&self, now: Time) -> bool {
        let bound = self.bound.and_then(|id| self.slot(id));
        !self.pinned && bound.is_some_and(|slot| now.since(slot.heard) >= SILENT_AFTER)
    }

    /// Every address known.
    pub fn remotes(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.slots.iter().flatten().map(|slot| slot.path.remote)
    }

    fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(id.0).and_then(Option::as_ref)
    }

    fn slot_mut(&mut self, id: SlotId) -> Option<&mut Slot> {
        self.slots.get_mut(id.0).and_then(Option::as_mut)
    }

    fn insert(&mut self, now: Time, path: Path) -> (SlotId, Option<SocketAddr>) {
        let free = self.slots.iter().position(Option::is_none).map(SlotId);
        let id = free.unwrap_or_else(|| self.least_recent());
        let evicted = self.clear(id).map(|slot| slot.path.remote);
        self.slots[id.0] = Some(Slot {
            path,
            received: 0,
            sent: 0,
            heard: now,
            nominated: false,
            proven: false,
            question: None,
            rests_until: Time::ZERO,
        });
        (id, evicted.filter(|remote| !self.knows(*remote)))
    }

    /// The least recently heard path that neither media nor DTLS uses.
    fn least_recent(&self) -> SlotId {
        let candidates = (0..MAX_PATHS).map(SlotId);
        candidates
            .filter(|id| self.bound != Some(*id) && self.dtls != Some(*id))
            .min_by_key(|id| self.slot(*id).map(|slot| slot.heard))
            .unwrap_or(SlotId(0))
    }

    fn clear(&mut self, id: SlotId) -> Option<Slot> {
        if self.bound == Some(id) {
            self.bound = None;
        }
        if self.dtls == Some(id) {
            self.dtls = None;
        }
        self.slots.get_mut(id.0).and_then(Option::take)
    }

    fn is_question_due(&self, now: Time, id: SlotId) -> bool {
        let Some(slot) = self.slot(id) else {
            return false;
        };
        if slot.proven || now < slot.rests_until && slot.question.is_none() {
            return false;
        }
        if let Some(question) = &slot.question {
            return question.tries < MAX_TRIES && now >= question.again_at;
        }
        let in_use = self.dtls() == Some(id);
        let lately = self
            .last_question
            .is_some_and(|last| now < last + QUESTION_INTERVAL);
        !lately && (in_use || self.wants_to_move(now, id))
    }

    /// Whether media would move to this path, were it proven.
    fn wants_to_move(&self, now: Time, id: SlotId) -> bool {
        let (Some(bound), Some(slot)) = (self.bound, self.slot(id)) else {
            return false;
        };
        if bound == id {
            return false;
        }
        let silent = self
            .slot(bound)
            .is_none_or(|slot| now.since(slot.heard) >= SILENT_AFTER);
        let settled = self
            .last_migration
            .is_none_or(|last| now >= last + MIGRATION_INTERVAL);
        silent || (slot.nominated && settled)
    }

    fn prove(&mut self, now: Time, id: SlotId) {
        if let Some(old) = self.bound.and_then(|old| self.slot_mut(old)) {
            old.unprove();
        }
        if let Some(slot) = self.slot_mut(id) {
            slot.proven = true;
        }
        self.bound = Some(id);
        self.last_migration = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn path(port: u16) -> Path {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Path {
            local: ip,
            remote: SocketAddr::new(ip, port),
        }
    }

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    const ASKED: TransactionId = TransactionId([7; 12]);

    fn bound_and_proven() -> (Paths, SlotId) {
        let mut paths = Paths::new(Defences::default());
        let (id, _) = paths.on_request(at(0), path(1), 100, true);
        paths.on_dtls(id);
        assert_eq!(paths.poll_question(at(0)), Some(id));
        paths.ask(at(0), id, ASKED);
        paths.on_keys(true);
        assert_eq!(paths.on_answer(at(1), id), Proof::Proven);
        (paths, id)
    }

    #[test]
    fn an_unproven_path_gets_three_times_what_it_sent_and_not_a_byte_more() {
        let mut paths = Paths::new(Defences::default());
        let (id, _) = paths.on_request(at(0), path(1), 100, false);
        assert!(paths.allow(id, 250));
        assert!(!paths.allow(id, 51));
        assert!(paths.allow(id, 50));
        paths.on_bytes(id, 10);
        assert!(paths.allow(id, 30) && !paths.allow(id, 1));
    }

    #[test]
    fn the_path_dtls_completed_on_is_still_bounded_until_it_answers() {
        let mut paths = Paths::new(Defences::default());
        let (id, _) = paths.on_request(at(0), path(1), 100, true);
        paths.on_dtls(id);
        paths.on_keys(true);
        assert_eq!(paths.bound(), Some(id));
        assert!(!paths.allow(id, 301));
        paths.ask(at(0), id, ASKED);
        paths.on_answer(at(1), id);
        assert!(paths.allow(id, 1_000_000));
    }

    #[test]
    fn without_credentials_to_question_it_with_the_first_address_counts() {
        let mut paths = Paths::new(Defences::default());
        let (id, _) = paths.on_request(at(0), path(1), 100, true);
        paths.on_dtls(id);
        paths.on_keys(false);
        assert!(paths.allow(id, 1_000_000));
    }

    #[test]
    fn a_nominated_path_gets_media_only_after_its_answer() {
        let (mut paths, first) = bound_and_proven();
        let (second, _) = paths.on_request(at(2_000), path(2), 100, true);
        assert_eq!(paths.bound(), Some(first));
        assert_eq!(paths.poll_question(at(2_000)), Some(second));
        let other = TransactionId([9; 12]);
        paths.ask(at(2_000), second, other);
        assert_eq!(paths.is_answer(path(2), ASKED), None);
        assert_eq!(paths.is_answer(path(1), other), None);
        assert_eq!(paths.is_answer(path(2), other), Some(second));
        assert_eq!(paths.on_answer(at(2_001), second), Proof::Migrated);
        assert_eq!(paths.bound(), Some(second));
        assert!(
            !paths.holds(path(1).remote),
            "the old address is tentative again"
        );
    }

    #[test]
    fn a_path_that_is_not_nominated_is_questioned_only_once_the_bound_one_is_silent() {
        let (mut paths, _) = bound_and_proven();
        let (second, _) = paths.on_request(at(2_000), path(2), 100, false);
        assert_eq!(paths.poll_question(at(2_000)), None);
        assert_eq!(paths.poll_question(at(13_000)), Some(second));
    }

    #[test]
    fn questions_are_repeated_a_bounded_number_of_times_and_then_rest() {
        let (mut paths, _) = bound_and_proven();
        let (second, _) = paths.on_request(at(2_000), path(2), 100, true);
        let mut asked = 0;
        for millis in 2_000..20_000 {
            paths.retire_questions(at(millis));
            if paths.poll_question(at(millis)).is_some() {
                paths.ask(at(millis), second, ASKED);
                asked += 1;
            }
        }
        assert_eq!(asked, MAX_TRIES);
    }

    #[test]
    fn many_forged_paths_never_push_out_the_one_in_use() {
        let (mut paths, first) = bound_and_proven();
        for port in 10..60 {
            paths.on_request(at(1_000 + u64::from(port)), path(port), 100, false);
        }
        assert_eq!(paths.find(path(1)), Some(first));
        assert_eq!(paths.remotes().count(), MAX_PATHS);
    }

    #[test]
    fn consent_runs_out_when_the_bound_path_alone_is_silent() {
        let (mut paths, _) = bound_and_proven();
        paths.on_request(at(29_000), path(2), 100, false);
        assert!(!paths.consent_expired(at(29_999)));
        assert!(paths.consent_expired(at(30_000)));
    }
}
