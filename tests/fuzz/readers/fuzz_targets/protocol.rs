//! Fuzzes both sides of the worker protocol.
//!
//! Called by: libFuzzer. Talks to: `extract::protocol`, the parent's receiver.
//! Invariants: frames are understood or refused; what is understood encodes to what it was
//! understood from again.

#![no_main]

use cairn_fuzz_readers::extract::protocol::{Command, Event, read_frame};
use cairn_fuzz_readers::extraction;

/// What a worker makes of anything a parent may write.
fn requests(mut input: &[u8]) {
    while let Ok(Some((kind, payload))) = read_frame(&mut input) {
        let Ok(command) = Command::decode(kind, payload) else {
            return;
        };
        let (kind, payload) = command.clone().encode().expect("what was understood can be said");
        assert_eq!(Command::decode(kind, payload).expect("and understood again"), command);
    }
}

fn events(mut input: &[u8]) {
    while let Ok(Some((kind, payload))) = read_frame(&mut input) {
        let Ok(event) = Event::decode(kind, payload) else {
            return;
        };
        if let Ok((kind, payload)) = event.clone().encode() {
            assert_eq!(Event::decode(kind, payload).expect("and understood again"), event);
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let [side, input @ ..] = data {
        match side % 3 {
            0 => requests(input),
            1 => events(input),
            _ => extraction::receive(input),
        }
    }
});
