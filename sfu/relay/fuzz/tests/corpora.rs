//! Every committed corpus and some thousand pseudo-random inputs, through each fuzz target.

use std::path::PathBuf;

use conclave_relay_fuzz::{Reached, TARGETS, reach, run};

/// Inputs drawn per target: seconds, not minutes; `make fuzz` is for hours.
const DRAWN: u64 = 2_000;
const LONGEST: u64 = 600;

#[test]
fn stun_survives_its_corpus_and_drawn_inputs() {
    survives("stun");
}

#[test]
fn rtp_survives_its_corpus_and_drawn_inputs() {
    survives("rtp");
}

#[test]
fn rtcp_survives_its_corpus_and_drawn_inputs() {
    survives("rtcp");
}

#[test]
fn key_frames_survives_its_corpus_and_drawn_inputs() {
    survives("key_frames");
}

#[test]
fn srtp_survives_its_corpus_and_drawn_inputs() {
    survives("srtp");
}

#[test]
fn relay_survives_its_corpus_and_drawn_inputs() {
    survives("relay");
}

#[test]
fn every_target_has_a_corpus() {
    for (name, _) in TARGETS {
        assert!(!corpus(name).is_empty(), "{name} has no corpus");
    }
}

/// A check that no input comes to is none.
#[test]
fn the_relays_corpus_comes_to_all_that_happens_on_pipes() {
    let inputs = corpus("relay");
    let each = inputs.iter().map(|(_, input)| reach(input));
    let all = each.fold(Reached::default(), Reached::and);
    assert!(all.crossed > 100 && all.heard > 100, "{all:?}");
    assert_eq!(all.encodings & 0b111, 0b111, "{all:?}");
    assert!(all.recovered > 0, "{all:?}");
    assert!(all.rogue > 0 && all.forged > 0, "{all:?}");
    assert!(all.expired > 0 && all.abandoned > 0, "{all:?}");
}

fn survives(name: &str) {
    for (file, input) in corpus(name) {
        // Shown only when the target fails, to tell which input it was.
        println!("{}", file.display());
        run(name, &input);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for at in 0..DRAWN {
        println!("drawn input {at}");
        let len = random.next() % LONGEST;
        let input: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        run(name, &input);
    }
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    let read = |file: PathBuf| {
        let input = std::fs::read(&file).unwrap();
        (file, input)
    };
    files.into_iter().map(read).collect()
}

/// xorshift64*, Vigna 2016.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}
