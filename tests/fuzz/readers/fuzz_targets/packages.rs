//! Fuzzes the readers of archives and of office documents, and of what is inside them.
//!
//! Called by: libFuzzer. Talks to: `extract`.
//! Invariants: the first byte picks the name; what comes out keeps to the limits.

#![no_main]

const NAMES: [&str; 16] = [
    "a.zip", "a.tar", "a.tar.gz", "a.bz2", "a.7z", "a.docx", "a.xlsx", "a.pptx", "a.odt", "a.ods",
    "a.odp", "a.epub", "a.doc", "a.xls", "a.ppt", "a",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| cairn_fuzz_readers::read_named(&NAMES, data));
