//! Who is heard: smoothed loudness per track from RFC 6464 levels, for telling people, not for gating.
//!
//! Levels are what a sender says of itself. They count only beside packets that can hold a sound, and whoever is never
//! silent does not count as speaking for long; nothing here may decide who is heard.
use std::collections::BTreeMap;
use std::time::Duration;

use crate::units::{Time, TrackId};

/// Loudness from which a track counts as speaking, -dBov. A voice at a microphone lies between 10 and 30, a quiet
/// room's noise below 50.
const THRESHOLD: u8 = 35;

/// What is quieter counts as this loud, -dBov, so that a voice after a long silence is not smoothed away for long.
const FLOOR: u8 = 55;

/// No sound at all (RFC 6464 section 3).
const SILENCE: u8 = 127;

/// Share of the newest packet in the smoothed level, as a power of two: an eighth. At 20 ms a packet a voice shows
/// within some 100 ms, and a click of up to three packets does not.
const SMOOTHING: i32 = 3;

/// How long a track still counts as speaking after it was last loud enough: the pause between two words. It also ends
/// the speech of a track that stops sending.
const HOLD: Duration = Duration::from_millis(600);

/// Payload bytes below which there is no sound in a packet, whatever level it claims: Opus at its lowest rate, 6 kbit/s,
/// has 15 in 20 ms, and what it sends for silence has up to 8.
const LEAST_SOUND: usize = 12;

/// A voice pauses for a moment, if only between two words. What goes on for longer is noise, music or made up.
const LONGEST_BREATH: Duration = Duration::from_secs(15);

/// Shortest time between two lists of changes.
const REPORT_INTERVAL: Duration = Duration::from_millis(400);

/// Steps between silent and as loud as can be; few, so that a steady voice makes no changes.
const STEPS: i32 = 8;

/// Most tracks watched at once, far above what one worker carries; further ones are not heard of.
const MAX_TRACKS: usize = 4096;

/// Fraction bits of the smoothed level.
const SCALE: i32 = 256;

/// The loudness of every track that was loud a moment ago or is still said to be.
pub struct Speakers {
    voices: BTreeMap<TrackId, Voice>,
    /// When `poll` may next look; never earlier than [`REPORT_INTERVAL`] after the last look.
    next_look: Time,
}

struct Voice {
    /// Smoothed loudness above [`FLOOR`], dB times [`SCALE`].
    loudness: i32,
    heard: Time,
    /// When it was last at or above [`THRESHOLD`].
    loud: Option<Time>,
    /// When a packet of it was last below [`THRESHOLD`].
    breathed: Time,
    /// What `poll` said last, in [`STEPS`].
    told: i32,
}

impl Speakers {
    /// Nobody speaks yet.
    pub fn new() -> Self {
        Speakers {
            voices: BTreeMap::new(),
            next_look: Time::ZERO,
        }
    }

    /// One packet's level as -dBov (0 loudest, 127 silence). The voice flag is not used: RFC 6464 lets a sender leave
    /// it clear, and many do. `bytes`: of its payload; too few for a sound are none.
    pub fn on_level(&mut self, now: Time, track: TrackId, _voice: bool, level: u8, bytes: usize) {
        let level = if bytes < LEAST_SOUND { SILENCE } else { level };
        if !self.voices.contains_key(&track) {
            if level >= FLOOR || self.voices.len() >= MAX_TRACKS {
                return;
            }
            self.voices.insert(track, Voice::new(now));
        }
        if let Some(voice) = self.voices.get_mut(&track) {
            voice.hear(now, level);
        }
    }

    /// Forgets a track that has ended; nothing more is said of it.
    pub fn remove(&mut self, track: TrackId) {
        self.voices.remove(&track);
    }

    /// Tracks on which somebody speaks now, as far as can be believed.
    pub fn speaking(&self, now: Time) -> impl Iterator<Item = TrackId> + '_ {
        let voices = self.voices.iter();
        let believed = voices.filter(move |(_, voice)| {
            voice.is_loud(now) && now.since(voice.breathed) < LONGEST_BREATH
        });
        believed.map(|(track, _)| *track)
    }

    /// Changes since the last call, at most every 400 ms; also notices tracks that fell silent by sending nothing.
    /// Loudness is in eighths, linear in dB from just above the threshold (1/8) to 0 dBov (1); 0 is not speaking.
    /// Linear in amplitude, all speech would lie in the first eighth.
    pub fn poll(&mut self, now: Time) -> Option<Vec<(TrackId, f32)>> {
        if self.voices.is_empty() || now < self.next_look {
            return None;
        }
        self.next_look = now + REPORT_INTERVAL;
        let mut changes = Vec::new();
        for (track, voice) in &mut self.voices {
            let step = voice.step(now);
            if step != voice.told {
                voice.told = step;
                changes.push((*track, step as f32 / STEPS as f32));
            }
        }
        self.voices
            .retain(|_, voice| voice.told > 0 || now.since(voice.heard) < HOLD);
        (!changes.is_empty()).then_some(changes)
    }

    /// When `poll` wants to look again; `None` while nobody makes a sound.
    pub fn deadline(&self) -> Option<Time> {
        (!self.voices.is_empty()).then_some(self.next_look)
    }
}

impl Default for Speakers {
    fn default() -> Self {
        Self::new()
    }
}

impl Voice {
    fn new(now: Time) -> Self {
        Voice {
            loudness: 0,
            heard: now,
            loud: None,
            breathed: now,
            told: 0,
        }
    }

    fn hear(&mut self, now: Time, level: u8) {
        if now.since(self.heard) >= HOLD {
            self.loudness = 0;
        }
        let above_floor = i32::from(FLOOR.saturating_sub(level)) * SCALE;
        self.loudness += (above_floor - self.loudness) >> SMOOTHING;
        // Only sound keeps a voice: a track that sends silence is as forgettable as one that sends nothing.
        if level < FLOOR {
            self.heard = now;
        }
        if level > THRESHOLD {
            self.breathed = now;
        }
        if self.loudness >= i32::from(FLOOR - THRESHOLD) * SCALE {
            self.loud = Some(now);
        }
    }

    fn is_loud(&self, now: Time) -> bool {
        self.loud.is_some_and(|loud| now.since(loud) < HOLD)
    }

    /// 0 to [`STEPS`].
    fn step(&self, now: Time) -> i32 {
        if !self.is_loud(now) {
            return 0;
        }
        let above_threshold = self.loudness - i32::from(FLOOR - THRESHOLD) * SCALE;
        let range = i32::from(THRESHOLD) * SCALE;
        (1 + above_threshold * STEPS / range).clamp(1, STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: TrackId = TrackId(1);
    const BOB: TrackId = TrackId(2);
    /// Payload of a spoken packet, bytes.
    const SPOKEN: usize = 60;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    /// Plays one level every 20 ms from `from` to `until` and gathers what is told, polling at each packet.
    fn play(
        speakers: &mut Speakers,
        track: TrackId,
        level: u8,
        from: u64,
        until: u64,
    ) -> Vec<Told> {
        let mut told = Vec::new();
        for millis in (from..until).step_by(20) {
            speakers.on_level(ms(millis), track, false, level, SPOKEN);
            told.extend(speakers.poll(ms(millis)).map(|changes| (millis, changes)));
        }
        told
    }

    type Told = (u64, Vec<(TrackId, f32)>);

    #[test]
    fn a_voice_is_told_within_half_a_second_and_only_once_while_steady() {
        let mut speakers = Speakers::new();
        let told = play(&mut speakers, ANN, 20, 1_000, 6_000);
        assert_eq!(told[0].1[0].0, ANN);
        assert!(told[0].0 < 1_500, "{told:?}");
        assert!(told.len() <= 2, "{told:?}");
        let level = told.last().unwrap().1[0].1;
        assert!((0.25..=0.75).contains(&level), "{level}");
    }

    #[test]
    fn a_louder_voice_has_a_higher_level_and_none_exceeds_one() {
        let loudness = |level| {
            let mut speakers = Speakers::new();
            let told = play(&mut speakers, ANN, level, 0, 3_000);
            told.last().map_or(0.0, |(_, changes)| changes[0].1)
        };
        assert_eq!(loudness(127), 0.0);
        assert_eq!(loudness(40), 0.0);
        assert_eq!(loudness(34), 0.125);
        assert!(loudness(20) < loudness(5));
        assert_eq!(loudness(0), 1.0);
        for level in 0..=255 {
            let eighths = loudness(level) * 8.0;
            assert!(eighths.fract() == 0.0 && (0.0..=8.0).contains(&eighths));
        }
    }

    #[test]
    fn a_click_is_no_speech() {
        let mut speakers = Speakers::new();
        play(&mut speakers, ANN, 127, 0, 1_000);
        assert_eq!(play(&mut speakers, ANN, 10, 1_000, 1_060), []);
        assert_eq!(play(&mut speakers, ANN, 127, 1_060, 3_000), []);
    }

    #[test]
    fn a_pause_between_words_is_no_end_but_silence_is() {
        let mut speakers = Speakers::new();
        play(&mut speakers, ANN, 15, 0, 2_000);
        let pause = play(&mut speakers, ANN, 127, 2_000, 2_400);
        let silenced = |told: &[Told]| {
            told.iter()
                .any(|(_, changes)| changes.contains(&(ANN, 0.0)))
        };
        assert!(!silenced(&pause), "{pause:?}");
        assert!(silenced(&play(&mut speakers, ANN, 127, 2_400, 4_000)));
    }

    #[test]
    fn a_track_that_stops_sending_falls_silent_by_the_deadline_alone() {
        let mut speakers = Speakers::new();
        play(&mut speakers, ANN, 15, 0, 2_000);
        let mut last = Vec::new();
        while let Some(deadline) = speakers.deadline() {
            assert!(deadline < ms(3_500));
            last.extend(speakers.poll(deadline).into_iter().flatten());
        }
        assert_eq!(last.last(), Some(&(ANN, 0.0)));
    }

    #[test]
    fn changes_come_at_most_every_400_ms() {
        let mut speakers = Speakers::new();
        let mut times = Vec::new();
        for millis in 0..10_000u64 {
            // Wild swings, a packet a millisecond.
            let level = if millis % 500 < 250 { 0 } else { 34 };
            speakers.on_level(ms(millis), ANN, true, level, SPOKEN);
            times.extend(speakers.poll(ms(millis)).map(|_| millis));
        }
        assert!(times.len() > 2);
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] >= 400),
            "{times:?}"
        );
    }

    #[test]
    fn a_quiet_room_costs_nothing() {
        let mut speakers = Speakers::new();
        for track in 0..100 {
            play(&mut speakers, TrackId(track), 127, 0, 1_000);
        }
        assert_eq!(speakers.deadline(), None);
        assert!(speakers.voices.is_empty());
    }

    #[test]
    fn the_number_of_voices_is_bounded() {
        let mut speakers = Speakers::new();
        for track in 0..MAX_TRACKS as u64 + 100 {
            speakers.on_level(ms(0), TrackId(track), true, 0, SPOKEN);
        }
        assert_eq!(speakers.voices.len(), MAX_TRACKS);
    }

    #[test]
    fn a_level_beside_packets_that_hold_no_sound_is_not_believed() {
        let mut speakers = Speakers::new();
        for millis in (0..5_000).step_by(20) {
            speakers.on_level(ms(millis), ANN, true, 0, LEAST_SOUND - 1);
        }
        assert_eq!(speakers.speaking(ms(5_000)).count(), 0);
        assert_eq!(speakers.poll(ms(5_000)), None);
        play(&mut speakers, BOB, 15, 5_000, 6_000);
        assert_eq!(speakers.speaking(ms(6_000)).collect::<Vec<_>>(), [BOB]);
    }

    #[test]
    fn whoever_never_pauses_speaks_no_longer_until_a_pause() {
        let mut speakers = Speakers::new();
        play(&mut speakers, ANN, 15, 0, 14_000);
        assert_eq!(speakers.speaking(ms(14_000)).count(), 1);
        play(&mut speakers, ANN, 15, 14_000, 60_000);
        assert_eq!(speakers.speaking(ms(60_000)).count(), 0);
        play(&mut speakers, ANN, 60, 60_000, 60_100);
        play(&mut speakers, ANN, 15, 60_100, 61_000);
        assert_eq!(speakers.speaking(ms(61_000)).count(), 1);
    }

    #[test]
    fn a_removed_track_is_spoken_of_no_more() {
        let mut speakers = Speakers::new();
        play(&mut speakers, ANN, 15, 0, 1_000);
        play(&mut speakers, BOB, 15, 0, 1_000);
        speakers.remove(ANN);
        let told = play(&mut speakers, BOB, 127, 1_000, 4_000);
        assert!(
            told.iter()
                .all(|(_, changes)| changes.iter().all(|(track, _)| *track == BOB))
        );
    }
}
