//! Cairn: dump your data in, it organises itself, ask it anything, with proof.
//!
//! Called by: `main.rs` and the tests. Talks to: nothing itself.
//! Invariants: a module imports only from the rows above its own; `tests/it/architecture.rs`
//! holds the table and fails on anything else.
//!
//! | layer | modules |
//! |---|---|
//! | 0 | [`types`], [`clock`], [`failpoint`] |
//! | 1 | [`error`] |
//! | 2 | [`config`], [`disk`], [`crypto`], [`database`], [`scratch`], [`native`], [`extract`], [`chunk`], [`dates`], [`similarity`] |
//! | 3 | [`telemetry`], [`archive`], [`audit`], [`keys`], [`system`], [`tls`] |
//! | 4 | [`auth`], [`inference`], [`extraction`] |
//! | 5 | [`tenant`] with all its stores |
//! | 6 | [`app`] (use cases), [`sources`] |
//! | 7 | [`http`], [`worker`] |
//! | 8 | [`appliance`] |
//! | 9 | [`cli`] |
//!
//! A document's way: [`http`] or [`sources`] streams bytes to [`app::ingest`], which stores a blob
//! and commits document, item and job in one transaction. [`worker`] claims the job and drives
//! [`app::index`]: [`extraction`] has a child process read the file ([`extract`]), [`chunk`] cuts
//! it, [`inference`] embeds the chunks, and the catalogue flips the document to searchable after
//! each projection has committed.
//!
//! A request's way: [`http`] turns a secret into an actor and the path into a
//! [`tenant::TenantHandle`] by way of [`auth`], then calls one use case of [`app`]. The command
//! line takes the very same way: it speaks the HTTP API to a running server or, where none runs,
//! to the same router inside its own process.

pub mod app;
pub mod appliance;
pub mod archive;
pub mod audit;
pub mod auth;
pub mod chunk;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod database;
pub mod dates;
pub mod disk;
pub mod error;
pub mod extract;
pub mod extraction;
pub mod failpoint;
pub mod http;
pub mod inference;
pub mod keys;
pub mod native;
pub mod scratch;
pub mod similarity;
pub mod sources;
pub mod system;
pub mod telemetry;
pub mod tenant;
pub mod tls;
pub mod types;
pub mod worker;
