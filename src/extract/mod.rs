//! From the bytes of one file to its text, structure and facts. Pure parsing.
//!
//! Called by: `cli` (`cairn extract`, and `cairn extract-worker`, which is the only process that
//! parses files of others on a server). Talks to: the parsers below, `native` for libpdfium.
//! Invariants: no file, however made, makes `extract` panic or recurse without bound; what a
//! parser holds in memory is bounded by the limits; text leaves in blocks as it is found.
//!
//! The way of a file: `source` shows its first bytes, `sniff` names its type, one parser per
//! format reads it and gives blocks, children and facts to `emit`, which enforces the limits and
//! passes them to the caller's `ExtractSink`. `protocol` and `worker` carry the same over pipes.

mod archive;
mod cards;
mod charset;
mod clean;
mod code;
mod collect;
mod date;
mod document_json;
mod emit;
mod epub;
mod exports;
mod grid;
mod html;
mod image;
mod jpeg2000;
mod json;
mod kinds;
mod lines;
mod mail;
mod markdown;
mod markdown_out;
mod markup;
mod mbox;
mod notebook;
pub mod ocr;
mod office;
mod package;
mod passwords;
mod pdf;
mod people;
#[cfg(feature = "fault-injection")]
mod probe;
pub mod protocol;
mod rows;
mod rst;
mod rtf;
mod sandbox;
mod saved_page;
mod signed;
mod sniff;
mod source;
mod subtitles;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod worker;
mod xml;

use std::any::Any;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

pub use self::collect::Collector;
pub use self::emit::{MAX_BLOCK_TEXT, MAX_BLOCKS, MAX_OCR_PAGES, refusal};
use self::emit::{Output, Stop};
pub use self::markdown_out::to_markdown;
pub use self::passwords::Passwords;
pub use self::pdf::{is_note, join_line};
use self::sniff::{Detected, Format};
pub use self::source::RandomAccess;
use self::source::Source;
pub use self::worker::run_worker;
use crate::types::{
    Block, ChildHeader, ExtractFailure, ExtractFailureCode, ExtractedDocument, FormatHint,
};

/// One file to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractRequest {
    /// File name or path; its extension counts where the bytes do not tell the type.
    pub name: String,
    /// What the sender or container declares, parameters (`charset`) included.
    pub media_type: Option<String>,
    /// Forces a format instead of detecting one.
    pub format: Option<FormatHint>,
    /// What may open the file, where it is locked; tried in this order.
    #[serde(default)]
    pub passwords: Passwords,
    pub limits: ExtractLimits,
}

/// How much of a file is taken. What goes over is cut and reported, not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractLimits {
    /// Most bytes of text, all blocks together.
    pub max_text_bytes: u64,
    /// Largest file of a format that must be held in memory as a whole; larger ones are refused.
    pub max_parse_bytes: u64,
    /// Most files taken out of one file.
    pub max_children: u32,
    /// Most bytes of one file inside another.
    pub max_child_bytes: u64,
    /// Most bytes taken out of one archive, all files together.
    pub max_total_bytes: u64,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self {
            max_text_bytes: 50_000_000,
            max_parse_bytes: 256 << 20,
            max_children: 1_000_000,
            max_child_bytes: 16 << 30,
            max_total_bytes: 64 << 30,
        }
    }
}

/// Receives what is found in a file, in reading order.
pub trait ExtractSink {
    /// Takes a block of text.
    ///
    /// # Errors
    /// Any error ends the extraction.
    fn block(&mut self, block: Block) -> io::Result<()>;

    /// Takes a file found inside. `body` may be left unread, wholly or in part. Where it fails with
    /// a [`refusal`], the file is to be listed with that reason instead.
    ///
    /// # Errors
    /// Any error ends the extraction.
    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()>;
}

/// Reads one file as it comes. The returned document has no blocks: they went to `sink`.
///
/// # Errors
/// Why the file has no text. An `input` that fails is `Malformed`; a `sink` that fails is
/// `WorkerCrashed`, and the caller knows its own error.
pub fn extract(
    request: &ExtractRequest,
    input: &mut dyn Read,
    sink: &mut dyn ExtractSink,
) -> Result<ExtractedDocument, ExtractFailure> {
    guarded(request, sink, |out| read(request, Source::new(input), out))
}

/// As [`extract`], for a file that can be read in any order, so that containers of any size are
/// read without being held in memory.
///
/// # Errors
/// As [`extract`].
pub fn extract_file(
    request: &ExtractRequest,
    file: RandomAccess,
    sink: &mut dyn ExtractSink,
) -> Result<ExtractedDocument, ExtractFailure> {
    guarded(request, sink, |out| read(request, Source::of_file(file), out))
}

/// Runs a reader; whatever ends it ends in a document or in a reason.
fn guarded(
    request: &ExtractRequest,
    sink: &mut dyn ExtractSink,
    read: impl FnOnce(&mut Output<'_>) -> Result<(), Stop>,
) -> Result<ExtractedDocument, ExtractFailure> {
    let mut out = Output::new(request, sink);
    let outcome = catch_unwind(AssertUnwindSafe(|| read(&mut out)));
    let outcome = outcome.unwrap_or_else(|panic| {
        Err(Stop::malformed(format!("The file broke its reader ({})", panic_message(&*panic))))
    });
    let media_type = out.document.media_type.clone();
    match outcome {
        Ok(()) | Err(Stop::Full) => Ok(out.document),
        Err(Stop::Failure(mut failure)) => {
            if failure.media_type.is_none() && !media_type.is_empty() {
                failure.media_type = Some(media_type);
            }
            Err(failure)
        }
        Err(Stop::Input(error)) if refusal(&error).is_some() => {
            let failure = refusal(&error).cloned();
            Err(failure.expect("invariant: just seen to be there"))
        }
        Err(Stop::Input(error)) => Err(ExtractFailure {
            code: ExtractFailureCode::Malformed,
            message: format!("The file cannot be read to its end: {error}"),
            media_type: Some(media_type).filter(|media_type| !media_type.is_empty()),
        }),
        Err(Stop::Sink(error)) => Err(ExtractFailure {
            code: ExtractFailureCode::WorkerCrashed,
            message: format!("What was read cannot be passed on: {error}"),
            media_type: None,
        }),
    }
}

fn read(
    request: &ExtractRequest,
    source: io::Result<Source<'_>>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut source = source.map_err(Stop::Input)?;
    if source.head().is_empty() {
        return Err(Stop::failure(ExtractFailureCode::EmptyFile, "The file is empty"));
    }
    let detected = match request.format {
        Some(FormatHint::DocumentsJsonl) => Detected {
            format: Format::DocumentsJsonl,
            media_type: "application/x-ndjson".to_owned(),
        },
        Some(FormatHint::DocumentJson) => {
            // A reader that found the document in another file says what it is.
            let declared = request.media_type.as_deref().filter(|kind| kind.ends_with("+json"));
            let media_type = declared.unwrap_or("application/json").to_owned();
            Detected { format: Format::DocumentJson, media_type }
        }
        Some(FormatHint::Text) => {
            Detected { format: Format::Text, media_type: "text/plain".to_owned() }
        }
        Some(FormatHint::PdfPages { first, count }) => Detected {
            format: Format::PdfPages(first, count),
            media_type: "application/pdf".to_owned(),
        },
        Some(FormatHint::PdfPicture { page, width }) => Detected {
            format: Format::PdfPicture(page, width),
            media_type: "application/pdf".to_owned(),
        },
        None => sniff::sniff(&source, &request.name, request.media_type.as_deref()),
    };
    out.document.media_type.clone_from(&detected.media_type);
    if detected.format == Format::Mail {
        mail::note_flags(&request.name, out);
    }
    exports::note_start(&request.name, source.head(), out);
    let result = parse(&detected, &mut source, request, out);
    exports::note_name(&request.name, out);
    if matches!(result, Err(Stop::Full)) {
        let at = if source.was_read_whole() { out.text_bytes() } else { source.consumed() };
        out.document.truncated_at = Some(at);
    }
    result
}

fn parse(
    detected: &Detected,
    source: &mut Source<'_>,
    request: &ExtractRequest,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let declared = request.media_type.as_deref();
    match detected.format {
        Format::Text => text::extract(source, declared, out),
        Format::Markdown => markdown::extract(source, declared, out),
        Format::Html => html::extract(source, declared, &request.name, out),
        Format::Table(delimiter) => table::extract(source, delimiter, declared, out),
        Format::Json => json::extract(source, declared, out),
        Format::JsonLines => json::extract_lines(source, out),
        Format::Mail => mail::extract(source, out),
        Format::Mbox => mbox::extract(source, out),
        Format::OutlookMessage => mail::extract_outlook(source, out),
        Format::Pdf => pdf::extract(source, out),
        Format::PdfPages(first, count) => pdf::draw(source, first, count, out),
        Format::PdfPicture(page, width) => pdf::show(source, page, width, out),
        Format::Image => image::extract(source, out),
        Format::Office => office::extract(source, out),
        Format::Compound => office::extract_compound(source, &request.passwords, out),
        Format::Epub => epub::extract(source, out),
        Format::Rst => rst::extract(source, declared, out),
        Format::SavedPage => saved_page::extract(source, out),
        Format::Rtf => rtf::extract(source, out),
        Format::Xml => markup::extract(source, out),
        Format::Notebook => notebook::extract(source, declared, out),
        Format::Subtitles => subtitles::extract(source, declared, out),
        Format::Cards => cards::extract(source, declared, out),
        Format::Code(language) => code::extract(source, language, declared, out),
        Format::Export(kind) => exports::extract(kind, source, request, out),
        Format::DocumentsJsonl => document_json::extract_lines(source, out),
        Format::DocumentJson => document_json::extract(source, out),
        Format::OutlookStore => mail::extract_store(source, out),
        Format::PackedMail => mail::extract_tnef(source, out),
        Format::Signed => signed::extract(source, &request.name, out),
        Format::Zip => archive::extract_zip(source, out),
        Format::SevenZip => archive::extract_sevenz(source, out),
        Format::Tar => archive::extract_tar(source, out),
        Format::Packed(packing) => archive::extract_packed(source, packing, &request.name, out),
        Format::Unsupported => {
            let why = unread(&detected.media_type);
            Err(Stop::failure(ExtractFailureCode::UnsupportedType, why))
        }
    }
}

/// Why files of a type are not read, and what can be done about it where that is known.
fn unread(media_type: &str) -> String {
    let picture = |kind| {
        format!("Pictures in {kind} cannot be read; save the picture as JPEG or PNG and add that")
    };
    match media_type {
        "image/heif" => picture("HEIC"),
        "image/avif" => picture("AVIF"),
        "image/jxl" => picture("JPEG XL"),
        "application/vnd.rar" => "RAR archives cannot be opened; unpack it, or pack its files as \
                                  zip or 7z, and add that"
            .to_owned(),
        _ => format!("Files of type {media_type} cannot be read"),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}

#[cfg(test)]
mod tests;
