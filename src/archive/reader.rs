//! Reading an archive, with every check it allows.
//!
//! Called by: `app::transfer`. Talks to: the reader it is given.
//! Invariants: checked in this order: the passphrase opens it; every entry has a plain name, once;
//! each is handed out as it comes, so its receiver must be able to take it back; the manifest
//! lists exactly what came; the signature fits the manifest; nothing follows.

use std::io::{self, Read};

use age::secrecy::SecretString;
use age::stream::StreamReader;
use age::{DecryptError, Decryptor, Identity, scrypt};
use tar::EntryType;

use super::manifest::{self, EntryList};
use super::signing::Signature;
use super::writer::Digesting;
use super::{
    ArchiveError, Fingerprint, MANIFEST, MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES, Manifest,
    SIGNATURE,
};

/// Logarithm of the work that opening an archive may cost: 256 MiB, which is what `age` asks for.
const MAX_WORK_FACTOR: u8 = 18;

/// Bytes of a tar block.
const BLOCK: usize = 512;

/// An archive that was read to its end and holds what it says.
#[derive(Debug)]
pub struct Verified {
    pub manifest: Manifest,
    /// Whose signature it carries.
    pub signer: Fingerprint,
}

/// Reads the archive that `passphrase` opens, giving each entry's name, length and content to
/// `receive` in turn. What was received may be used only after this has returned without error.
///
/// # Errors
/// That of `receive`; any way in which the archive is not what was written.
pub fn read<E: From<ArchiveError>>(
    input: impl Read,
    passphrase: &str,
    mut receive: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), E>,
) -> Result<Verified, E> {
    let mut archive = tar::Archive::new(decrypt(input, passphrase)?);
    let mut seen = EntryList::default();
    let verified = {
        // Raw: an extension header is an entry that no archive has, and not one to make room for.
        let mut entries = archive.entries().map_err(ArchiveError::Read)?.raw(true);
        let manifest = loop {
            let mut entry = next(&mut entries)?;
            let name = entry_name(&entry)?;
            if name == MANIFEST {
                break whole(&mut entry, MAX_MANIFEST_BYTES)?;
            }
            seen.announce(&name)?;
            let length = entry.size();
            let mut content = Digesting::new(&mut entry);
            receive(&name, length, &mut content)?;
            // What the receiver leaves counts all the same.
            io::copy(&mut content, &mut io::sink()).map_err(ArchiveError::Read)?;
            seen.push(content.into_record(&name));
        };
        let mut entry = next(&mut entries)?;
        if entry_name(&entry)? != SIGNATURE {
            return Err(ArchiveError::Incomplete.into());
        }
        let signature = whole(&mut entry, MAX_SIGNATURE_BYTES)?;
        drop(entry);
        if entries.next().is_some() {
            return Err(ArchiveError::Surplus.into());
        }
        verify(&seen, &manifest, &signature)?
    };
    read_end(archive.into_inner())?;
    Ok(verified)
}

/// Reads to the very end, where the cipher tells an archive that was cut short. A tar ends with
/// two blocks of zeros, of which its reader takes one.
fn read_end(rest: impl Read) -> Result<(), ArchiveError> {
    let mut block = Vec::with_capacity(BLOCK + 1);
    rest.take(BLOCK as u64 + 1).read_to_end(&mut block).map_err(ArchiveError::Read)?;
    if block == [0; BLOCK] { Ok(()) } else { Err(ArchiveError::Surplus) }
}

fn decrypt<R: Read>(input: R, passphrase: &str) -> Result<StreamReader<R>, ArchiveError> {
    let decryptor = Decryptor::new(input).map_err(unopened)?;
    if !decryptor.is_scrypt() {
        return Err(ArchiveError::NotAnArchive);
    }
    let mut identity = scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let identity: &dyn Identity = &identity;
    decryptor.decrypt(std::iter::once(identity)).map_err(unopened)
}

fn unopened(error: DecryptError) -> ArchiveError {
    match error {
        DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed
        | DecryptError::NoMatchingKeys => ArchiveError::WrongPassphrase,
        DecryptError::ExcessiveWork { .. } => ArchiveError::ExcessiveWork,
        DecryptError::Io(error) => ArchiveError::Read(error),
        DecryptError::InvalidMac => {
            ArchiveError::Read(io::Error::new(io::ErrorKind::InvalidData, "its header was changed"))
        }
        // An invalid header, an unknown format, and what later releases of age may tell apart.
        _ => ArchiveError::NotAnArchive,
    }
}

fn next<'a, R: Read>(entries: &mut tar::Entries<'a, R>) -> Result<tar::Entry<'a, R>, ArchiveError> {
    match entries.next() {
        Some(Ok(entry)) if entry.header().entry_type() == EntryType::Regular => Ok(entry),
        Some(Ok(_)) => Err(ArchiveError::Entry),
        Some(Err(error)) => Err(ArchiveError::Read(error)),
        None => Err(ArchiveError::Incomplete),
    }
}

fn entry_name<R: Read>(entry: &tar::Entry<'_, R>) -> Result<String, ArchiveError> {
    String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| ArchiveError::Entry)
}

fn whole<R: Read>(entry: &mut tar::Entry<'_, R>, limit: u64) -> Result<Vec<u8>, ArchiveError> {
    if entry.size() > limit {
        return Err(ArchiveError::Entry);
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
    Ok(bytes)
}

fn verify(seen: &EntryList, manifest: &[u8], signature: &[u8]) -> Result<Verified, ArchiveError> {
    let signature: Signature =
        serde_json::from_slice(signature).map_err(|_| ArchiveError::Signature)?;
    let signer = signature.signer_of(manifest)?;
    let manifest = manifest::parse(manifest)?;
    seen.compare(&manifest.entries)?;
    Ok(Verified { manifest, signer })
}
