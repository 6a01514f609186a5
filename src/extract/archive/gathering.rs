//! Files of an archive that is read as it comes, kept back until its end tells what they belong to.
//!
//! Called by: `Entries`. Talks to: `exports::Plan`, which decides what becomes of them, `zstd`.
//! Invariants: what is kept is compressed, and together at most as long as a file that is held as
//! a whole may be; a file that does not fit is passed on at once; every file is passed on, listed
//! or made into documents once.
//!
//! Why files are kept and the archive is not read twice: it comes through a pipe. Chats and notes
//! shrink to a tenth, so what fits is an export many times the size of what is kept.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};

use jiff::Timestamp;

use super::super::exports::{Plan, Shelf};
use super::{Delivery, Entries, failure};
use crate::extract::ExtractLimits;
use crate::extract::emit::{Output, Stop};
use crate::types::ExtractFailureCode;

/// Files up to which an archive is looked at as a whole.
pub(super) const MAX_PLANNED: usize = 200_000;
/// How much of a file is looked at before it is kept.
const HEAD: u64 = 16 << 10;
const PIECE: usize = 64 << 10;
/// Bytes of all names.
const MAX_NAMES: usize = 64 << 20;
/// Chats shrink well already; what more a higher level would save is not worth its time.
const LEVEL: i32 = 1;

/// What is known of the files of one archive.
pub(super) struct Gathering {
    /// Names of all files that came by, kept or not.
    names: Vec<String>,
    name_bytes: usize,
    kept: BTreeMap<usize, Kept>,
    room: usize,
    most: u64,
    /// Something was passed on because there was no room for it.
    crowded: bool,
}

/// A file that waits.
struct Kept {
    packed: Vec<u8>,
    length: u64,
    file_date: Option<Timestamp>,
}

/// What became of the attempt to keep a file.
enum Attempt {
    Whole(Kept),
    /// The part that was read already, and why the rest does not follow it, if so.
    Part(Vec<u8>, Option<io::Error>),
}

impl Gathering {
    pub(super) fn new(limits: &ExtractLimits) -> Self {
        Self {
            names: Vec::new(),
            name_bytes: 0,
            kept: BTreeMap::new(),
            room: usize::try_from(limits.max_parse_bytes).unwrap_or(usize::MAX),
            most: limits.max_parse_bytes.min(limits.max_child_bytes),
            crowded: false,
        }
    }

    /// Files that are kept back.
    pub(super) fn waiting(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Keeps a file that may belong to others. One that does not is given back.
    pub(super) fn take<'b>(
        &mut self,
        name: &str,
        file_date: Option<Timestamp>,
        body: &'b mut dyn Read,
    ) -> Option<Box<dyn Read + 'b>> {
        self.name_bytes = self.name_bytes.saturating_add(name.len());
        if self.names.len() >= MAX_PLANNED || self.name_bytes > MAX_NAMES {
            return Some(Box::new(body));
        }
        let at = self.names.len();
        self.names.push(name.to_owned());
        if !Plan::may_concern(name) {
            return Some(Box::new(body));
        }
        let mut head = Vec::new();
        if let Err(error) = (&mut *body).take(HEAD).read_to_end(&mut head) {
            return Some(Box::new(Cursor::new(head).chain(Broken(Some(error)))));
        }
        if !Plan::concerns(name, &head) {
            return Some(Box::new(Cursor::new(head).chain(body)));
        }
        match self.packed(&head, file_date, body) {
            Ok(Attempt::Whole(kept)) => {
                self.room -= kept.packed.len();
                self.kept.insert(at, kept);
                None
            }
            Ok(Attempt::Part(packed, error)) => {
                self.crowded |= error.is_none();
                let start = unpacked(packed);
                Some(match error {
                    Some(error) => Box::new(start.chain(Broken(Some(error)))),
                    None => Box::new(start.chain(body)),
                })
            }
            Err(error) => Some(Box::new(Broken(Some(error)))),
        }
    }

    /// Packs a file as far as there is room for it.
    fn packed(
        &self,
        head: &[u8],
        file_date: Option<Timestamp>,
        body: &mut dyn Read,
    ) -> io::Result<Attempt> {
        let mut packer = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
        packer.write_all(head)?;
        let mut length = head.len() as u64;
        let mut piece = vec![0; PIECE];
        let broken = loop {
            if length > self.most || packer.get_ref().len() > self.room {
                return Ok(Attempt::Part(packer.finish()?, None));
            }
            match body.read(&mut piece) {
                Ok(0) => break None,
                Ok(count) => {
                    packer.write_all(&piece[..count])?;
                    length += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        let mut packed = packer.finish()?;
        packed.shrink_to_fit();
        if broken.is_some() || packed.len() > self.room {
            return Ok(Attempt::Part(packed, broken));
        }
        Ok(Attempt::Whole(Kept { packed, length, file_date }))
    }

    /// Delivers what was kept back, as the archive as a whole says.
    pub(super) fn deliver(
        mut self,
        entries: &mut Entries,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        if self.crowded {
            out.warn(
                "The archive holds more than can be looked at together; files that did not fit \
                 were read by themselves",
            );
        }
        let plan = Plan::of(&mut self);
        for (at, kept) in &self.kept {
            if plan.is_made_into_documents(*at) {
                continue;
            }
            let name = self.name(*at);
            match plan.part_of(*at) {
                Some(reason) => {
                    let failure = failure(ExtractFailureCode::PartOfAnother, reason);
                    entries.refuse(&name, failure, out)?;
                }
                None => {
                    let mut body = unpacked(kept.packed.as_slice());
                    entries.pass_on(&name, kept.file_date, &mut body, out)?;
                }
            }
        }
        let unread = plan.deliver(&mut self, &mut Delivery { entries: &mut *entries, out })?;
        for at in unread {
            // What is not here was passed on when it came by.
            if let Some(kept) = self.kept.get(&at) {
                let mut body = unpacked(kept.packed.as_slice());
                entries.pass_on(&self.name(at), kept.file_date, &mut body, out)?;
            }
        }
        Ok(())
    }
}

impl Shelf for Gathering {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn most(&self) -> u64 {
        self.most
    }

    fn read(&mut self, at: usize, most: u64) -> Option<Vec<u8>> {
        let kept = self.kept.get(&at).filter(|kept| kept.length <= most)?;
        let mut content = Vec::new();
        unpacked(kept.packed.as_slice()).read_to_end(&mut content).ok()?;
        Some(content)
    }
}

/// The bytes that were packed; nothing where there is no memory to unpack them.
fn unpacked<'p>(packed: impl AsRef<[u8]> + 'p) -> Box<dyn Read + 'p> {
    match zstd::stream::read::Decoder::new(Cursor::new(packed)) {
        Ok(decoder) => Box::new(decoder),
        Err(error) => Box::new(Broken(Some(error))),
    }
}

/// A body that ends in an error.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
