//! Fuzzes the readers of mails, mailboxes and saved pages, and of what is attached to them.
//!
//! Called by: libFuzzer. Talks to: `extract`.
//! Invariants: the first byte picks the name; what comes out keeps to the limits.

#![no_main]

const NAMES: [&str; 9] =
    ["a.eml", "a.mbox", "a.mht", "a.msg", "a:2,S", "a", "winmail.dat", "a.p7m", "a.p7s"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| cairn_fuzz_readers::read_named(&NAMES, data));
