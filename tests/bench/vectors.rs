//! How fast vector search is at sizes that a real ingest takes an hour to reach.
//!
//! Called by: `bench`. Talks to: a vector table of its own, through the registry.
//! Invariants: vectors are clustered and made from a fixed seed, so every run searches the same
//! table; recall is measured against a comparison of all vectors.

#[path = "../../src/tenant/vectors/tests/corpus.rs"]
mod corpus;

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use cairn::auth::{SystemActor, system_grant};
use cairn::clock::SystemClock;
use cairn::failpoint::FaultPlan;
use cairn::keys::{Kek, KeyStore, SYSTEM_SCOPE};
use cairn::system::System;
use cairn::tenant::{IndexChange, Registry, ResidentBudget, VectorRow, VectorSettings, Vectors};
use cairn::types::{ChunkKey, ItemKey, ModelInfo, SearchFilter};

use crate::report::Report;

use corpus::{Corpus, DIMENSION};

const CLUSTERS: usize = 200;
const QUERIES: usize = 60;
/// Hits per query, as hybrid search asks for them.
const DEPTH: usize = 1000;

/// Measures exact search at growing sizes, then the index over the largest.
pub fn measure(report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(report));
}

async fn run(report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    let kek = Kek::generate().unwrap();
    let keys = Arc::new(KeyStore::create(&dir.path().join("keys"), &kek).unwrap());
    let keyring = keys.ensure_keyring(SYSTEM_SCOPE).unwrap();
    let system = Arc::new(System::open(&dir.path().join("system.db"), &keyring).unwrap());
    let settings = VectorSettings {
        index_cache_bytes: 64 << 20,
        metadata_cache_bytes: 32 << 20,
        exact_rows_limit: 40_000,
        allow_index: true,
        scratch: None,
        resident: ResidentBudget::new(64 << 20),
    };
    let registry = Registry::new(
        dir.path().join("tenants"),
        system,
        keys,
        Arc::new(SystemClock),
        FaultPlan::default(),
        Some(model()),
        settings,
    );
    std::fs::create_dir(dir.path().join("tenants")).unwrap();
    let tenant = registry.create("vectors").unwrap();
    let handle = registry.open(&system_grant(tenant.id, SystemActor::Worker)).unwrap();
    let vectors = handle.vectors().await.unwrap().unwrap();
    let mut corpus = Corpus::with_clusters(7, CLUSTERS);
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| corpus.vector()).collect();
    let mut rows = 0_i64;
    for size in [10_000_i64, 50_000] {
        while rows < size {
            vectors.append(rows_of(&mut corpus, rows..rows + 2000)).await.unwrap();
            rows += 2000;
        }
        report.row(
            format!("exact vector search of {size} chunks, p50 / p95 of {DEPTH} hits"),
            latencies(&vectors, &queries).await,
        );
    }
    let started = Instant::now();
    let done = vectors.maintain().await.unwrap();
    let IndexChange::Built { .. } = done.index else { panic!("no index was built: {done:?}") };
    report.row(
        "IVF index over 50000 chunks built in",
        format!("{:.1} s", started.elapsed().as_secs_f64()),
    );
    report.row(
        format!("indexed vector search of 50000 chunks, p50 / p95 of {DEPTH} hits"),
        latencies(&vectors, &queries).await,
    );
    let recall = vectors.recall(&queries, 10).await.unwrap();
    report.row("recall at 10 of the index against exact search", format!("{recall:.3}"));
}

async fn latencies(vectors: &Vectors, queries: &[Vec<f32>]) -> String {
    let filter = SearchFilter::default();
    let mut taken = Vec::new();
    for query in queries {
        let started = Instant::now();
        assert!(!vectors.nearest(query, &filter, None, DEPTH).await.unwrap().is_empty());
        taken.push(started.elapsed().as_secs_f64() * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    format!("{:.1} / {:.1} ms", taken[taken.len() / 2], taken[taken.len() * 95 / 100])
}

fn model() -> ModelInfo {
    ModelInfo {
        id: "bench".to_owned(),
        revision: "1".to_owned(),
        dimension: DIMENSION,
        max_tokens: 256,
        language: "none".to_owned(),
        licence: "none".to_owned(),
        sha256: "0".repeat(64),
    }
}

/// Rows with these chunk keys, two to an item.
fn rows_of(corpus: &mut Corpus, chunks: Range<i64>) -> Vec<VectorRow> {
    chunks
        .map(|chunk| VectorRow {
            chunk: ChunkKey(chunk),
            item: ItemKey(chunk / 2),
            source: Arc::from("a/b.txt"),
            media_type: Arc::from("text/plain"),
            date_us: 0,
            vector: corpus.vector(),
        })
        .collect()
}
