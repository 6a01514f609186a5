//! JPEG 2000: how large a picture is, and the picture as the page of a PDF, which libpdfium draws.
//!
//! Called by: `image` for the size, `sniff`, `pdf::draw`. Talks to: nothing.
//! Invariants: boxes are followed a bounded number of steps; no pixel is decoded here.
//!
//! ISO/IEC 15444-1: a picture is a code stream, alone or in a box of a `.jp2` file, and a PDF takes
//! either as it is.

use super::image::big;

pub(super) const MEDIA_TYPE: &str = "image/jp2";
const SIGNATURE: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n";
/// Start of code stream, and the marker of the size, which follows at once.
const CODE_STREAM: &[u8] = b"\xff\x4f\xff\x51";
const MAX_BOXES: usize = 1_000;
/// Pixels to an inch and points to an inch: a page of this scale is drawn pixel by pixel.
const PIXELS: f64 = 300.0;
const POINTS: f64 = 72.0;

/// True for a file that begins like a picture.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(SIGNATURE) || head.starts_with(CODE_STREAM)
}

/// Width and height.
pub(super) fn size(bytes: &[u8]) -> Option<(u64, u64)> {
    if bytes.starts_with(CODE_STREAM) {
        let side = |end, start| big(bytes, end, 4)?.checked_sub(big(bytes, start, 4)?);
        return Some((side(8, 16)?, side(12, 20)?));
    }
    let header = content(bytes, b"jp2h")?;
    let size = content(header, b"ihdr")?;
    Some((big(size, 4, 4)?, big(size, 0, 4)?))
}

/// What is in the first box of a type.
fn content<'b>(mut boxes: &'b [u8], wanted: &[u8]) -> Option<&'b [u8]> {
    for _ in 0..MAX_BOXES {
        let (head, length) = match big(boxes, 0, 4)? {
            // To the end of the file.
            0 => (8, boxes.len()),
            1 => (16, usize::try_from(big(boxes, 8, 8)?).ok()?),
            length => (8, usize::try_from(length).ok()?),
        };
        let content = boxes.get(head..length)?;
        if boxes.get(4..8)? == wanted {
            return Some(content);
        }
        boxes = &boxes[length..];
    }
    None
}

/// A PDF whose only page is the picture.
pub(super) fn as_pdf(bytes: &[u8]) -> Option<Vec<u8>> {
    let (width, height) = size(bytes)?;
    let points = |pixels: u64| pixels as f64 * POINTS / PIXELS;
    let (across, up) = (points(width), points(height));
    let show = format!("{across:.2} 0 0 {up:.2} 0 0 cm /Picture Do");
    let length = bytes.len();
    let page = format!(
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 {across:.2} {up:.2}]/Contents 4 0 R\
         /Resources<</XObject<</Picture 5 0 R>>>>>>"
    );
    let picture = format!(
        "<</Type/XObject/Subtype/Image/Width {width}/Height {height}/Filter/JPXDecode\
         /Length {length}>>stream\n"
    );
    let objects = [
        [b"<</Type/Catalog/Pages 2 0 R>>".as_slice(), b"", b""],
        [b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b"", b""],
        [page.as_bytes(), b"", b""],
        [&stream(&show), b"", b""],
        [picture.as_bytes(), bytes, b"\nendstream"],
    ];
    let (mut pdf, mut places) = (b"%PDF-1.5\n".to_vec(), String::new());
    for (number, object) in (1..).zip(objects) {
        places.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        pdf.extend_from_slice(&object.concat());
        pdf.extend_from_slice(b"\nendobj\n");
    }
    let start = pdf.len();
    let end = format!(
        "xref\n0 6\n0000000000 65535 f \n{places}trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n\
         {start}\n%%EOF\n"
    );
    pdf.extend_from_slice(end.as_bytes());
    Some(pdf)
}

fn stream(content: &str) -> Vec<u8> {
    format!("<</Length {}>>stream\n{content}\nendstream", content.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::testing::{run, run_as, try_run};
    use crate::types::{ExtractFailureCode, FormatHint};

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("tests/fixtures/ocr/{name}")).expect("a fixture")
    }

    #[test]
    fn a_picture_waits_for_ocr_and_is_drawn_for_it() {
        for (name, height) in [("letter.jp2", 1100), ("letter.j2k", 550)] {
            let bytes = fixture(name);
            let found = run(name, &bytes);
            assert_eq!(found.document.media_type, MEDIA_TYPE);
            assert_eq!(found.document.ocr_pages, [1]);
            let size = ["width", "height"].map(|side| found.document.metadata[side].as_str());
            assert_eq!(size, ["1700", &height.to_string()]);
            let drawn = run_as(name, FormatHint::PdfPages { first: 1, count: 1 }, &bytes);
            let (header, picture) = &drawn.children[0];
            assert_eq!(header.name, "page-1.pgm");
            let head = format!("P5\n1700 {height}\n255\n");
            let pixels = picture.strip_prefix(head.as_bytes()).expect("drawn pixel by pixel");
            let dark = pixels.iter().filter(|pixel| **pixel < 100).count();
            assert!(dark > 5_000 && dark < pixels.len() / 4, "{dark} dark pixels");
        }
    }

    #[test]
    fn a_damaged_picture_is_told() {
        let bytes = fixture("letter.jp2");
        for length in [13, 30, 60] {
            let failure = try_run("a.jp2", &bytes[..length]).expect_err("no size");
            assert_eq!(failure.code, ExtractFailureCode::Malformed);
        }
        let endless = [SIGNATURE, &b"\0\0\0\x08free".repeat(5_000)].concat();
        assert_eq!(size(&endless), None);
        assert_eq!(size(b"\xff\x4f\xff\x51\0\0\0\0\0\0"), None);
    }
}
