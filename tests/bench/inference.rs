//! What embedding alone costs: the same chunks, the same threads, nothing else running.
//!
//! Called by: `bench`. Talks to: the model.
//! Invariants: the chunks are cut and worded exactly as the product does it.

use std::path::Path;
use std::time::Instant;

use cairn::app::index::input_text;
use cairn::chunk;
use cairn::config::IngestConfig;
use cairn::inference::{Embedder, InferenceConfig};
use cairn::types::{Block, BlockKind};
use serde_json::Value;

/// Seconds to embed every chunk of a corpus of JSON Lines.
pub fn seconds(corpus: &Path) -> f64 {
    let private_dir = tempfile::tempdir().unwrap();
    let embedder = Embedder::load(&InferenceConfig {
        model_dir: None,
        threads: 0,
        batch_tokens: 0,
        private_dir: private_dir.path().to_owned(),
    })
    .unwrap();
    let tokenizer = embedder.tokenizer();
    let spans = |text: &str| tokenizer.encode(text, false).unwrap().get_offsets().to_vec();
    let budget = IngestConfig::default().chunk_tokens;
    let texts: Vec<String> = std::fs::read_to_string(corpus)
        .unwrap()
        .lines()
        .flat_map(|line| {
            let document: Value = serde_json::from_str(line).unwrap();
            let title = document["title"].as_str().unwrap_or_default().to_owned();
            let blocks: Vec<Block> = document["text"]
                .as_str()
                .unwrap_or_default()
                .split("\n\n")
                .map(|text| Block::new(BlockKind::Paragraph, text))
                .collect();
            let chunks = chunk::split(&blocks, budget, &spans).chunks;
            chunks.into_iter().map(move |chunk| input_text(&title, None, &chunk.text))
        })
        .collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let started = Instant::now();
    runtime.block_on(async {
        for window in texts.chunks(128) {
            embedder.embed_passages(window).await.unwrap();
        }
    });
    started.elapsed().as_secs_f64()
}
