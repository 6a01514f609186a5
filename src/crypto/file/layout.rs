//! Where what lies in a sealed file, and how long it is.
//!
//! Called by: its neighbours. Talks to: nothing.
//! Invariants: content length and sealed length are functions of each other.

pub(super) const HEADER_LEN: usize = 64;
/// Content of a full chunk.
pub(super) const CHUNK_LEN: usize = 32 * 1024;
pub(super) const TAG_LEN: usize = 16;
/// A full chunk on disk.
pub(super) const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// 128 TiB of content: far below what AES-GCM bears under one key, and no sum overflows.
pub(super) const MOST_CHUNKS: u64 = 1 << 32;

/// Chunks that hold content of this length; an empty file has one.
pub(super) fn chunk_count(content_len: u64) -> u64 {
    content_len.div_ceil(CHUNK_LEN as u64).max(1)
}

/// Where a chunk begins in the sealed file.
pub(super) fn chunk_offset(number: u64) -> u64 {
    HEADER_LEN as u64 + number * SEALED_CHUNK_LEN as u64
}

pub(super) fn sealed_len(content_len: u64) -> u64 {
    let tags = chunk_count(content_len) * TAG_LEN as u64;
    content_len.saturating_add(HEADER_LEN as u64 + tags)
}

/// `None` where no sealed file has that length.
pub(super) fn content_len(of_sealed: u64) -> Option<u64> {
    let body = of_sealed.checked_sub(HEADER_LEN as u64)?;
    let chunks = body.div_ceil(SEALED_CHUNK_LEN as u64);
    let content_len = body.checked_sub(chunks * TAG_LEN as u64)?;
    (chunks <= MOST_CHUNKS && sealed_len(content_len) == of_sealed).then_some(content_len)
}
