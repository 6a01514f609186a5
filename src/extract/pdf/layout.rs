//! How large the letters of a line are and where the line stands.
//!
//! Called by: `pdf::structure`. Talks to: `pdfium-render`.
//! Invariants: each letter of a page is looked at once, and few of each line are measured; where the lines and the library's list of letters do not fit together, nothing is measured.
//!
//! Why the lines are found again in the list of letters: the library gives the text of a page in
//! one piece, which leaves letters out that the list has, and adds line ends.

use pdfium_render::prelude::PdfPageTextChars;

/// What is known of a line of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// Size of its smallest letter looked at, in points.
    pub(super) size: f32,
    /// Where it stands, in points from the lower edge of the page.
    pub(super) height: f32,
    /// Letters and digits.
    pub(super) letters: usize,
    /// Its first letter or digit, in the library's list.
    pub(super) first: usize,
    /// Its first and last sign of any kind, in the list, and their outer edges on the page.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) left: f32,
    pub(super) right: f32,
}

/// The letters of a line in the library's list, and its signs from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: usize,
    end: usize,
    first: usize,
    middle: usize,
    last: usize,
    letters: usize,
}

/// The shape of each line; none for lines without letters, and for letters that lie on their side.
pub(super) fn shapes(chars: &PdfPageTextChars<'_>, lines: &[&str]) -> Vec<Option<Shape>> {
    let letter = |at| chars.get(at).map_or(0, |letter| letter.unicode_value());
    let places = places(lines, chars.len(), letter).unwrap_or_default();
    let shape = |place: Place| {
        let size = |at| {
            let letter = chars.get(at).ok()?;
            let size = letter.unscaled_font_size().value * letter.get_vertical_scale().abs();
            (size.is_finite() && size > 0.5).then_some(size)
        };
        let sizes = [size(place.first)?, size(place.middle)?, size(place.last)?];
        let start = chars.get(place.start).ok()?.tight_bounds().ok()?;
        let end = chars.get(place.end).ok()?.tight_bounds().ok()?;
        Some(Shape {
            start: place.start,
            end: place.end,
            left: start.left().value,
            right: end.right().value,
            size: sizes.into_iter().fold(f32::MAX, f32::min),
            height: chars.get(place.first).ok()?.origin_y().ok()?.value,
            letters: place.letters,
            first: place.first,
        })
    };
    places.into_iter().map(|place| place.and_then(shape)).collect()
}

/// Where the letters of each line are in a list of `count`. None for lines that do not come from
/// this list.
fn places(
    lines: &[&str],
    count: usize,
    letter: impl Fn(usize) -> u32,
) -> Option<Vec<Option<Place>>> {
    let (mut at, mut all, mut missed) = (0, 0_usize, 0_usize);
    let mut found = Vec::new();
    let mut places = Vec::with_capacity(lines.len());
    for line in lines {
        found.clear();
        let mut ends: Option<(usize, usize)> = None;
        for wanted in line.chars().filter(|c| !c.is_whitespace()) {
            all += 1;
            let is_there = loop {
                if at >= count {
                    break false;
                }
                let here = letter(at);
                if here == u32::from(wanted) {
                    break true;
                }
                let passes = char::from_u32(here).is_none_or(is_passed_over);
                if !passes && letter(at + 1) != u32::from(wanted) {
                    break false;
                }
                at += 1;
            };
            if is_there {
                ends = Some((ends.map_or(at, |(start, _)| start), at));
                if wanted.is_alphanumeric() {
                    found.push(at);
                }
            }
            missed += usize::from(!is_there);
            at += 1;
        }
        places.push(ends.filter(|_| !found.is_empty()).map(|(start, end)| Place {
            start,
            end,
            first: found[0],
            middle: found[found.len() / 2],
            last: found[found.len() - 1],
            letters: found.len(),
        }));
    }
    (missed * 20 <= all).then_some(places)
}

/// What the list has and the text has not: white space, zeros, marked hyphens.
fn is_passed_over(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str], list: &str) -> Option<Vec<Option<Place>>> {
        let list: Vec<char> = list.chars().collect();
        places(lines, list.len(), |at| list.get(at).map_or(0, |c| u32::from(*c)))
    }

    #[test]
    fn lines_are_found_again_past_what_the_text_leaves_out() {
        let list = "A title\r\nan exam\u{2}\r\nple, \0with |more\r\n";
        let places = found(&["A title", "an example, with more", "…"], list).expect("they fit");
        assert_eq!(
            places[0],
            Some(Place { start: 0, end: 6, first: 0, middle: 4, last: 6, letters: 6 })
        );
        let second = places[1].expect("letters");
        assert_eq!(second.letters, "anexamplewithmore".len());
        assert_eq!(second.first, 9);
        assert_eq!(places[2], None);
    }

    #[test]
    fn a_text_from_elsewhere_is_not_measured() {
        assert_eq!(found(&["Something else altogether"], "a page of another document"), None);
    }
}
