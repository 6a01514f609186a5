//! Checksum and lengths that stand behind a file, where its writer did not know them before.
//!
//! Called by: `zip::stream`. Talks to: nothing.
//! Invariants: the end of a file that is not compressed is where its own checksum and length
//! follow; bytes that only look like a descriptor are part of the file.

use std::io::{self, Read};

use flate2::Crc;

use super::super::members::Ahead;
use super::directory::{u32_at, u64_at};

const SIGNATURE: &[u8] = b"PK\x07\x08";
/// Signature, checksum, and two lengths of four or of eight bytes.
const NARROW: usize = 16;
const WIDE: usize = 24;

/// Reads over the lengths behind a file whose end is known.
pub(super) fn pass_over<R: Read>(input: &mut Ahead<R>, wide: bool) -> io::Result<()> {
    let next = input.peek(WIDE + 2)?;
    let signed = next.starts_with(SIGNATURE);
    if !signed && next.starts_with(b"PK") {
        return Ok(());
    }
    let unsigned = if signed { 0 } else { SIGNATURE.len() };
    let goes_on = |at: usize| next.get(at - unsigned..).is_some_and(|rest| rest.starts_with(b"PK"));
    // Not every writer says before that its lengths will be long.
    let wide = if goes_on(NARROW) != goes_on(WIDE) { goes_on(WIDE) } else { wide };
    let length = (if wide { WIDE } else { NARROW }) - unsigned;
    io::copy(&mut input.take(length as u64), &mut io::sink()).map(drop)
}

/// A file that is not compressed, up to the lengths that are its own.
pub(super) struct Stored<'i, R> {
    input: &'i mut Ahead<R>,
    crc: Crc,
    count: u64,
    ended: bool,
}

impl<'i, R: Read> Stored<'i, R> {
    pub(super) fn new(input: &'i mut Ahead<R>) -> Self {
        Self { input, crc: Crc::new(), count: 0, ended: false }
    }

    /// True where what comes next tells checksum and length of what was read so far.
    fn is_at_end(&mut self) -> io::Result<bool> {
        let (crc, count) = (self.crc.sum(), self.count);
        let next = self.input.peek(WIDE)?;
        let narrow = [u32_at(next, 8), u32_at(next, 12)];
        let wide = [u64_at(next, 8), u64_at(next, 16)];
        let fits = narrow.iter().all(|length| length.map(u64::from) == Some(count))
            || wide.iter().all(|length| *length == Some(count));
        Ok(next.starts_with(SIGNATURE) && u32_at(next, 4) == Some(crc) && fits)
    }
}

impl<R: Read> Read for Stored<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ended || out.is_empty() {
            return Ok(0);
        }
        let ready = self.input.peek(SIGNATURE.len())?;
        let ahead = ready.len();
        let count = match ready.windows(SIGNATURE.len()).position(|four| four == SIGNATURE) {
            Some(0) if self.is_at_end()? => {
                self.ended = true;
                return Ok(0);
            }
            Some(0) => 1,
            Some(at) => at,
            None if ahead >= SIGNATURE.len() => ahead + 1 - SIGNATURE.len(),
            None => {
                let missing = "its end cannot be found";
                return Err(io::Error::new(io::ErrorKind::InvalidData, missing));
            }
        };
        let most = count.min(out.len());
        let count = self.input.read(&mut out[..most])?;
        self.crc.update(&out[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(content: &[u8], wide: bool) -> Vec<u8> {
        let mut crc = Crc::new();
        crc.update(content);
        let mut bytes = [SIGNATURE, &crc.sum().to_le_bytes()].concat();
        for _ in 0..2 {
            let length = (content.len() as u64).to_le_bytes();
            bytes.extend_from_slice(&length[..if wide { 8 } else { 4 }]);
        }
        bytes
    }

    #[test]
    fn a_file_ends_at_its_own_lengths_and_at_no_other() {
        let inner = b"inner";
        let content = [&b"PK\x07\x08PK"[..], inner, &descriptor(inner, false), b"PK\x07"].concat();
        for content in [&content[..], b"", &vec![b'P'; 100_000]] {
            for wide in [false, true] {
                let bytes = [content, &descriptor(content, wide), b"PK\x03\x04 next"].concat();
                let mut input = Ahead::new(bytes.as_slice());
                let mut found = Vec::new();
                Stored::new(&mut input).read_to_end(&mut found).expect("an end");
                assert_eq!(found, content);
                pass_over(&mut input, false).expect("memory");
                assert_eq!(input.peek(4).expect("memory")[..4], *b"PK\x03\x04", "{wide}");
            }
        }
    }

    #[test]
    fn a_file_without_its_lengths_is_cut_off() {
        let mut input = Ahead::new(&b"some content, then nothing"[..]);
        let mut found = Vec::new();
        assert!(Stored::new(&mut input).read_to_end(&mut found).is_err());
    }
}
