//! Pages of a PDF as pictures, for OCR and for people.
//!
//! Called by: `extract`. Talks to: `pdfium-render`, `pdf` for opening the file, `png`.
//! Invariants: a picture for OCR is grey, one byte a pixel; one for people is a PNG file with notes
//! and fields of forms in it. Neither has more pixels than its bound whatever size the page claims;
//! a page that cannot be drawn is left out with a warning.

use std::io::{Cursor, Read};

use pdfium_render::prelude::{PdfBitmapFormat, PdfPage, PdfRenderConfig, PdfiumError};

use super::super::emit::{Output, Stop};
use super::super::jpeg2000;
use super::super::source::Source;
use super::png;
use crate::types::{ChildHeader, ExtractFailureCode};

/// What OCR reads best, in dots an inch; a page is measured in points, 72 to an inch.
const SCALE: f32 = 300.0 / 72.0;
/// Most pixels of one picture.
const MAX_PIXELS: f32 = 25_000_000.0;
/// Longest side of a picture.
const MAX_SIDE: f32 = 20_000.0;
/// Bounds of a picture for people, in pixels.
const LEAST_WIDTH: u32 = 100;
const MOST_WIDTH: u32 = 1600;
const MOST_HEIGHT: f32 = 4000.0;

/// Emits each page as a child named `page-<number>.pgm`. A picture in JPEG 2000 is a page too.
pub(in crate::extract) fn draw(
    source: &mut Source<'_>,
    first: u32,
    count: u32,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut bytes = source.read_whole(out.limits().max_parse_bytes)?;
    if jpeg2000::begins(&bytes) {
        let damaged = || Stop::malformed("The picture is damaged: its size cannot be read");
        bytes = jpeg2000::as_pdf(&bytes).ok_or_else(damaged)?;
    }
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

/// Emits one page as a child named `page-<number>.png`; none where there is no such page.
pub(in crate::extract) fn show(
    source: &mut Source<'_>,
    number: u32,
    width: u32,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let document = super::open(super::pdfium()?, &bytes, out)?;
    out.document.container = true;
    let pages = document.pages();
    let index = number.checked_sub(1).and_then(|index| i32::try_from(index).ok());
    let Some(index) = index.filter(|index| *index < pages.len()) else { return Ok(()) };
    let file = pages
        .get(index)
        .and_then(|page| seen(&page, width))
        .and_then(|(width, height, pixels)| {
            png::encode(width, height, &pixels).map_err(PdfiumError::IoError)
        })
        .map_err(|_| {
            let message = format!("Page {number} is damaged and cannot be drawn");
            Stop::failure(ExtractFailureCode::Malformed, message)
        })?;
    let child = ChildHeader {
        name: format!("page-{number}.png"),
        absolute: false,
        media_type: Some("image/png".to_owned()),
        format: None,
        file_date: None,
    };
    out.child(&child, &mut file.as_slice())
}

/// Width, height and pixels of a page as people see it, four bytes each.
fn seen(page: &PdfPage<'_>, width: u32) -> Result<(u32, u32, Vec<u8>), PdfiumError> {
    let wanted = width.clamp(LEAST_WIDTH, MOST_WIDTH) as f32;
    let (width, height) = (page.width().value.max(1.0), page.height().value.max(1.0));
    let scale = (wanted / width).min(MOST_HEIGHT / height);
    let config = PdfRenderConfig::new()
        .set_fixed_size(whole(width * scale), whole(height * scale))
        .render_annotations(true)
        .render_form_data(true);
    let bitmap = page.render_with_config(&config)?;
    let pixels = bitmap.as_rgba_bytes();
    Ok((bitmap.width().unsigned_abs(), bitmap.height().unsigned_abs(), pixels))
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
