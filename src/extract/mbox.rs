//! Mailboxes in one file: split into messages, each of which becomes a child.
//!
//! Called by: `extract`. Talks to: `separator` for where a message begins.
//! Invariants: messages are passed on as they are read, so memory is bounded by the look-ahead
//! buffer whatever their size; no byte of a message is lost but one `>` of a quoted `From ` line.
//!
//! Why a separator needs more than `From `: writers of all four flavours (mboxo, mboxrd, mboxcl,
//! mboxcl2) exist that forget to quote such lines in bodies, and some leave out the blank line
//! before a separator. A `Content-Length` is believed only where the bytes after it prove it
//! right.

mod separator;

use std::io::{self, Read};

pub(super) use self::separator::begins_message;
use super::emit::{Output, Stop};
use super::source::Source;
use crate::types::ChildHeader;

/// How far ahead the splitter can look; a longer `Content-Length` is not verified and not used.
const WINDOW: usize = 1024 * 1024;
/// Longest piece of a line handled at once; only the first piece can be a separator.
const MAX_LINE: usize = 64 * 1024;
/// The byte order mark that some editors leave at the start.
const MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    out.document.container = true;
    let mut window = Window::new(source);
    let mut messages = 0_u64;
    // Blank lines before the first message are nothing.
    while !window.at_end().map_err(Stop::Input)? {
        let line = window.line().map_err(Stop::Input)?;
        let (length, blank) = (line.len(), line.trim_ascii().is_empty());
        let separates = line.strip_prefix(MARK).unwrap_or(line).starts_with(b"From ");
        if separates || (blank && messages == 0) {
            window.consume(length);
        }
        if blank && messages == 0 {
            continue;
        }
        messages += 1;
        let header = ChildHeader {
            name: format!("message-{messages:06}"),
            absolute: false,
            media_type: Some("message/rfc822".to_owned()),
            format: None,
            file_date: None,
        };
        let mut message = Message::new(&mut window);
        out.child(&header, &mut message)?;
        io::copy(&mut message, &mut io::sink()).map_err(Stop::Input)?;
    }
    out.fact("messages", &messages.to_string());
    Ok(())
}

fn is_header_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return false;
    };
    (1..=76).contains(&colon) && line[..colon].iter().all(u8::is_ascii_graphic)
}

/// Writers count the last line end or not, and put a blank line after it or not.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\r").unwrap_or(bytes);
    bytes.strip_prefix(b"\n").unwrap_or(bytes)
}

/// True for `>From `, with any number of `>`.
fn quoted_from(line: &[u8]) -> bool {
    let marks = line.iter().take_while(|byte| **byte == b'>').count();
    marks > 0 && line[marks..].starts_with(b"From ")
}

/// A stream with look-ahead.
struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Window<R> {
    fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), at: 0, ended: false }
    }

    /// Makes at least `want` bytes available, fewer only at the end of the stream.
    fn fill(&mut self, want: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.at < want && !self.ended {
            self.buffer.drain(..self.at);
            self.at = 0;
            let missing = (want - self.buffer.len()).max(MAX_LINE);
            let read = (&mut self.input).take(missing as u64).read_to_end(&mut self.buffer)?;
            self.ended = read < missing;
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }

    fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.fill(1)?.is_empty())
    }

    /// The next line with its line end, or the first `MAX_LINE` bytes of a longer one.
    fn line(&mut self) -> io::Result<&[u8]> {
        let available = self.fill(MAX_LINE)?;
        let limit = available.len().min(MAX_LINE);
        let end = available[..limit].iter().position(|byte| *byte == b'\n');
        Ok(&available[..end.map_or(limit, |at| at + 1)])
    }

    /// True where the stream stands at a separator, given whether the line before is blank.
    fn at_separator(&mut self, after_blank: bool) -> io::Result<bool> {
        if !self.fill(5)?.starts_with(b"From ") {
            return Ok(false);
        }
        let first = self.line()?.len();
        let available = self.fill(first + 256)?;
        let (line, rest) = available.split_at(first.min(available.len()));
        let next = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(begins_message(line, next, after_blank))
    }

    /// True where a message that ends `length` bytes from here is followed by a separator or the
    /// end of the file.
    fn ends_after(&mut self, length: usize) -> io::Result<bool> {
        if length > WINDOW {
            return Ok(false);
        }
        let available = self.fill(length + 512)?;
        let Some(rest) = available.get(length..) else {
            return Ok(false);
        };
        let rest = without_line_end(without_line_end(rest));
        let mut lines = rest.split(|byte| *byte == b'\n');
        let line = lines.next().unwrap_or_default();
        Ok(rest.is_empty() || begins_message(line, lines.next().unwrap_or_default(), true))
    }
}

/// The bytes of one message, up to the next separator.
struct Message<'w, R> {
    window: &'w mut Window<R>,
    in_header: bool,
    /// The line before was blank, as it should be before a separator.
    after_blank: bool,
    /// The next byte begins a line.
    line_start: bool,
    content_length: Option<usize>,
    /// Bytes to pass on without looking for separators.
    verified: usize,
    /// Bytes of the current line still to pass on.
    pending: usize,
    ended: bool,
}

impl<'w, R: Read> Message<'w, R> {
    fn new(window: &'w mut Window<R>) -> Self {
        Self {
            window,
            in_header: true,
            after_blank: false,
            line_start: true,
            content_length: None,
            verified: 0,
            pending: 0,
            ended: false,
        }
    }

    /// Looks at the next line and decides how much of it belongs to the message.
    fn advance(&mut self) -> io::Result<()> {
        if self.window.at_end()? {
            self.ended = true;
            return Ok(());
        }
        if self.line_start && self.window.at_separator(self.after_blank)? {
            self.ended = true;
            return Ok(());
        }
        let line = self.window.line()?;
        let whole = line.ends_with(b"\n");
        let blank = self.line_start && line.trim_ascii().is_empty();
        let quoted = self.line_start && !self.in_header && quoted_from(line);
        let length = line.len();
        if self.in_header && self.line_start && self.content_length.is_none() {
            self.content_length = content_length(line);
        }
        if quoted {
            self.window.consume(1);
        }
        self.pending = length - usize::from(quoted);
        self.line_start = whole;
        self.after_blank = blank;
        if blank && self.in_header {
            self.in_header = false;
            self.verify(length)?;
        }
        Ok(())
    }

    /// The header has ended `skip` bytes from here: see whether its length can be believed.
    fn verify(&mut self, skip: usize) -> io::Result<()> {
        if let Some(length) = self.content_length
            && self.window.ends_after(skip.saturating_add(length))?
        {
            self.verified = length;
        }
        Ok(())
    }

    fn pass(&mut self, out: &mut [u8], most: usize) -> io::Result<usize> {
        let available = self.window.fill(1)?;
        let count = available.len().min(most).min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.window.consume(count);
        Ok(count)
    }
}

impl<R: Read> Read for Message<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.ended || out.is_empty() {
                return Ok(0);
            }
            if self.pending > 0 {
                let count = self.pass(out, self.pending)?;
                self.pending -= count;
                return Ok(count);
            }
            if self.verified > 0 {
                let count = self.pass(out, self.verified)?;
                self.verified -= count;
                // What follows a verified body is a separator, perhaps after a line end.
                self.after_blank = true;
                self.line_start = true;
                self.ended = count == 0;
                return Ok(count);
            }
            self.advance()?;
        }
    }
}

fn content_length(line: &[u8]) -> Option<usize> {
    let name = b"content-length:";
    let value = line.get(name.len()..)?;
    if !line[..name.len()].eq_ignore_ascii_case(name) {
        return None;
    }
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::{Endless, extract_from, limits, run};
    use crate::extract::{ExtractLimits, testing::Found};

    fn bodies(found: &Found) -> Vec<String> {
        found.children.iter().map(|(_, b)| String::from_utf8_lossy(b).into_owned()).collect()
    }

    #[test]
    fn messages_become_children_and_quoted_from_lines_are_restored() {
        let found = run(
            "inbox",
            b"From a@b Mon Jan  1 10:00:00 2024\nSubject: one\n\nHello\n\nFrom here on it is prose.\n\
              >From the quoted\n>>From twice\n\nFrom c@d Tue Jan  2 11:00:00 2024\r\nSubject: two\r\n\r\nBye\r\n",
        );
        assert!(found.document.container);
        assert_eq!(found.document.media_type, "application/mbox");
        let names: Vec<&str> = found.children.iter().map(|(h, _)| h.name.as_str()).collect();
        assert_eq!(names, ["message-000001", "message-000002"]);
        let bodies = bodies(&found);
        assert_eq!(
            bodies[0],
            "Subject: one\n\nHello\n\nFrom here on it is prose.\nFrom the quoted\n>From twice\n\n"
        );
        assert_eq!(bodies[1], "Subject: two\r\n\r\nBye\r\n");
    }

    #[test]
    fn a_proven_content_length_protects_what_looks_like_a_separator() {
        let body = "first\n\nFrom x@y Wed Jan  3 12:00:00 2024\nSubject: quoted\n";
        let mbox = format!(
            "From a@b Mon Jan  1 10:00:00 2024\nSubject: one\nContent-Length: {}\n\n{body}\n\
             From c@d Tue Jan  2 11:00:00 2024\nSubject: two\nContent-Length: 99999\n\nBye\n",
            body.len()
        );
        let found = run("inbox", mbox.as_bytes());
        let bodies = bodies(&found);
        assert_eq!(bodies.len(), 2);
        assert!(bodies[0].contains("Subject: quoted"));
        assert!(bodies[1].ends_with("Bye\n"));
    }

    #[test]
    fn a_mail_begins_at_a_separator_that_no_blank_line_precedes() {
        let found = run(
            "inbox",
            b"From a@b Mon Jan  1 10:00:00 2024\nFrom: A <a@b.org>\nSubject: first\n\nHello one\n\
              From c@d Tue Jan  2 11:00:00 2024\nFrom: C <c@d.org>\nSubject: second\n\nTwo\n",
        );
        let bodies = bodies(&found);
        assert_eq!(bodies.len(), 2, "{bodies:?}");
        assert_eq!(bodies[0], "From: A <a@b.org>\nSubject: first\n\nHello one\n");
        assert_eq!(bodies[1], "From: C <c@d.org>\nSubject: second\n\nTwo\n");
    }

    #[test]
    fn prose_that_looks_like_a_mail_splits_none() {
        let body = "Hello\n\nFrom what I know\nNote: the deadline moved to Friday.\n\nBye\n\n";
        let mbox = format!(
            "From a@b Mon Jan  1 10:00:00 2024\nSubject: one\n\n{body}\
             From c@d Tue Jan  2 11:00:00 2024\nSubject: two\n\nTwo\n"
        );
        let bodies = bodies(&run("inbox", mbox.as_bytes()));
        assert_eq!(bodies.len(), 2, "{bodies:?}");
        assert_eq!(bodies[0], format!("Subject: one\n\n{body}"));
    }

    #[test]
    fn a_message_without_a_header_or_body_is_still_listed() {
        let found = run(
            "inbox",
            b"From a@b Mon Jan  1 10:00:00 2024\n\nFrom c@d Mon Jan  1 10:00:00 2024\n",
        );
        assert_eq!(found.children.len(), 2);
    }

    #[test]
    fn huge_messages_are_capped_and_too_many_are_cut() {
        let limits = ExtractLimits { max_child_bytes: 1000, max_children: 3, ..limits() };
        let start = b"From a@b Mon Jan  1 10:00:00 2024\nSubject: one\n\n";
        let mut mbox = start.to_vec();
        mbox.extend_from_slice(&vec![b'x'; 500_000]);
        for _ in 0..5 {
            mbox.extend_from_slice(b"\n\n");
            mbox.extend_from_slice(start);
        }
        let mut input = mbox.as_slice();
        let found = extract_from("inbox", None, limits, &mut input).expect("a mailbox");
        assert_eq!(found.children.len(), 3);
        assert_eq!(found.children[0].1.len(), 1000);
        assert!(found.document.truncated_at.is_some());
        assert_eq!(found.document.warnings.len(), 2, "{:?}", found.document.warnings);
    }

    #[test]
    fn an_endless_message_is_not_held_in_memory() {
        let limits = ExtractLimits { max_child_bytes: 10_000, ..limits() };
        let mut input = Endless::after(
            b"From a@b Mon Jan  1 10:00:00 2024\nSubject: one\n\n",
            b"a line of the message\n",
        )
        .ending_after(30 << 20);
        let found = extract_from("inbox", None, limits, &mut input).expect("a mailbox");
        assert_eq!(found.children.len(), 1);
    }
}
