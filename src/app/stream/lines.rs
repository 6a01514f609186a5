//! Lines of a body as it comes.
//!
//! Called by: `app::stream`. Talks to: nothing.
//! Invariants: memory is bounded by one line and one piece of the body; a line that is too long is
//! read over to its end and told by its number; waiting for a line may be given up and begun again
//! without losing any of it.

use bytes::Bytes;
use futures::{Stream, StreamExt};

/// Longest line, in bytes.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1 on.
    pub(super) number: u64,
    /// `None` where it is too long.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Cuts a body into lines.
pub(super) struct Lines<S> {
    body: S,
    /// What of the last piece is not cut yet.
    piece: Bytes,
    partial: Vec<u8>,
    overlong: bool,
    number: u64,
    ended: bool,
}

impl<S, E> Lines<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub(super) fn new(body: S) -> Self {
        let piece = Bytes::new();
        Self { body, piece, partial: Vec::new(), overlong: false, number: 0, ended: false }
    }

    /// The next line; none at the end of the body, or where the sender is gone. A last line
    /// without an end counts only where the body came to its own.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.cut() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            match self.body.next().await {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(_)) => {
                    // Half a line is none.
                    self.ended = true;
                    self.partial.clear();
                    self.overlong = false;
                }
                None => {
                    self.ended = true;
                    if self.overlong || !self.partial.is_empty() {
                        return Some(self.line());
                    }
                }
            }
        }
    }

    /// The next line that is here already.
    fn cut(&mut self) -> Option<Line> {
        let end = self.piece.iter().position(|byte| *byte == b'\n');
        let part = self.piece.split_to(end.unwrap_or(self.piece.len()));
        if self.partial.len() + part.len() > MAX_LINE_BYTES {
            self.overlong = true;
            self.partial = Vec::new();
        } else if !self.overlong {
            self.partial.extend_from_slice(&part);
        }
        end?;
        drop(self.piece.split_to(1));
        Some(self.line())
    }

    fn line(&mut self) -> Line {
        self.number += 1;
        let mut bytes = std::mem::take(&mut self.partial);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let overlong = std::mem::take(&mut self.overlong);
        Line { number: self.number, bytes: (!overlong).then_some(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    async fn lines(pieces: Vec<Result<Vec<u8>, ()>>) -> Vec<(u64, Option<String>)> {
        let body = stream::iter(pieces.into_iter().map(|piece| piece.map(Bytes::from)));
        let mut lines = Lines::new(body);
        let mut found = Vec::new();
        while let Some(Line { number, bytes }) = lines.next().await {
            found.push((number, bytes.map(|bytes| String::from_utf8(bytes).expect("text"))));
        }
        found
    }

    fn text(number: u64, text: &str) -> (u64, Option<String>) {
        (number, Some(text.to_owned()))
    }

    #[tokio::test]
    async fn lines_come_out_whole_however_the_body_is_cut() {
        let pieces = vec![Ok(b"on".to_vec()), Ok(b"e\r\n\ntw".to_vec()), Ok(b"o\nthree".to_vec())];
        let expected = [text(1, "one"), text(2, ""), text(3, "two"), text(4, "three")];
        assert_eq!(lines(pieces).await, expected);
        let broken = vec![Ok(b"one\ntw".to_vec()), Err(()), Ok(b"lost".to_vec())];
        assert_eq!(lines(broken).await, [text(1, "one")], "half a line is none");
        assert_eq!(lines(Vec::new()).await, []);
    }

    #[tokio::test]
    async fn a_line_without_end_is_told_by_its_number_and_the_next_one_is_read() {
        let mut pieces = vec![Ok(b"a\n".to_vec())];
        pieces.extend((0..3).map(|_| Ok(vec![b'x'; MAX_LINE_BYTES / 2])));
        pieces.push(Ok(b"x\nb\n".to_vec()));
        assert_eq!(lines(pieces).await, [text(1, "a"), (2, None), text(3, "b")]);
    }
}
