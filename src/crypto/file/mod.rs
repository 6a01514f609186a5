//! The one format of files that are sealed by us: originals, full-text files, vector files.
//!
//! Called by: `tenant`, `app`. Talks to: files and writers that its callers open.
//! Invariants: a changed bit, a missing or extra byte, a chunk in another place, and a file of
//! another tenant or purpose are `io::ErrorKind::InvalidData`, never other content. A writer that
//! was dropped leaves a file that does not open. What is whole was whole once: that the file is
//! the newest of its name, the catalogue must know.
//! Why: random access at ring's speed; no library at hand gives both.
//!
//! # Format 1
//!
//! All numbers are little-endian. A file is written once, from front to back, and then only read.
//!
//! ```text
//! offset  bytes  header
//!      0      8  "CAIRNSF1"
//!      8      2  format: 1
//!     10      2  purpose: 2 blobs, 4 full-text, 5 vectors, ... (KeyPurpose::code)
//!     12      4  epoch of the DEK
//!     16      4  content bytes of a full chunk: 32768
//!     20     16  file id: random
//!     36     28  reserved: zeros
//!     64         chunk 0, chunk 1, ... each:
//!             n    ciphertext, as long as the content: 32768, in the last chunk 1 to 32768
//!            16    tag
//! ```
//!
//! A file without content has one chunk without content. Content and sealed length follow from
//! each other, so that nobody has to open a file to know how long its content is.
//!
//! ```text
//! subkey   = HKDF-SHA256(DEK of the epoch, no salt,
//!                info = "cairn subkey 1" 00 | u64 length of scope | scope | purpose word)
//! file key = HKDF-SHA256(subkey, no salt,
//!                info = "cairn file 1" 00 | u64 length of scope | scope | file id)
//! chunk    = AES-256-GCM(file key,
//!                nonce = u64 chunk number | 4 zeros,
//!                associated data = header (64) | u64 chunk number | 1 in the last chunk, else 0)
//! ```
//!
//! Scope is the tenant's id, or `system`. Every file has a key of its own and no chunk number
//! comes twice in it, so no nonce is used twice. The path is not bound: files may be renamed.

#[cfg(not(feature = "pass-through-cipher"))]
mod chunk;
#[cfg(feature = "pass-through-cipher")]
#[path = "chunk_pass_through.rs"]
mod chunk;
mod header;
mod layout;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

pub use reader::{SealedReader, SealedStream};
pub use writer::SealedWriter;

use super::keyring::{KeyPurpose, Keyring};
use super::random::random_bytes;
use super::secret::SecretKey;
use chunk::ChunkCipher;
use header::Header;
use reader::Chunks;

/// Why a file does not open. Always inside an [`io::Error`] of kind `InvalidData`.
#[derive(Debug, thiserror::Error)]
pub enum SealedFileError {
    #[error("no sealed file is {sealed_len} bytes long")]
    Length { sealed_len: u64 },
    #[error("the header is damaged, or this is no sealed file")]
    Header,
    #[error("the file has format {found}; this release reads format {}", header::FORMAT)]
    Format { found: u16 },
    #[error("the file was sealed for another purpose than {}", .expected.word())]
    Purpose { expected: KeyPurpose },
    #[error("there is no key of epoch {epoch}")]
    Epoch { epoch: u32 },
    #[error("chunk {number} is damaged, or the file belongs to another tenant")]
    Chunk { number: u64 },
    #[error("the file ends before its last chunk")]
    Short,
}

impl From<SealedFileError> for io::Error {
    fn from(error: SealedFileError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Seals and opens the files of one scope and purpose: with the current epoch, and of any epoch
/// that the keyring has. Cheap to clone; the last clone to go wipes its sub-keys.
#[derive(Clone)]
pub struct FileCipher(Arc<Subkeys>);

struct Subkeys {
    keyring: Arc<Keyring>,
    purpose: KeyPurpose,
    by_epoch: Vec<(u32, SecretKey)>,
}

impl FileCipher {
    /// The cipher for files of this purpose under these keys.
    pub fn new(keyring: Arc<Keyring>, purpose: KeyPurpose) -> Self {
        let subkey = |epoch| Some((epoch, keyring.subkey(epoch, purpose)?));
        let by_epoch = keyring.epochs().into_iter().filter_map(subkey).collect();
        Self(Arc::new(Subkeys { keyring, purpose, by_epoch }))
    }

    /// How long the content of a sealed file of this length is.
    ///
    /// # Errors
    /// `InvalidData` where no sealed file has that length.
    pub fn content_len(sealed_len: u64) -> io::Result<u64> {
        Ok(layout::content_len(sealed_len).ok_or(SealedFileError::Length { sealed_len })?)
    }

    /// How long a sealed file with content of this length is.
    pub fn sealed_len(content_len: u64) -> u64 {
        layout::sealed_len(content_len)
    }

    /// Starts a sealed file in `inner`, which nothing else may have been written to. The file
    /// opens only after [`SealedWriter::finish`].
    ///
    /// # Errors
    /// `InvalidData` without a key of the current epoch; the writer's; without randomness.
    pub fn writer<W: Write>(&self, inner: W) -> io::Result<SealedWriter<W>> {
        let file_id = random_bytes().map_err(io::Error::other)?;
        let header = Header {
            purpose: self.0.purpose.code(),
            epoch: self.0.keyring.current_epoch(),
            file_id,
        };
        let cipher = self.chunk_cipher(&header)?;
        SealedWriter::begin(inner, &header.encode(), cipher)
    }

    /// Opens a sealed file. Header and last chunk are authenticated here, every other chunk when
    /// it is read.
    ///
    /// # Errors
    /// `InvalidData` where it was not sealed by this tenant for this purpose, or has changed
    /// since; the disk's.
    pub fn reader(&self, file: File) -> io::Result<SealedReader> {
        SealedReader::open(file, |header, sealed_len| self.chunks(header, sealed_len))
    }

    /// Seals content in memory.
    ///
    /// # Errors
    /// As [`Self::writer`].
    pub fn seal(&self, content: &[u8]) -> io::Result<Vec<u8>> {
        let sealed_len = layout::sealed_len(content.len() as u64);
        let mut writer = self.writer(Vec::with_capacity(sealed_len as usize))?;
        writer.write_all(content)?;
        writer.finish()
    }

    /// Opens what [`Self::seal`] made, or a whole file read into memory.
    ///
    /// # Errors
    /// As [`Self::reader`].
    pub fn open(&self, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let sealed_len = sealed.len() as u64;
        let (header, body) =
            sealed.split_first_chunk().ok_or(SealedFileError::Length { sealed_len })?;
        let mut content = body.to_vec();
        self.chunks(header, sealed_len)?.open(0, &mut content)?;
        Ok(content)
    }

    /// The epoch that a file says it was sealed with. Nothing vouches for it: good for finding
    /// files to seal anew, for nothing else.
    ///
    /// # Errors
    /// `InvalidData` where it has no header of a sealed file; the disk's.
    pub fn epoch_of(file: &File) -> io::Result<u32> {
        Ok(Header::decode(&reader::header_of(file)?)?.epoch)
    }

    fn chunks(
        &self,
        header: &[u8; layout::HEADER_LEN],
        sealed_len: u64,
    ) -> Result<Chunks, SealedFileError> {
        let content_len =
            layout::content_len(sealed_len).ok_or(SealedFileError::Length { sealed_len })?;
        let header = Header::decode(header)?;
        if header.purpose != self.0.purpose.code() {
            return Err(SealedFileError::Purpose { expected: self.0.purpose });
        }
        Ok(Chunks::new(self.chunk_cipher(&header)?, header.epoch, content_len))
    }

    fn chunk_cipher(&self, header: &Header) -> Result<ChunkCipher, SealedFileError> {
        let Subkeys { keyring, by_epoch, .. } = &*self.0;
        let (_, subkey) = by_epoch
            .iter()
            .find(|(epoch, _)| *epoch == header.epoch)
            .ok_or(SealedFileError::Epoch { epoch: header.epoch })?;
        Ok(ChunkCipher::new(subkey, keyring.scope(), header))
    }
}

impl std::fmt::Debug for FileCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileCipher")
            .field("scope", &self.0.keyring.scope())
            .field("purpose", &self.0.purpose)
            .finish_non_exhaustive()
    }
}
