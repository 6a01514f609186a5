//! JSON values as they stand in a file, one after the other, without a look at what they say.
//!
//! Called by: `json::large`, `exports::elements`. Talks to: nothing.
//! Invariants: a value is held only up to the length that its caller names, so memory is bounded
//! by that and one piece of the file; every byte is passed over once for each level at which it is
//! in a value that is too long.
//!
//! Why not the parser: it has no bound for what it holds of one value, and it cannot go into a
//! value that it has begun to skip.

use std::io::{self, Read};

use crate::extract::emit::Stop;

const PIECE: usize = 64 << 10;

/// Where the JSON of a file is broken.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::extract) struct Damage {
    /// Bytes in front of it.
    at: u64,
    what: &'static str,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} after {} bytes", self.what, self.at)
    }
}

/// Why a walk over values ends early.
#[derive(Debug)]
pub(in crate::extract) enum Broken {
    Damaged(Damage),
    Stopped(Stop),
}

impl From<Stop> for Broken {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

/// A value that comes next.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::extract) enum Value<'v> {
    Whole(&'v [u8]),
    /// A list or an object that is too long; it was gone into.
    List,
    Object,
    /// A text that is too long. It is not taken: `pass_over` or `text` does that.
    Text,
}

/// What follows a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) enum After {
    Another,
    /// The list or object ended that the value is in.
    Close,
    /// The file ended.
    Nothing,
}

/// Reads the values of a file.
pub(in crate::extract) struct Scanner<R> {
    input: R,
    /// What was read and not taken begins at `at`.
    buffer: Vec<u8>,
    at: usize,
    /// Bytes of the file in front of the buffer.
    before: u64,
    most: usize,
}

/// How far a value was looked at.
struct Seen {
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl<R: Read> Scanner<R> {
    /// Holds values of up to `most` bytes.
    pub(in crate::extract) fn new(input: R, most: usize) -> Self {
        Self { input, buffer: Vec::new(), at: 0, before: 0, most }
    }

    pub(in crate::extract) fn damaged(&self, what: &'static str) -> Broken {
        Broken::Damaged(Damage { at: self.before + self.at as u64, what })
    }

    /// Reads more; false at the end.
    fn more(&mut self) -> Result<bool, Broken> {
        if self.at >= PIECE {
            self.buffer.drain(..self.at);
            self.before += self.at as u64;
            self.at = 0;
        }
        let had = self.buffer.len();
        self.buffer.resize(had + PIECE, 0);
        loop {
            let count = self.input.read(&mut self.buffer[had..]);
            match count {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.truncate(had);
                    return Err(Stop::Input(error).into());
                }
                Ok(count) => {
                    self.buffer.truncate(had + count);
                    return Ok(count > 0);
                }
            }
        }
    }

    /// The next byte that is not white space; it is not taken.
    pub(in crate::extract) fn peek(&mut self) -> Result<Option<u8>, Broken> {
        loop {
            while let Some(byte) = self.buffer.get(self.at) {
                if !byte.is_ascii_whitespace() {
                    return Ok(Some(*byte));
                }
                self.at += 1;
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Takes a byte that was peeked at.
    pub(in crate::extract) fn take(&mut self) {
        self.at += 1;
    }

    /// Takes the value that comes next.
    pub(in crate::extract) fn value(&mut self) -> Result<Value<'_>, Broken> {
        let first = self.peek()?;
        match self.end(self.most)? {
            Some(end) if !is_json(&self.buffer[self.at..end]) => {
                Err(self.damaged("something that is no value"))
            }
            Some(end) => {
                let start = std::mem::replace(&mut self.at, end);
                Ok(Value::Whole(&self.buffer[start..end]))
            }
            None => match first {
                Some(b'[') => {
                    self.take();
                    Ok(Value::List)
                }
                Some(b'{') => {
                    self.take();
                    Ok(Value::Object)
                }
                Some(b'"') => Ok(Value::Text),
                _ => Err(self.damaged("something that is no value")),
            },
        }
    }

    /// What is held of the value at hand.
    pub(in crate::extract) fn held(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Takes the text at hand, in pieces of up to `most` bytes as they are written, without the marks
    /// around it. No piece ends within an escape.
    pub(in crate::extract) fn text(
        &mut self,
        most: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.take();
        let (mut piece, mut escaped) = (Vec::new(), 0_u8);
        loop {
            while let Some(byte) = self.buffer.get(self.at).copied() {
                self.at += 1;
                match (escaped, byte) {
                    (0, b'"') => return take(&piece),
                    (0, b'\\') => escaped = 1,
                    // Four digits follow.
                    (1, b'u') => escaped = 4,
                    (0, _) => {}
                    (left, _) => escaped = left - 1,
                }
                piece.push(byte);
                let between = escaped == 0 && byte.is_ascii_whitespace();
                if piece.len() >= most && (between || escaped == 0 && piece.len() >= 2 * most) {
                    take(&piece)?;
                    piece.clear();
                }
            }
            if !self.more()? {
                take(&piece)?;
                return Err(self.damaged("it ends within a value"));
            }
        }
    }

    /// Takes what is left of the file, in pieces of about `most` bytes that end with a line where
    /// lines are not far longer.
    pub(in crate::extract) fn rest(
        mut self,
        most: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Stop>,
    ) -> Result<(), Broken> {
        loop {
            while self.buffer.len() - self.at >= 2 * most {
                let part = &self.buffer[self.at..self.at + 2 * most];
                let line = part[most..].iter().position(|byte| *byte == b'\n');
                let end = line.map_or_else(|| boundary(part), |line| most + line + 1);
                take(&part[..end])?;
                self.at += end;
            }
            if !self.more()? {
                return Ok(take(&self.buffer[self.at..])?);
            }
        }
    }

    /// Takes the name of a member of an object, and the colon behind it.
    pub(in crate::extract) fn key(&mut self) -> Result<String, Broken> {
        let key = match self.value()? {
            Value::Whole(bytes) => serde_json::from_slice(bytes).ok(),
            _ => None,
        };
        let Some(key) = key else { return Err(self.damaged("a member without a name")) };
        match self.peek()? {
            Some(b':') => {
                self.take();
                Ok(key)
            }
            _ => Err(self.damaged("a name without a value")),
        }
    }

    /// Takes what stands behind a value or behind the opening of a list or object.
    pub(in crate::extract) fn after(&mut self) -> Result<After, Broken> {
        let after = match self.peek()? {
            Some(b',') => After::Another,
            Some(b']' | b'}') => After::Close,
            None => return Ok(After::Nothing),
            Some(_) => return Err(self.damaged("two values without a comma")),
        };
        self.take();
        Ok(after)
    }

    /// Passes over the value that comes next, however long it is.
    pub(in crate::extract) fn pass_over(&mut self) -> Result<(), Broken> {
        self.peek()?;
        let mut seen = Seen { depth: 0, quoted: false, escaped: false };
        let mut first = true;
        loop {
            while let Some(byte) = self.buffer.get(self.at) {
                match seen.look(*byte, first) {
                    Step::On => self.at += 1,
                    Step::Last => {
                        self.at += 1;
                        return Ok(());
                    }
                    Step::Behind => return Ok(()),
                    Step::Wrong => return Err(self.damaged("something that is no value")),
                }
                first = false;
            }
            if !self.more()? {
                return if seen.is_open() || first {
                    Err(self.damaged("it ends within a value"))
                } else {
                    Ok(())
                };
            }
        }
    }

    /// Where in the buffer the value at hand ends; none where it has more than `most` bytes.
    fn end(&mut self, most: usize) -> Result<Option<usize>, Broken> {
        let mut seen = Seen { depth: 0, quoted: false, escaped: false };
        let mut length = 0;
        loop {
            while let Some(byte) = self.buffer.get(self.at + length) {
                match seen.look(*byte, length == 0) {
                    Step::On => length += 1,
                    Step::Last => return Ok(Some(self.at + length + 1)),
                    Step::Behind => return Ok(Some(self.at + length)),
                    Step::Wrong => return Err(self.damaged("something that is no value")),
                }
                if length >= most {
                    return Ok(None);
                }
            }
            if !self.more()? {
                return if length > 0 && !seen.is_open() {
                    Ok(Some(self.at + length))
                } else {
                    Err(self.damaged("it ends within a value"))
                };
            }
        }
    }
}

/// True for one value as the parser of the parts takes it.
fn is_json(value: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok()
}

/// The last place in a text at which no character is cut in two.
fn boundary(text: &[u8]) -> usize {
    let tail = text.iter().rev().take(3).take_while(|byte| (**byte & 0xc0) == 0x80).count();
    let start = text.len().saturating_sub(tail + 1);
    if text.get(start).is_some_and(|byte| *byte >= 0xc0) { start.max(1) } else { text.len() }
}

/// What a byte is to the value it is in.
enum Step {
    On,
    Last,
    /// It no longer belongs to it.
    Behind,
    Wrong,
}

impl Seen {
    fn is_open(&self) -> bool {
        self.depth > 0 || self.quoted
    }

    fn look(&mut self, byte: u8, first: bool) -> Step {
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            return if self.is_open() { Step::On } else { Step::Last };
        }
        match byte {
            b'"' if first || self.depth > 0 => self.quoted = true,
            b'[' | b'{' if first || self.depth > 0 => self.depth += 1,
            b']' | b'}' if self.depth > 0 => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Step::Last;
                }
            }
            _ if self.depth > 0 => {}
            b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"' if first => return Step::Wrong,
            b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"' => return Step::Behind,
            byte if byte.is_ascii_whitespace() => return Step::Behind,
            _ => {}
        }
        Step::On
    }
}

/// Calls `take` with each element of the outermost list, or of the list under `key` of the
/// outermost object. The answer is how many were left out because they are too long.
pub(in crate::extract) fn each_element<R: Read>(
    scanner: &mut Scanner<R>,
    key: Option<&str>,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Broken>,
) -> Result<u64, Broken> {
    let Some(key) = key else { return elements(scanner, take) };
    if scanner.peek()? != Some(b'{') {
        return Err(scanner.damaged("no object at its start"));
    }
    scanner.take();
    let mut left_out = 0;
    if scanner.peek()? == Some(b'}') {
        return Ok(0);
    }
    loop {
        if scanner.key()? == key && scanner.peek()? == Some(b'[') {
            left_out += elements(scanner, take)?;
        } else {
            scanner.pass_over()?;
        }
        match scanner.after()? {
            After::Another => {}
            After::Close => return Ok(left_out),
            After::Nothing => return Err(scanner.damaged("it ends within a value")),
        }
    }
}

fn elements<R: Read>(
    scanner: &mut Scanner<R>,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Broken>,
) -> Result<u64, Broken> {
    if scanner.peek()? != Some(b'[') {
        return Err(scanner.damaged("no list at its start"));
    }
    scanner.take();
    let mut left_out = 0;
    if scanner.peek()? == Some(b']') {
        scanner.take();
        return Ok(0);
    }
    loop {
        scanner.peek()?;
        match scanner.end(scanner.most)? {
            Some(end) => {
                let start = std::mem::replace(&mut scanner.at, end);
                take(&scanner.buffer[start..end])?;
            }
            None => {
                left_out += 1;
                scanner.pass_over()?;
            }
        }
        match scanner.after()? {
            After::Another => {}
            After::Close => return Ok(left_out),
            After::Nothing => return Err(scanner.damaged("it ends within a value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte at a time, so that every border is met.
    struct Dripping<'d>(&'d [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut out[..1])
        }
    }

    fn all(json: &str, key: Option<&str>, most: usize) -> (Vec<String>, Result<u64, String>) {
        let mut scanner = Scanner::new(Dripping(json.as_bytes()), most);
        let mut found = Vec::new();
        let outcome = each_element(&mut scanner, key, &mut |element| {
            found.push(String::from_utf8_lossy(element).into_owned());
            Ok(())
        });
        let outcome = outcome.map_err(|broken| match broken {
            Broken::Damaged(damage) => damage.to_string(),
            Broken::Stopped(stop) => panic!("{stop:?}"),
        });
        (found, outcome)
    }

    #[test]
    fn elements_come_whole_whatever_is_in_them() {
        let json = r#" [1, "a]\"[,", [2,{"b":[]}] ,{"c" : "}"},null,-1.5e3 ] "#;
        let (found, outcome) = all(json, None, 100);
        let expected = ["1", r#""a]\"[,""#, r#"[2,{"b":[]}]"#, r#"{"c" : "}"}"#, "null", "-1.5e3"];
        assert_eq!((found, outcome), (expected.map(str::to_owned).to_vec(), Ok(0)));
        let json = r#"{"a":[9],"list":[1,2],"b":{"list":[3]},"list":"none","c":null}"#;
        assert_eq!(all(json, Some("list"), 100), (vec!["1".into(), "2".into()], Ok(0)));
        assert_eq!(all("[]", None, 100), (Vec::new(), Ok(0)));
        assert_eq!(all("{}", Some("a"), 100), (Vec::new(), Ok(0)));
    }

    #[test]
    fn an_element_that_is_too_long_is_left_out_and_counted() {
        let long = format!("[1,\"{}\",[{}2],3]", "x".repeat(50), "1,".repeat(50));
        assert_eq!(all(&long, None, 20), (vec!["1".into(), "3".into()], Ok(2)));
    }

    #[test]
    fn what_stands_before_the_damage_comes_out() {
        for json in ["[1,2,", "[1,2,\"cut", "[1,2,[3", "[1,2", "[1,2 3]", "[1,2,]", "[1,2:3]"] {
            let (found, outcome) = all(json, None, 100);
            assert_eq!(found[..2], ["1", "2"], "{json}");
            assert!(outcome.is_err(), "{json}");
        }
        for json in ["", "{", "nonsense", "\"text\"", "{1:2}", "{\"a\" 1}"] {
            assert!(all(json, Some("a"), 100).1.is_err(), "{json}");
        }
    }
}
