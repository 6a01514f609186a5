//! The first 64 bytes of a sealed file.
//!
//! Called by: its neighbours. Talks to: nothing.
//! Invariants: decoding accepts only what encoding writes. A decoded header is a claim until a
//! chunk has been opened: every chunk has it in its associated data.

use super::SealedFileError;
use super::layout::{CHUNK_LEN, HEADER_LEN};

const MAGIC: &[u8; 8] = b"CAIRNSF1";
#[cfg(not(feature = "pass-through-cipher"))]
pub(super) const FORMAT: u16 = 1;
/// So that neither build takes the other's files for its own.
#[cfg(feature = "pass-through-cipher")]
pub(super) const FORMAT: u16 = u16::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) purpose: u16,
    pub(super) epoch: u32,
    pub(super) file_id: [u8; 16],
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.purpose.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..20].copy_from_slice(&(CHUNK_LEN as u32).to_le_bytes());
        bytes[20..36].copy_from_slice(&self.file_id);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, SealedFileError> {
        let mut file_id = [0; 16];
        file_id.copy_from_slice(&bytes[20..36]);
        let header = Self {
            purpose: u16::from_le_bytes([bytes[10], bytes[11]]),
            epoch: u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]),
            file_id,
        };
        let found = u16::from_le_bytes([bytes[8], bytes[9]]);
        if bytes.starts_with(MAGIC) && found != FORMAT {
            return Err(SealedFileError::Format { found });
        }
        if header.encode() != *bytes {
            return Err(SealedFileError::Header);
        }
        Ok(header)
    }
}
