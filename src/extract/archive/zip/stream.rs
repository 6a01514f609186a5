//! A zip archive read from its start, without the directory at its end.
//!
//! Called by: `zip`, for archives that lost their end, and for those that come as a stream and are
//! too large to be held. Talks to: `entry` for the decoders.
//! Invariants: memory is bounded by one buffer, one decoder and the start of one locked file; a
//! file whose length is told only behind it is read as far as its own compression says.

use std::io::{self, Read};

use flate2::bufread::DeflateDecoder;
use jiff::Timestamp;

use super::super::budget::Budget;
use super::super::members::Ahead;
use super::super::names::{decode, decode_dos};
use super::super::{Entries, failure, quoted, times};
use super::directory::{field, u16_at, u32_at, u64_at};
use super::entry::{Checked, LOCAL, LOCAL_LENGTH, damaged, unpacked};
use super::{aes, behind, traditional};
use crate::extract::emit::{Output, Stop};
use crate::types::ExtractFailureCode;

const ENCRYPTED: u16 = 1;
const LENGTH_BEHIND: u16 = 1 << 3;
const UTF8: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATE: u16 = 8;
const WIDE: u64 = u32::MAX as u64;

/// One file as its local header describes it.
struct Local {
    name: String,
    flags: u16,
    method: u16,
    /// When it was last changed, as DOS says it.
    time: u16,
    crc: u32,
    packed: u64,
    unpacked: u64,
    wide: bool,
    /// Strength and real method of a file encrypted with AES.
    aes: Option<(u8, u16)>,
    changed: Option<Timestamp>,
}

impl Local {
    fn is_folder(&self) -> bool {
        self.name.ends_with(['/', '\\'])
    }

    /// The byte by which the older encryption tells a wrong password.
    fn check(&self) -> u8 {
        if self.flags & LENGTH_BEHIND == 0 {
            self.crc.to_be_bytes()[0]
        } else {
            self.time.to_be_bytes()[0]
        }
    }
}

/// Reads file after file; returns how many there were.
pub(super) fn extract(
    input: &mut dyn Read,
    budget: &Budget,
    out: &mut Output<'_>,
) -> Result<u64, Stop> {
    let mut input = Ahead::new(input);
    let mut entries = Entries::as_they_come(out);
    let mut broken = None;
    while let Some(local) = next(&mut input).map_err(Stop::Input)? {
        if let Err(stop) = one_file(&mut input, &local, budget, &mut entries, out)? {
            broken = Some(stop);
            break;
        }
    }
    let found = entries.found();
    entries.finish(out)?;
    broken.map_or(Ok(found), Err)
}

/// The next local header; none where the directory begins or the archive is cut off.
fn next(input: &mut impl Read) -> io::Result<Option<Local>> {
    let mut fixed = [0; LOCAL_LENGTH];
    if fill(input, &mut fixed)? < LOCAL_LENGTH || !fixed.starts_with(LOCAL) {
        return Ok(None);
    }
    let number = |at| u16_at(&fixed, at).unwrap_or_default();
    let wide_number = |at| u32_at(&fixed, at).unwrap_or_default();
    let mut name = vec![0; usize::from(number(26))];
    let mut extra = vec![0; usize::from(number(28))];
    if fill(input, &mut name)? < name.len() || fill(input, &mut extra)? < extra.len() {
        return Ok(None);
    }
    let flags = number(6);
    let mut local = Local {
        name: if flags & UTF8 != 0 { decode(&name) } else { decode_dos(&name) },
        flags,
        method: number(8),
        time: number(10),
        crc: wide_number(14),
        packed: u64::from(wide_number(18)),
        unpacked: u64::from(wide_number(22)),
        wide: false,
        aes: field(&extra, 0x9901).and_then(|field| Some((*field.get(4)?, u16_at(field, 5)?))),
        changed: times::of_zip(number(12), number(10), &extra),
    };
    let mut rest = extra.as_slice();
    while let (Some(id), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let end = 4 + usize::from(length);
        let Some(field) = rest.get(4..end) else { break };
        if id == 1 {
            local.wide = true;
            let mut numbers = field.chunks_exact(8).filter_map(|number| u64_at(number, 0));
            for slot in [&mut local.unpacked, &mut local.packed] {
                if *slot == WIDE
                    && let Some(number) = numbers.next()
                {
                    *slot = number;
                }
            }
        }
        rest = &rest[end..];
    }
    Ok(Some(local))
}

/// Passes one file on. The inner result says why the rest of the archive cannot be found.
fn one_file(
    input: &mut Ahead<&mut dyn Read>,
    local: &Local,
    budget: &Budget,
    entries: &mut Entries,
    out: &mut Output<'_>,
) -> Result<Result<(), Stop>, Stop> {
    let behind = local.flags & LENGTH_BEHIND != 0 && local.packed == 0;
    let told = matches!(local.method, STORED | DEFLATE) && local.flags & ENCRYPTED == 0;
    if behind && !told {
        let message = "Its length stands behind it only, and the archive has lost the directory \
                       that tells it too; if the archive was cut off, get it again as a whole";
        entries.refuse(&local.name, failure(ExtractFailureCode::Malformed, message), out)?;
        return Ok(Err(Stop::malformed(format!(
            "The archive can be read up to {} only",
            quoted(&local.name)
        ))));
    }
    if behind {
        return of_unknown_length(input, local, budget, entries, out);
    }
    let mut data = input.by_ref().take(local.packed);
    let folder = local.packed == 0 && local.is_folder();
    match budget.spent() {
        _ if folder => {}
        Some(failure) => entries.refuse(&local.name, failure, out)?,
        None if local.flags & ENCRYPTED != 0 => locked(&mut data, local, budget, entries, out)?,
        None => pass(&mut data, local.method, local, budget, entries, out)?,
    }
    io::copy(&mut data, &mut io::sink()).map_err(Stop::Input)?;
    // A writer that went back to fill the lengths in may have left them behind the file as well.
    if local.flags & LENGTH_BEHIND != 0 {
        behind::pass_over(input, local.wide).map_err(Stop::Input)?;
    }
    Ok(Ok(()))
}

/// Passes on a file whose plain, perhaps compressed bytes are `data`.
fn pass(
    data: impl Read,
    method: u16,
    local: &Local,
    budget: &Budget,
    entries: &mut Entries,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    match unpacked(method, data) {
        Ok(body) if local.aes.is_some() => {
            // Its seal stands for the checksum, which may be left out.
            entries.pass(&local.name, local.changed, &mut budget.metered(body), out)
        }
        Ok(body) => {
            let body = Checked::new(body, local.unpacked, local.crc);
            entries.pass(&local.name, local.changed, &mut budget.metered(body), out)
        }
        Err(failure) => entries.refuse(&local.name, failure, out),
    }
}

/// Passes on a file under a password, if one of those given opens it.
fn locked(
    mut data: impl Read,
    local: &Local,
    budget: &Budget,
    entries: &mut Entries,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let passwords = out.passwords();
    if passwords.is_empty() {
        entries.lock();
        return Ok(());
    }
    if let Some((strength, method)) = local.aes {
        return match aes::open(data, local.packed, strength, passwords) {
            Ok(Some(plain)) => pass(plain, method, local, budget, entries, out),
            Ok(None) => {
                entries.lock();
                Ok(())
            }
            Err(error) => entries.refuse(&local.name, damaged(&error.to_string()), out),
        };
    }
    let stated = traditional::Stated {
        method: local.method,
        check: local.check(),
        unpacked: local.unpacked,
        crc: local.crc,
    };
    match traditional::open(&mut data, &stated, passwords) {
        Ok(Some(opened)) => pass(opened.plain(data), local.method, local, budget, entries, out),
        Ok(None) => {
            entries.lock();
            Ok(())
        }
        Err(error) => entries.refuse(&local.name, damaged(&error.to_string()), out),
    }
}

/// A file whose end its compression tells, or the lengths that follow it.
fn of_unknown_length(
    input: &mut Ahead<&mut dyn Read>,
    local: &Local,
    budget: &Budget,
    entries: &mut Entries,
    out: &mut Output<'_>,
) -> Result<Result<(), Stop>, Stop> {
    let body: Box<dyn Read + '_> = match local.method {
        STORED => Box::new(behind::Stored::new(&mut *input)),
        _ => Box::new(DeflateDecoder::new(&mut *input)),
    };
    let mut body = budget.metered(body);
    if !local.is_folder() {
        entries.pass(&local.name, local.changed, &mut body, out)?;
    }
    // What nobody wanted of it still stands before the next file.
    if let Err(error) = io::copy(&mut body, &mut io::sink()) {
        let reason = budget.spent().map_or_else(
            || {
                Stop::malformed(format!(
                    "The archive is damaged at {}: {error}",
                    quoted(&local.name)
                ))
            },
            Stop::Failure,
        );
        return Ok(Err(reason));
    }
    drop(body);
    behind::pass_over(input, local.wide).map_err(Stop::Input)?;
    Ok(Ok(()))
}

/// Fills `buffer` as far as there are bytes.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match input.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}
