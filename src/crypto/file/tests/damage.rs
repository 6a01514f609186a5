//! Whatever happens to a sealed file, it opens to its own content or not at all.

use proptest::sample::Index;

use super::*;

/// Made by `tests/fuzz/seeds/make.py`, which reads the format's description and not this code.
const FROZEN: &[u8] = include_bytes!("../../../../tests/fuzz/seeds/sealed_file/two_chunks");

#[track_caller]
fn assert_refused_by(cipher: &FileCipher, sealed: &[u8], what: &str) {
    let whole = opened(cipher, sealed).and_then(|reader| reader.read_at(0..reader.len()));
    for outcome in [cipher.open(sealed), whole, streamed(cipher, sealed)] {
        let error = outcome.expect_err(what);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}: {error}");
    }
}

#[track_caller]
fn assert_refused(sealed: &[u8], what: &str) {
    assert_refused_by(&cipher(), sealed, what);
}

/// Header and chunks of a sealed file.
fn parts(sealed: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (header, body) = sealed.split_at(HEADER_LEN);
    (header.to_vec(), body.chunks(SEALED_CHUNK_LEN).map(<[u8]>::to_vec).collect())
}

#[test]
fn a_file_of_the_first_release_still_opens() {
    let content: Vec<u8> = (0..32_773_u32).map(|at| (at % 251) as u8).collect();
    let cipher = FileCipher::new(ring("tenant-a", 3, &[(3, 7)]), KeyPurpose::Blobs);
    assert!(cipher.open(FROZEN).unwrap() == content);
    assert!(streamed(&cipher, FROZEN).unwrap() == content);
}

#[test]
fn every_single_flipped_bit_of_a_short_file_is_found() {
    let sealed = cipher().seal(b"a short file").unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_refused(&changed, &format!("bit {bit}"));
    }
}

#[test]
fn every_shorter_and_a_longer_file_is_found() {
    let sealed = cipher().seal(&content(CHUNK_LEN + 5)).unwrap();
    let (start, border) = (0..200, HEADER_LEN + SEALED_CHUNK_LEN);
    for len in start.chain(border - 20..sealed.len()) {
        assert_refused(&sealed[..len], &format!("cut to {len}"));
    }
    for more in 1..40 {
        assert_refused(&[&sealed[..], &vec![0; more]].concat(), &format!("{more} more"));
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn any_flipped_bit_is_found(len in lengths(), byte in any::<Index>(), bit in 0..8_u8) {
        let sealed = cipher().seal(&content(len)).unwrap();
        let (at, mut changed) = (byte.index(sealed.len()), sealed);
        changed[at] ^= 1 << bit;
        assert_refused(&changed, "flipped");
    }

    #[test]
    fn any_cut_is_found(len in lengths(), kept in any::<Index>()) {
        let sealed = cipher().seal(&content(len)).unwrap();
        assert_refused(&sealed[..kept.index(sealed.len())], "cut");
    }

    #[test]
    fn any_bytes_at_the_end_are_found(
        len in lengths(),
        more in prop_oneof![vec(any::<u8>(), 1..60), Just(vec![0; SEALED_CHUNK_LEN])],
    ) {
        let sealed = cipher().seal(&content(len)).unwrap();
        assert_refused(&[sealed, more].concat(), "extended");
    }

    #[test]
    fn what_is_read_from_a_damaged_file_is_its_content_or_nothing(
        byte in any::<Index>(),
        ranges in vec((0..4_usize * CHUNK_LEN, 0..70_000_usize), 1..8),
    ) {
        let content = content(4 * CHUNK_LEN);
        let mut sealed = cipher().seal(&content).unwrap();
        // The last chunk stays whole, or the file would not open at all.
        let at = HEADER_LEN + byte.index(3 * SEALED_CHUNK_LEN);
        sealed[at] ^= 0x40;
        let hit = (at - HEADER_LEN) / SEALED_CHUNK_LEN;
        let reader = opened(&cipher(), &sealed).unwrap();
        for (start, len) in ranges {
            let end = content.len().min(start + len);
            let touched = start < end && (start / CHUNK_LEN..=(end - 1) / CHUNK_LEN).contains(&hit);
            match reader.read_at(start as u64..end as u64) {
                Ok(read) => prop_assert!(!touched && read == content[start..end]),
                Err(error) => {
                    prop_assert!(touched, "{start}..{end} does not touch chunk {hit}");
                    prop_assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_sealed_file_are_refused(bytes in vec(any::<u8>(), 0..300)) {
        assert_refused(&bytes, "random");
        assert_refused(&[&FROZEN[..HEADER_LEN], &bytes].concat(), "random behind a true header");
    }
}

#[test]
fn moved_repeated_and_missing_chunks_are_found() {
    let sealed = cipher().seal(&content(4 * CHUNK_LEN)).unwrap();
    let (header, chunks) = parts(&sealed);
    for order in [
        &[1, 0, 2, 3][..],
        &[0, 1, 3, 2],
        &[3, 1, 2, 0],
        &[0, 0, 2, 3],
        &[0, 1, 2, 2],
        &[0, 1, 3],
        &[0, 1, 2],
        &[1, 2, 3],
        &[3],
        &[0, 1, 2, 3, 3],
        &[0, 0, 1, 2, 3],
    ] {
        let body = order.iter().flat_map(|number: &usize| chunks[*number].clone());
        let rebuilt: Vec<u8> = header.iter().copied().chain(body).collect();
        assert_refused(&rebuilt, &format!("{order:?}"));
    }
}

#[test]
fn headers_and_chunks_of_two_files_do_not_mix() {
    let (one, other) = (content(3 * CHUNK_LEN), vec![0; 3 * CHUNK_LEN]);
    let (header, chunks) = parts(&cipher().seal(&one).unwrap());
    let (other_header, other_chunks) = parts(&cipher().seal(&other).unwrap());
    assert_refused(&[other_header, chunks.concat()].concat(), "another file's header");
    for number in 0..3 {
        let mut mixed = chunks.clone();
        mixed[number].clone_from(&other_chunks[number]);
        assert_refused(&[header.clone(), mixed.concat()].concat(), "another file's chunk");
    }
}

#[test]
fn two_files_of_the_same_content_share_no_chunk() {
    let (one, other) = (cipher().seal(&content(64)).unwrap(), cipher().seal(&content(64)).unwrap());
    assert_ne!(one[20..36], other[20..36], "file ids");
    let ciphertext = HEADER_LEN..HEADER_LEN + 64;
    assert_ne!(one[ciphertext.clone()], other[ciphertext]);
}

#[test]
fn files_of_another_tenant_purpose_or_key_do_not_open() {
    let sealed = cipher().seal(&content(CHUNK_LEN + 1)).unwrap();
    let others = [
        ("tenant", ring("tenant-b", 3, &[(3, 8)]), KeyPurpose::Blobs),
        ("tenant with the same key", ring("tenant-b", 3, &[(3, 7)]), KeyPurpose::Blobs),
        ("purpose", ring("tenant-a", 3, &[(3, 7)]), KeyPurpose::Fulltext),
        ("key", ring("tenant-a", 3, &[(3, 8)]), KeyPurpose::Blobs),
        ("epoch", ring("tenant-a", 4, &[(4, 7)]), KeyPurpose::Blobs),
    ];
    for (what, ring, purpose) in others {
        assert_refused_by(&FileCipher::new(ring, purpose), &sealed, what);
    }
}

#[test]
fn a_header_that_lies_about_purpose_or_epoch_does_not_open() {
    let sealed = cipher().seal(&content(100)).unwrap();
    let mut lying = sealed.clone();
    lying[10..12].copy_from_slice(&KeyPurpose::Fulltext.code().to_le_bytes());
    let fulltext = FileCipher::new(ring("tenant-a", 3, &[(3, 7)]), KeyPurpose::Fulltext);
    assert_refused_by(&fulltext, &lying, "purpose");
    let mut lying = sealed;
    lying[12..16].copy_from_slice(&4_u32.to_le_bytes());
    let same_key = FileCipher::new(ring("tenant-a", 4, &[(3, 7), (4, 7)]), KeyPurpose::Blobs);
    assert_refused_by(&same_key, &lying, "epoch");
}

#[test]
fn the_error_says_what_is_wrong() {
    let sealed = cipher().seal(&content(100)).unwrap();
    let told = |cipher: &FileCipher, sealed: &[u8]| cipher.open(sealed).unwrap_err().to_string();
    let newer = FileCipher::new(ring("tenant-a", 4, &[(4, 7)]), KeyPurpose::Blobs);
    assert_eq!(told(&newer, &sealed), "there is no key of epoch 3");
    let vectors = FileCipher::new(ring("tenant-a", 3, &[(3, 7)]), KeyPurpose::Vectors);
    let expected = "the file was sealed for another purpose than vectors";
    assert_eq!(told(&vectors, &sealed), expected);
    let mut later = sealed.clone();
    later[8] = 9;
    assert_eq!(told(&cipher(), &later), "the file has format 9; this release reads format 1");
    assert_eq!(told(&cipher(), &[0; 100]), "the header is damaged, or this is no sealed file");
    assert_eq!(told(&cipher(), b"short"), "no sealed file is 5 bytes long");
}

#[test]
fn a_dropped_writer_leaves_a_file_that_does_not_open() {
    for len in [0, 10, CHUNK_LEN, CHUNK_LEN + 1, 2 * CHUNK_LEN, 3 * CHUNK_LEN] {
        let mut written = Vec::new();
        let mut writer = cipher().writer(&mut written).unwrap();
        writer.write_all(&content(len)).unwrap();
        writer.flush().unwrap();
        drop(writer);
        assert_refused(&written, &format!("{len} bytes"));
    }
}

/// Takes `room` bytes and then is full, for one write or for good.
struct Filling {
    taken: Vec<u8>,
    room: usize,
    once: bool,
}

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            if self.once {
                self.room = usize::MAX;
            }
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.taken.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_failed_write_a_writer_writes_no_more() {
    for once in [true, false] {
        for room in [64, 100, 64 + SEALED_CHUNK_LEN, 100 + SEALED_CHUNK_LEN] {
            let mut filling = Filling { taken: Vec::new(), room, once };
            let mut writer = cipher().writer(&mut filling).unwrap();
            let error = writer.write_all(&content(3 * CHUNK_LEN)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(writer.write_all(&[1; 2 * CHUNK_LEN]).is_err());
            assert!(writer.finish().is_err());
            assert_eq!(filling.taken.len(), room);
            assert_refused(&filling.taken, &format!("room for {room}"));
        }
    }
}

#[test]
fn a_file_cut_after_it_was_opened_is_found() {
    let file = on_disk(&cipher().seal(&content(2 * CHUNK_LEN)).unwrap());
    let reader = cipher().reader(file.try_clone().unwrap()).unwrap();
    file.set_len(1000).unwrap();
    let error = reader.read_at(0..10).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "the file ends before its last chunk");
}

#[test]
fn a_stream_stops_at_a_damaged_chunk_and_does_not_go_on_behind_it() {
    let content = content(20 * CHUNK_LEN);
    let mut sealed = cipher().seal(&content).unwrap();
    sealed[HEADER_LEN + 10 * SEALED_CHUNK_LEN] ^= 1;
    let mut stream = opened(&cipher(), &sealed).unwrap().into_stream();
    let mut read = Vec::new();
    for _ in 0..3 {
        let error = stream.read_to_end(&mut read).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
    assert!(read.len() <= 10 * CHUNK_LEN && content.starts_with(&read));
}
