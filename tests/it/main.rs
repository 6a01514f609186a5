//! The one integration binary: behaviour through the public surface.
//!
//! Called by: cargo test. Talks to: the built `cairn` binary, over its command line and HTTP.
//! Invariants: every test has a home of its own and leaves nothing running.

mod accounts;
mod architecture;
mod at_rest;
mod audit;
mod bombs;
mod browser;
mod bundle;
mod collections;
mod dependencies;
mod evaluation;
mod exports;
mod extraction;
mod fairness;
mod fixtures;
mod formats;
mod half_way;
mod harness;
mod hostile;
mod http;
mod inbox;
mod isolation;
mod keys;
mod ledger;
mod lifecycle;
mod mail;
mod mailboxes;
mod main_job;
mod model;
mod neighbours;
mod ocr;
mod pages;
mod passwords;
mod pdf_texts;
mod quotas;
mod robustness;
mod similar;
mod source_changes;
mod sources;
mod storage;
mod stream;
mod support;
mod tables;
mod tls;
mod transfer;
mod tus;
