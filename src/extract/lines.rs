//! Lines of a byte stream, with a cap on how much of one is kept.
//!
//! Called by: `json`, `document_json`. Talks to: nothing.
//! Invariants: memory is bounded by the cap plus one read, whatever the lines are like.

use std::io::{self, BufRead, BufReader, Read};

/// One line without its line end.
pub(super) struct Line<'l> {
    pub(super) bytes: &'l [u8],
    /// 1-based.
    pub(super) number: u64,
    /// True where the line is longer than the cap and the rest was passed over.
    pub(super) cut: bool,
}

/// Reads lines one after the other.
pub(super) struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    max: usize,
}

impl<R: Read> LineReader<R> {
    /// Keeps at most `max` bytes of a line.
    pub(super) fn new(input: R, max: usize) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), line: Vec::new(), number: 0, max }
    }

    /// The next line, or none at the end. A byte order mark at the start is passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut cut = false;
        let mut any = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let keep = piece.len().min(self.max - self.line.len());
            self.line.extend_from_slice(&piece[..keep]);
            cut |= keep < piece.len();
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        let mut bytes = self.line.as_slice();
        if self.number == 1 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        Ok(Some(Line { bytes, number: self.number, cut }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_capped() {
        let input: &[u8] = b"\xef\xbb\xbfone\n\nabcdefghij\nlast";
        let mut lines = LineReader::new(input, 6);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().expect("memory does not fail") {
            seen.push((line.number, String::from_utf8_lossy(line.bytes).into_owned(), line.cut));
        }
        assert_eq!(
            seen,
            [
                (1, "one".to_owned(), false),
                (2, String::new(), false),
                (3, "abcdef".to_owned(), true),
                (4, "last".to_owned(), false),
            ]
        );
    }
}
