//! Pages of a PDF as pictures, for OCR.
//!
//! Called by: `extract`. Talks to: `pdfium-render`, `pdf` for opening the file.
//! Invariants: a picture is grey, one byte a pixel, and has at most `MAX_PIXELS` of them whatever
//! size the page claims; a page that cannot be drawn is left out with a warning.

use std::io::{Cursor, Read};

use pdfium_render::prelude::{PdfBitmapFormat, PdfPage, PdfRenderConfig, PdfiumError};

use super::super::emit::{Output, Stop};
use super::super::source::Source;
use crate::types::ChildHeader;

/// What OCR reads best, in dots an inch; a page is measured in points, 72 to an inch.
const SCALE: f32 = 300.0 / 72.0;
/// Most pixels of one picture.
const MAX_PIXELS: f32 = 25_000_000.0;
/// Longest side of a picture.
const MAX_SIDE: f32 = 20_000.0;

/// Emits each page as a child named `page-<number>.pgm`.
pub(in crate::extract) fn draw(
    source: &mut Source<'_>,
    first: u32,
    count: u32,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let document = super::open(super::pdfium()?, &bytes, out)?;
    let pages = document.pages();
    for (number, index) in (1_u32..).zip(pages.as_range()) {
        if number < first {
            continue;
        }
        if number - first >= count {
            break;
        }
        match pages.get(index).and_then(|page| picture(&page)) {
            Ok((header, pixels)) => {
                let child = ChildHeader {
                    name: format!("page-{number}.pgm"),
                    absolute: false,
                    media_type: Some(super::super::image::PORTABLE_MAP.to_owned()),
                    format: None,
                    file_date: None,
                };
                out.child(&child, &mut Cursor::new(header).chain(Cursor::new(pixels)))?;
            }
            Err(_) => out.warn(format!("Page {number} cannot be drawn")),
        }
    }
    out.document.container = true;
    Ok(())
}

/// Header and pixels of a portable grey map.
fn picture(page: &PdfPage<'_>) -> Result<(String, Vec<u8>), PdfiumError> {
    let (width, height) = (page.width().value.max(1.0), page.height().value.max(1.0));
    let scale = SCALE.min((MAX_PIXELS / width / height).sqrt()).min(MAX_SIDE / width.max(height));
    let (width, height) = (whole(width * scale), whole(height * scale));
    let config = PdfRenderConfig::new()
        .set_fixed_size(width, height)
        .set_format(PdfBitmapFormat::Gray)
        // The library leaves a grey picture empty otherwise.
        .set_reverse_byte_order(false)
        .use_grayscale_rendering(true);
    let bitmap = page.render_with_config(&config)?;
    let (width, height) = (to_usize(bitmap.width()), to_usize(bitmap.height()));
    let mut pixels = bitmap.as_raw_bytes();
    let stride = pixels.len().checked_div(height).unwrap_or(0);
    if stride > width {
        // Lines are padded; they are moved together in place.
        for line in 1..height {
            pixels.copy_within(line * stride..line * stride + width, line * width);
        }
    }
    pixels.truncate(width * height);
    Ok((format!("P5\n{width} {height}\n255\n"), pixels))
}

fn whole(length: f32) -> i32 {
    // Bounded by the longest side, and above zero.
    length.round().clamp(1.0, MAX_SIDE) as i32
}

fn to_usize(length: i32) -> usize {
    usize::try_from(length).unwrap_or(0)
}
