//! Telling text formats apart.
//!
//! Called by: `sniff`. Talks to: nothing.
//! Invariants: never fails. Formats whose parsers fall back to plain text (JSON) may be guessed
//! freely; tables and mail need stronger signs, because a wrong guess hurts the text.

use super::{Detected, Evidence, Format};
use crate::extract::charset::StreamDecoder;
use crate::extract::code;
use crate::extract::exports;
use crate::extract::mbox::begins_message;

/// Damaged lines before the first field of a mail.
const MAX_BROKEN: u32 = 3;
/// How much text is looked at.
const SAMPLE_BYTES: usize = 16 * 1024;

pub(super) fn sniff(evidence: &Evidence<'_>) -> Detected {
    let (sample, complete) = sample(evidence);
    let text = sample.trim_start_matches('\u{feff}').trim_start();
    let extension = evidence.extension;
    if text.starts_with("{\\rtf") {
        return Detected::new(Format::Rtf, "application/rtf");
    }
    if text.starts_with("%!PS") {
        return Detected::new(Format::Unsupported, "application/postscript");
    }
    if text.starts_with("BEGIN:VCALENDAR") {
        return Detected::new(Format::Cards, "text/calendar");
    }
    if text.starts_with("BEGIN:VCARD") {
        return Detected::new(Format::Cards, "text/vcard");
    }
    if let Some(subtitles) = subtitles(text) {
        return subtitles;
    }
    if let Some((kind, media_type)) = exports::recognise(text) {
        return Detected::new(Format::Export(kind), media_type);
    }
    if is_html(text, evidence) {
        return Detected::new(Format::Html, "text/html");
    }
    if text.starts_with("From ") && is_mbox(text) {
        return Detected::new(Format::Mbox, "application/mbox");
    }
    if is_saved_page(text, extension) {
        return Detected::new(Format::SavedPage, "multipart/related");
    }
    if is_mail(text, evidence) {
        return Detected::new(Format::Mail, "message/rfc822");
    }
    if is_xml(text, extension) {
        return Detected::new(Format::Xml, "text/xml");
    }
    if is_notebook(text, extension) {
        return Detected::new(Format::Notebook, "application/x-ipynb+json");
    }
    if let Some(json) = json(text, evidence) {
        return json;
    }
    if is_named(evidence, &["md", "markdown", "mdown", "mkd"], "text/markdown") {
        return Detected::new(Format::Markdown, "text/markdown");
    }
    if let Some(table) = table(text, complete, evidence) {
        return table;
    }
    if extension == "rst" {
        return Detected::new(Format::Rst, "text/x-rst");
    }
    let media_type = match extension {
        "yaml" | "yml" => "application/yaml",
        _ => "text/plain",
    };
    match code::language(extension) {
        Some(language) => Detected::new(Format::Code(language), "text/x-source"),
        None => Detected::new(Format::Text, media_type),
    }
}

/// Cues with their times, as SubRip and WebVTT write them.
fn subtitles(text: &str) -> Option<Detected> {
    if text.starts_with("WEBVTT") {
        return Some(Detected::new(Format::Subtitles, "text/vtt"));
    }
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let number = lines.next()?.parse::<u32>().is_ok();
    let times = lines.next()?.split_once("-->").is_some_and(|(from, to)| {
        [from, to].iter().all(|time| time.trim().starts_with(|c: char| c.is_ascii_digit()))
    });
    (number && times).then(|| Detected::new(Format::Subtitles, "application/x-subrip"))
}

fn is_saved_page(text: &str, extension: &str) -> bool {
    let named = matches!(extension, "mht" | "mhtml") || text.starts_with("From: <Saved by");
    named && text.to_ascii_lowercase().contains("multipart/related")
}

fn is_xml(text: &str, extension: &str) -> bool {
    const NAMES: [&str; 9] =
        ["xml", "nxml", "rss", "atom", "opml", "rdf", "xsd", "dita", "docbook"];
    text.starts_with("<?xml") || (text.starts_with('<') && NAMES.contains(&extension))
}

fn is_notebook(text: &str, extension: &str) -> bool {
    text.starts_with('{')
        && (extension == "ipynb" || (text.contains("\"cell_type\"") && text.contains("\"cells\"")))
}

/// A mail whose header is text and whose body is not, which 8-bit and binary transfer encodings
/// allow.
pub(super) fn mail_with_binary_body(evidence: &Evidence<'_>) -> Option<Detected> {
    let head = evidence.head;
    let end = (1..head.len())
        .find(|at| head[*at] == b'\n' && matches!(head.get(at + 1), Some(b'\n' | b'\r')))?;
    let header = String::from_utf8_lossy(&head[..end]);
    if header.contains('\0') {
        return None;
    }
    if header.starts_with("From ") && is_mbox(&header) {
        return Some(Detected::new(Format::Mbox, "application/mbox"));
    }
    is_mail(&header, evidence).then(|| Detected::new(Format::Mail, "message/rfc822"))
}

/// The first characters, and whether they are all there are.
fn sample(evidence: &Evidence<'_>) -> (String, bool) {
    let head = evidence.head;
    let bytes = &head[..head.len().min(SAMPLE_BYTES)];
    let mut text = String::new();
    StreamDecoder::new(None).push(bytes, true, &mut text);
    (text, evidence.complete && bytes.len() == head.len())
}

fn is_named(evidence: &Evidence<'_>, extensions: &[&str], media_type: &str) -> bool {
    extensions.contains(&evidence.extension)
        || (evidence.extension.is_empty() && evidence.declared == Some(media_type))
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// A document type or root element decides. Lesser tags do so only where the name does not claim
/// another text format: Markdown often opens with a comment or an aligned paragraph.
fn is_html(text: &str, evidence: &Evidence<'_>) -> bool {
    let mut text = text;
    if starts_with(text, "<?xml")
        && let Some(end) = text.find("?>")
    {
        text = text[end + 2..].trim_start();
    }
    if ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| starts_with(text, tag)) {
        return true;
    }
    if is_named(evidence, &["html", "htm", "xhtml"], "text/html") {
        return text.contains('<') && text.contains('>');
    }
    let named_otherwise = !matches!(evidence.extension, "" | "txt");
    !named_otherwise && infer::text::is_html(text.as_bytes())
}

fn is_mbox(text: &str) -> bool {
    let mut lines = text.lines();
    let (Some(first), second) = (lines.next(), lines.next().unwrap_or_default()) else {
        return false;
    };
    begins_message(first.as_bytes(), second.as_bytes(), true)
}

/// A mail begins with header fields, some of which other texts do not have.
fn is_mail(text: &str, evidence: &Evidence<'_>) -> bool {
    const STRONG: [&str; 8] = [
        "received",
        "return-path",
        "message-id",
        "mime-version",
        "delivered-to",
        "x-mailer",
        "from",
        "date",
    ];
    let named = is_named(evidence, &["eml"], "message/rfc822")
        || evidence.declared == Some("message/rfc822");
    let mut fields = 0;
    let mut strong = 0;
    let mut broken = 0;
    for line in text.lines() {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) && fields > 0 {
            continue;
        }
        let Some(name) = field_name(line) else {
            // What is said to be a mail may begin with a damaged field.
            broken += 1;
            if fields == 0 && (!named || broken > MAX_BROKEN) {
                return false;
            }
            if fields == 0 {
                continue;
            }
            break;
        };
        fields += 1;
        strong += usize::from(STRONG.iter().any(|known| known.eq_ignore_ascii_case(name)));
    }
    (named && fields >= 1) || (fields >= 3 && strong >= 2)
}

/// The name of a header field (`Subject: …`).
fn field_name(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(':')?;
    let valid = !name.is_empty()
        && name.len() <= 76
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    valid.then_some(name)
}

fn json(text: &str, evidence: &Evidence<'_>) -> Option<Detected> {
    let lines = || Detected::new(Format::JsonLines, "application/x-ndjson");
    if is_named(evidence, &["jsonl", "ndjson"], "application/x-ndjson") {
        return Some(lines());
    }
    let whole = || Detected::new(Format::Json, "application/json");
    let named = is_named(evidence, &["json"], "application/json");
    if !text.starts_with(['{', '[']) {
        return named.then(whole);
    }
    let mut rows = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = rows.next()?;
    let second = rows.next().unwrap_or_default();
    let several = first.starts_with('{') && first.ends_with('}') && second.starts_with('{');
    if several && serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok() {
        return Some(lines());
    }
    (named || begins_json(text)).then(whole)
}

/// True for the beginning of one JSON value, or for all of it. Lines of a log begin with a bracket
/// and a number, too; what follows the number tells.
fn begins_json(text: &str) -> bool {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    }
}

/// Rows of cells: by name with the likeliest delimiter, without one only where several lines
/// agree on how many delimiters they have.
fn table(text: &str, complete: bool, evidence: &Evidence<'_>) -> Option<Detected> {
    let media_type = |delimiter| match delimiter {
        b'\t' => "text/tab-separated-values",
        _ => "text/csv",
    };
    if is_named(evidence, &["tsv", "tab"], "text/tab-separated-values") {
        return Some(Detected::new(Format::Table(b'\t'), "text/tab-separated-values"));
    }
    let named = is_named(evidence, &["csv"], "text/csv");
    if !named && !matches!(evidence.extension, "" | "txt" | "dat") {
        return None;
    }
    if let Some(delimiter) = declared_delimiter(text) {
        return Some(Detected::new(Format::Table(delimiter), media_type(delimiter)));
    }
    let candidates = [(b'\t', 1_usize), (b';', 2), (b'|', 2), (b',', 2)];
    let mut best: Option<(u8, usize)> = None;
    for (delimiter, least) in candidates {
        let Some((rows, columns)) = agreement(text, delimiter, complete) else {
            continue;
        };
        let enough = if named { columns >= 1 } else { columns >= least && rows >= 4 };
        let more = best.is_none_or(|(other, most)| {
            columns > most && !(delimiter == b',' && has_decimal_commas(text, other))
        });
        if enough && more {
            best = Some((delimiter, columns));
        }
    }
    match best {
        Some((delimiter, _)) => {
            Some(Detected::new(Format::Table(delimiter), media_type(delimiter)))
        }
        None if named => Some(Detected::new(Format::Table(b','), "text/csv")),
        None => None,
    }
}

/// The delimiter that the first line names, as Excel reads and writes it: `sep=;`.
fn declared_delimiter(text: &str) -> Option<u8> {
    let line = text.lines().next()?.trim_end_matches('\r').trim_matches('"');
    let declared = starts_with(line, "sep=").then(|| &line.as_bytes()[4..])?;
    match declared {
        [delimiter] if delimiter.is_ascii_punctuation() || *delimiter == b'\t' => Some(*delimiter),
        _ => None,
    }
}

/// True where the commas in cells between `delimiter`s are those of numbers: `1,5;2,25`.
fn has_decimal_commas(text: &str, delimiter: u8) -> bool {
    let is_number = |cell: &str| {
        cell.split_once(',').is_some_and(|(whole, part)| {
            whole.ends_with(|c: char| c.is_ascii_digit())
                && part.starts_with(|c: char| c.is_ascii_digit())
                && !part.contains(',')
        })
    };
    let mut cells = text.split([char::from(delimiter), '\n']).filter(|cell| cell.contains(','));
    cells.all(is_number)
}

/// Number of rows and of delimiters per row, where the rows agree; delimiters and line ends
/// within quotes do not count.
fn agreement(text: &str, delimiter: u8, complete: bool) -> Option<(usize, usize)> {
    let mut rows = Vec::new();
    let (mut count, mut quoted, mut filled) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                if filled {
                    rows.push(count);
                }
                (count, filled) = (0, false);
            }
            b if b == delimiter && !quoted => count += 1,
            b'\r' => {}
            _ => filled = true,
        }
    }
    if complete && filled {
        rows.push(count);
    }
    let first = *rows.first()?;
    let agreeing = rows.iter().filter(|count| **count == first).count();
    (first > 0 && agreeing * 10 >= rows.len() * 9).then_some((rows.len(), first))
}

#[cfg(test)]
mod tests {
    use super::super::tests::detect;
    use super::Format;

    #[test]
    fn web_pages_are_told_from_markdown_that_opens_with_a_tag() {
        assert_eq!(detect("x", b"\n<!DOCTYPE html><title>t</title>").0, Format::Html);
        assert_eq!(detect("x", b"<?xml version='1.0'?>\n<html xmlns='x'>").0, Format::Html);
        assert_eq!(detect("readme.md", b"<p align=\"center\">\n\n# Title").0, Format::Markdown);
    }

    #[test]
    fn mail_and_mailboxes_are_told_from_letters() {
        let mail = b"From: a@b.c\r\nTo: d@e.f\r\nSubject: s\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nhi";
        assert_eq!(detect("x", mail).0, Format::Mail);
        assert_eq!(detect("x.eml", b"Subject: only\n\nhi").0, Format::Mail);
        let mbox = b"From a@b.c Mon Jan  1 10:00:00 2024\nFrom: a@b.c\nSubject: s\n\nhi\n";
        assert_eq!(detect("x", mbox).0, Format::Mbox);
        assert_eq!(detect("x", b"From the desk of the mayor\nDear friends,\n").0, Format::Text);
        assert_eq!(detect("x", b"Note: one\nA line of prose.\n").0, Format::Text);
    }

    #[test]
    fn json_and_json_lines_are_told_apart() {
        assert_eq!(detect("x", b"{\"a\": 1}").0, Format::Json);
        assert_eq!(detect("x", b"{\"a\": 1}\n{\"a\": 2}\n").0, Format::JsonLines);
        assert_eq!(detect("x", b"[note] not data").0, Format::Text);
        for text in [
            "[2024-03-12 10:00:00] INFO start",
            "[12/03/2024 10:01] Ann Lee",
            "[1] The first footnote.",
            "[true story] It was so.",
            "{\"quoted\"} words",
        ] {
            assert_eq!(detect("x", text.as_bytes()), (Format::Text, "text/plain".to_owned()));
        }
        for json in ["[2024, 3]", "[ -1.5e3 , 2", "[1]", "[[], {\"a\": [true", "{\"cut\": \"of"] {
            assert_eq!(detect("x", json.as_bytes()).0, Format::Json, "{json}");
        }
        assert_eq!(detect("x.json", b"[2024-03-12] log").0, Format::Json);
        assert_eq!(detect("x.ndjson", b"{\"a\": 1}").0, Format::JsonLines);
    }

    #[test]
    fn tables_need_rows_that_agree() {
        assert_eq!(detect("x.csv", b"a,b\n1,2\n").0, Format::Table(b','));
        assert_eq!(detect("x.csv", b"a;b,c;d\n1;2;3\n").0, Format::Table(b';'));
        assert_eq!(detect("x.csv", b"A;1,5;2,5;3,7\nB;2,5;3,5;4,7\n").0, Format::Table(b';'));
        assert_eq!(detect("x.csv", b"1,5;2,5\n3,5;4,5\n").0, Format::Table(b';'));
        assert_eq!(detect("x.csv", b"a,b;c,d\n1,2;3,4\n").0, Format::Table(b','));
        assert_eq!(detect("x.csv", b"sep=|\na;b|c;d\n").0, Format::Table(b'|'));
        assert_eq!(detect("x", b"a\tb\n1\t2\n3\t4\n5\t6\n").0, Format::Table(b'\t'));
        assert_eq!(detect("x", b"Well, yes.\nNo, never.\nOh, well.\nSo, so.\n").0, Format::Text);
    }

    #[test]
    fn formats_without_a_reader_are_named() {
        let (format, media_type) = detect("x.txt", b"{\\rtf1\\ansi hello}");
        assert_eq!((format, media_type.as_str()), (Format::Rtf, "application/rtf"));
    }
}
