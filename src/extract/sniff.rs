//! What kind of file this is: from its bytes first, then from its name.
//!
//! Called by: `extract`. Talks to: `infer` for binary signatures, `sniff::text` for the rest.
//! Invariants: never fails; a file that looks like text is never taken for a binary format whose
//! signature is two or three letters (`BM`, `MZ`, `ID3` begin sentences too).

mod text;

use infer::MatcherType;

use super::archive::{self, Packing};
use super::charset::utf16_without_mark;
use super::exports;
use super::image;
use super::jpeg2000;
use super::source::Source;

/// Which parser reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Markdown,
    Html,
    /// Rows of cells separated by this byte.
    Table(u8),
    Json,
    JsonLines,
    Mail,
    Mbox,
    OutlookMessage,
    OutlookStore,
    /// A mail as Outlook packs it for other programs.
    PackedMail,
    /// A file with the signature over it.
    Signed,
    Pdf,
    /// An office document in a zip archive.
    Office,
    /// A compound file: an older office document, or one under a password.
    Compound,
    Epub,
    Rtf,
    Rst,
    /// A page with all its parts, as browsers save it.
    SavedPage,
    Xml,
    Notebook,
    Subtitles,
    /// Events or people.
    Cards,
    /// Source code in this language.
    Code(&'static str),
    /// Written by a program to let its content go elsewhere.
    Export(exports::Kind),
    DocumentsJsonl,
    DocumentJson,
    /// Pages of a PDF to be drawn: the first, and how many.
    PdfPages(u32, u32),
    /// One page of a PDF for people to look at: its number, and the width wanted.
    PdfPicture(u32, u32),
    /// A picture, which may hold text.
    Image,
    Zip,
    SevenZip,
    Tar,
    Packed(Packing),
    Unsupported,
}

/// The outcome of detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detected {
    pub(super) format: Format,
    pub(super) media_type: String,
}

impl Detected {
    fn new(format: Format, media_type: &str) -> Self {
        Self { format, media_type: media_type.to_owned() }
    }
}

/// What detection knows.
#[derive(Clone, Copy)]
struct Evidence<'e> {
    head: &'e [u8],
    /// The head is the whole file.
    complete: bool,
    /// Lower-case extension without the dot, or empty.
    extension: &'e str,
    /// Media type without parameters that the sender or container declares.
    declared: Option<&'e str>,
}

/// Detects the type of `source` without consuming it.
pub(super) fn sniff(source: &Source<'_>, name: &str, declared: Option<&str>) -> Detected {
    let extension = extension(name);
    let declared = declared.and_then(|media_type| media_type.split(';').next());
    let declared = declared.map(|media_type| media_type.trim().to_ascii_lowercase());
    let evidence = Evidence {
        head: source.head(),
        complete: source.head_is_all(),
        extension: &extension,
        declared: declared.as_deref(),
    };
    if is_pdf(&evidence) {
        return Detected::new(Format::Pdf, "application/pdf");
    }
    if super::mail::is_outlook(evidence.head, evidence.extension) {
        return Detected::new(Format::OutlookMessage, "application/vnd.ms-outlook");
    }
    if super::mail::is_tnef(evidence.head) {
        return Detected::new(Format::PackedMail, super::mail::TNEF);
    }
    if super::signed::is_signed(evidence.head) {
        return Detected::new(Format::Signed, super::signed::SIGNED);
    }
    let like_text = looks_like_text(evidence.head);
    if image::is_portable_map(evidence.head, evidence.extension, like_text) {
        return Detected::new(Format::Image, image::PORTABLE_MAP);
    }
    if like_text {
        return text::sniff(&evidence);
    }
    text::mail_with_binary_body(&evidence).unwrap_or_else(|| {
        let media_type = binary_type(&evidence);
        match archive::format_of(media_type, evidence.extension) {
            Some(archive) => Detected::new(archive, media_type),
            None => binary(media_type),
        }
    })
}

/// The part of a file name after its last dot, in lower case.
fn extension(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default()
}

/// The signature may follow up to 1 KiB of other bytes, which readers of PDF accept; in a text it
/// must stand at the start, because texts about PDF quote it.
fn is_pdf(evidence: &Evidence<'_>) -> bool {
    const SIGNATURE: &[u8] = b"%PDF-";
    let start = evidence.head.trim_ascii_start();
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    if start.starts_with(SIGNATURE) {
        return true;
    }
    let window = &evidence.head[..evidence.head.len().min(1024 + SIGNATURE.len())];
    window.windows(SIGNATURE.len()).any(|w| w == SIGNATURE)
        && (evidence.extension == "pdf" || !looks_like_text(evidence.head))
}

/// Text has no zero bytes (UTF-16 apart) and next to no control characters.
fn looks_like_text(head: &[u8]) -> bool {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return head.len().is_multiple_of(2) || head.len() > 64;
    }
    if utf16_without_mark(head).is_some() {
        return true;
    }
    let sample = &head[..head.len().min(16 * 1024)];
    let zeros = sample.iter().filter(|byte| **byte == 0).count();
    let controls = sample
        .iter()
        .filter(|byte| **byte < 0x20 && !matches!(**byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 8))
        .count();
    // A stray zero byte happens in logs; a binary file has many.
    zeros * 1000 <= sample.len() && controls * 100 <= sample.len()
}

/// The reader of a file that is not text.
fn binary(media_type: &str) -> Detected {
    let format = match media_type {
        "application/epub+zip" => Format::Epub,
        super::mail::OUTLOOK_STORE => Format::OutlookStore,
        "application/x-ole-storage"
        | "application/msword"
        | "application/vnd.ms-excel"
        | "application/vnd.ms-powerpoint"
        | "application/vnd.ms-outlook" => Format::Compound,
        office
            if office.starts_with("application/vnd.oasis.opendocument.")
                || office.starts_with("application/vnd.openxmlformats-officedocument.")
                || office == XLSB =>
        {
            Format::Office
        }
        image if image::is_read(image) => Format::Image,
        _ => Format::Unsupported,
    };
    Detected::new(format, media_type)
}

/// The media type of a file that is not text.
fn binary_type(evidence: &Evidence<'_>) -> &'static str {
    let head = evidence.head;
    if archive::is_tar(head) {
        return "application/x-tar";
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return zip_type(head, evidence.extension);
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return match evidence.extension {
            "doc" | "dot" => "application/msword",
            "xls" | "xlt" => "application/vnd.ms-excel",
            "ppt" | "pps" => "application/vnd.ms-powerpoint",
            _ => "application/x-ole-storage",
        };
    }
    if head.starts_with(b"!BDN") {
        return super::mail::OUTLOOK_STORE;
    }
    if jpeg2000::begins(head) {
        return jpeg2000::MEDIA_TYPE;
    }
    match infer::get(head) {
        Some(kind) if kind.matcher_type() != MatcherType::Text => kind.mime_type(),
        _ => "application/octet-stream",
    }
}

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
/// How much of a decrypted document is looked at.
const PACKAGE_HEAD: usize = 64 * 1024;
const XLSB: &str = "application/vnd.ms-excel.sheet.binary.macroenabled.12";

/// The media type of an office document that came out of a locked one.
pub(super) fn package_type(bytes: &[u8]) -> &'static str {
    let found = zip_type(&bytes[..bytes.len().min(PACKAGE_HEAD)], "");
    // The list of parts stands at the end.
    let list = &bytes[bytes.len().saturating_sub(PACKAGE_HEAD)..];
    let binary = b"xl/workbook.bin";
    if found == XLSX && list.windows(binary.len()).any(|name| name == binary) {
        return XLSB;
    }
    found
}

/// Office files are zip archives; the names of their first entries tell which.
fn zip_type(head: &[u8], extension: &str) -> &'static str {
    let mut packaged = false;
    for (at, _) in head.windows(4).enumerate().filter(|(_, w)| *w == b"PK\x03\x04") {
        let Some(name) = head.get(at + 30..) else {
            break;
        };
        let found = match name {
            n if n.starts_with(b"word/") => DOCX,
            n if n.starts_with(b"xl/") && extension == "xlsb" => XLSB,
            n if n.starts_with(b"xl/") => XLSX,
            n if n.starts_with(b"ppt/") => PPTX,
            n if n.starts_with(b"META-INF/MANIFEST.MF") => "application/java-archive",
            n if n.starts_with(b"mimetype") => match declared_in_zip(n) {
                Some(media_type) => media_type,
                None => continue,
            },
            n => {
                packaged |= n.starts_with(b"[Content_Types].xml");
                continue;
            }
        };
        return found;
    }
    match extension {
        "docx" | "docm" | "dotx" | "dotm" => DOCX,
        "xlsx" | "xlsm" | "xltx" | "xltm" => XLSX,
        "xlsb" => XLSB,
        "pptx" | "pptm" | "ppsx" | "ppsm" | "potx" => PPTX,
        "odt" | "ott" => "application/vnd.oasis.opendocument.text",
        "ods" | "ots" => "application/vnd.oasis.opendocument.spreadsheet",
        "odp" | "otp" => "application/vnd.oasis.opendocument.presentation",
        "epub" => "application/epub+zip",
        _ if packaged => DOCX,
        _ => "application/zip",
    }
}

/// OpenDocument and EPUB store their type uncompressed in the first entry, named `mimetype`.
fn declared_in_zip(entry: &[u8]) -> Option<&'static str> {
    const KNOWN: [&str; 5] = [
        "application/epub+zip",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.graphics",
    ];
    let content = entry.get(b"mimetype".len()..)?;
    let content = &content[..content.len().min(200)];
    KNOWN
        .into_iter()
        .find(|media_type| content.windows(media_type.len()).any(|w| w == media_type.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn detect(name: &str, bytes: &[u8]) -> (Format, String) {
        let mut input = bytes;
        let source = Source::new(&mut input).expect("memory does not fail");
        let detected = sniff(&source, name, None);
        (detected.format, detected.media_type)
    }

    #[test]
    fn bytes_win_over_the_name() {
        assert_eq!(detect("report.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n").0, Format::Pdf);
        let (format, media_type) = detect("notes.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0");
        assert_eq!((format, media_type.as_str()), (Format::Image, "image/png"));
    }

    #[test]
    fn sentences_that_begin_like_signatures_stay_text() {
        for sentence in ["BM is the short name of the firm.", "MZ wrote this.", "ID3 is a tag."] {
            assert_eq!(detect("a.txt", sentence.as_bytes()).0, Format::Text, "{sentence}");
        }
        assert_eq!(detect("a.txt", b"A PDF begins with %PDF-1.7 always.").0, Format::Text);
    }

    #[test]
    fn office_files_are_named_by_what_is_inside() {
        let mut zip = b"PK\x03\x04\x14\0\0\0\x08\0".to_vec();
        zip.extend_from_slice(&[0; 20]);
        zip.extend_from_slice(b"[Content_Types].xml....PK\x03\x04");
        zip.extend_from_slice(&[0; 26]);
        zip.extend_from_slice(b"xl/workbook.xml");
        let (format, media_type) = detect("anything", &zip);
        assert_eq!(format, Format::Office);
        assert!(media_type.ends_with("spreadsheetml.sheet"), "{media_type}");

        let mut odt = b"PK\x03\x04".to_vec();
        odt.extend_from_slice(&[0; 26]);
        odt.extend_from_slice(b"mimetypeapplication/vnd.oasis.opendocument.textPK");
        assert_eq!(detect("x", &odt).1, "application/vnd.oasis.opendocument.text");
    }

    #[test]
    fn bytes_without_meaning_are_named_so() {
        let noise: Vec<u8> =
            (0..2000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(detect("x.dat", &noise).0, Format::Unsupported);
    }
}
