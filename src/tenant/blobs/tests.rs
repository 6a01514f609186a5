//! Blobs from outside: what is stored, found, swept, sealed anew.
//!
//! Called by: the test runner. Talks to: the module above, a temporary directory.
//! Invariants: none of its own.

use std::io::SeekFrom;

use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::*;
use crate::crypto::{KeyPurpose, Keyring};
use crate::tenant::testing;

struct Rig {
    dir: tempfile::TempDir,
    latch: Latch,
    blobs: Blobs,
}

impl Rig {
    fn new() -> Self {
        Self::under(tempfile::tempdir().unwrap(), testing::keyring("tenant", 1))
    }

    fn under(dir: tempfile::TempDir, keyring: Arc<Keyring>) -> Self {
        let latch = Latch::default();
        let cipher = FileCipher::new(keyring, KeyPurpose::Blobs);
        let names = SecretKey::from_bytes([7; 32]);
        let root = dir.path().join("blobs");
        let blobs = Blobs::open(root, cipher, names, latch.clone(), FaultPlan::default()).unwrap();
        Self { dir, latch, blobs }
    }

    async fn store(&self, content: &[u8]) -> StoredBlob {
        let mut writer = self.blobs.begin().unwrap();
        for piece in content.chunks(100_000) {
            writer.write(piece).await.unwrap();
        }
        writer.finish().await.unwrap()
    }

    async fn read(&self, digest: &str) -> io::Result<Vec<u8>> {
        let mut reader = self.blobs.read(digest).await.map_err(io::Error::other)?;
        let mut content = Vec::new();
        reader.read_to_end(&mut content).await?;
        assert_eq!(reader.size_bytes(), content.len() as u64);
        Ok(content)
    }

    fn names(&self) -> Vec<String> {
        names_in(&self.dir.path().join("blobs")).unwrap()
    }

    fn file(&self, digest: &str) -> PathBuf {
        self.blobs.path(&self.blobs.name(digest).unwrap())
    }
}

/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 253) as u8 ^ (at >> 16) as u8).collect()
}

#[tokio::test]
async fn content_comes_back_whole_and_tells_nothing_on_disk() {
    let rig = Rig::new();
    let mut big = content(900_000);
    big.extend_from_slice(b"marker-in-content");
    for bytes in [Vec::new(), b"marker-in-content".to_vec(), content(262_144), big] {
        let stored = rig.store(&bytes).await;
        assert_eq!(stored.size_bytes, bytes.len() as u64);
        assert_eq!(rig.read(&stored.digest).await.unwrap(), bytes);
        assert_eq!(testing::shows(rig.dir.path(), &stored.digest), None);
    }
    assert_eq!(testing::shows(rig.dir.path(), "marker-in-content"), None);
    assert_eq!(rig.names().len(), 4);
    assert!(rig.read(EMPTY).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_same_bytes_are_stored_once_and_a_dropped_writer_leaves_nothing() {
    let rig = Rig::new();
    let (one, other) = (rig.store(b"same").await, rig.store(b"same").await);
    assert_eq!(one.digest, other.digest);
    let mut writer = rig.blobs.begin().unwrap();
    writer.write(&content(600_000)).await.unwrap();
    drop(writer);
    assert_eq!(testing::files(rig.dir.path()).len(), 2, "the blob and the format");
}

#[tokio::test]
async fn a_changed_cut_foreign_or_swapped_file_is_an_error() {
    let rig = Rig::new();
    let (one, other) = (rig.store(&content(700_000)).await, rig.store(&content(300_000)).await);
    let path = rig.file(&one.digest);
    let whole = std::fs::read(&path).unwrap();

    testing::truncate(&path, 1);
    assert!(rig.read(&one.digest).await.is_err());
    testing::truncate(&path, 100_000);
    assert!(rig.read(&one.digest).await.is_err());

    let mut changed = whole.clone();
    changed[400_000] ^= 1;
    std::fs::write(&path, changed).unwrap();
    assert!(rig.read(&one.digest).await.is_err());

    // Sealed for the same tenant and purpose, so only the digest tells.
    std::fs::copy(rig.file(&other.digest), &path).unwrap();
    assert!(rig.read(&one.digest).await.is_err());

    let foreign = Rig::under(tempfile::tempdir().unwrap(), testing::keyring("another", 1));
    foreign.store(&content(700_000)).await;
    std::fs::copy(foreign.file(&one.digest), &path).unwrap();
    assert!(rig.read(&one.digest).await.is_err());

    std::fs::write(&path, whole).unwrap();
    assert_eq!(rig.read(&one.digest).await.unwrap(), content(700_000));
}

#[tokio::test]
async fn a_blob_is_read_from_any_place_and_only_if_it_is_the_one_that_was_named() {
    let rig = Rig::new();
    let (one, other) = (rig.store(&content(900_000)).await, rig.store(&content(300_000)).await);
    let mut reader = rig.blobs.read(&one.digest).await.unwrap();
    assert_eq!(reader.seek(SeekFrom::End(0)).await.unwrap(), 900_000);
    reader.rewind().await.unwrap();
    for (at, length) in [(0, 10), (700_000, 200_000), (5, 300_000), (300_005, 7), (899_999, 1)] {
        let mut part = vec![0; length];
        reader.seek(SeekFrom::Start(at)).await.unwrap();
        reader.read_exact(&mut part).await.unwrap();
        assert_eq!(part, content(900_000)[at as usize..at as usize + length], "{at}");
    }
    reader.seek(SeekFrom::Start(2_000_000)).await.unwrap();
    assert_eq!(reader.read(&mut [0; 10]).await.unwrap(), 0);

    std::fs::copy(rig.file(&other.digest), rig.file(&one.digest)).unwrap();
    let mut reader = rig.blobs.read(&one.digest).await.unwrap();
    reader.seek(SeekFrom::Start(10)).await.unwrap();
    assert!(reader.read(&mut [0; 10]).await.is_err());
}

#[tokio::test]
async fn a_sweep_removes_what_nothing_names_and_nothing_else() {
    let rig = Rig::new();
    let named = rig.store(b"named").await;
    let unnamed = rig.store(b"unnamed").await.digest;
    let pending = rig.store(b"about to be named").await;
    let late = rig.store(b"named while the sweep looks").await.digest;
    let asked = std::cell::Cell::new(0);
    let list = || {
        asked.set(asked.get() + 1);
        let mut digests = vec![named.digest.clone()];
        if asked.get() > 1 {
            digests.push(late.clone());
        }
        std::future::ready(Ok::<_, BlobError>(digests))
    };
    assert_eq!(rig.blobs.sweep(list).await.unwrap(), 1);
    assert!(rig.read(&unnamed).await.is_err());
    for kept in [&named.digest, &pending.digest, &late] {
        assert!(rig.read(kept).await.is_ok());
    }
    assert_eq!(asked.get(), 2);
}

#[tokio::test]
async fn a_blob_is_removed_unless_it_is_named_or_about_to_be() {
    let rig = Rig::new();
    let stored = rig.store(b"content").await;
    let remove = async |named: bool| {
        let named = async move || Ok::<_, BlobError>(named);
        rig.blobs.remove_unnamed(&stored.digest, named).await.unwrap();
        rig.names().len()
    };
    assert_eq!(remove(false).await, 1, "somebody is about to name it");
    let digest = stored.digest.clone();
    drop(stored);
    let remove = async |named: bool| {
        let named = async move || Ok::<_, BlobError>(named);
        rig.blobs.remove_unnamed(&digest, named).await.unwrap();
        rig.names().len()
    };
    assert_eq!(remove(true).await, 1);
    assert_eq!(remove(false).await, 0);
}

#[tokio::test]
async fn blobs_of_an_earlier_epoch_are_read_and_sealed_anew() {
    let rig = Rig::new();
    let old = rig.store(&content(500_000)).await.digest;
    let damaged = rig.store(b"damaged").await.digest;
    let (latch, dir) = (rig.latch.clone(), rig.dir);
    testing::truncate(&rig.blobs.path(&rig.blobs.name(&damaged).unwrap()), 1);
    drop((rig.blobs, latch));

    let rig = Rig::under(dir, testing::keyring("tenant", 2));
    assert_eq!(rig.read(&old).await.unwrap(), content(500_000));
    let new = rig.store(b"stored during the rotation").await;
    assert!(!rig.blobs.reseal_older(2).unwrap(), "the damaged one keeps its key");
    std::fs::remove_file(rig.file(&damaged)).unwrap();
    assert!(rig.blobs.reseal_older(2).unwrap());
    for digest in [&old, &new.digest] {
        let file = std::fs::File::open(rig.file(digest)).unwrap();
        assert_eq!(FileCipher::epoch_of(&file).unwrap(), 2);
    }
    assert_eq!(rig.read(&old).await.unwrap(), content(500_000));
    assert!(rig.blobs.is_quiet() == false, "the new one is about to be named");
    drop(new);
    assert!(rig.blobs.is_quiet());
}

#[tokio::test]
async fn originals_that_cannot_be_listed_are_not_taken_for_none() {
    let rig = Rig::new();
    let kept = rig.store(b"of an earlier epoch").await.digest;
    let dir = rig.dir;
    drop(rig.blobs);
    let rig = Rig::under(dir, testing::keyring("tenant", 2));
    // Stands for a folder that the disk does not give out.
    let unlisted = rig.dir.path().join("blobs").join("zz");
    std::fs::write(&unlisted, "").unwrap();
    assert!(rig.blobs.reseal_older(2).is_err(), "the old key stays");
    std::fs::remove_file(&unlisted).unwrap();
    assert!(rig.blobs.reseal_older(2).unwrap());
    assert_eq!(rig.read(&kept).await.unwrap(), b"of an earlier epoch");
}

#[tokio::test]
async fn a_closed_latch_stops_readers_and_writers_that_have_begun() {
    let rig = Rig::new();
    let stored = rig.store(&content(900_000)).await;
    let mut reader = rig.blobs.read(&stored.digest).await.unwrap();
    let mut writer = rig.blobs.begin().unwrap();
    writer.write(b"a little").await.unwrap();
    rig.latch.close();
    let mut read = Vec::new();
    assert!(reader.read_to_end(&mut read).await.is_err());
    assert!(read.len() < 900_000);
    assert!(writer.finish().await.is_err());
    assert!(matches!(rig.blobs.begin(), Err(BlobError::Locked(_))));
    assert!(matches!(rig.blobs.read(&stored.digest).await, Err(BlobError::Locked(_))));
    assert_eq!(testing::files(rig.dir.path()).len(), 2);
}

#[tokio::test]
async fn while_all_are_held_nothing_is_removed_and_everything_can_be_read() {
    let rig = Rig::new();
    let content = content(700_000);
    let digest = rig.store(&content).await.digest;
    let hold = rig.blobs.hold().unwrap();
    assert!(rig.blobs.hold().is_none(), "one at a time");
    assert!(!rig.blobs.is_quiet());
    rig.blobs.remove_unnamed(&digest, async || Ok::<_, BlobError>(false)).await.unwrap();
    let none = || async { Ok::<_, BlobError>(Vec::new()) };
    assert_eq!(rig.blobs.sweep(none).await.unwrap(), 0);
    let mut read = Vec::new();
    let mut stream = rig.blobs.stream(&digest).unwrap();
    std::io::Read::read_to_end(&mut stream, &mut read).unwrap();
    assert_eq!((stream.size_bytes(), read), (700_000, content));
    // New ones may come meanwhile.
    let late = rig.store(b"late").await.digest;
    drop(hold);
    assert_eq!(rig.blobs.sweep(none).await.unwrap(), 2);
    assert!(rig.blobs.stream(&late).is_err());
}
