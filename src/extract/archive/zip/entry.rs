//! The bytes of one file in a zip archive that has its directory.
//!
//! Called by: `zip`, `stream` for the decoders. Talks to: the `zip` crate for methods and
//! encryption that only zip knows, `aes` for what WinZip encrypts.
//! Invariants: the sizes of the directory bound what is read, not those of the local header; a
//! file that does not come out as long as stated, or with another checksum, ends in an error.

use std::io::{self, BufReader, Read};

use flate2::Crc;
use zip::ZipReadOptions;
use zip::read::read_zipfile_from_stream_with_options;
use zip::result::ZipError;

use super::super::failure;
use super::super::packed::Packing;
use super::aes;
use super::directory::{Record, u16_at};
use crate::extract::source::{Part, RandomAccess};
use crate::types::{ExtractFailure, ExtractFailureCode};

pub(super) const LOCAL: &[u8] = b"PK\x03\x04";
pub(super) const LOCAL_LENGTH: usize = 30;
/// Methods that the `zip` crate decodes here.
const DEFLATE_64: u16 = 9;
const LZMA: u16 = 14;

/// Why a file is not read.
pub(super) enum Closed {
    /// The password is not that of this file.
    Locked,
    Failed(ExtractFailure),
}

/// Gives the unpacked bytes of a file to `take`.
pub(super) fn with_body<T>(
    file: &mut RandomAccess,
    record: &Record<'_>,
    password: Option<&str>,
    take: impl FnOnce(&mut dyn Read) -> T,
) -> Result<T, Closed> {
    let (local, data) = parts(file, record).ok_or_else(|| {
        Closed::Failed(damaged("it does not lie where the directory of the archive says"))
    })?;
    if !record.is_encrypted() && !matches!(record.method, DEFLATE_64 | LZMA) {
        let body = unpacked(record.method, data).map_err(Closed::Failed)?;
        return Ok(take(&mut Checked::new(body, record.unpacked, record.crc)));
    }
    if let Some((strength, method)) = record.aes().filter(|_| record.is_encrypted()) {
        let password = password.ok_or(Closed::Locked)?;
        let plain = aes::open(data, record.packed, strength, &[password])
            .map_err(|error| Closed::Failed(damaged(&error.to_string())))?
            .ok_or(Closed::Locked)?;
        let mut body = unpacked(method, plain).map_err(Closed::Failed)?;
        return Ok(take(&mut body));
    }
    let options = ZipReadOptions::new()
        .password(password.map(str::as_bytes))
        .override_compressed_size(record.packed)
        .override_uncompressed_size(record.unpacked)
        .override_crc(record.crc);
    let mut input = BufReader::new(local);
    match read_zipfile_from_stream_with_options(&mut input, options) {
        Ok(Some(mut file)) => Ok(take(&mut file)),
        Ok(None) => Err(Closed::Failed(damaged("its start is missing"))),
        Err(ZipError::InvalidPassword) => Err(Closed::Locked),
        Err(ZipError::UnsupportedArchive(what)) if what == ZipError::PASSWORD_REQUIRED => {
            Err(Closed::Locked)
        }
        Err(ZipError::CompressionMethodNotSupported(method)) => {
            Err(Closed::Failed(unknown_method(method)))
        }
        Err(error) => Err(Closed::Failed(damaged(&error.to_string()))),
    }
}

/// The file with its local header, and its packed bytes.
fn parts(file: &mut RandomAccess, record: &Record<'_>) -> Option<(Part, Part)> {
    let length = file.length().ok()?;
    let mut local = [0; LOCAL_LENGTH];
    file.part(record.header, length).read_exact(&mut local).ok()?;
    let lengths = u64::from(u16_at(&local, 26)?) + u64::from(u16_at(&local, 28)?);
    let start = record.header.checked_add(LOCAL_LENGTH as u64 + lengths)?;
    let end = start.checked_add(record.packed).filter(|end| *end <= length)?;
    local.starts_with(LOCAL).then(|| (file.part(record.header, end), file.part(start, end)))
}

/// What comes out of plain bytes compressed with `method`.
pub(super) fn unpacked<'b>(
    method: u16,
    plain: impl Read + 'b,
) -> Result<Box<dyn Read + 'b>, ExtractFailure> {
    let packing = match method {
        0 => return Ok(Box::new(plain)),
        8 => return Ok(Box::new(flate2::read::DeflateDecoder::new(plain))),
        12 => Packing::Bzip2,
        93 => Packing::Zstd,
        95 => Packing::Xz,
        other => return Err(unknown_method(other)),
    };
    packing.decoder(plain).map_err(|error| damaged(&error.to_string()))
}

fn unknown_method(method: u16) -> ExtractFailure {
    let message = format!("Files compressed with method {method} cannot be read");
    failure(ExtractFailureCode::UnsupportedType, message)
}

pub(super) fn damaged(why: &str) -> ExtractFailure {
    let message = format!("The file is damaged inside the archive: {why}");
    failure(ExtractFailureCode::Malformed, message)
}

/// Compares length and checksum at the end.
pub(super) struct Checked<R> {
    inner: R,
    left: u64,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Checked<R> {
    pub(super) fn new(inner: R, length: u64, expected: u32) -> Self {
        Self { inner, left: length, crc: Crc::new(), expected }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let wrong = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why.to_owned()));
        let count = self.inner.read(out)?;
        if count == 0 {
            return match (self.left, self.crc.sum() == self.expected) {
                (0, true) => Ok(0),
                (0, false) => wrong("its checksum is wrong"),
                _ => wrong("it ends too early"),
            };
        }
        self.crc.update(&out[..count]);
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return wrong("it is longer than it says"),
        }
        Ok(count)
    }
}
