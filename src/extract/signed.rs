//! Signed files (CMS, RFC 5652): what was signed, as a file of its own. A mail that is signed
//! opaquely keeps all it says in one, and so do invoices in some countries.
//!
//! Called by: `extract`, and by `sniff` for the shape. Talks to: nothing.
//! Invariants: nothing here recurses, and no length is believed that the file does not have;
//! signatures are neither checked nor shown.

use super::emit::{Output, Stop};
use super::source::Source;
use crate::types::{ChildHeader, ExtractFailureCode};

/// The media type of signed files.
pub(super) const SIGNED: &str = "application/pkcs7-mime";

/// The object identifier of signed data: 1.2.840.113549.1.7.2.
const SIGNED_DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// Where it has to begin, in bytes: behind one tag and one length.
const HEAD: usize = 8;
const SEQUENCE: u8 = 0x30;
const EXPLICIT: u8 = 0xa0;
const OCTETS: u8 = 0x04;
/// Octets in parts.
const PARTS: u8 = 0x24;
/// Most levels of parts within parts.
const DEEPEST: usize = 16;

/// True for a file that begins like signed data.
pub(super) fn is_signed(head: &[u8]) -> bool {
    let start = &head[..head.len().min(HEAD + SIGNED_DATA.len())];
    head.first() == Some(&SEQUENCE) && start.windows(SIGNED_DATA.len()).any(|w| w == SIGNED_DATA)
}

pub(super) fn extract(
    source: &mut Source<'_>,
    name: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let content = signed_content(&bytes)
        .ok_or_else(|| Stop::malformed("The signed file breaks off before its end"))?;
    let Some(content) = content else {
        return Err(Stop::failure(
            ExtractFailureCode::UnsupportedType,
            "It is a signature alone: what was signed is in another file",
        ));
    };
    out.document.container = true;
    let is_mail = begins_like_mail(&content);
    let header = ChildHeader {
        name: if is_mail { "message.eml".to_owned() } else { inner_name(name).to_owned() },
        absolute: false,
        media_type: is_mail.then(|| "message/rfc822".to_owned()),
        format: None,
        file_date: None,
    };
    out.child(&header, &mut content.as_slice())
}

/// A mail's own name says nothing of what it holds; `invoice.xml.p7m` holds `invoice.xml`.
fn inner_name(name: &str) -> &str {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    match file.rsplit_once('.') {
        Some((inner, _)) if !inner.is_empty() => inner,
        _ => "content",
    }
}

fn begins_like_mail(content: &[u8]) -> bool {
    const FIELDS: [&str; 3] = ["content-", "mime-version:", "from:"];
    let start = String::from_utf8_lossy(&content[..content.len().min(40)]).to_ascii_lowercase();
    FIELDS.iter().any(|field| start.trim_start().starts_with(field))
}

/// One tag and length; `end` is `None` where the end is marked instead.
struct Header {
    tag: u8,
    start: usize,
    end: Option<usize>,
}

fn header(bytes: &[u8], at: usize) -> Option<Header> {
    let (tag, first) = (*bytes.get(at)?, *bytes.get(at + 1)?);
    let at = at + 2;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (start, end) = match first {
        0x80 if tag & 0x20 != 0 => (at, None),
        0..=0x7f => (at, Some(at + usize::from(first))),
        0x81..=0x84 => {
            let start = at + usize::from(first & 0x7f);
            let length = bytes.get(at..start)?.iter();
            let length = length.fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
            (start, Some(start.checked_add(length)?))
        }
        _ => return None,
    };
    Some(Header { tag, start, end })
}

/// Where the content of the value at `at` begins, which must have that tag.
fn inside(bytes: &[u8], at: usize, tag: u8) -> Option<usize> {
    header(bytes, at).filter(|header| header.tag == tag).map(|header| header.start)
}

/// Where the value at `at` has ended.
fn after(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 0_u32;
    loop {
        if open > 0 && ends_here(bytes, at) {
            open -= 1;
            at += 2;
        } else {
            let header = header(bytes, at)?;
            open += u32::from(header.end.is_none());
            at = header.end.unwrap_or(header.start);
        }
        if open == 0 {
            return Some(at).filter(|at| *at <= bytes.len());
        }
    }
}

fn ends_here(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..at + 2).is_some_and(|mark| mark == [0, 0])
}

/// What was signed; `None` inside where it is elsewhere, and outside where the file is broken.
fn signed_content(bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    let kind = inside(bytes, 0, SEQUENCE)?;
    let data = inside(bytes, after(bytes, kind)?, EXPLICIT)?;
    let version = inside(bytes, data, SEQUENCE)?;
    let digests = after(bytes, version)?;
    let content = header(bytes, after(bytes, digests)?).filter(|found| found.tag == SEQUENCE)?;
    let at = after(bytes, content.start)?;
    let has_ended = content.end.is_some_and(|end| at >= end);
    if has_ended || bytes.get(at) != Some(&EXPLICIT) {
        return Some(None);
    }
    octets(bytes, inside(bytes, at, EXPLICIT)?).map(Some)
}

/// The octets at `at`, in one piece or in parts.
fn octets(bytes: &[u8], mut at: usize) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut ends: Vec<Option<usize>> = Vec::new();
    loop {
        let header = header(bytes, at)?;
        match (header.tag, header.end) {
            (OCTETS, Some(end)) => {
                content.extend_from_slice(bytes.get(header.start..end)?);
                at = end;
            }
            (PARTS, end) if ends.len() < DEEPEST => {
                ends.push(end);
                at = header.start;
            }
            _ => return None,
        }
        loop {
            match ends.last().copied() {
                None => return Some(content),
                Some(Some(end)) if at >= end => {
                    ends.pop();
                }
                Some(None) if ends_here(bytes, at) => {
                    ends.pop();
                    at += 2;
                }
                Some(_) => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SIGNED_DATA;
    use crate::extract::testing::{run, try_run};
    use crate::types::ExtractFailureCode;

    const MIME: &[u8] = b"Content-Type: text/plain\r\n\r\nThe pangolin clause.\r\n";

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("tests are short");
        let [high, low] = length.to_be_bytes();
        [&[tag, 0x82, high, low][..], content].concat()
    }

    /// The same with its end marked.
    fn open(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x80][..], content, &[0, 0]].concat()
    }

    type Wrap = fn(u8, &[u8]) -> Vec<u8>;

    fn signed(wrap: Wrap, octets: Option<Vec<u8>>) -> Vec<u8> {
        let data = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
        let explicit = octets.map(|octets| wrap(0xa0, &octets)).unwrap_or_default();
        let inner = wrap(0x30, &[&data[..], &explicit].concat());
        let version = value(2, &[1]);
        // The set of digests has parts that could be taken for an end.
        let digests = wrap(0x31, &wrap(0x30, &value(4, &[0, 0, 0, 0])));
        let certificates = value(0xa0, &value(4, b"certificate"));
        let all = wrap(0x30, &[version, digests, inner, certificates].concat());
        wrap(0x30, &[&SIGNED_DATA[..], &wrap(0xa0, &all)].concat())
    }

    #[test]
    fn what_was_signed_is_a_file_of_its_own() {
        let (one, two) = MIME.split_at(20);
        let parts = [value(4, one), open(0x24, &value(4, two))].concat();
        for bytes in [
            signed(value, Some(value(4, MIME))),
            signed(open, Some(open(0x24, &parts))),
            signed(value, Some(value(0x24, &parts))),
        ] {
            let found = run("smime.p7m", &bytes);
            assert_eq!(found.document.media_type, "application/pkcs7-mime");
            assert!(found.document.container);
            assert_eq!(found.children[0].0.name, "message.eml");
            assert_eq!(found.children[0].1, MIME);
        }
        let invoice = run("in/invoice.xml.p7m", &signed(value, Some(value(4, b"<invoice/>"))));
        assert_eq!(invoice.children[0].0.name, "invoice.xml");
    }

    #[test]
    fn a_signature_alone_and_a_broken_file_are_refused_with_a_reason() {
        for wrap in [value as Wrap, open] {
            let failure = try_run("smime.p7s", &signed(wrap, None)).expect_err("nothing in it");
            assert_eq!(failure.code, ExtractFailureCode::UnsupportedType, "{failure}");
        }
        let whole = signed(open, Some(open(0x24, &value(4, MIME))));
        let end = whole.windows(9).position(|w| w == b"pangolin ").expect("it is there");
        for length in 30..end {
            assert!(try_run("smime.p7m", &whole[..length]).is_err(), "{length}");
        }
    }
}
