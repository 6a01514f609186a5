//! From bytes to text: which encoding a file uses, and decoding with bounded memory.
//!
//! Called by: the text-like parsers of `extract`, `sniff`. Talks to: `chardetng`, `encoding_rs`.
//! Invariants: decoding never fails; bytes that are not valid become U+FFFD and are reported.
//! The order of evidence is byte order mark, declared name, UTF-8 validity, statistics.
//!
//! Why detection waits: a long file may be plain ASCII for megabytes before its first accent, so
//! a stream is passed through as ASCII until a byte appears that tells encodings apart.

pub(super) mod dos;

use std::io::{self, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::emit::Output;

/// Source bytes decoded at a time.
const CHUNK: usize = 16 * 1024;

/// Decodes bytes that arrive in pieces.
pub(super) struct StreamDecoder {
    declared: Option<&'static Encoding>,
    decoder: Option<Decoder>,
    /// The text is one of DOS, which `encoding_rs` does not know.
    dos: bool,
    damaged: bool,
}

impl StreamDecoder {
    /// `declared` is what the transport or the document says, if anything.
    pub(super) fn new(declared: Option<&'static Encoding>) -> Self {
        Self { declared, decoder: None, dos: false, damaged: false }
    }

    /// Appends the text of `bytes` to `out`; `last` closes the stream.
    pub(super) fn push(&mut self, bytes: &[u8], last: bool, out: &mut String) {
        if self.decoder.is_none() && !self.dos {
            let undecided = bytes.is_ascii() && self.declared.is_none_or(is_ascii_superset);
            if undecided && utf16_without_mark(bytes).is_none() {
                // ASCII is valid UTF-8 by definition.
                out.push_str(&String::from_utf8_lossy(bytes));
                return;
            }
            let encoding = detect(bytes, self.declared);
            let known = [UTF_8, UTF_16BE, UTF_16LE].contains(&encoding);
            self.dos = self.declared.is_none() && !known && dos::is_likely(bytes);
            self.decoder = Some(encoding.new_decoder_with_bom_removal());
        }
        if self.dos {
            return dos::decode(bytes, out);
        }
        let Some(decoder) = &mut self.decoder else {
            return;
        };
        let space = decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3 + 16);
        out.reserve(space);
        let (_, _, damaged) = decoder.decode_to_string(bytes, out, last);
        self.damaged |= damaged;
    }

    /// The encoding in use; pure ASCII counts as UTF-8.
    pub(super) fn encoding(&self) -> &'static Encoding {
        self.decoder.as_ref().map_or(UTF_8, Decoder::encoding)
    }

    /// Tells the document which encoding it has and whether it is intact.
    pub(super) fn report(&self, out: &mut Output<'_>) {
        let name = if self.dos { "IBM437" } else { self.encoding().name() };
        out.fact("charset", name);
        if self.damaged {
            out.warn(format!("Some bytes are not valid {name}; they are shown as \u{fffd}"));
        }
    }
}

/// Reads a byte stream as text, a bounded piece at a time.
pub(super) struct TextStream<R> {
    input: R,
    decoder: StreamDecoder,
    chunk: Vec<u8>,
    ended: bool,
}

impl<R: Read> TextStream<R> {
    pub(super) fn new(input: R, declared: Option<&'static Encoding>) -> Self {
        Self { input, decoder: StreamDecoder::new(declared), chunk: vec![0; CHUNK], ended: false }
    }

    /// Appends the next piece of text, from at most `want` source bytes. False at the end.
    pub(super) fn next(&mut self, want: usize, out: &mut String) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        // A full chunk gives detection something to look at, even from a reader of small pieces.
        let want = want.clamp(4, CHUNK);
        let mut have = 0;
        while have < want {
            match self.input.read(&mut self.chunk[have..want]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.decoder.push(&self.chunk[..have], self.ended, out);
        Ok(true)
    }

    pub(super) fn decoder(&self) -> &StreamDecoder {
        &self.decoder
    }
}

/// The text of a stream as bytes of UTF-8, whatever it is encoded in.
pub(super) struct Utf8Reader<R> {
    text: TextStream<R>,
    piece: String,
    at: usize,
}

impl<R: Read> Utf8Reader<R> {
    pub(super) fn new(input: R, declared: Option<&'static Encoding>) -> Self {
        Self { text: TextStream::new(input, declared), piece: String::new(), at: 0 }
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            self.piece.clear();
            self.at = 0;
            if !self.text.next(CHUNK, &mut self.piece)? {
                return Ok(0);
            }
        }
        let left = &self.piece.as_bytes()[self.at..];
        let count = left.len().min(out.len());
        out[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Decodes a whole file and reports the encoding to the document.
pub(super) fn decode_whole(
    bytes: &[u8],
    declared: Option<&'static Encoding>,
    out: &mut Output<'_>,
) -> String {
    let mut decoder = StreamDecoder::new(declared);
    let mut text = String::new();
    decoder.push(bytes, true, &mut text);
    decoder.report(out);
    text
}

/// The encoding a media type names, as in `text/plain; charset=iso-8859-1`.
pub(super) fn declared_in(media_type: Option<&str>) -> Option<&'static Encoding> {
    media_type?.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("charset") {
            return None;
        }
        Encoding::for_label_no_replacement(value.trim().trim_matches('"').as_bytes())
    })
}

/// UTF-16 that carries no mark, told by its Latin text: every other byte is zero and the ones
/// between are printable. Sound and pictures of 16 bits have the zeros but not the letters.
pub(super) fn utf16_without_mark(head: &[u8]) -> Option<&'static Encoding> {
    let sample = &head[..head.len().min(4096) & !1];
    let pairs = sample.len() / 2;
    if pairs < 4 {
        return None;
    }
    let latin = |high: usize| {
        let halves = sample.chunks_exact(2).filter(|pair| pair[high] == 0);
        let (mut zeros, mut letters) = (0, 0);
        for pair in halves {
            zeros += 1;
            letters += usize::from(matches!(pair[1 - high], 0x20..=0x7e | b'\t' | b'\n' | b'\r'));
        }
        zeros * 10 >= pairs * 4 && letters * 100 >= zeros * 95
    };
    if latin(1) {
        Some(UTF_16LE)
    } else if latin(0) {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// The encoding of `bytes`, which may be only the beginning.
fn detect(bytes: &[u8], declared: Option<&'static Encoding>) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding;
    }
    if let Some(encoding) = declared.filter(|encoding| *encoding != UTF_8) {
        return encoding;
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return encoding;
    }
    if is_mostly_utf8(bytes) {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// True for UTF-8, and for UTF-8 with a little damage: a guess at a one-byte encoding would
/// garble all the intact characters for the sake of the broken ones.
fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let mut good = 0_usize;
    let mut bad = 0_usize;
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    // One broken sequence at the very end is a character cut by the read.
    bad == 0 || good >= bad * 4 || (bad == 1 && ends_in_cut_character(bytes))
}

fn ends_in_cut_character(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > bytes.len(),
    }
}

fn is_ascii_superset(encoding: &'static Encoding) -> bool {
    encoding.is_ascii_compatible()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], declared: Option<&'static Encoding>) -> (String, &'static str, bool) {
        let mut decoder = StreamDecoder::new(declared);
        let mut text = String::new();
        decoder.push(bytes, true, &mut text);
        (text, decoder.encoding().name(), decoder.damaged)
    }

    #[test]
    fn a_byte_order_mark_wins_and_is_removed() {
        let (text, name, _) = decode(b"\xff\xfeh\0i\0", Some(UTF_8));
        assert_eq!((text.as_str(), name), ("hi", "UTF-16LE"));
        let (text, name, _) = decode(b"\xef\xbb\xbfna\xc3\xafve", None);
        assert_eq!((text.as_str(), name), ("naïve", "UTF-8"));
    }

    #[test]
    fn a_declared_encoding_is_used() {
        let declared = declared_in(Some("text/plain; charset=\"koi8-r\""));
        let (text, name, _) = decode(b"\xf0\xf2\xe9\xf7\xe5\xf4", declared);
        assert_eq!((text.as_str(), name), ("ПРИВЕТ", "KOI8-R"));
    }

    #[test]
    fn undeclared_latin_text_is_recognised() {
        let bytes = "Die Gr\u{f6}\u{df}e der T\u{fc}r h\u{e4}ngt vom Geb\u{e4}ude ab."
            .chars()
            .map(|c| c as u8)
            .collect::<Vec<_>>();
        let (text, _, damaged) = decode(&bytes, None);
        assert!(text.contains("Größe der Tür"), "{text}");
        assert!(!damaged);
    }

    #[test]
    fn undeclared_text_of_dos_is_recognised() {
        let bytes = b"Gr\x94\xe1e der T\x81r h\x84ngt vom Geb\x84ude ab.";
        let (text, _, _) = decode(bytes, None);
        assert_eq!(text, "Größe der Tür hängt vom Gebäude ab.");
        let (text, _, _) = decode(bytes, Some(encoding_rs::WINDOWS_1252));
        assert!(!text.contains("Größe"), "{text}");
    }

    #[test]
    fn a_broken_byte_in_utf8_becomes_a_replacement_and_is_reported() {
        let (text, name, damaged) = decode("äöüß é ".repeat(3).as_bytes(), None);
        assert!(text.starts_with("äöüß") && name == "UTF-8" && !damaged);
        let mut bytes = "äöüß é ".repeat(3).into_bytes();
        bytes.push(0xff);
        bytes.extend_from_slice(b" end");
        let (text, name, damaged) = decode(&bytes, None);
        assert!(text.ends_with("\u{fffd} end") && name == "UTF-8" && damaged);
    }

    #[test]
    fn characters_cut_by_the_read_survive() {
        let text = "日本語テキスト".repeat(4000);
        let mut stream = TextStream::new(text.as_bytes(), None);
        let mut out = String::new();
        while stream.next(1021, &mut out).expect("memory does not fail") {}
        assert_eq!(out, text);
        assert_eq!(stream.decoder().encoding().name(), "UTF-8");
    }

    #[test]
    fn the_encoding_is_decided_where_ascii_ends() {
        let mut bytes = vec![b'a'; 40_000];
        bytes.extend("\nGr\u{f6}\u{df}e, T\u{fc}r".chars().map(|c| c as u8));
        let mut stream = TextStream::new(bytes.as_slice(), None);
        let mut out = String::new();
        while stream.next(usize::MAX, &mut out).expect("memory does not fail") {}
        assert!(out.ends_with("Größe, Tür"), "{}", &out[40_000..]);
    }

    #[test]
    fn utf16_without_a_mark_is_recognised() {
        let bytes: Vec<u8> = "plain words".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let (text, name, _) = decode(&bytes, None);
        assert_eq!((text.as_str(), name), ("plain words", "UTF-16BE"));
    }
}
