//! Compressed streams one after the other in a file, and what was appended to them.
//!
//! Called by: `packed`, and `zip` for `Ahead`. Talks to: a decoder of one stream.
//! Invariants: what follows a whole stream and does not begin like another one is passed over, as
//! `gzip` and `bzip2` themselves do: tapes pad with zeros, and some programs append their notes.

use std::io::{self, BufRead, Read};

const PIECE: usize = 32 * 1024;

/// A decoder that ends with its stream and gives its input back.
pub(super) trait Member: Read {
    type Input: Read;

    /// What a stream begins with.
    const BEGINS: &'static [u8];

    fn start(input: Ahead<Self::Input>) -> Self;
    fn into_input(self) -> Ahead<Self::Input>;
}

impl<R: Read> Member for flate2::bufread::GzDecoder<Ahead<R>> {
    type Input = R;

    const BEGINS: &'static [u8] = b"\x1f\x8b\x08";

    fn start(input: Ahead<R>) -> Self {
        Self::new(input)
    }

    fn into_input(self) -> Ahead<R> {
        self.into_inner()
    }
}

impl<R: Read> Member for bzip2::bufread::BzDecoder<Ahead<R>> {
    type Input = R;

    const BEGINS: &'static [u8] = b"BZh";

    fn start(input: Ahead<R>) -> Self {
        Self::new(input)
    }

    fn into_input(self) -> Ahead<R> {
        self.into_inner()
    }
}

/// What comes out of all streams of a file.
pub(super) struct Members<M> {
    /// None behind the last one.
    current: Option<M>,
}

impl<M: Member> Members<M> {
    pub(super) fn new(input: M::Input) -> Self {
        Self { current: Some(M::start(Ahead::new(input))) }
    }
}

impl<M: Member> Read for Members<M> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.current {
            let count = member.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            if let Some(mut input) = self.current.take().map(M::into_input)
                && input.peek(M::BEGINS.len())?.starts_with(M::BEGINS)
            {
                self.current = Some(M::start(input));
            }
        }
        Ok(0)
    }
}

/// Input that can be looked at before it is taken.
pub(super) struct Ahead<R> {
    inner: R,
    buffer: Vec<u8>,
    at: usize,
}

impl<R: Read> Ahead<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, buffer: Vec::new(), at: 0 }
    }

    /// At least `wanted` bytes of what comes next, or all there are.
    pub(super) fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.at < wanted {
            self.buffer.drain(..self.at);
            self.at = 0;
            let had = self.buffer.len();
            self.buffer.resize(had + PIECE, 0);
            let count = self.inner.read(&mut self.buffer[had..]);
            self.buffer.truncate(had + *count.as_ref().unwrap_or(&0));
            match count {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(&self.buffer[self.at..])
    }
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Ahead<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, count: usize) {
        self.at = self.buffer.len().min(self.at + count);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::bufread::GzDecoder;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory does not fail");
        encoder.finish().expect("memory does not fail")
    }

    fn unpacked(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        let mut members = Members::<GzDecoder<_>>::new(bytes);
        members.read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn streams_follow_each_other_and_what_else_follows_is_passed_over() {
        let long = "line\n".repeat(50_000);
        let two = [gzip(&long), gzip("second")].concat();
        assert_eq!(unpacked(&two).expect("two streams"), format!("{long}second"));
        for appended in [&[0; 4000][..], b"\x1f", b"a note", b"\x1f\x8b"] {
            let bytes = [&gzip("only")[..], appended].concat();
            assert_eq!(unpacked(&bytes).expect("one stream"), "only", "{appended:?}");
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_is_an_error() {
        let two = [gzip("first"), gzip("second")].concat();
        assert!(unpacked(&two[..two.len() - 3]).is_err());
        assert!(unpacked(&gzip("only")[..5]).is_err());
    }
}
