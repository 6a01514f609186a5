//! What goes in comes out, at every length and for every range. Damage is in `tests/damage.rs`.

#[cfg(not(feature = "pass-through-cipher"))]
mod damage;

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::layout::{CHUNK_LEN, HEADER_LEN, SEALED_CHUNK_LEN, TAG_LEN};
use super::*;

fn ring(scope: &str, current: u32, keys: &[(u32, u8)]) -> Arc<Keyring> {
    let key = |&(epoch, seed)| (epoch, SecretKey::from_bytes([seed; 32]));
    Arc::new(Keyring::new(scope, current, keys.iter().map(key)))
}

fn cipher() -> FileCipher {
    FileCipher::new(ring("tenant-a", 3, &[(3, 7)]), KeyPurpose::Blobs)
}

/// Bytes that repeat neither within a chunk nor from chunk to chunk.
fn content(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

fn on_disk(sealed: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(sealed).unwrap();
    file
}

fn opened(cipher: &FileCipher, sealed: &[u8]) -> io::Result<SealedReader> {
    cipher.reader(on_disk(sealed))
}

fn streamed(cipher: &FileCipher, sealed: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    opened(cipher, sealed)?.into_stream().read_to_end(&mut content)?;
    Ok(content)
}

/// Most lengths lie near the border of a chunk, where mistakes would be.
fn lengths() -> impl Strategy<Value = usize> {
    let near = (0..4_usize, 0..40_usize).prop_map(|(n, d)| (n * CHUNK_LEN + d).saturating_sub(20));
    prop_oneof![3 => near, 1 => 0..4 * CHUNK_LEN]
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn any_content_comes_back_however_it_was_written(
        len in lengths(),
        pieces in vec(1..50_000_usize, 1..6),
    ) {
        let (cipher, content) = (cipher(), content(len));
        let mut writer = cipher.writer(Vec::new()).unwrap();
        let (mut rest, mut sizes) = (&content[..], pieces.iter().cycle());
        while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
            let (piece, after) = rest.split_at(rest.len().min(*size));
            writer.write_all(piece).unwrap();
            writer.flush().unwrap();
            rest = after;
        }
        let sealed = writer.finish().unwrap();
        prop_assert_eq!(sealed.len() as u64, FileCipher::sealed_len(len as u64));
        prop_assert_eq!(FileCipher::content_len(sealed.len() as u64).unwrap(), len as u64);
        prop_assert!(cipher.open(&sealed).unwrap() == content);
        prop_assert!(streamed(&cipher, &sealed).unwrap() == content);
        let reader = opened(&cipher, &sealed).unwrap();
        prop_assert_eq!((reader.len(), reader.is_empty()), (len as u64, len == 0));
        prop_assert!(reader.read_at(0..len as u64).unwrap() == content);
    }

    #[test]
    fn any_range_is_that_slice_of_the_content(len in lengths(), ranges in vec(any::<(u32, u32)>(), 1..12)) {
        let (cipher, content) = (cipher(), content(len));
        let reader = opened(&cipher, &cipher.seal(&content).unwrap()).unwrap();
        for (one, other) in ranges {
            let (one, other) = (one as usize % (len + 1), other as usize % (len + 1));
            let (start, end) = (one.min(other), one.max(other));
            let read = reader.read_at(start as u64..end as u64).unwrap();
            prop_assert!(read == content[start..end], "{start}..{end}");
            prop_assert!(read.capacity() <= 2 * read.len(), "{start}..{end} holds {}", read.capacity());
        }
    }

    #[test]
    fn content_length_and_sealed_length_follow_from_each_other(len in 0..1_u64 << 47) {
        let sealed_len = FileCipher::sealed_len(len);
        prop_assert_eq!(FileCipher::content_len(sealed_len).unwrap(), len);
    }
}

#[test]
fn a_length_that_no_sealed_file_has_is_invalid() {
    let last = FileCipher::sealed_len(3 * CHUNK_LEN as u64);
    let possible: std::collections::HashSet<u64> =
        (0..=3 * CHUNK_LEN as u64).map(FileCipher::sealed_len).collect();
    for sealed_len in 0..=last {
        match FileCipher::content_len(sealed_len) {
            Ok(len) => assert_eq!(FileCipher::sealed_len(len), sealed_len),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                assert!(!possible.contains(&sealed_len), "{sealed_len} is possible");
            }
        }
    }
    assert!(FileCipher::content_len(u64::MAX).is_err());
}

#[test]
fn an_empty_file_has_one_empty_chunk() {
    let sealed = cipher().seal(&[]).unwrap();
    assert_eq!(sealed.len(), HEADER_LEN + TAG_LEN);
    let reader = opened(&cipher(), &sealed).unwrap();
    assert!(reader.is_empty());
    assert!(reader.read_at(0..0).unwrap().is_empty());
    assert!(streamed(&cipher(), &sealed).unwrap().is_empty());
}

#[test]
fn a_range_outside_the_content_is_invalid_input() {
    let reader = opened(&cipher(), &cipher().seal(&content(100)).unwrap()).unwrap();
    let backwards = std::ops::Range { start: 5, end: 4 };
    for range in [0..101, 101..101, 101..102, 0..u64::MAX, u64::MAX..u64::MAX, backwards] {
        let error = reader.read_at(range.clone()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{range:?}");
    }
    assert!(reader.read_at(100..100).unwrap().is_empty());
}

#[test]
fn many_threads_read_one_reader_at_once() {
    let content = content(5 * CHUNK_LEN + 7);
    let reader = opened(&cipher(), &cipher().seal(&content).unwrap()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (reader, content) = (&reader, &content);
            scope.spawn(move || {
                for step in 0..50 {
                    let start = (thread * 7919 + step * 3571) % content.len();
                    let end = (start + thread * 20_000 + step).min(content.len());
                    let read = reader.read_at(start as u64..end as u64).unwrap();
                    assert!(read == content[start..end], "{start}..{end}");
                }
            });
        }
    });
}

#[test]
fn a_stream_hands_out_lines_across_chunks() {
    let text: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    assert!(text.len() > 5 * CHUNK_LEN);
    let sealed = cipher().seal(text.as_bytes()).unwrap();
    let stream = opened(&cipher(), &sealed).unwrap().into_stream();
    let lines: Vec<String> = stream.lines().collect::<io::Result<_>>().unwrap();
    assert_eq!(lines.len(), 20_000);
    assert_eq!(lines[19_999], "line 19999");
}

#[test]
fn files_of_every_kept_epoch_open_and_new_ones_take_the_current() {
    let old = FileCipher::new(ring("tenant-a", 1, &[(1, 5)]), KeyPurpose::Vectors);
    let both = FileCipher::new(ring("tenant-a", 2, &[(1, 5), (2, 6)]), KeyPurpose::Vectors);
    let new = FileCipher::new(ring("tenant-a", 2, &[(2, 6)]), KeyPurpose::Vectors);
    let before = old.seal(b"before").unwrap();
    let after = both.seal(b"after").unwrap();
    assert_eq!(both.open(&before).unwrap(), b"before");
    assert_eq!(new.open(&after).unwrap(), b"after");
    assert_eq!(opened(&both, &before).unwrap().epoch(), 1);
    assert_eq!(FileCipher::epoch_of(&on_disk(&before)).unwrap(), 1);
    assert_eq!(FileCipher::epoch_of(&on_disk(&after)).unwrap(), 2);
}

#[test]
fn without_a_key_of_the_current_epoch_nothing_is_written() {
    let cipher = FileCipher::new(ring("tenant-a", 2, &[(1, 5)]), KeyPurpose::Blobs);
    let mut written = Vec::new();
    let error = cipher.writer(&mut written).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(written.is_empty());
}

#[test]
fn what_is_sealed_so_far_can_be_taken_out_of_a_writer_in_memory() {
    let content = content(3 * CHUNK_LEN + 1);
    let (mut writer, mut sealed) = (cipher().writer(Vec::new()).unwrap(), Vec::new());
    for piece in content.chunks(10_000) {
        writer.write_all(piece).unwrap();
        sealed.append(writer.inner_mut());
    }
    sealed.append(&mut writer.finish().unwrap());
    assert!(cipher().open(&sealed).unwrap() == content);
}

#[test]
fn debug_shows_neither_keys_nor_content() {
    let cipher = cipher();
    let sealed = cipher.seal(b"AAAA").unwrap();
    let mut stream = opened(&cipher, &sealed).unwrap().into_stream();
    stream.fill_buf().unwrap();
    assert_eq!(format!("{cipher:?}"), "FileCipher { scope: \"tenant-a\", purpose: Blobs, .. }");
    let reader = "SealedReader { len: 4, epoch: 3, .. }";
    assert_eq!(format!("{stream:?}"), format!("SealedStream {{ reader: {reader}, .. }}"));
}

#[test]
fn a_full_chunk_is_as_long_as_documented() {
    assert_eq!((HEADER_LEN, CHUNK_LEN, TAG_LEN, SEALED_CHUNK_LEN), (64, 32_768, 16, 32_784));
    assert_eq!(FileCipher::sealed_len(32_768), 64 + 32_784);
    assert_eq!(FileCipher::sealed_len(32_769), 64 + 32_784 + 17);
}
