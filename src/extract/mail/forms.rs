//! The body of a mail of Outlook, which may keep the same words as plain text, HTML and rich text.
//!
//! Called by: `mail::outlook`, `mail::tnef`. Talks to: `compressed-rtf`, `mail::alternative` for which
//! form is read, `html` and `rtf` for how.
//! Invariants: what is read is chosen as for any other mail; rich text is looked at where there is
//! no HTML; a form that is damaged is said to be, and the others are read.

use super::quote::{self, Speaker};
use super::{alternative, encapsulated, plain_body};
use crate::extract::collect::Collector;
use crate::extract::emit::{Output, Place, Stop};
use crate::extract::{ExtractLimits, html, rtf};
use crate::types::{Block, BlockKind};

/// What there is of a body; each may be empty.
#[derive(Default)]
pub(super) struct Forms {
    pub(super) plain: String,
    /// HTML.
    pub(super) page: String,
    /// Rich text in its compressed form.
    pub(super) rich: Option<Vec<u8>>,
}

impl Forms {
    /// Emits the form that says most.
    pub(super) fn emit(self, is_forward: bool, out: &mut Output<'_>) -> Result<(), Stop> {
        let plain = &self.plain;
        let Some(rich) = self.formatted(out) else {
            return plain_body(plain, is_forward, out);
        };
        let limits = out.limits();
        let structured = || rich.has_structure(is_forward, limits);
        let choice = alternative::choose(plain, &rich.seen_text(), structured)?;
        let before = out.text_bytes();
        if choice.takes_rich() {
            rich.emit(is_forward, out)?;
        }
        if choice.takes_plain() {
            plain_body(plain, is_forward, out)?;
        }
        if out.text_bytes() == before { rich.emit(is_forward, out) } else { Ok(()) }
    }

    /// The form that can hold more than words; `None` where there is none that can be read.
    fn formatted(&self, out: &mut Output<'_>) -> Option<Formatted> {
        if !self.page.trim().is_empty() {
            return Some(Formatted::Page(self.page.clone()));
        }
        let rich = self.rich.as_ref().filter(|bytes| !bytes.is_empty())?;
        let found = decompress(rich).and_then(|text| match encapsulated::html_of(&text) {
            Some(page) => Some(Formatted::Page(page)),
            None => blocks_of(&text, out.limits()).map(Formatted::Blocks),
        });
        if found.is_none() {
            out.warn("The formatted form of the body is damaged and was left out");
        }
        found
    }
}

enum Formatted {
    Page(String),
    /// The blocks of rich text.
    Blocks(Vec<Block>),
}

impl Formatted {
    fn seen_text(&self) -> String {
        match self {
            Self::Page(page) => html::seen_text(page),
            Self::Blocks(blocks) => joined(blocks),
        }
    }

    fn has_structure(&self, is_forward: bool, limits: &ExtractLimits) -> Result<bool, Stop> {
        match self {
            Self::Page(page) => html::has_structure(page, is_forward, limits),
            Self::Blocks(blocks) => {
                let mut speakers = speakers(blocks, is_forward).into_iter().zip(blocks);
                Ok(speakers
                    .any(|(speaker, block)| speaker == Speaker::Own && block.kind.is_structure()))
            }
        }
    }

    fn emit(&self, is_forward: bool, out: &mut Output<'_>) -> Result<(), Stop> {
        match self {
            Self::Page(page) => html::mail(page, is_forward, out),
            Self::Blocks(blocks) => {
                let mut speakers = speakers(blocks, is_forward).into_iter().zip(blocks);
                speakers.try_for_each(|(speaker, block)| match (speaker.kind(), &block.kind) {
                    (Some(kind), _) => out.block(&kind, &block.text, None),
                    (None, BlockKind::Table { rows, header, data }) => {
                        out.table(rows.clone(), *header, &Place::default(), data.clone())
                    }
                    (None, kind) => out.block(kind, &block.text, None),
                })
            }
        }
    }
}

/// The blocks of rich text; `None` where it is damaged. Files inside it are the mail's attachments,
/// which are read from the mail itself.
fn blocks_of(rich: &[u8], limits: &ExtractLimits) -> Option<Vec<Block>> {
    let mut found = Collector::default();
    match rtf::read(rich, &mut Output::within(limits, &mut found)) {
        Ok(()) | Err(Stop::Full) => Some(found.blocks),
        Err(_) => None,
    }
}

/// Who speaks in each of the blocks.
fn speakers(blocks: &[Block], is_forward: bool) -> Vec<Speaker> {
    let parts = quote::parts(&joined(blocks), is_forward);
    let mut start = 0;
    let speakers = blocks.iter().map(|block| {
        let part = parts.partition_point(|(_, range)| range.end <= start);
        start += block.text.len() + 1;
        parts.get(part).map_or(Speaker::Own, |(speaker, _)| *speaker)
    });
    speakers.collect()
}

/// Their texts, one below the other.
fn joined(blocks: &[Block]) -> String {
    let texts: Vec<&str> = blocks.iter().map(|block| block.text.as_str()).collect();
    texts.join("\n")
}

/// Rich text out of its compressed form; `None` where it does not hold what its header says.
fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    const UNCOMPRESSED: &[u8] = b"MELA";
    let field = |at: usize| {
        let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let (size, raw_size) = (field(0)?, field(4)?);
    let whole = bytes.get(..size.checked_add(4)?).filter(|whole| whole.len() >= 16)?;
    if &whole[8..12] == UNCOMPRESSED {
        // Some programs count the header in.
        let text = &whole[16..];
        return Some(text[..raw_size.min(text.len())].to_vec());
    }
    // A reference of two bytes stands for seventeen at most.
    if raw_size > 17 * whole.len() {
        return None;
    }
    let text = compressed_rtf::decompress_rtf(whole).ok()?;
    // Every character of it stands for one byte.
    Some(text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect())
}

#[cfg(test)]
mod tests;
