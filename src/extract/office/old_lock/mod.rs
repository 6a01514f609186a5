//! Word, Excel and PowerPoint files of before 2007 under a password.
//!
//! Called by: `compound`. Talks to: `old_lock::cipher`, `cfb`.
//! Invariants: a file is given back with its lock taken off and everything else in its place, so
//! that the readers of unlocked files read it; offsets a file states are looked up, never trusted.
//!
//! Three ways to lock a file are known: RC4 as Office has it, RC4 as Windows has it, and for
//! workbooks the mixing of their bytes with the password.

mod cipher;

use std::collections::HashSet;
use std::io::{Cursor, Read, Write};

use cfb::CompoundFile;

use self::cipher::{Key, Scheme, mixed};
use super::protection::{number16, number32};
use crate::extract::emit::Stop;
use crate::types::ExtractFailureCode;

/// What the programs use where a file is only to be shown as protected.
const DEFAULTS: [&str; 2] = ["VelvetSweatshop", "/01Hannes Ruescher/01"];
const WORKBOOK_BLOCK: usize = 1024;
const WORD_BLOCK: usize = 512;
/// Start of a Word document that is never encrypted.
const WORD_HEAD: usize = 68;
const WORD_LOCKED: u8 = 0x01;
const WORD_MIXED: u8 = 0x80;
const SECOND_TABLE: u8 = 0x02;
/// Records of a workbook that are never encrypted, and two with a part that is not.
const PLAIN_RECORDS: [u16; 7] = [0x809, FILE_PASS, 0x194, 0x195, 0xe1, 0x196, 0x138];
const FILE_PASS: u16 = 0x2f;
const SHEET: u16 = 0x85;
/// A record that says nothing.
const NOTHING: u16 = 0xc1;
/// Records of a presentation.
const USER_EDIT: u16 = 0x0ff5;
const DIRECTORY: u16 = 0x1772;
const CRYPT_SESSION: u16 = 0x2f14;
const SLIDES_LOCKED: u32 = 0xf3d1_c4df;
const SLIDES_OPEN: u32 = 0xe391_c05f;
const MAX_EDITS: usize = 1000;
const OBJECT_HEAD: usize = 8;

/// A workbook without its lock. `stream` is where its cells are.
pub(super) fn workbook(
    bytes: Vec<u8>,
    stream: &str,
    passwords: &[String],
) -> Result<Vec<u8>, Stop> {
    let mut file = Compound::open(bytes)?;
    let mut records = file.read(stream)?;
    let (at, length) = find_record(&records, FILE_PASS).ok_or_else(damaged)?;
    let info = records[at..at + length].to_vec();
    match number16(&info, 0) {
        Some(0) => {
            let (key, stated) = number16(&info, 2).zip(number16(&info, 4)).ok_or_else(damaged)?;
            let mask = tried(passwords, |password| mixed(key, stated, password))?;
            unmix(&mut records, at, &mask);
        }
        _ => {
            let scheme = info.get(2..).and_then(Scheme::read).ok_or_else(unknown)?;
            let key = tried(passwords, |password| scheme.key(password))?;
            let mut plain = records.clone();
            key.decrypt(&mut plain, WORKBOOK_BLOCK).ok_or_else(damaged)?;
            each_record(&mut records, at, |kind, at, data| {
                let kept = if kind == SHEET { 4.min(data.len()) } else { 0 };
                let end = at + data.len();
                data[kept..].copy_from_slice(&plain[at + kept..end]);
            });
        }
    }
    records[at - 4..at - 2].copy_from_slice(&NOTHING.to_le_bytes());
    file.write(stream, &records)?;
    Ok(file.into_bytes())
}

/// True where the start of a Word document says that the rest is encrypted.
pub(super) fn is_locked_word(head: &[u8]) -> bool {
    head.get(11).is_some_and(|flags| flags & WORD_LOCKED != 0)
}

/// True where a presentation says of its user that it is encrypted.
pub(super) fn is_locked_slides(user: &[u8]) -> bool {
    number32(user, 12) == Some(SLIDES_LOCKED)
}

/// A locked Word document without its lock.
pub(super) fn word(bytes: Vec<u8>, passwords: &[String]) -> Result<Vec<u8>, Stop> {
    const MAIN: &str = "/WordDocument";
    let mut file = Compound::open(bytes)?;
    let mut main = file.read(MAIN)?;
    let flags = main.get(11).copied().ok_or_else(damaged)?;
    if flags & WORD_MIXED != 0 {
        return Err(unknown());
    }
    let name = if flags & SECOND_TABLE != 0 { "/1Table" } else { "/0Table" };
    let mut table = file.read(name)?;
    let length = number32(&main, 14).and_then(|length| usize::try_from(length).ok());
    let info = length.and_then(|length| table.get(..length)).ok_or_else(damaged)?.to_vec();
    let scheme = Scheme::read(&info).ok_or_else(unknown)?;
    let key = tried(passwords, |password| scheme.key(password))?;
    let kept = main.len().min(WORD_HEAD);
    let head = main[..kept].to_vec();
    key.decrypt(&mut main, WORD_BLOCK).ok_or_else(damaged)?;
    main[..kept].copy_from_slice(&head);
    main[11] &= !WORD_LOCKED;
    key.decrypt(&mut table, WORD_BLOCK).ok_or_else(damaged)?;
    table[..info.len()].copy_from_slice(&info);
    file.write(MAIN, &main)?;
    file.write(name, &table)?;
    if file.0.is_stream("/Data") {
        let mut data = file.read("/Data")?;
        key.decrypt(&mut data, WORD_BLOCK).ok_or_else(damaged)?;
        file.write("/Data", &data)?;
    }
    Ok(file.into_bytes())
}

/// A locked presentation without its lock.
pub(super) fn slides(bytes: Vec<u8>, passwords: &[String]) -> Result<Vec<u8>, Stop> {
    const USER: &str = "/Current User";
    const MAIN: &str = "/PowerPoint Document";
    let mut file = Compound::open(bytes)?;
    let mut user = file.read(USER)?;
    let mut main = file.read(MAIN)?;
    let edit = number32(&user, 16).ok_or_else(damaged)?;
    let (objects, session) = objects(&main, edit).ok_or_else(damaged)?;
    let at = objects.iter().find(|(id, _)| *id == session).map(|(_, at)| *at);
    let (kind, info) = at.and_then(|at| record(&main, at)).ok_or_else(damaged)?;
    if kind != CRYPT_SESSION {
        return Err(damaged());
    }
    let scheme = Scheme::read(info).ok_or_else(unknown)?;
    let key = tried(passwords, |password| scheme.key(password))?;
    // Objects that lie over each other are no reason to go over the file again and again.
    let mut left = main.len().saturating_mul(2);
    for (id, at) in objects.into_iter().filter(|(id, _)| *id != session) {
        // An object that lies elsewhere than stated is missed by the reader too.
        let length = unlock_object(&key, &mut main, id, at).unwrap_or(0);
        left = left.checked_sub(length).ok_or_else(damaged)?;
    }
    user[12..16].copy_from_slice(&SLIDES_OPEN.to_le_bytes());
    file.write(USER, &user)?;
    file.write(MAIN, &main)?;
    Ok(file.into_bytes())
}

/// Objects of a presentation by number, with their places, and which of them tells of the lock.
fn objects(main: &[u8], edit: u32) -> Option<(Vec<(u32, usize)>, u32)> {
    const COUNT: u32 = 20;
    let (mut objects, mut session, mut next) = (Vec::new(), None, edit);
    for _ in 0..MAX_EDITS {
        let (kind, edit) = record(main, usize::try_from(next).ok()?)?;
        if kind != USER_EDIT {
            return None;
        }
        session = session.or_else(|| number32(edit, 28));
        let (kind, mut list) = record(main, usize::try_from(number32(edit, 12)?).ok()?)?;
        if kind != DIRECTORY {
            return None;
        }
        while let Some(run) = number32(list, 0) {
            let (first, count) = (run & ((1 << COUNT) - 1), run >> COUNT);
            list = &list[4..];
            for id in first..first + count {
                let Some(at) = number32(list, 0) else {
                    break;
                };
                list = &list[4..];
                // What an earlier edit says of an object is out of date.
                objects.push((id, usize::try_from(at).ok()?));
            }
        }
        let before = number32(edit, 8)?;
        // Edits lie behind the ones they follow, and no object is shorter than its head.
        if before == 0 || before >= next || objects.len() > main.len() / OBJECT_HEAD {
            break;
        }
        next = before;
    }
    let mut seen = HashSet::new();
    objects.retain(|(id, _)| seen.insert(*id));
    Some((objects, session?))
}

/// Decrypts an object in place; its length.
fn unlock_object(key: &Key, main: &mut [u8], id: u32, at: usize) -> Option<usize> {
    let mut cipher = key.block(id)?;
    let object = main.get_mut(at..)?;
    let (head, rest) = object.split_at_mut_checked(OBJECT_HEAD)?;
    cipher.apply(head);
    let length = usize::try_from(number32(head, 4)?).ok()?;
    let length = length.min(rest.len());
    cipher.apply(&mut rest[..length]);
    Some(length)
}

/// Kind and content of a record of a presentation.
fn record(main: &[u8], at: usize) -> Option<(u16, &[u8])> {
    let head = main.get(at..)?;
    let length = usize::try_from(number32(head, 4)?).ok()?;
    Some((number16(head, 2)?, head.get(8..)?.get(..length)?))
}

/// Where the first record of a kind has its data, and their length.
fn find_record(records: &[u8], wanted: u16) -> Option<(usize, usize)> {
    let mut at = 0;
    loop {
        let (kind, length) = number16(records, at).zip(number16(records, at + 2))?;
        let (data, length) = (at + 4, usize::from(length));
        records.get(data..data + length)?;
        if kind == wanted {
            return Some((data, length));
        }
        at = data + length;
    }
}

/// Calls `change` with kind, place and data of every encrypted record behind the one whose data
/// begin at `lock`.
fn each_record(records: &mut [u8], lock: usize, mut change: impl FnMut(u16, usize, &mut [u8])) {
    let length = lock.checked_sub(2).and_then(|at| number16(records, at)).unwrap_or(0);
    let mut at = lock + usize::from(length);
    while let Some((kind, length)) = number16(records, at).zip(number16(records, at + 2)) {
        let data = at + 4;
        let end = data + usize::from(length);
        let Some(bytes) = records.get_mut(data..end) else {
            break;
        };
        if !PLAIN_RECORDS.contains(&kind) {
            change(kind, data, bytes);
        }
        at = end;
    }
}

fn unmix(records: &mut [u8], lock: usize, mask: &[u8; 16]) {
    each_record(records, lock, |kind, at, data| {
        let length = data.len();
        for (offset, byte) in data.iter_mut().enumerate() {
            if kind != SHEET || offset >= 4 {
                *byte = byte.rotate_left(3) ^ mask[(at + length + offset) % 16];
            }
        }
    });
}

/// What the first password that fits gives.
fn tried<T>(passwords: &[String], open: impl Fn(&str) -> Option<T>) -> Result<T, Stop> {
    let given = passwords.iter().map(String::as_str);
    given.chain(DEFAULTS).find_map(open).ok_or_else(|| {
        let reason = if passwords.is_empty() {
            "The document is protected by a password"
        } else {
            "The document is protected by a password that is not among those given"
        };
        Stop::failure(ExtractFailureCode::PasswordRequired, reason)
    })
}

/// A compound file that is changed in memory.
struct Compound(CompoundFile<Cursor<Vec<u8>>>, u64);

impl Compound {
    fn open(bytes: Vec<u8>) -> Result<Self, Stop> {
        let size = bytes.len() as u64;
        match CompoundFile::open(Cursor::new(bytes)) {
            Ok(file) => Ok(Self(file, size)),
            Err(error) => Err(Stop::malformed(format!("The file is damaged: {error}"))),
        }
    }

    /// A stream, never longer than the whole file.
    fn read(&mut self, name: &str) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        let stream = self.0.open_stream(name).map_err(|_| damaged())?;
        stream.take(self.1).read_to_end(&mut bytes).map_err(|_| damaged())?;
        Ok(bytes)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Stop> {
        let mut stream = self.0.open_stream(name).map_err(|_| damaged())?;
        stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|_| damaged())
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner().into_inner()
    }
}

fn damaged() -> Stop {
    Stop::malformed("The protected document is damaged")
}

fn unknown() -> Stop {
    Stop::failure(
        ExtractFailureCode::PasswordRequired,
        "The document is protected in a way that cannot be opened here",
    )
}
