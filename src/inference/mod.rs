//! Text to vectors: the embedding model, its runtime, and the check that both still work.
//!
//! Called by: `app`, `worker`, `appliance`, `chunk`'s callers (for the tokenizer). Talks to:
//! `native` (ONNX Runtime), `models/` (built in) or a model folder.
//! Invariants: a model file is used only when its SHA-256 is the manifest's; vectors have length 1;
//! a failure to load or to embed is a value; queries never wait behind passages.
//! Why: one text per run of the model, unless the configuration asks for batches. The int8 model
//! takes its activation ranges from everything in a run, so neighbours (and padding) change a
//! vector: over 200 SciFact texts of 11 to 256 tokens the cosine between the vector of a text
//! alone and in company was, minimum and mean, .987 and .994 for 32 texts in given order, .989 and
//! .995 for batches sorted by length with 512 to 2,048 tokens, .991 and .997 for texts of equal
//! length: as much as quantisation itself costs (.989 and .993). Alone it is the same to the bit
//! every time, with any number of threads, and nothing is lost: with two threads, 240 abstracts
//! ran at 22 per second alone and at 17 in batches of 2,048 tokens, at a peak of +69 MB resident
//! against +238 MB. Only texts under about 32 tokens gain from company.
//! The arena allocator is off: it made no run faster, and keeps the largest shape it ever saw. Idle
//! spinning of the runtime's threads is off: it doubled the processor time on a busy machine.

mod batch;
mod embedder;
mod error;
mod lane;
mod manifest;
mod runtime;
mod self_test;

use std::path::PathBuf;

pub use embedder::Embedder;
pub use error::InferenceError;
pub use runtime::RuntimeInfo;
pub use self_test::SelfTest;

/// What the embedder may use.
#[derive(Clone, Debug)]
pub struct InferenceConfig {
    /// A model folder in place of the built-in model.
    pub model_dir: Option<PathBuf>,
    /// Threads for embedding passages; 0 means one per core. A query takes one more.
    pub threads: usize,
    /// Padded tokens per run of the model; 0 means one text per run, whatever its length.
    pub batch_tokens: usize,
    /// Where the runtime is unpacked if the system refuses memory files; made when missing.
    pub private_dir: PathBuf,
}
