//! A line of waiting texts before one or more sessions of the model.
//!
//! Called by: `inference::embedder`, `inference::self_test`. Talks to: fastembed, ONNX Runtime.
//! Invariants: first come, first served; at most as many runs at a time as there are sessions; a
//! run that has begun finishes even if nobody waits for it any more; no run blocks the async
//! runtime.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use fastembed::{
    InitOptionsUserDefined, QuantizationMode, TextEmbedding, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use ort::ep;
use tokio::sync::Semaphore;

use super::error::InferenceError;
use super::manifest::{
    CONFIG, MODEL, ModelFiles, Pooling, Quantisation, SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG,
};
use super::runtime::Runtime;

pub(super) struct Lane {
    model: String,
    dimension: usize,
    turns: Arc<Semaphore>,
    sessions: Vec<Mutex<TextEmbedding>>,
    /// Time spent inside runs, in microseconds, all sessions together.
    busy_us: AtomicU64,
}

impl Lane {
    /// Opens `sessions` (at least one) copies of the model with `threads` threads each.
    pub(super) fn open(
        model: &ModelFiles,
        runtime: &Runtime,
        sessions: usize,
        threads: usize,
    ) -> Result<Arc<Self>, InferenceError> {
        let sessions = (0..sessions.max(1))
            .map(|_| open_session(model, runtime, threads).map(Mutex::new))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Self {
            model: model.info.id.clone(),
            dimension: model.info.dimension,
            turns: Arc::new(Semaphore::new(sessions.len())),
            sessions,
            busy_us: AtomicU64::new(0),
        }))
    }

    /// How many runs go on at the same time.
    pub(super) fn width(&self) -> usize {
        self.sessions.len()
    }

    /// Time spent inside runs so far, all sessions together.
    pub(super) fn busy(&self) -> Duration {
        Duration::from_micros(self.busy_us.load(Ordering::Relaxed))
    }

    /// Runs the model once over `texts`, when it is their turn.
    pub(super) async fn embed(
        self: Arc<Self>,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .expect("invariant: the semaphore is never closed");
        let lane = Arc::clone(&self);
        let run = tokio::task::spawn_blocking(move || {
            let vectors = lane.embed_blocking(&texts);
            drop(turn);
            vectors
        });
        run.await.unwrap_or_else(|source| {
            Err(InferenceError::Interrupted { model: self.model.clone(), source })
        })
    }

    /// The same on the calling thread, waiting for a session if all are busy.
    pub(super) fn embed_blocking(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut session = self.free_session();
        let started = Instant::now();
        let vectors = session
            .embed(texts, None)
            .map_err(|source| InferenceError::Run { model: self.model.clone(), source })?;
        drop(session);
        let spent = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.busy_us.fetch_add(spent, Ordering::Relaxed);
        let reason = if vectors.len() != texts.len() {
            "their number is not that of the texts"
        } else if vectors.iter().any(|vector| vector.len() != self.dimension) {
            "their dimension is not the manifest's"
        } else if vectors.iter().flatten().any(|value| !value.is_finite()) {
            "they hold values that are not numbers"
        } else {
            return Ok(vectors);
        };
        Err(InferenceError::BadVectors { model: self.model.clone(), reason })
    }

    /// A session keeps no state between runs, so one that a panic left behind is still good.
    fn free_session(&self) -> MutexGuard<'_, TextEmbedding> {
        for session in &self.sessions {
            match session.try_lock() {
                Ok(session) => return session,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.sessions[0].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_session(
    model: &ModelFiles,
    runtime: &Runtime,
    threads: usize,
) -> Result<TextEmbedding, InferenceError> {
    let files = TokenizerFiles {
        tokenizer_file: model.file(TOKENIZER).to_vec(),
        config_file: model.file(CONFIG).to_vec(),
        special_tokens_map_file: model.file(SPECIAL_TOKENS).to_vec(),
        tokenizer_config_file: model.file(TOKENIZER_CONFIG).to_vec(),
    };
    let definition = UserDefinedEmbeddingModel::new(model.file(MODEL).to_vec(), files)
        .with_pooling(match model.pooling {
            Pooling::Mean => fastembed::Pooling::Mean,
            Pooling::Cls => fastembed::Pooling::Cls,
        })
        .with_quantization(match model.quantisation {
            Quantisation::None => QuantizationMode::None,
            Quantisation::Static => QuantizationMode::Static,
            Quantisation::Dynamic => QuantizationMode::Dynamic,
        });
    let options = InitOptionsUserDefined::new()
        .with_environment(runtime.environment.clone())
        .with_execution_providers(vec![
            ep::CPU::default().with_arena_allocator(false).build().error_on_failure(),
        ])
        .with_max_length(model.info.max_tokens)
        .with_intra_threads(threads.max(1))
        .with_session_config("session.intra_op.allow_spinning", "0");
    TextEmbedding::try_new_from_user_defined(definition, options)
        .map_err(|source| InferenceError::Load { model: model.info.id.clone(), source })
}
