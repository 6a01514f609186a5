//! ONNX Runtime, started once per process.
//!
//! Called by: `inference::embedder`. Talks to: `native`, the ONNX Runtime library.
//! Invariants: no other call into the runtime is made before it has been loaded from the built-in
//! library, because the binding would otherwise look for one on the system and panic without it;
//! the environment lives as long as the process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;

use crate::native::{self, NativeError, NativeLibrary, ONNX_RUNTIME_VERSION};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// The runtime in use, for diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// Release of ONNX Runtime.
    pub version: String,
    /// Instruction sets of this processor that the runtime can make use of.
    pub cpu_features: Vec<String>,
    /// Where the library was loaded from.
    pub load_path: PathBuf,
}

pub(super) struct Runtime {
    pub environment: Environment,
    pub info: RuntimeInfo,
}

/// The running runtime; loads it the first time, which takes about 100 ms.
pub(super) fn start(private_dir: &Path) -> Result<&'static Runtime, NativeError> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    if std::env::var_os(native::TELEMETRY_SWITCH).is_none_or(|value| value != "1") {
        let refusal =
            format!("{}=1 is not set, so it could report to its vendor", native::TELEMETRY_SWITCH);
        return Err(NativeError::load(NativeLibrary::OnnxRuntime, refusal));
    }
    let path = native::onnxruntime(private_dir)?;
    let environment = ort::init_from(path)
        .map_err(load_failure)?
        .with_name("cairn")
        .with_telemetry(false)
        .build()
        .map_err(|error| NativeError::load(NativeLibrary::OnnxRuntime, error))?;
    let info = RuntimeInfo {
        version: ONNX_RUNTIME_VERSION.to_owned(),
        cpu_features: cpu_features(),
        load_path: path.to_path_buf(),
    };
    Ok(RUNTIME.get_or_init(|| Runtime { environment, info }))
}

/// The binding's own error leaves out what the dynamic loader said.
fn load_failure(error: LoadDynamicError) -> NativeError {
    match error {
        LoadDynamicError::Dlopen { error, .. } => {
            NativeError::load(NativeLibrary::OnnxRuntime, error)
        }
        other => NativeError::load(NativeLibrary::OnnxRuntime, other),
    }
}

fn cpu_features() -> Vec<String> {
    [
        ("avx", std::arch::is_x86_feature_detected!("avx")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
    ]
    .into_iter()
    .filter(|(_, present)| *present)
    .map(|(name, _)| name.to_owned())
    .collect()
}
