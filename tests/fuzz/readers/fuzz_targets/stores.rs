//! Fuzzes the reader of Outlook data files, and of the items in them.
//!
//! Called by: libFuzzer. Talks to: `extract`.
//! Invariants: the first byte picks the name; what comes out keeps to the limits.
//!
//! Why by themselves: the smallest data file is a hundred times as long as other inputs.

#![no_main]

const NAMES: [&str; 2] = ["a.pst", "a.ost"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| cairn_fuzz_readers::read_named(&NAMES, data));
