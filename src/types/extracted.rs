//! What extraction makes of one file: metadata and a flat list of blocks in reading order.
//!
//! Called by: `extract` (which fills it in the child process), `extraction` (which rebuilds it
//! from the wire), `chunk`, `app`. Talks to: nothing.
//! Invariants: block texts hold no NUL and no lone surrogate; a table's `text` is its rows
//! rendered one per line, so that offsets into the document text stay meaningful.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SheetCells, TablePart, Voice};

/// One file, understood.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExtractedDocument {
    /// Detected media type, such as `application/pdf`; from the bytes first, the name second.
    pub media_type: String,
    pub title: Option<String>,
    pub authors: Vec<String>,
    /// The date the document gives itself (metadata, mail header), never the file system's.
    pub content_date: Option<Timestamp>,
    /// When what it speaks of takes place, where its format says so (the start of a meeting).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_date: Option<Timestamp>,
    /// Further facts under stable keys: `charset`, `pages`, `message_id`, `to`, ….
    pub metadata: BTreeMap<String, String>,
    pub blocks: Vec<Block>,
    /// Bytes of source text after which the rest was left out, where a limit cut the document.
    pub truncated_at: Option<u64>,
    /// Sentences for the ledger about parts that could not be read.
    pub warnings: Vec<String>,
    /// True for a file that only holds others (mbox, JSON Lines of documents).
    pub container: bool,
    /// Pages, counted from 1 and in order, that hold pictures where text is to be expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ocr_pages: Vec<u32>,
}

/// A structural unit in reading order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    #[serde(flatten)]
    pub kind: BlockKind,
    pub text: String,
    /// 1-based page, for formats that have pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The cells it shows, for formats whose cells have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<SheetCells>,
}

impl Block {
    /// A block of a document without pages or cells.
    pub fn new(kind: BlockKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), page: None, cells: None }
    }
}

/// What kind of unit a block is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BlockKind {
    /// `level` 1 (outermost) to 6.
    Heading {
        level: u8,
    },
    Paragraph,
    /// `depth` 0 is the outermost list.
    ListItem {
        depth: u8,
        ordered: bool,
    },
    Quote,
    /// What a mail repeats of an earlier one: shown, and found as a quote, but not among the words
    /// of this mail.
    QuotedReply,
    /// The signature of a mail, and what a mailing list appends: shown, and found as one, but not
    /// among the words of this mail.
    Signature,
    Code,
    /// Cells by row; the first row is the header when `header` is set.
    Table {
        rows: Vec<Vec<String>>,
        header: bool,
        /// Where the rows are kept as data: which table they are of, and what their cells are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<TablePart>,
    },
}

impl BlockKind {
    /// Whose words such a block holds.
    pub fn voice(&self) -> Voice {
        match self {
            Self::QuotedReply => Voice::Quoted,
            Self::Signature => Voice::Signature,
            _ => Voice::Own,
        }
    }

    /// False for parts that are shown but are not the document's own words.
    pub fn is_own(&self) -> bool {
        self.voice() == Voice::Own
    }

    /// True for what plain text can only hint at.
    pub fn is_structure(&self) -> bool {
        matches!(self, Self::Heading { .. } | Self::ListItem { .. } | Self::Table { .. })
    }
}

/// A file found inside another: a mail in an mbox, an attachment, a line of JSON Lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildHeader {
    /// Path of the child under its parent, unique among its siblings: `message-000012`,
    /// `attachment-1/report.pdf`. A document of a JSON Lines file has its `_id` here.
    pub name: String,
    /// True where `name` is the child's own source id and is not put under the parent's path.
    pub absolute: bool,
    /// Media type the container declares, if it does.
    pub media_type: Option<String>,
    /// Name of the text encoding or format to force when the child is extracted.
    pub format: Option<FormatHint>,
    /// When the child was last changed, as the container says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_date: Option<Timestamp>,
}

impl ChildHeader {
    /// False for times that programs write where they know none, and for those of another age.
    /// A day that is still to come somewhere is left to those who know what day it is.
    pub fn is_plausible_date(date: Timestamp) -> bool {
        /// 1980-01-02 and 2200-01-01, in seconds.
        const PLAUSIBLE: std::ops::Range<i64> = 315_619_200..7_258_118_400;
        PLAUSIBLE.contains(&date.as_second())
    }
}

/// A format the caller names, because bytes alone do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormatHint {
    /// JSON Lines, one document per line: `_id`, `title`, `text`, other fields metadata.
    DocumentsJsonl,
    /// One line of such a file.
    DocumentJson,
    /// Plain text, whatever it looks like.
    Text,
    /// Pages of a PDF, `count` from `first` on, each as a picture; nothing of it is read.
    PdfPages { first: u32, count: u32 },
    /// One page of a PDF as a picture for people, at most `width` pixels wide.
    PdfPicture { page: u32, width: u32 },
}

/// Why a file has no text. The code is contract, the sentence is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractFailureCode {
    EmptyFile,
    UnsupportedType,
    Malformed,
    PasswordRequired,
    TimedOut,
    OutOfMemory,
    WorkerCrashed,
    TooLarge,
    /// A native library (libpdfium) that the format needs is missing or does not load.
    ReaderMissing,
    /// What it says is told by another file of the same export or page, or it is bookkeeping of
    /// the program that wrote it.
    PartOfAnother,
}

/// A file that could not be read, with the reason a person understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ExtractFailure {
    pub code: ExtractFailureCode,
    /// A sentence naming the cause.
    pub message: String,
    /// Detected media type, where detection got that far.
    pub media_type: Option<String>,
}
