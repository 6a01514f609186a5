//! PDF: text, headings, tables and notes page by page and the files inside, through libpdfium.
//!
//! Called by: `extract`. Talks to: `native` for the library, `pdfium-render`, the parts below.
//! Invariants: the library is loaded once per process, in a worker before it is
//! confined; the system's fonts stay closed to it, it has its own; a page
//! that cannot be read costs a warning, not the document.

mod attached;
mod draw;
mod headings;
mod layout;
mod notes;
mod outline;
mod png;
mod scanned;
mod structure;
mod tables;
mod text;

use std::error::Error;
use std::path::Path;
use std::sync::OnceLock;

use pdfium_render::prelude::{
    PdfDocument, PdfDocumentMetadataTagType, PdfRect, Pdfium, PdfiumError, PdfiumInternalError,
};

pub(super) use self::draw::{draw, show};
use self::notes::Notes;
pub use self::notes::is_note;
use self::structure::Structure;
use self::tables::Table;
pub use self::text::join_line;
use self::text::{Heading, Piece};
use super::clean::one_line;
use super::date::read_date;
use super::emit::{Output, Stop};
use super::people::is_nobody;
use super::rows::RowGroups;
use super::source::Source;
use crate::native::{self, NativeError, NativeLibrary};
use crate::types::{BlockKind, ExtractFailureCode};

/// Where the library is unpacked if the system refuses executable memory files; the file has no
/// name there and cannot be replaced by anyone.
const PRIVATE_DIR: &str = "/tmp";
/// Larger than any page in points. The page's own box misses text of pages that are rotated or
/// whose box does not begin at zero.
const EVERYWHERE: f32 = 1_000_000.0;

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let pdfium = pdfium()?;
    let document = open(pdfium, &bytes, out)?;
    facts(&document, out);
    let mut notes = Notes::default();
    // The text limit may end the pages; the files seen by then are passed on all the same.
    let text = pages(&document, &mut notes, out);
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    attached::pass_on(&document, &bytes, &notes.with_files, out)?;
    text
}

/// Loads the library while the process may still open files. Where that fails, PDF files say so
/// and all others are read.
pub(super) fn load() {
    drop(pdfium());
}

/// The document, opened without a password or with the first that fits.
fn open<'d>(
    pdfium: &'d Pdfium,
    bytes: &'d [u8],
    out: &Output<'_>,
) -> Result<PdfDocument<'d>, Stop> {
    let opened = pdfium.load_pdf_from_byte_slice(bytes, None);
    let Err(error) = opened else { return opened.map_err(|error| cannot_open(error, false)) };
    let opened = out
        .passwords()
        .iter()
        .find_map(|password| pdfium.load_pdf_from_byte_slice(bytes, Some(password)).ok());
    opened.ok_or_else(|| cannot_open(error, !out.passwords().is_empty()))
}

/// The library, loaded on first use. It cannot be unloaded, and a failure to load is final too.
fn pdfium() -> Result<&'static Pdfium, Stop> {
    static PDFIUM: OnceLock<Result<Pdfium, String>> = OnceLock::new();
    PDFIUM
        .get_or_init(|| {
            let path = native::pdfium(Path::new(PRIVATE_DIR)).map_err(|error| chain(&error))?;
            let bindings = Pdfium::bind_to_library(path).map_err(|error| {
                chain(&NativeError::load(NativeLibrary::Pdfium, error.to_string()))
            })?;
            Ok(Pdfium::new(bindings))
        })
        .as_ref()
        .map_err(|reason| {
            let message = format!("The PDF reader cannot be loaded: {reason}");
            Stop::failure(ExtractFailureCode::ReaderMissing, message)
        })
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    one_line(&text)
}

fn cannot_open(error: PdfiumError, tried: bool) -> Stop {
    match error {
        PdfiumError::PdfiumLibraryInternalError(
            PdfiumInternalError::PasswordError | PdfiumInternalError::SecurityError,
        ) => Stop::failure(
            ExtractFailureCode::PasswordRequired,
            if tried {
                "The PDF is protected by another password than the one given"
            } else {
                "The PDF is protected by a password"
            },
        ),
        PdfiumError::PdfiumLibraryInternalError(_) => {
            Stop::malformed("The PDF is damaged and cannot be opened")
        }
        other => Stop::malformed(format!("The PDF cannot be opened: {other}")),
    }
}

fn facts(document: &PdfDocument<'_>, out: &mut Output<'_>) {
    let metadata = document.metadata();
    let tag = |kind| metadata.get(kind).map(|tag| tag.value().to_owned()).unwrap_or_default();
    let title = tag(PdfDocumentMetadataTagType::Title);
    if says_something(&title) {
        out.title(title.trim().trim_start_matches("Microsoft Word - "));
    }
    let authors = tag(PdfDocumentMetadataTagType::Author);
    authors.split(';').filter(|author| !is_nobody(author)).for_each(|author| out.author(author));
    out.written(read_date(&tag(PdfDocumentMetadataTagType::CreationDate)));
    let subject = tag(PdfDocumentMetadataTagType::Subject);
    if says_something(&subject) {
        out.fact("subject", &subject);
    }
    out.fact("keywords", &tag(PdfDocumentMetadataTagType::Keywords));
    out.fact("creator", &tag(PdfDocumentMetadataTagType::Creator));
    out.fact("producer", &tag(PdfDocumentMetadataTagType::Producer));
}

fn pages(document: &PdfDocument<'_>, notes: &mut Notes, out: &mut Output<'_>) -> Result<(), Stop> {
    let pages = document.pages();
    out.fact("pages", &pages.len().to_string());
    let mut structure = Structure::of(document);
    let mut without_text = 0_u32;
    let mut unreadable = 0_u32;
    let mut result = Ok(());
    for (number, index) in (1_u32..).zip(pages.as_range()) {
        let page = pages.get(index);
        let text = page.as_ref().ok().and_then(|page| page.text().ok().map(|text| (page, text)));
        match text {
            Some((page, text)) => {
                let words = text.inside_rect(everywhere());
                if scanned::needs_ocr(page, &words) {
                    out.needs_ocr(number);
                }
                without_text += u32::from(words.trim().is_empty());
                let words = text::joined(&words);
                let lines = text::lines(&words);
                let (headings, tables) = structure.of_page(number, &text, &lines);
                let notes = notes.of_page(page, index);
                result = page_text(&lines, &headings, tables, number, out).and_then(|()| {
                    let mut notes = notes.iter();
                    notes.try_for_each(|n| out.block(&BlockKind::Paragraph, n, Some(number)))
                });
            }
            None => unreadable += 1,
        }
        if result.is_err() {
            break;
        }
    }
    if without_text > 0 {
        out.fact("pages_without_text", &without_text.to_string());
        out.warn(format!("{without_text} pages hold no text layer"));
    }
    if unreadable > 0 {
        out.warn(format!("{unreadable} pages are damaged and were left out"));
    }
    result
}

fn everywhere() -> PdfRect {
    PdfRect::new_from_values(-EVERYWHERE, -EVERYWHERE, EVERYWHERE, EVERYWHERE)
}

fn page_text(
    lines: &[&str],
    headings: &[Heading],
    tables: Vec<Table>,
    number: u32,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    text::pieces(lines, headings, tables).into_iter().try_for_each(|piece| match piece {
        Piece::Paragraph(text) => out.block(&BlockKind::Paragraph, &text, Some(number)),
        Piece::Heading { level, text } => {
            out.block(&BlockKind::Heading { level }, &text, Some(number))
        }
        Piece::Table { rows, header } => {
            let mut groups = RowGroups::new(header).on_page(Some(number));
            rows.into_iter().try_for_each(|row| groups.push(row, out))?;
            groups.finish(out)
        }
    })
}

/// False for the titles that programs fill in when nobody gave one.
fn says_something(title: &str) -> bool {
    let title = title.trim().trim_start_matches('(').trim_end_matches(')').to_lowercase();
    let blank = ["untitled", "anonymous", "unspecified", "none"];
    let file_name = [".pdf", ".doc", ".docx", ".ppt", ".pptx", ".indd", ".tmp"];
    !blank.contains(&title.as_str()) && !file_name.iter().any(|ending| title.ends_with(ending))
}

#[cfg(test)]
mod tests;
