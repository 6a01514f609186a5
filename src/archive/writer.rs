//! Writing an archive, entry after entry.
//!
//! Called by: `app::transfer`. Talks to: the writer it is given.
//! Invariants: an archive is whole once [`ArchiveWriter::finish`] has returned; one that was
//! dropped before has no end, and nothing reads it.

use std::io::{self, Read, Write};

use age::secrecy::SecretString;
use age::stream::StreamWriter;
use age::{Encryptor, Recipient, scrypt};
use sha2::{Digest, Sha256};

use super::manifest::EntryList;
use super::{
    ArchiveError, EntryRecord, FORMAT, Fingerprint, MANIFEST, Manifest, Provenance, SIGNATURE,
    SigningKey,
};
use crate::crypto::hex;

/// Logarithm of the work that a passphrase costs to try: 128 MiB and some tenths of a second.
const WORK_FACTOR: u8 = 17;

/// An archive being written.
pub struct ArchiveWriter<W: Write> {
    tar: tar::Builder<StreamWriter<W>>,
    entries: EntryList,
}

impl<W: Write> ArchiveWriter<W> {
    /// Starts an archive that `passphrase` opens.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn begin(out: W, passphrase: &str) -> Result<Self, ArchiveError> {
        Self::begin_with(out, passphrase, WORK_FACTOR)
    }

    pub(super) fn begin_with(
        out: W,
        passphrase: &str,
        work_factor: u8,
    ) -> Result<Self, ArchiveError> {
        let mut recipient = scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
        recipient.set_work_factor(work_factor);
        let recipient: &dyn Recipient = &recipient;
        let out = Encryptor::with_recipients(std::iter::once(recipient))
            .map_err(io::Error::other)
            .and_then(|encryptor| encryptor.wrap_output(out))
            .map_err(ArchiveError::Write)?;
        Ok(Self { tar: tar::Builder::new(out), entries: EntryList::default() })
    }

    /// Adds an entry of `length` bytes.
    ///
    /// # Errors
    /// A name that is taken or none; content of another length; when either side fails.
    pub fn add(&mut self, name: &str, length: u64, content: impl Read) -> Result<(), ArchiveError> {
        self.entries.announce(name)?;
        let mut content = Digesting::new(content.take(length.saturating_add(1)));
        self.append(name, length, &mut content)?;
        if content.length != length {
            return Err(ArchiveError::Length { name: name.to_owned() });
        }
        self.entries.push(content.into_record(name));
        Ok(())
    }

    /// Ends the archive with its manifest, signed by `key`; says who signed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(
        mut self,
        provenance: Provenance,
        key: &SigningKey,
    ) -> Result<(W, Fingerprint), ArchiveError> {
        let entries = std::mem::take(&mut self.entries).into_records();
        let manifest = Manifest { format: FORMAT, provenance, entries };
        let manifest = serde_json::to_vec(&manifest).map_err(ArchiveError::Manifest)?;
        let signature = serde_json::to_vec(&key.sign(&manifest)).map_err(ArchiveError::Manifest)?;
        for (name, bytes) in [(MANIFEST, &manifest), (SIGNATURE, &signature)] {
            self.append(name, bytes.len() as u64, bytes.as_slice())?;
        }
        let out = self.tar.into_inner().and_then(StreamWriter::finish);
        out.map(|out| (out, key.fingerprint())).map_err(ArchiveError::Write)
    }

    fn append(&mut self, name: &str, length: u64, content: impl Read) -> Result<(), ArchiveError> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).map_err(ArchiveError::Write)?;
        header.set_size(length);
        header.set_mode(0o600);
        header.set_cksum();
        self.tar.append(&header, content).map_err(ArchiveError::Write)
    }
}

/// Content on its way, with its length and digest so far.
pub(super) struct Digesting<R> {
    content: R,
    length: u64,
    digest: Sha256,
}

impl<R> Digesting<R> {
    pub(super) fn new(content: R) -> Self {
        Self { content, length: 0, digest: Sha256::new() }
    }

    pub(super) fn into_record(self, name: &str) -> EntryRecord {
        let sha256 = hex(&self.digest.finalize());
        EntryRecord { name: name.to_owned(), length: self.length, sha256 }
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(out)?;
        self.digest.update(&out[..read]);
        self.length += read as u64;
        Ok(read)
    }
}
