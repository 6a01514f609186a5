//! A model folder: its manifest and its files, checked before anything reads them.
//!
//! Called by: `inference::embedder`. Talks to: the bytes built in from `models/`, the file system.
//! Invariants: every file the manifest names is present with the SHA-256 it states, and the files
//! the model needs are among them; a manifest cannot name a file outside its folder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::InferenceError;
use crate::crypto::hex;
use crate::types::ModelInfo;

const MANIFEST: &str = "manifest.json";
pub(super) const MODEL: &str = "model.onnx";
pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const CONFIG: &str = "config.json";
pub(super) const SPECIAL_TOKENS: &str = "special_tokens_map.json";
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(super) const GOLDEN: &str = "golden.json";
const REQUIRED: [&str; 6] = [MODEL, TOKENIZER, CONFIG, SPECIAL_TOKENS, TOKENIZER_CONFIG, GOLDEN];

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../models/all-MiniLM-L6-v2/", $name)) as &[u8])),*]
    };
}

static BUILT_IN: [(&str, &[u8]); 8] = built_in!(
    "LICENSE",
    "config.json",
    "golden.json",
    "manifest.json",
    "model.onnx",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
);

#[derive(Deserialize)]
struct Manifest {
    id: String,
    revision: String,
    dimension: usize,
    max_tokens: usize,
    pooling: Pooling,
    normalised: bool,
    quantisation: Quantisation,
    language: String,
    licence: String,
    files: BTreeMap<String, String>,
}

/// How token vectors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pooling {
    Mean,
    Cls,
}

/// Number format of the weights; `Dynamic` takes activation ranges from each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quantisation {
    None,
    Static,
    Dynamic,
}

/// A model whose files are the ones its manifest names.
pub(super) struct ModelFiles {
    pub info: ModelInfo,
    pub pooling: Pooling,
    pub quantisation: Quantisation,
    folder: String,
    files: BTreeMap<String, Cow<'static, [u8]>>,
}

impl ModelFiles {
    /// Opens the model in `dir`, or the built-in one. Reads and hashes every file.
    pub(super) fn open(dir: Option<&Path>) -> Result<Self, InferenceError> {
        let folder =
            dir.map_or_else(|| "the program itself".to_owned(), |dir| dir.display().to_string());
        let bytes = read(dir, &folder, MANIFEST)?;
        let manifest: Manifest = parse(&folder, MANIFEST, &bytes)?;
        if let Some(reason) = manifest.problem() {
            return Err(InferenceError::ManifestUnusable { folder, reason });
        }
        let mut files = BTreeMap::new();
        for (name, expected) in &manifest.files {
            let bytes = read(dir, &folder, name)?;
            let found = hex(&Sha256::digest(&bytes));
            if !found.eq_ignore_ascii_case(expected) {
                return Err(InferenceError::FileChanged { folder, file: name.clone(), found });
            }
            files.insert(name.clone(), bytes);
        }
        let sha256 = manifest.files[MODEL].to_ascii_lowercase();
        let info = ModelInfo {
            id: manifest.id,
            revision: manifest.revision,
            dimension: manifest.dimension,
            max_tokens: manifest.max_tokens,
            language: manifest.language,
            licence: manifest.licence,
            sha256,
        };
        let (pooling, quantisation) = (manifest.pooling, manifest.quantisation);
        Ok(Self { info, pooling, quantisation, folder, files })
    }

    /// The bytes of one of the files every model has.
    pub(super) fn file(&self, name: &str) -> &[u8] {
        self.files.get(name).expect("invariant: required files are present in an opened model")
    }

    /// One of those files as JSON.
    pub(super) fn json<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
    ) -> Result<T, InferenceError> {
        parse(&self.folder, name, self.file(name))
    }
}

impl Manifest {
    fn problem(&self) -> Option<String> {
        if self.id.is_empty() {
            return Some("the id is empty".to_owned());
        }
        if self.dimension == 0 || self.max_tokens < 3 {
            return Some("dimension or max_tokens is too small".to_owned());
        }
        if !self.normalised {
            return Some("only models with normalised vectors are supported".to_owned());
        }
        if let Some(name) = REQUIRED.into_iter().find(|name| !self.files.contains_key(*name)) {
            return Some(format!("it does not name {name}"));
        }
        let outside = |name: &&String| name.contains('/') || name.starts_with('.');
        self.files.keys().find(outside).map(|name| format!("{name:?} is not a plain file name"))
    }
}

fn read(
    dir: Option<&Path>,
    folder: &str,
    name: &str,
) -> Result<Cow<'static, [u8]>, InferenceError> {
    let bytes = match dir {
        Some(dir) => fs::read(dir.join(name)).map(Cow::Owned),
        None => BUILT_IN
            .iter()
            .find(|(built_in, _)| *built_in == name)
            .map(|(_, bytes)| Cow::Borrowed(*bytes))
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)),
    };
    bytes.map_err(|source| InferenceError::FileMissing {
        folder: folder.to_owned(),
        file: name.to_owned(),
        source,
    })
}

fn parse<T: for<'de> Deserialize<'de>>(
    folder: &str,
    file: &str,
    bytes: &[u8],
) -> Result<T, InferenceError> {
    serde_json::from_slice(bytes).map_err(|source| InferenceError::FileMalformed {
        folder: folder.to_owned(),
        file: file.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_of_the_built_in_model() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in BUILT_IN {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn edit_manifest(dir: &Path, from: &str, to: &str) {
        let text = fs::read_to_string(dir.join(MANIFEST)).unwrap();
        assert!(text.contains(from));
        fs::write(dir.join(MANIFEST), text.replace(from, to)).unwrap();
    }

    #[test]
    fn a_model_folder_is_the_same_model_as_the_built_in_copy_of_it() {
        let dir = copy_of_the_built_in_model();
        let outside = ModelFiles::open(Some(dir.path())).unwrap();
        let built_in = ModelFiles::open(None).unwrap();
        assert_eq!(outside.info, built_in.info);
        assert_eq!(built_in.info.id, "all-MiniLM-L6-v2-int8");
        assert_eq!((built_in.info.dimension, built_in.info.max_tokens), (384, 256));
    }

    #[test]
    fn a_changed_file_is_refused_by_name() {
        let dir = copy_of_the_built_in_model();
        let path = dir.path().join(TOKENIZER);
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(b'\n');
        fs::write(&path, bytes).unwrap();
        match ModelFiles::open(Some(dir.path())).err().unwrap() {
            InferenceError::FileChanged { file, .. } => assert_eq!(file, TOKENIZER),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_folder_without_a_manifest_says_which_file_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        match ModelFiles::open(Some(dir.path())).err().unwrap() {
            InferenceError::FileMissing { file, .. } => assert_eq!(file, MANIFEST),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_manifest_that_leaves_out_or_leads_out_is_refused() {
        for (from, to) in [
            ("\"golden.json\":", "\"other.json\":"),
            ("\"LICENSE\":", "\"../LICENSE\":"),
            ("\"dimension\": 384", "\"dimension\": 0"),
        ] {
            let dir = copy_of_the_built_in_model();
            edit_manifest(dir.path(), from, to);
            let error = ModelFiles::open(Some(dir.path())).err().unwrap();
            assert!(matches!(error, InferenceError::ManifestUnusable { .. }), "{error}");
        }
    }
}
