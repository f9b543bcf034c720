//! Who speaks is seen well where there is no room for everybody to be.
mod support;

use std::time::Duration;

use conclave_relay_core::Limits;
use conclave_relay_core::command::{Command, DowntrackRepair, Encoding, RepairFormat};
use conclave_relay_core::srtp::Profile;
use conclave_relay_core::units::{DowntrackId, PayloadType, Ssrc, Time};
use support::{Bottleneck, LEVEL_ID, Net, OPUS, VP8};

const PROFILE: Profile = Profile::AeadAes128Gcm;
/// Of each camera, kbit/s: three small ones and a large one fit, two large ones do not.
const RATES: [usize; 2] = [100, 800];
const LINK: u64 = 1_300_000;
const PEOPLE: usize = 3;
/// An encoder answers a key-frame request after so many milliseconds.
const ENCODER: u64 = 60;

/// What comes out of a microphone: (level, bytes of payload).
type Voice = (u8, usize);
const SPEECH: Voice = (20, 80);
const SILENCE: Voice = (127, 3);
/// A level without the sound to it.
const CLAIM: Voice = (5, 3);

/// Three publishers of a voice and a camera each, and who watches them all over a link too narrow for it.
struct Meeting {
    net: Net,
    people: Vec<usize>,
    viewer: usize,
    /// By person.
    pictures: Vec<Ssrc>,
    frame: u64,
    key_frame_at: [[Option<Time>; 2]; PEOPLE],
    answered: [usize; PEOPLE],
    voices: [Voice; PEOPLE],
}

fn voice(person: usize) -> Ssrc {
    Ssrc(1_000 + person as u32)
}

fn camera(person: usize, layer: usize) -> Ssrc {
    Ssrc(2_000 + person as u32 * 10 + layer as u32)
}

impl Meeting {
    fn new(seed: u64) -> Self {
        let mut net = Net::with(Limits::default(), seed);
        let mut people = Vec::new();
        for person in 0..PEOPLE {
            let client = net.connect(PROFILE);
            net.publish_audio(client, person as u64 * 2 + 1, voice(person).0);
            let encodings = [0, 1].map(|layer| Encoding::Ssrc(camera(person, layer)));
            net.publish_video(client, person as u64 * 2 + 2, encodings.to_vec());
            people.push(client);
        }
        let viewer = net.connect(PROFILE);
        net.clients[viewer].tells_arrivals = true;
        net.impairment.delay = 10 + 7 * seed;
        let now = net.now;
        let mut meeting = Meeting {
            net,
            people,
            viewer,
            pictures: Vec::new(),
            frame: 0,
            key_frame_at: [[Some(now); 2]; PEOPLE],
            answered: [0; PEOPLE],
            voices: [SILENCE; PEOPLE],
        };
        meeting.run(2_000);
        let address = meeting.net.clients[viewer].address;
        let link = Bottleneck::new(LINK, Duration::from_millis(150 + 60 * seed));
        meeting.net.bottlenecks.insert(address, link);
        for track in 1..=PEOPLE as u64 * 2 {
            let mut spec = meeting.net.downtrack_spec(viewer, track, track);
            spec.extensions = support::extensions();
            spec.wish.priority = 1;
            if track % 2 == 0 {
                meeting.pictures.push(spec.ssrc);
                spec.repair = Some(DowntrackRepair {
                    ssrc: Ssrc(0xe000_0000 + track as u32),
                    formats: vec![RepairFormat {
                        payload_type: PayloadType(102),
                        repairs: PayloadType(101),
                    }],
                });
            }
            let downtrack = DowntrackId(track);
            meeting
                .net
                .command(Command::AddDowntrack { downtrack, spec })
                .unwrap();
        }
        meeting
    }

    fn run(&mut self, millis: u64) {
        let end = self.net.now + Duration::from_millis(millis);
        while self.net.now < end {
            if self.frame.is_multiple_of(300) {
                (0..self.net.clients.len()).for_each(|client| self.net.check(client, true));
            }
            for person in 0..PEOPLE {
                self.answer_requests(person);
                self.speak(person);
                (0..2).for_each(|layer| self.show(person, layer));
            }
            self.frame += 1;
            self.net
                .run(if self.frame.is_multiple_of(3) { 34 } else { 33 });
        }
    }

    fn answer_requests(&mut self, person: usize) {
        let client = &self.net.clients[self.people[person]];
        for (at, media) in &client.feedback.picture_losses[self.answered[person]..] {
            let layer = (media.0 % 10) as usize;
            let due = *at + Duration::from_millis(ENCODER);
            self.key_frame_at[person][layer].get_or_insert(due);
        }
        self.answered[person] = client.feedback.picture_losses.len();
    }

    /// A voice pauses between two words, a claim does not.
    fn speak(&mut self, person: usize) {
        let pauses = self.frame % 40 < 3 && self.voices[person] == SPEECH;
        let (level, bytes) = if pauses { SILENCE } else { self.voices[person] };
        let payload = vec![0x42; bytes];
        let client = &mut self.net.clients[self.people[person]];
        let levels: [(u8, &[u8]); 1] = [(LEVEL_ID, &[level])];
        let sealed = client.rtp(voice(person), OPUS, 960, false, &levels, &payload);
        let from = client.address;
        self.net.send(from, sealed);
    }

    fn show(&mut self, person: usize, layer: usize) {
        let due = &mut self.key_frame_at[person][layer];
        let key = due.is_some_and(|due| due <= self.net.now);
        *due = due.filter(|_| !key);
        let mut left = RATES[layer] * 1_000 / 8 / 30 * if key { 3 } else { 1 };
        let mut first = true;
        while left > 0 {
            let size = left.min(1_100);
            left -= size;
            let start = if first { 0x10 } else { 0 };
            let mut payload = vec![start, u8::from(!key), 0, 0, 0x9d, 0x01, 0x2a];
            payload.resize(size.max(12), 7);
            payload[8] = layer as u8;
            let ticks = if first { 3_000 } else { 0 };
            let client = &mut self.net.clients[self.people[person]];
            let sealed = client.rtp(camera(person, layer), VP8, ticks, left == 0, &[], &payload);
            let from = client.address;
            self.net.send(from, sealed);
            first = false;
        }
    }

    /// Who is seen large since then, changes only: (second, who), each second by whose large picture most packets are.
    fn large(&self, since: Time) -> Vec<(u64, usize)> {
        let mut seconds: Vec<[usize; PEOPLE]> = Vec::new();
        for (person, ssrc) in self.pictures.iter().enumerate() {
            for received in self.net.clients[self.viewer].heard(*ssrc) {
                if received.at >= since && received.payload[8] == 1 {
                    let second = received.at.since(since).as_secs() as usize;
                    seconds.resize(seconds.len().max(second + 1), [0; PEOPLE]);
                    seconds[second][person] += 1;
                }
            }
        }
        let most = |counts: &[usize; PEOPLE]| (0..PEOPLE).max_by_key(|person| counts[*person]);
        let mut changes: Vec<(u64, usize)> = Vec::new();
        for (second, counts) in (0..).zip(&seconds) {
            let person = most(counts).filter(|person| counts[*person] > 0);
            changes.extend(person.map(|person| (second, person)));
        }
        changes.dedup_by_key(|(_, person)| *person);
        changes
    }

    fn who(&self, since: Time) -> Vec<usize> {
        self.large(since)
            .iter()
            .map(|(_, person)| *person)
            .collect()
    }
}

#[test]
fn who_speaks_is_seen_large_and_then_who_speaks_next() {
    for seed in 1..=3 {
        let mut meeting = Meeting::new(seed);
        // Not the oldest one, which would be first without a word.
        for speaker in [2, 1, 2] {
            meeting.voices = [SILENCE; PEOPLE];
            meeting.voices[speaker] = SPEECH;
            meeting.run(20_000);
            let settled = meeting.net.now;
            meeting.run(8_000);
            assert_eq!(meeting.who(settled), [speaker], "seed {seed}");
            for ssrc in &meeting.pictures {
                let heard = meeting.net.clients[meeting.viewer].heard(*ssrc);
                let late = heard.iter().filter(|received| received.at >= settled);
                assert!(late.count() > 200, "everybody is seen, seed {seed}");
            }
        }
    }
}

#[test]
fn a_quick_exchange_does_not_make_the_pictures_jump() {
    let mut meeting = Meeting::new(4);
    meeting.voices[1] = SPEECH;
    meeting.run(20_000);
    let began = meeting.net.now;
    for turn in 0..40 {
        meeting.voices = [SILENCE; PEOPLE];
        meeting.voices[1 + turn % 2] = SPEECH;
        meeting.run(700);
    }
    let changes = meeting.large(began);
    assert!(changes.len() > 2, "both come to be seen: {changes:?}");
    let gaps = changes.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(
        gaps.min().is_some_and(|shortest| shortest >= 2),
        "{changes:?}"
    );
}

#[test]
fn a_level_without_a_sound_gets_nothing_where_a_true_one_would() {
    for (claim, expected) in [(SPEECH, 2), (CLAIM, 1)] {
        let mut meeting = Meeting::new(5);
        meeting.voices[2] = claim;
        meeting.run(10_000);
        // Only the one who speaks first leads, as long as both go on.
        meeting.voices[1] = SPEECH;
        meeting.run(20_000);
        let settled = meeting.net.now;
        meeting.run(8_000);
        assert_eq!(meeting.who(settled), [expected]);
    }
}
