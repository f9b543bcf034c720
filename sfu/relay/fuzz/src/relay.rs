//! The relay as a whole: a program of commands, datagrams and pauses, decoded from the input and run in
//! virtual time, on one relay or on two with a pipe between them (`pair`). Peers hold their passwords and keys and use them
//! to lie; `ledger` checks what leaves.

mod client;
mod control;
mod hostile;
mod layered;
mod ledger;
mod pair;
mod pipes;
mod redundant;
mod restarts;
mod world;

use crate::bytes::Bytes;
use pair::Pair;
pub use pipes::Reached;
use world::World;

/// Steps of one program; more find nothing new and slow the fuzzer down.
const MAX_STEPS: usize = 300;
/// The instruction that is one about pipes: of all that were for feedback the one that older inputs used least, so that they
/// mean what they did.
const PIPES: u8 = 182;

pub fn run(input: &[u8]) {
    reach(input);
}

/// Runs one input; what it brought about between two relays.
pub fn reach(input: &[u8]) -> Reached {
    let mut bytes = Bytes::new(input);
    let mut pair = Pair::new();
    for _ in 0..MAX_STEPS {
        if bytes.is_empty() {
            break;
        }
        pair.step(|pair| match bytes.byte() {
            PIPES => pair.instruct(&mut bytes),
            choice => step(pair.world(), choice, &mut bytes),
        });
    }
    pair.finish()
}

/// One instruction of one relay. Whatever it does, the relay is drained afterwards unless a receive batch is under way
/// (`World::batch`).
fn step(world: &mut World, choice: u8, bytes: &mut Bytes<'_>) {
    match choice % 32 {
        0 => world.open_peer(bytes),
        1 => world.set_remote_ice(bytes),
        2 => world.install_keys(bytes),
        3 => world.close_peer(bytes),
        4 => world.set_not_after(bytes),
        5 => world.add_track(bytes),
        6 => world.mute_track(bytes),
        7 => world.remove_track(bytes),
        8 => world.add_downtrack(bytes),
        9 => world.remove_downtrack(bytes),
        10 => world.send_dtls(bytes),
        11 => world.connect(bytes),
        12 => world.set_downtrack(bytes),
        13 => world.binding_request(bytes),
        14 => world.answer_question(bytes),
        15 => world.say_dtls(bytes),
        16 | 17 => world.sealed_packet(bytes),
        18..=20 => world.healthy_burst(bytes),
        21 => world.sealed_nonsense(bytes),
        22 | 23 => world.feedback(bytes),
        24 => world.sealed_compound(bytes),
        25 => world.replay(bytes),
        26 => world.replay_changed(bytes),
        27 => world.garbage(bytes),
        28 => world.batch(bytes.below(80)),
        29 | 30 => world.pass_time(bytes),
        // Instructions that came later share a number, so that older inputs mean what they did.
        31 if choice >= 192 => world.switch_downtrack(bytes),
        31 if choice >= 128 => world.restart_ice(bytes),
        31 if choice >= 96 => world.redundant_call(bytes),
        31 if choice >= 64 => world.particular_burst(bytes),
        _ => world.call(bytes),
    }
}
