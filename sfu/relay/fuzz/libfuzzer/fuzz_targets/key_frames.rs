#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| conclave_relay_fuzz::run("key_frames", input));
