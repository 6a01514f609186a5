//! Shared libraries that travel compressed inside the binary and are loaded from memory.
//!
//! Called by: `extract` (libpdfium, in the child process), `inference` (ONNX Runtime), `cli`
//! (`doctor`). Talks to: the kernel (memfd), a private directory where memory files are refused.
//! Invariants: a library is unpacked once per process; what is loaded is what was built in, never a
//! file that someone else can name or change; every failure is a value.
//! Why: the appliance is one file that runs without a package manager. Linking the libraries
//! statically would need their source builds, and one server process never needs libpdfium.

mod image;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use image::Image;

/// Release of the embedded ONNX Runtime.
pub const ONNX_RUNTIME_VERSION: &str = env!("CAIRN_ONNXRUNTIME_VERSION");
/// Release of the `pypdfium2` wheel that the embedded libpdfium comes from.
pub const PYPDFIUM2_VERSION: &str = env!("CAIRN_PYPDFIUM2_VERSION");

static ONNX_RUNTIME: Embedded =
    Embedded::new(NativeLibrary::OnnxRuntime, include_bytes!(env!("CAIRN_ONNXRUNTIME_ZST")));
static PDFIUM: Embedded =
    Embedded::new(NativeLibrary::Pdfium, include_bytes!(env!("CAIRN_PDFIUM_ZST")));

/// A library built into the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeLibrary {
    OnnxRuntime,
    Pdfium,
}

impl fmt::Display for NativeLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnnxRuntime => "ONNX Runtime",
            Self::Pdfium => "libpdfium",
        })
    }
}

/// Why a built-in library cannot be used on this machine.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    #[error(
        "{library} can be unpacked neither into memory ({memory}) nor into {}, from where this \
         system must allow code to be loaded",
        .directory.display()
    )]
    NoRoom {
        library: NativeLibrary,
        directory: PathBuf,
        /// What the in-memory attempt failed with.
        memory: io::Error,
        #[source]
        source: io::Error,
    },
    #[error(
        "{library} needs {requirement}, which the C or C++ library of this system is too old for"
    )]
    SystemTooOld { library: NativeLibrary, requirement: String },
    #[error("{library} needs a processor with {feature}, which this one lacks")]
    ProcessorTooOld { library: NativeLibrary, feature: &'static str },
    #[error("{library} does not load")]
    Load {
        library: NativeLibrary,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl NativeError {
    /// Explains a loader's failure: a symbol version the system does not have is named as such.
    pub fn load(
        library: NativeLibrary,
        failure: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> NativeError {
        let failure = failure.into();
        match missing_symbol_version(failure.as_ref()) {
            Some(requirement) => Self::SystemTooOld { library, requirement },
            None => Self::Load { library, source: failure },
        }
    }
}

/// Path under which ONNX Runtime can be opened by the dynamic loader of this process.
///
/// Blocks for about 50 ms the first time. `private_dir` is used only where the system forbids
/// executable memory files; nothing stays in it.
///
/// # Errors
/// [`NativeError::NoRoom`], [`NativeError::ProcessorTooOld`]. A later call tries again.
pub fn onnxruntime(private_dir: &Path) -> Result<&'static Path, NativeError> {
    require_processor(NativeLibrary::OnnxRuntime)?;
    ONNX_RUNTIME.path(private_dir)
}

/// Path under which libpdfium can be opened by the dynamic loader of this process.
///
/// Blocks for about 20 ms the first time; to be called before the process gives up the right to
/// create files. `private_dir` as for [`onnxruntime`].
///
/// # Errors
/// [`NativeError::NoRoom`]. A later call tries again.
pub fn pdfium(private_dir: &Path) -> Result<&'static Path, NativeError> {
    PDFIUM.path(private_dir)
}

struct Embedded {
    library: NativeLibrary,
    compressed: &'static [u8],
    image: OnceLock<Image>,
    unpacking: Mutex<()>,
}

impl Embedded {
    const fn new(library: NativeLibrary, compressed: &'static [u8]) -> Self {
        Self { library, compressed, image: OnceLock::new(), unpacking: Mutex::new(()) }
    }

    fn path(&'static self, private_dir: &Path) -> Result<&'static Path, NativeError> {
        if let Some(image) = self.image.get() {
            return Ok(image.path());
        }
        let _one_at_a_time = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = self.image.get() {
            return Ok(image.path());
        }
        let image = Image::unpack(self.library, self.compressed, private_dir)?;
        Ok(self.image.get_or_init(|| image).path())
    }
}

/// The official builds are made for AVX machines; without it they would die of an illegal
/// instruction in the middle of a document.
fn require_processor(library: NativeLibrary) -> Result<(), NativeError> {
    if std::arch::is_x86_feature_detected!("avx") {
        Ok(())
    } else {
        Err(NativeError::ProcessorTooOld { library, feature: "AVX" })
    }
}

/// `GLIBC_2.28` out of the loader's sentence "version `GLIBC_2.28' not found (required by …)".
fn missing_symbol_version(failure: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(failure);
    while let Some(error) = cause {
        let text = error.to_string();
        if text.contains("not found")
            && let Some(start) = text.find("GLIBC")
        {
            let end = text[start..]
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
                .map_or(text.len(), |length| start + length);
            return Some(text[start..end].replace('_', " "));
        }
        cause = error.source();
    }
    None
}

/// The environment variable that keeps ONNX Runtime from reporting to its vendor and from writing
/// a device id below `$HOME`. Its own switch, which the binding offers, comes too late: the
/// library sets its reporter up when it is loaded.
pub const TELEMETRY_SWITCH: &str = "ORT_DISABLE_TELEMETRY";

/// Throws that switch. Call it first thing in `main`, before any thread is started; the runtime
/// is not loaded without it.
pub fn silence_telemetry() {
    // SAFETY: the process has one thread so far, so nothing reads the environment meanwhile.
    #[expect(unsafe_code, reason = "the library takes this setting from the environment only")]
    unsafe {
        std::env::set_var(TELEMETRY_SWITCH, "1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_libraries_unpack_to_elf_files_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        for library in [onnxruntime, pdfium] {
            let path = library(dir.path()).unwrap();
            let bytes = std::fs::read(path).unwrap();
            assert_eq!(&bytes[..4], b"\x7fELF");
            assert!(std::ptr::eq(path, library(dir.path()).unwrap()));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_c_library_that_is_too_old_is_named_in_the_error() {
        let sentence = "failed to load from `/proc/self/fd/9`: /lib/libc.so.6: version \
                        `GLIBC_2.28' not found (required by /proc/self/fd/9)";
        let error = NativeError::load(NativeLibrary::OnnxRuntime, sentence);
        assert_eq!(
            error.to_string(),
            "ONNX Runtime needs GLIBC 2.28, which the C or C++ library of this system is too \
             old for"
        );
    }

    #[test]
    fn any_other_load_failure_keeps_the_loaders_own_words() {
        let error = NativeError::load(NativeLibrary::Pdfium, "cannot allocate memory");
        assert_eq!(error.to_string(), "libpdfium does not load");
        assert_eq!(error.source().unwrap().to_string(), "cannot allocate memory");
    }
}
