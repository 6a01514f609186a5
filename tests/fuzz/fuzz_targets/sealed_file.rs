//! Fuzzes the reader of sealed files: with any bytes, and with a true file edited in any way.
//!
//! Called by: libFuzzer. Talks to: `src/crypto`, included by path to keep the build small, and
//! one temporary file without a name.
//! Invariants: a file opens to its own content or is `InvalidData`; reading ranges, streaming and
//! opening in memory agree.

#![no_main]

#[path = "../../../src/crypto/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the rest of crypto has no part in this target")]
mod crypto;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, LazyLock};

use crypto::{FileCipher, KeyPurpose, Keyring, SecretKey};
use libfuzzer_sys::fuzz_target;

const PASS_THROUGH: bool = cfg!(feature = "pass-through-cipher");
const HEADER: usize = 64;
const CHUNK: usize = 32 * 1024;
const SEALED_CHUNK: usize = CHUNK + 16;

/// The key of the seeds, see `seeds/make.py`.
static CIPHER: LazyLock<FileCipher> = LazyLock::new(|| {
    let keys = [(3, SecretKey::from_bytes([7; 32]))];
    FileCipher::new(Arc::new(Keyring::new("tenant-a", 3, keys)), KeyPurpose::Blobs)
});

/// The true files of this build and their content.
static TRUE: LazyLock<[(&[u8], Vec<u8>); 3]> = LazyLock::new(|| {
    let long = (0..CHUNK as u32 + 5).map(|at| (at % 251) as u8).collect();
    let [empty, short, two_chunks]: [&[u8]; 3] = if PASS_THROUGH {
        [
            include_bytes!("../seeds/sealed_file/pass_through_empty"),
            include_bytes!("../seeds/sealed_file/pass_through_short"),
            include_bytes!("../seeds/sealed_file/pass_through_two_chunks"),
        ]
    } else {
        [
            include_bytes!("../seeds/sealed_file/empty"),
            include_bytes!("../seeds/sealed_file/short"),
            include_bytes!("../seeds/sealed_file/two_chunks"),
        ]
    };
    [(empty, Vec::new()), (short, b"a short file".to_vec()), (two_chunks, long)]
});

thread_local! {
    static FILE: RefCell<File> = RefCell::new(nameless());
}

fn nameless() -> File {
    let path = std::env::temp_dir().join(format!("cairn-fuzz-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    std::fs::remove_file(&path).expect("a temporary file can be removed");
    file.expect("a temporary file can be made")
}

fn on_disk(sealed: &[u8]) -> File {
    FILE.with_borrow_mut(|file| {
        file.set_len(0).and_then(|()| file.rewind()).expect("the file can be emptied");
        file.write_all(sealed).expect("the file can be written");
        file.try_clone().expect("the file can be shared")
    })
}

fn refused<T>(outcome: io::Result<T>) -> Option<T> {
    outcome
        .inspect_err(|error| assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}"))
        .ok()
}

/// Opens in every way there is. `ranges` picks ranges to read.
fn check(sealed: &[u8], ranges: &[u8]) {
    let own = TRUE.iter().find(|(file, _)| *file == sealed).map(|(_, content)| content);
    let whole = refused(CIPHER.open(sealed));
    if let Some(own) = own {
        assert_eq!(whole.as_ref(), Some(own), "a true file does not open to its content");
    } else {
        assert!(PASS_THROUGH || whole.is_none(), "a changed file opens");
    }
    let stream = refused(CIPHER.reader(on_disk(sealed))).and_then(|reader| {
        let mut content = Vec::new();
        refused(reader.into_stream().read_to_end(&mut content)).map(|_| content)
    });
    assert_eq!(stream, whole, "the stream disagrees");
    let Some(reader) = refused(CIPHER.reader(on_disk(sealed))) else {
        assert!(whole.is_none(), "the reader refuses what opens in memory");
        return;
    };
    assert_eq!(FileCipher::sealed_len(reader.len()), sealed.len() as u64);
    for picked in ranges.as_chunks::<4>().0.iter().take(16) {
        let [one, other] = [[picked[0], picked[1]], [picked[2], picked[3]]]
            .map(|bytes| u64::from(u16::from_le_bytes(bytes)) % (reader.len() + 1));
        let (start, end) = (one.min(other), one.max(other));
        let Some(read) = refused(reader.read_at(start..end)) else { continue };
        assert_eq!(read.len() as u64, end - start);
        // Where the file was changed elsewhere, this range may still be read: as it always was.
        if let Some(whole) = &whole {
            assert_eq!(read, whole[start as usize..end as usize], "{start}..{end}");
        } else {
            let told = |(_, content): &(_, Vec<u8>)| {
                content.get(start as usize..end as usize) == Some(&read[..])
            };
            assert!(PASS_THROUGH || TRUE.iter().any(told), "{start}..{end} is of no true file");
        }
    }
}

/// Each edit is five bytes: what to do, where (a `u16` scaled to the file), and with what.
fn edited(mut file: Vec<u8>, edits: &[u8]) -> Vec<u8> {
    for [kind, low, high, with, more] in edits.as_chunks().0.iter().take(32).copied() {
        if file.is_empty() {
            break;
        }
        let at = usize::from(u16::from_le_bytes([low, high])) % file.len();
        let in_header = at % HEADER.min(file.len());
        match kind % 8 {
            0 => file[at] ^= with,
            1 => file.truncate(at),
            2 => file.resize(file.len() + usize::from(with) * usize::from(more) % CHUNK, more),
            3 => file[in_header] = with,
            4 => {
                let until = file.len().min(at + usize::from(with));
                file.drain(at..until);
            }
            5 => file.insert(at, with),
            6 => {
                let until = file.len().min(at + 1 + usize::from(with) * usize::from(more));
                file.extend_from_within(at..until);
            }
            _ => {
                let border = file.len().min(HEADER + SEALED_CHUNK);
                file[HEADER.min(border)..].rotate_left(border.saturating_sub(HEADER));
            }
        }
        file.truncate(4 * SEALED_CHUNK);
    }
    file
}

fuzz_target!(|data: &[u8]| {
    check(data, &[0, 0, 255, 255, 1, 0, 8, 0]);
    if let [which, ranges @ 0..=16, edits @ ..] = data {
        let ranges = edits.split_at_checked(usize::from(*ranges)).unwrap_or_default();
        let (true_file, _) = &TRUE[usize::from(*which) % TRUE.len()];
        check(&edited(true_file.to_vec(), ranges.1), ranges.0);
    }
});
