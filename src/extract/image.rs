//! Pictures: how large they are and how many pages they have. What they say is read by OCR.
//!
//! Called by: `extract`, `sniff`, `office`. Talks to: `infer`, `jpeg2000`; reads headers only.
//! Invariants: no pixel is decoded here; a picture too small to hold text asks for no OCR, one too
//! large for it is refused; a list of pages is followed a bounded number of steps.
//!
//! The rule of size: both sides have at least 32 pixels and both together at least 20,000 (200 by
//! 100). Icons, tracking pixels, rules and bullets are below it, lines of text above.

use super::emit::{MAX_OCR_PAGES, Output, Stop};
use super::jpeg2000;
use super::source::Source;
use crate::types::ExtractFailureCode;

/// Media type of PBM, PGM and PPM alike.
pub(super) const PORTABLE_MAP: &str = "image/x-portable-anymap";

const LEAST_SIDE: u64 = 32;
const LEAST_PIXELS: u64 = 20_000;
const MOST_PIXELS: u64 = 100_000_000;
/// The OCR program takes no longer side.
const MOST_SIDE: u64 = 32_000;

/// Width and height of one page.
type Size = (u64, u64);

/// True for media types that OCR can read.
pub(super) fn is_read(media_type: &str) -> bool {
    matches!(
        media_type,
        "image/png"
            | "image/jpeg"
            | "image/tiff"
            | "image/gif"
            | "image/webp"
            | "image/bmp"
            | jpeg2000::MEDIA_TYPE
    )
}

/// True for a portable map; one that looks like text counts only under a name of its own.
pub(super) fn is_portable_map(head: &[u8], extension: &str, like_text: bool) -> bool {
    let named = matches!(extension, "pbm" | "pgm" | "ppm" | "pnm");
    let known = match head {
        [b'P', b'1'..=b'6', rest @ ..] if named => Some(rest),
        [b'P', b'4'..=b'6', rest @ ..] if !like_text => Some(rest),
        _ => None,
    };
    known.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))
        && portable_map(head).is_some()
}

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let sizes = sizes(&bytes, &out.document.media_type)
        .filter(|sizes| sizes.iter().all(|(width, height)| *width > 0 && *height > 0))
        .ok_or_else(|| Stop::malformed("The picture is damaged: its size cannot be read"))?;
    let Some((width, height)) = sizes.first() else {
        return Err(Stop::malformed("The picture is damaged: it has no pages"));
    };
    out.fact("width", &width.to_string());
    out.fact("height", &height.to_string());
    if sizes.len() > 1 {
        out.fact("pages", &sizes.len().to_string());
    }
    for (page, (width, height)) in (1_u32..).zip(&sizes) {
        if width * height > MOST_PIXELS || *width.max(height) > MOST_SIDE {
            return Err(Stop::failure(
                ExtractFailureCode::TooLarge,
                format!("The picture has {width} by {height} pixels, more than can be read"),
            ));
        }
        if is_large((*width, *height)) {
            out.needs_ocr(page);
        }
    }
    Ok(())
}

/// False for a picture that is known to be too small to hold text.
pub(super) fn may_hold_text(bytes: &[u8]) -> bool {
    let kind = infer::get(bytes).map(|kind| kind.mime_type());
    kind.and_then(|kind| sizes(bytes, kind)).is_none_or(|sizes| sizes.into_iter().any(is_large))
}

/// True where there is room for text.
fn is_large((width, height): Size) -> bool {
    width.min(height) >= LEAST_SIDE && width.saturating_mul(height) >= LEAST_PIXELS
}

fn sizes(bytes: &[u8], media_type: &str) -> Option<Vec<Size>> {
    if media_type == "image/tiff" {
        return tiff(bytes);
    }
    let size = match media_type {
        "image/png" => png(bytes),
        "image/jpeg" => jpeg(bytes),
        "image/gif" => Some((little(bytes, 6, 2)?, little(bytes, 8, 2)?)),
        "image/bmp" => bmp(bytes),
        "image/webp" => webp(bytes),
        PORTABLE_MAP => portable_map(bytes),
        jpeg2000::MEDIA_TYPE => jpeg2000::size(bytes),
        _ => None,
    };
    size.map(|size| vec![size])
}

/// A number of up to eight bytes, the least significant first.
fn little(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(length)?)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// The same, the most significant first.
pub(super) fn big(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(length)?)?;
    Some(field.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn png(bytes: &[u8]) -> Option<Size> {
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((big(bytes, 16, 4)?, big(bytes, 20, 4)?))
}

fn jpeg(bytes: &[u8]) -> Option<Size> {
    let mut at = 2;
    loop {
        // Any number of filling bytes may stand before a marker.
        while *bytes.get(at)? == 0xff {
            at += 1;
        }
        let marker = *bytes.get(at)?;
        at += 1;
        match marker {
            0xc4 | 0xc8 | 0xcc => {}
            0xc0..=0xcf => return Some((big(bytes, at + 5, 2)?, big(bytes, at + 3, 2)?)),
            // Markers without a length, of which none may come before the size.
            0xd0..=0xd9 | 0x01 => return None,
            _ => {}
        }
        let length = usize::try_from(big(bytes, at, 2)?).ok()?;
        at = at.checked_add(length.max(2))?;
        (*bytes.get(at)? == 0xff).then_some(())?;
    }
}

fn bmp(bytes: &[u8]) -> Option<Size> {
    if little(bytes, 14, 4)? == 12 {
        return Some((little(bytes, 18, 2)?, little(bytes, 20, 2)?));
    }
    // The height is negative where the first line is the top one.
    let side = |at| Some(u64::from((little(bytes, at, 4)? as u32 as i32).unsigned_abs()));
    Some((side(18)?, side(22)?))
}

fn webp(bytes: &[u8]) -> Option<Size> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((little(bytes, 24, 3)? + 1, little(bytes, 27, 3)? + 1)),
        b"VP8L" => {
            let bits = little(bytes, 21, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((little(bytes, 26, 2)? & 0x3fff, little(bytes, 28, 2)? & 0x3fff)),
        _ => None,
    }
}

fn portable_map(bytes: &[u8]) -> Option<Size> {
    let mut numbers = Vec::new();
    let mut rest = bytes.get(2..bytes.len().min(1024))?.iter().copied().peekable();
    while numbers.len() < 2 {
        match rest.next()? {
            b'#' => while rest.next()? != b'\n' {},
            digit @ b'0'..=b'9' => {
                let mut number = u64::from(digit - b'0');
                while let Some(digit) = rest.next_if(u8::is_ascii_digit) {
                    number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
                }
                numbers.push(number);
            }
            space if space.is_ascii_whitespace() => {}
            _ => return None,
        }
    }
    // So that no product of the two overflows.
    let fits = numbers.iter().all(|number| *number <= u64::from(u32::MAX));
    fits.then(|| (numbers[0], numbers[1]))
}

/// The pages of a TIFF file, each a directory that names where the next one stands.
fn tiff(bytes: &[u8]) -> Option<Vec<Size>> {
    let read = match bytes.get(..4)? {
        b"II\x2a\0" => little,
        b"MM\0\x2a" => big,
        _ => return None,
    };
    let mut sizes = Vec::new();
    let mut at = usize::try_from(read(bytes, 4, 4)?).ok()?;
    while at != 0 && sizes.len() < MAX_OCR_PAGES {
        let entries = usize::try_from(read(bytes, at, 2)?).ok()?;
        let (mut width, mut height) = (0, 0);
        for entry in 0..entries {
            let entry = at.checked_add(2)?.checked_add(entry * 12)?;
            let side = match read(bytes, entry + 2, 2)? {
                3 => read(bytes, entry + 8, 2)?,
                4 => read(bytes, entry + 8, 4)?,
                _ => continue,
            };
            match read(bytes, entry, 2)? {
                256 => width = side,
                257 => height = side,
                _ => {}
            }
        }
        sizes.push((width, height));
        at = usize::try_from(read(bytes, at + 2 + entries * 12, 4)?).ok()?;
    }
    Some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_headers() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x02\0\0\0\x03";
        assert_eq!(sizes(png, "image/png"), Some(vec![(258, 3)]));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc0\0\x0b\x08\0\x02\0\x05";
        assert_eq!(sizes(jpeg, "image/jpeg"), Some(vec![(5, 2)]));
        assert_eq!(sizes(b"GIF89a\x07\0\x08\0", "image/gif"), Some(vec![(7, 8)]));
        let mut bmp = b"BM".to_vec();
        bmp.resize(14, 0);
        bmp.extend_from_slice(&[40, 0, 0, 0, 9, 0, 0, 0, 0xf6, 0xff, 0xff, 0xff]);
        assert_eq!(sizes(&bmp, "image/bmp"), Some(vec![(9, 10)]));
        assert_eq!(sizes(b"P5 # grey\n12 34\n255\n", PORTABLE_MAP), Some(vec![(12, 34)]));
    }

    #[test]
    fn the_pages_of_a_tiff_are_counted_and_a_ring_of_them_ends() {
        let mut tiff = b"II\x2a\0\x08\0\0\0".to_vec();
        let page = |next: u8| {
            let mut page = vec![2, 0];
            page.extend_from_slice(&[0, 1, 3, 0, 1, 0, 0, 0, 100, 0, 0, 0]);
            page.extend_from_slice(&[1, 1, 4, 0, 1, 0, 0, 0, 50, 0, 0, 0]);
            page.extend_from_slice(&[next, 0, 0, 0]);
            page
        };
        tiff.extend(page(38));
        tiff.extend(page(0));
        assert_eq!(sizes(&tiff, "image/tiff"), Some(vec![(100, 50); 2]));
        let end = tiff.len() - 4;
        tiff[end] = 8;
        assert_eq!(sizes(&tiff, "image/tiff").map(|pages| pages.len()), Some(MAX_OCR_PAGES));
    }

    #[test]
    fn no_header_cut_short_makes_a_size() {
        for media_type in ["image/png", "image/jpeg", "image/gif", "image/bmp", "image/webp"] {
            for length in 0..10 {
                assert_eq!(sizes(&[0xff; 12][..length], media_type), None, "{media_type}");
            }
        }
        assert_eq!(sizes(b"II\x2a\0\xff\xff\xff\xff", "image/tiff"), None);
        assert!(!is_portable_map(b"P5 is a road in Latvia.", "pgm", true));
        assert!(!is_portable_map(b"P5 10 20 and more", "txt", true));
    }
}
