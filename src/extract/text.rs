//! Plain text: paragraphs separated by blank lines, read as a stream.
//!
//! Called by: `extract`, and by the parsers that meet plain text inside other formats. Talks to:
//! `charset`.
//! Invariants: memory is bounded by one chunk and one paragraph, whatever the size of the file;
//! reading stops at the text limit, so a huge file is not read to its end.

use super::charset::{TextStream, declared_in};
use super::clean::{Cleaner, break_point};
use super::emit::{Output, Stop};
use super::source::Source;

/// A paragraph longer than this is cut, at a line end or between two words if there are any.
const MAX_PARAGRAPH: usize = 16 * 1024;

pub(super) fn extract(
    source: &mut Source<'_>,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut stream = TextStream::new(&mut *source, declared_in(media_type));
    let result = stream_paragraphs(&mut stream, out);
    stream.decoder().report(out);
    result
}

fn stream_paragraphs(
    stream: &mut TextStream<&mut Source<'_>>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut cleaner = Cleaner::default();
    let mut paragraphs = Paragraphs::default();
    let mut raw = String::new();
    let mut text = String::new();
    loop {
        raw.clear();
        text.clear();
        let waiting = paragraphs.pending() as u64;
        let room = usize::try_from(out.room().saturating_sub(waiting)).unwrap_or(usize::MAX);
        if !stream.next(room, &mut raw).map_err(Stop::Input)? {
            return paragraphs.finish(out);
        }
        cleaner.push(&raw, &mut text);
        paragraphs.push(&text, out)?;
    }
}

/// Emits the paragraphs of a text that is at hand.
pub(super) fn paragraphs(text: &str, out: &mut Output<'_>) -> Result<(), Stop> {
    let mut cleaned = String::with_capacity(text.len());
    Cleaner::default().push(text, &mut cleaned);
    let mut paragraphs = Paragraphs::default();
    paragraphs.push(&cleaned, out)?;
    paragraphs.finish(out)
}

/// Gathers lines until a blank one.
#[derive(Default)]
struct Paragraphs {
    paragraph: String,
    line: String,
}

impl Paragraphs {
    fn pending(&self) -> usize {
        self.paragraph.len() + self.line.len()
    }

    fn push(&mut self, text: &str, out: &mut Output<'_>) -> Result<(), Stop> {
        for piece in text.split_inclusive('\n') {
            self.line.push_str(piece);
            if piece.ends_with('\n') {
                self.end_line(out)?;
            }
            while self.pending() > MAX_PARAGRAPH {
                self.cut(out)?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        if self.line.trim().is_empty() {
            self.line.clear();
            return self.flush(out);
        }
        self.paragraph.push_str(&self.line);
        self.line.clear();
        Ok(())
    }

    fn flush(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        let result = out.paragraph(self.paragraph.trim_end());
        self.paragraph.clear();
        result
    }

    /// Emits what is pending down to half a paragraph.
    fn cut(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        if !self.paragraph.is_empty() && self.paragraph.len() <= MAX_PARAGRAPH {
            return self.flush(out);
        }
        self.paragraph.push_str(&self.line);
        self.line.clear();
        let rest = self.paragraph.split_off(break_point(&self.paragraph, MAX_PARAGRAPH));
        let result = self.flush(out);
        self.line = rest;
        result
    }

    fn finish(mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        self.paragraph.push_str(&self.line);
        self.flush(out)
    }
}

#[cfg(test)]
mod tests {
    use super::MAX_PARAGRAPH;
    use crate::extract::ExtractLimits;
    use crate::extract::testing::{Endless, extract_from, limits, run};

    #[test]
    fn blank_lines_separate_paragraphs() {
        let found = run("a.txt", b"one\r\nline\r\n\r\n  \r\ntwo\n\n\n");
        assert_eq!(found.texts(), ["one\nline", "two"]);
        assert_eq!(found.document.metadata["charset"], "UTF-8");
        assert!(found.document.warnings.is_empty());
    }

    #[test]
    fn invalid_utf8_is_replaced_with_a_warning() {
        let mut bytes = "Größe, Höhe, Länge, Übermaß, äußerst: ".as_bytes().to_vec();
        bytes.extend_from_slice(b"\xc3\x28 end");
        let found = run("a.txt", &bytes);
        assert!(found.texts()[0].contains("\u{fffd}( end"), "{:?}", found.texts());
        assert_eq!(found.document.warnings.len(), 1);
    }

    #[test]
    fn a_run_without_any_break_is_cut() {
        let text = "x".repeat(MAX_PARAGRAPH * 3 + 5);
        let found = run("a.txt", text.as_bytes());
        assert!(found.texts().len() >= 4);
        assert!(found.texts().iter().all(|t| t.len() <= MAX_PARAGRAPH));
        assert_eq!(found.texts().concat(), text);
    }

    #[test]
    fn an_endless_file_is_read_only_to_the_text_limit() {
        let limits = ExtractLimits { max_text_bytes: 100_000, ..limits() };
        let mut input = Endless::new(b"some words on a line\n\n");
        let found = extract_from("a.txt", None, limits, &mut input).expect("text is readable");
        let at = found.document.truncated_at.expect("the limit cut the file");
        assert!((100_000..200_000).contains(&at), "{at}");
        assert!(input.given() < 400_000);
        assert!(found.texts().concat().len() <= 100_000);
    }
}
