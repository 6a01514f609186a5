//! Which pages of a PDF say in pictures what others say in text.
//!
//! Called by: `pdf`. Talks to: `pdfium-render`.
//! Invariants: a page with enough text of its own is never looked at twice, so a born-digital file
//! costs nothing more; at most `MAX_OBJECTS` parts of a page are looked at.
//!
//! Why by share of the page: logos and signatures stand on many pages of text, and a scan covers
//! its page.

use pdfium_render::prelude::{
    PdfPage, PdfPageObjectCommon, PdfPageObjectType, PdfPageObjectsCommon,
};

/// A page with so many letters and digits speaks for itself.
const ENOUGH: usize = 100;
/// A text layer is held to be nonsense from this many marks on, if a third of them mean nothing.
const NONSENSE_FROM: usize = 20;
/// Parts of a page that are looked at.
const MAX_OBJECTS: usize = 2000;
/// Share of the page that pictures must cover beside a few words, and where there are none.
const BESIDE_WORDS: f32 = 0.3;
const ALONE: f32 = 0.02;
/// Shapes that may be letters drawn as outlines.
const OUTLINES: usize = 30;

/// True where OCR may find text that the page's own layer lacks.
pub(super) fn needs_ocr(page: &PdfPage<'_>, text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
    if is_nonsense(text) {
        return true;
    }
    if letters >= ENOUGH {
        return false;
    }
    let area = (page.width().value * page.height().value).max(1.0);
    let (mut covered, mut outlines) = (0.0_f32, 0);
    for object in page.objects().iter().take(MAX_OBJECTS) {
        match object.object_type() {
            PdfPageObjectType::Image | PdfPageObjectType::XObjectForm => {
                // What has no bounds covers nothing.
                let (Ok(width), Ok(height)) = (object.width(), object.height()) else { continue };
                covered += (width.value * height.value).abs().min(area) / area;
            }
            PdfPageObjectType::Path | PdfPageObjectType::Shading => outlines += 1,
            _ => {}
        }
    }
    if letters == 0 { covered >= ALONE || outlines >= OUTLINES } else { covered >= BESIDE_WORDS }
}

/// True for a layer whose fonts do not say which letters their shapes are.
fn is_nonsense(text: &str) -> bool {
    let marks = text.chars().filter(|c| !c.is_whitespace());
    let (mut all, mut without_meaning) = (0, 0);
    for c in marks {
        all += 1;
        let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}');
        without_meaning += usize::from(private || c == '\u{fffd}' || c.is_control());
    }
    all >= NONSENSE_FROM && without_meaning * 3 >= all
}

#[cfg(test)]
mod tests {
    use super::is_nonsense;

    #[test]
    fn letters_without_a_meaning_are_nonsense_and_foreign_ones_are_not() {
        assert!(is_nonsense(&"\u{e012}\u{e044} ".repeat(20)));
        assert!(is_nonsense(&"\u{fffd}x".repeat(20)));
        assert!(!is_nonsense(&"Größe, размер, 大きさ ".repeat(20)));
        assert!(!is_nonsense("\u{f0b7} a bullet and words"));
        assert!(!is_nonsense(""));
    }
}
