//! The embedder: one model, a lane for queries and a lane for passages.
//!
//! Called by: `app`, `worker`, `cli` (`doctor`). Talks to: the model through its lanes.
//! Invariants: a clone shares the model; a passage and a query with the same text have the same
//! vector; with one text per run a vector depends on its text alone.
//! Why: passages are spread over sessions of a few threads each, because one short text cannot
//! keep many threads busy, and a session costs about 40 MB.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use tokenizers::Tokenizer;

use super::InferenceConfig;
use super::batch::plan;
use super::error::InferenceError;
use super::lane::Lane;
use super::manifest::{GOLDEN, ModelFiles, TOKENIZER};
use super::runtime::{self, RuntimeInfo};
use super::self_test::{self, Golden, SelfTest};
use crate::types::ModelInfo;

const THREADS_PER_SESSION: usize = 4;
const MAX_SESSIONS: usize = 8;

/// Turns text into vectors. Cheap to clone.
#[derive(Clone)]
pub struct Embedder {
    shared: Arc<Shared>,
}

struct Shared {
    info: ModelInfo,
    runtime: RuntimeInfo,
    tokenizer: Tokenizer,
    golden: Golden,
    batch_tokens: usize,
    queries: Arc<Lane>,
    passages: Arc<Lane>,
}

impl Embedder {
    /// Loads the model and its runtime. Blocks for about half a second.
    ///
    /// # Errors
    /// Any [`InferenceError`] but `Run`, `BadVectors` and `Interrupted`. A later call tries again.
    pub fn load(config: &InferenceConfig) -> Result<Self, InferenceError> {
        let model = ModelFiles::open(config.model_dir.as_deref())?;
        let golden: Golden = model.json(GOLDEN)?;
        let tokenizer = open_tokenizer(&model)?;
        let runtime = runtime::start(&config.private_dir)?;
        let threads = match config.threads {
            0 => thread::available_parallelism().map_or(1, NonZero::get),
            threads => threads,
        };
        let sessions = threads.div_ceil(THREADS_PER_SESSION).min(MAX_SESSIONS);
        let queries = Lane::open(&model, runtime, 1, 1)?;
        let passages = Lane::open(&model, runtime, sessions, threads / sessions)?;
        let shared = Shared {
            info: model.info,
            runtime: runtime.info.clone(),
            tokenizer,
            golden,
            batch_tokens: config.batch_tokens,
            queries,
            passages,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The model that makes the vectors.
    pub fn info(&self) -> &ModelInfo {
        &self.shared.info
    }

    /// Time spent inside the model so far, all sessions together.
    pub fn busy(&self) -> Duration {
        self.shared.queries.busy() + self.shared.passages.busy()
    }

    /// The runtime that runs it.
    pub fn runtime(&self) -> &RuntimeInfo {
        &self.shared.runtime
    }

    /// The model's tokenizer, without truncation or padding.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.shared.tokenizer
    }

    /// The vector of a question; never waits behind passages.
    ///
    /// Text beyond [`ModelInfo::max_tokens`] is ignored.
    ///
    /// # Errors
    /// [`InferenceError::Run`], [`InferenceError::BadVectors`], [`InferenceError::Interrupted`].
    pub async fn embed_query(&self, text: &str) -> Result<Vec<f32>, InferenceError> {
        let lane = Arc::clone(&self.shared.queries);
        let mut vectors = lane.embed(vec![text.to_owned()]).await?;
        Ok(vectors.pop().expect("invariant: a lane returns one vector per text"))
    }

    /// The vectors of passages, in their order.
    ///
    /// Calls share the model run by run, so a long list does not hold up a short one. Dropping
    /// the future stops after the runs at hand.
    ///
    /// # Errors
    /// As [`Self::embed_query`], and [`InferenceError::Tokenizer`]; then no vector is returned.
    pub async fn embed_passages(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let batches = self.batches(texts).await?;
        let lane = &self.shared.passages;
        let mut runs = stream::iter(batches.into_iter().map(|batch| {
            let lane = Arc::clone(lane);
            let chosen: Vec<String> = batch.iter().map(|&index| texts[index].clone()).collect();
            async move { lane.embed(chosen).await.map(|vectors| (batch, vectors)) }
        }))
        .buffer_unordered(lane.width());
        let mut all = vec![Vec::new(); texts.len()];
        while let Some(run) = runs.next().await {
            let (batch, vectors) = run?;
            for (index, vector) in batch.into_iter().zip(vectors) {
                all[index] = vector;
            }
        }
        Ok(all)
    }

    /// Embeds the model's golden texts and compares. Blocks for about 200 ms.
    ///
    /// # Errors
    /// As [`Self::embed_query`]; a result that is off is not an error but `ok: false`.
    pub fn self_test(&self) -> Result<SelfTest, InferenceError> {
        self_test::run(&self.shared.golden, &self.shared.queries)
    }

    async fn batches(&self, texts: &[String]) -> Result<Vec<Vec<usize>>, InferenceError> {
        let shared = Arc::clone(&self.shared);
        if shared.batch_tokens == 0 {
            return Ok((0..texts.len()).map(|index| vec![index]).collect());
        }
        let texts = texts.to_vec();
        let planning = tokio::task::spawn_blocking(move || -> Result<_, InferenceError> {
            let lengths =
                texts.iter().map(|text| shared.length(text)).collect::<Result<Vec<_>, _>>()?;
            Ok(plan(&lengths, shared.batch_tokens))
        });
        planning.await.unwrap_or_else(|source| {
            Err(InferenceError::Interrupted { model: self.shared.info.id.clone(), source })
        })
    }
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder").field("model", &self.shared.info.id).finish_non_exhaustive()
    }
}

impl Shared {
    /// Tokens the model sees of `text`.
    fn length(&self, text: &str) -> Result<usize, InferenceError> {
        let encoding = self
            .tokenizer
            .encode_fast(text, true)
            .map_err(|source| InferenceError::Tokenizer { model: self.info.id.clone(), source })?;
        Ok(encoding.len().min(self.info.max_tokens))
    }
}

fn open_tokenizer(model: &ModelFiles) -> Result<Tokenizer, InferenceError> {
    let failed = |source| InferenceError::Tokenizer { model: model.info.id.clone(), source };
    let mut tokenizer = Tokenizer::from_bytes(model.file(TOKENIZER)).map_err(failed)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(failed)?;
    Ok(tokenizer)
}

#[cfg(test)]
#[path = "embedder_tests.rs"]
mod tests;
