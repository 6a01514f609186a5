//! Measuring retrieval quality on files in the BEIR layout.
//!
//! Called by: `cli::eval`. Talks to: nothing.
//! Invariants: pure; the numbers are those of trec_eval (`ndcg_cut_10`, `recall_100`,
//! `recip_rank`), so that they may be held against published tables.
//! Why: searching is not done here. The command sends every query through the API that users
//! have, so the latencies are those that users see.

mod beir;
mod metrics;

pub use beir::{BeirError, Qrels, Query, plain_words, read_corpus_ids, read_qrels, read_queries};
pub use metrics::{ModeScores, QueryOutcome, summarise};
