//! PDF: the text layer page by page, through libpdfium.
//!
//! Called by: `extract`. Talks to: `native` for the library, `pdfium-render`, `pdf::text`.
//! Invariants: the library is loaded once per process, in a worker before it is
//! confined; the system's fonts stay closed to it, it has its own; a page
//! that cannot be read costs a warning, not the document.

mod draw;
mod scanned;
mod text;

use std::error::Error;
use std::path::Path;
use std::sync::OnceLock;

use pdfium_render::prelude::{
    PdfDocument, PdfDocumentMetadataTagType, PdfRect, Pdfium, PdfiumError, PdfiumInternalError,
};

pub(super) use self::draw::draw;
pub use self::text::join_line;
use super::clean::one_line;
use super::date::read_date;
use super::emit::{Output, Stop};
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
    pages(&document, out)
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
    authors.split(';').for_each(|author| out.author(author));
    out.written(read_date(&tag(PdfDocumentMetadataTagType::CreationDate)));
    out.fact("subject", &tag(PdfDocumentMetadataTagType::Subject));
    out.fact("keywords", &tag(PdfDocumentMetadataTagType::Keywords));
    out.fact("creator", &tag(PdfDocumentMetadataTagType::Creator));
    out.fact("producer", &tag(PdfDocumentMetadataTagType::Producer));
}

fn pages(document: &PdfDocument<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let pages = document.pages();
    out.fact("pages", &pages.len().to_string());
    let mut without_text = 0_u32;
    let mut unreadable = 0_u32;
    let mut result = Ok(());
    let everywhere = PdfRect::new_from_values(-EVERYWHERE, -EVERYWHERE, EVERYWHERE, EVERYWHERE);
    for (number, index) in (1_u32..).zip(pages.as_range()) {
        let page = pages.get(index);
        let text = page.as_ref().ok().and_then(|page| {
            page.text().map(|text| text.inside_rect(everywhere)).ok().map(|text| (page, text))
        });
        match text {
            Some((page, text)) => {
                if scanned::needs_ocr(page, &text) {
                    out.needs_ocr(number);
                }
                if text.trim().is_empty() {
                    without_text += 1;
                } else {
                    result = page_text(&text, number, out);
                }
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

fn page_text(text: &str, number: u32, out: &mut Output<'_>) -> Result<(), Stop> {
    text::paragraphs(text)
        .iter()
        .try_for_each(|paragraph| out.block(&BlockKind::Paragraph, paragraph, Some(number)))
}

/// False for the titles that programs fill in when nobody gave one.
fn says_something(title: &str) -> bool {
    let title = title.trim().to_lowercase();
    let blank = ["untitled", "(anonymous)", "anonymous", "unspecified", "none"];
    let file_name = [".pdf", ".doc", ".docx", ".ppt", ".pptx", ".indd", ".tmp"];
    !blank.contains(&title.as_str()) && !file_name.iter().any(|ending| title.ends_with(ending))
}
