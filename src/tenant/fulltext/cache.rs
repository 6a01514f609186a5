//! Decrypted chunks of an index, those used last.
//!
//! Called by: `files`. Talks to: nothing.
//! Invariants: never more than [`CHUNKS`] are kept; a key belongs to one open file, so that a file
//! of the same name that comes later is another file; what cannot be read is not kept.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Four megabytes at 32 KiB each.
const CHUNKS: usize = 128;

/// An open file, as the cache knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileKey(u64);

/// The chunks of one index.
#[derive(Default)]
pub(super) struct ChunkCache(Mutex<State>);

#[derive(Default)]
struct State {
    files: u64,
    /// Counts uses, to tell which chunk was used longest ago.
    clock: u64,
    chunks: HashMap<(FileKey, u64), Chunk>,
}

struct Chunk {
    used: u64,
    content: Arc<Vec<u8>>,
}

impl ChunkCache {
    pub(super) fn new_file(&self) -> FileKey {
        let mut state = self.state();
        state.files += 1;
        FileKey(state.files)
    }

    /// The chunk with this number, read where it is not at hand.
    pub(super) fn get(
        &self,
        file: FileKey,
        number: u64,
        read: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Arc<Vec<u8>>> {
        if let Some(content) = self.state().touch(file, number) {
            return Ok(content);
        }
        // Read without the lock: two may read the same chunk, and nobody waits for another's.
        let content = Arc::new(read()?);
        self.state().keep(file, number, content.clone());
        Ok(content)
    }

    /// Drops the chunks of a file that is closed.
    pub(super) fn forget(&self, file: FileKey) {
        self.state().chunks.retain(|(owner, _), _| *owner != file);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn touch(&mut self, file: FileKey, number: u64) -> Option<Arc<Vec<u8>>> {
        self.clock += 1;
        let chunk = self.chunks.get_mut(&(file, number))?;
        chunk.used = self.clock;
        Some(chunk.content.clone())
    }

    fn keep(&mut self, file: FileKey, number: u64, content: Arc<Vec<u8>>) {
        if self.chunks.len() >= CHUNKS
            && let Some(oldest) =
                self.chunks.iter().min_by_key(|(_, chunk)| chunk.used).map(|(at, _)| *at)
        {
            self.chunks.remove(&oldest);
        }
        self.chunks.insert((file, number), Chunk { used: self.clock, content });
    }
}

impl std::fmt::Debug for ChunkCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkCache").field("chunks", &self.state().chunks.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_read_once_while_it_is_used_and_again_after_the_file_was_closed() {
        let cache = ChunkCache::default();
        let file = cache.new_file();
        let mut reads = 0;
        let mut get = |number: u64| {
            let read = || {
                reads += 1;
                Ok(vec![number as u8])
            };
            assert_eq!(*cache.get(file, number, read).unwrap(), [number as u8]);
            reads
        };
        assert_eq!((get(1), get(1), get(2), get(1)), (1, 1, 2, 2));
        cache.forget(file);
        assert_eq!(get(1), 3);
    }

    #[test]
    fn the_chunk_used_longest_ago_makes_room_for_a_new_one() {
        let cache = ChunkCache::default();
        let file = cache.new_file();
        let get = |number: u64| {
            let mut was_read = false;
            cache
                .get(file, number, || {
                    was_read = true;
                    Ok(Vec::new())
                })
                .unwrap();
            was_read
        };
        for number in 0..CHUNKS as u64 {
            assert!(get(number));
        }
        assert!(!get(0), "it is kept");
        assert!(get(CHUNKS as u64));
        assert!(!get(0), "it was used after number one");
        assert!(get(1), "it made room");
        assert_eq!(cache.state().chunks.len(), CHUNKS);
    }

    #[test]
    fn files_do_not_share_chunks_and_a_failed_read_is_not_kept() {
        let cache = ChunkCache::default();
        let (one, other) = (cache.new_file(), cache.new_file());
        cache.get(one, 0, || Ok(vec![1])).unwrap();
        assert!(cache.get(other, 0, || Err(io::ErrorKind::InvalidData.into())).is_err());
        assert_eq!(*cache.get(other, 0, || Ok(vec![2])).unwrap(), [2]);
    }
}
