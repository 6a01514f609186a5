//! Fuzzes the readers of texts, marked-up texts and data.
//!
//! Called by: libFuzzer. Talks to: `extract`.
//! Invariants: the first byte picks the name; what comes out keeps to the limits.

#![no_main]

const NAMES: [&str; 24] = [
    "a.txt", "a.md", "a.rst", "a.rtf", "a.csv", "a.tsv", "a.json", "a.jsonl", "a.html", "a.xml",
    "a.yaml", "a.srt", "a.vtt", "a.ics", "a.vcf", "a.ipynb", "a.rs", "a.py", "a.adoc", "a.fodt",
    "a.svg", "a", "a.log", "a.nxml",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| cairn_fuzz_readers::read_named(&NAMES, data));
