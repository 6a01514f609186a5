//! One compressed stream: gzip, bzip2, xz, zstd, lzma. Holds a tar archive or a single file.
//!
//! Called by: `extract::archive`. Talks to: one decoder crate per kind, `tar`.
//! Invariants: decoders work on the stream as it comes; their windows are bounded.

use std::io::{self, BufReader, Cursor, Read};

use jiff::Timestamp;

use super::super::emit::{Output, Stop};
use super::super::source::Source;
use super::budget::Budget;
use super::members::Members;
use super::{Entries, tar, times};
use crate::types::ExtractFailureCode;

/// Most memory of one decoder, in KiB: what the strongest setting of xz needs, and some more.
const DECODER_KIB: u32 = 256 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) enum Packing {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Lzma,
}

impl Packing {
    /// What comes out of `input`.
    pub(super) fn decoder<'r>(self, input: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Gzip => Box::new(Members::<flate2::bufread::GzDecoder<_>>::new(input)),
            Self::Bzip2 => Box::new(Members::<bzip2::bufread::BzDecoder<_>>::new(input)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
                BufReader::new(input),
                true,
                DECODER_KIB,
            )),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(input)?),
            Self::Lzma => Box::new(lzma_rust2::LzmaReader::new_mem_limit(
                BufReader::new(input),
                DECODER_KIB,
                None,
            )?),
        })
    }

    /// Endings of names, and what becomes of them once unpacked.
    fn endings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Gzip => &[(".tgz", ".tar"), (".gz", ""), (".gzip", ""), (".svgz", ".svg")],
            Self::Bzip2 => &[(".tbz2", ".tar"), (".tbz", ".tar"), (".bz2", ""), (".bz", "")],
            Self::Xz => &[(".txz", ".tar"), (".xz", "")],
            Self::Zstd => &[(".tzst", ".tar"), (".zst", ""), (".zstd", "")],
            Self::Lzma => &[(".tlz", ".tar"), (".lzma", "")],
        }
    }
}

pub(super) fn extract(
    source: &mut Source<'_>,
    packing: Packing,
    name: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    out.document.container = true;
    let budget = Budget::new(out);
    let changed = changed(packing, source.head());
    let decoder = packing.decoder(budget.counted(source)).map_err(|error| damaged(&error))?;
    let mut unpacked = budget.metered(decoder);
    let mut head = Vec::new();
    // A start that cannot be unpacked is an error only where nothing came out of it.
    let started = (&mut unpacked).take(tar::BLOCK as u64).read_to_end(&mut head);
    if let Err(error) = &started
        && head.is_empty()
    {
        return Err(Stop::malformed(format!("The compressed file is damaged: {error}")));
    }
    let is_tar = tar::is_tar(&head);
    let mut whole = Cursor::new(head).chain(unpacked);
    if is_tar {
        return tar::extract(&mut whole, out);
    }
    let mut entries = Entries::default();
    entries.pass(&inner_name(packing, name), changed, &mut whole, out)?;
    match budget.spent() {
        Some(failure) => Err(Stop::Failure(failure)),
        None => entries.finish(out),
    }
}

/// When the single file in a compressed one was changed, which gzip notes.
fn changed(packing: Packing, head: &[u8]) -> Option<Timestamp> {
    let seconds = head.get(4..8).filter(|_| packing == Packing::Gzip)?;
    times::of_unix(i64::from(u32::from_le_bytes(seconds.try_into().ok()?)))
}

fn damaged(error: &io::Error) -> Stop {
    if error.kind() == io::ErrorKind::OutOfMemory {
        let message = "The file needs more memory to be unpacked than is allowed";
        return Stop::failure(ExtractFailureCode::TooLarge, message);
    }
    Stop::malformed(format!("The compressed file is damaged: {error}"))
}

/// The name of the single file in a compressed one.
fn inner_name(packing: Packing, name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let lower = file.to_ascii_lowercase();
    for (ending, becomes) in packing.endings() {
        if let Some(stem) = lower.strip_suffix(ending)
            && !stem.is_empty()
        {
            return format!("{}{becomes}", &file[..stem.len()]);
        }
    }
    if file.is_empty() { "content".to_owned() } else { format!("{file} (unpacked)") }
}
