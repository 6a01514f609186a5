//! Headings of a document without bookmarks, by the size of their letters.
//!
//! Called by: `pdf::structure`. Talks to: nothing.
//! Invariants: what is not clearly a heading is none: one that is missed costs less than one that
//! is not there.
//!
//! The rules: a heading is short, begins like one and ends without a full stop; its letters are
//! larger than those of most of the page and of most of the document so far, by a third, or a
//! little where they are bold; it is no date and no amount; smaller text or another heading follows it on the page; the page
//! before did not say the same. Names under a title are larger than the text too, but not bold.

use std::collections::BTreeMap;

use super::layout::Shape;
use super::outline::key;
use super::text::{Heading, begins_item};

/// Letters from which on it is known how large those of the text are.
const ENOUGH: usize = 40;
/// How much larger a heading is, and a bold one.
const LARGER: f32 = 1.3;
const LARGER_BOLD: f32 = 1.08;
/// Sizes this close are the same.
const SAME: f32 = 1.04;
/// Lines and characters of the longest heading.
const MAX_LINES: usize = 3;
const MAX_CHARS: usize = 150;
/// Distance of two lines of one heading, in sizes of its letters.
const NEAR: f32 = 1.45;
/// Most headings of a page; a page of more is a table of contents or a poster.
const MAX_ON_PAGE: usize = 12;
const MAX_LEVEL: usize = 4;

/// What the pages so far tell about the sizes of letters.
#[derive(Default)]
pub(super) struct Sizes {
    /// Letters by size, in half points.
    letters: BTreeMap<u32, usize>,
    /// Sizes of headings, the largest first.
    steps: Vec<f32>,
    /// What the page before said in large letters.
    before: Vec<String>,
}

/// Some lines that may be a heading.
struct Candidate {
    line: usize,
    lines: usize,
    size: f32,
    key: String,
}

impl Sizes {
    /// The headings of the next page.
    pub(super) fn headings(
        &mut self,
        lines: &[&str],
        shapes: &[Option<Shape>],
        is_bold: &dyn Fn(usize) -> bool,
    ) -> Vec<Heading> {
        let mut page = BTreeMap::new();
        for shape in shapes.iter().flatten() {
            *page.entry(half_points(shape.size)).or_insert(0) += shape.letters;
        }
        for (size, letters) in &page {
            *self.letters.entry(*size).or_insert(0) += letters;
        }
        let usual = median(&self.letters).max(median(&page));
        let Some(usual) = usual else {
            self.before.clear();
            return Vec::new();
        };
        let mut candidates = candidates(lines, shapes, usual, is_bold);
        let said: Vec<String> = candidates.iter().map(|found| found.key.clone()).collect();
        candidates.retain(|found| !self.before.contains(&found.key));
        self.before = said;
        if candidates.len() > MAX_ON_PAGE {
            return Vec::new();
        }
        let heading = |found: Candidate| Heading {
            line: found.line,
            lines: found.lines,
            level: self.level(found.size),
            text: String::new(),
        };
        candidates.into_iter().map(heading).collect()
    }

    /// The level of a size among those of the headings so far.
    fn level(&mut self, size: f32) -> u8 {
        let at = self.steps.iter().position(|step| *step < size * SAME);
        let at = at.unwrap_or(self.steps.len());
        if self.steps.get(at).is_none_or(|step| *step * SAME < size) {
            self.steps.insert(at, size);
        }
        // Never more than `MAX_LEVEL`.
        at.saturating_add(1).min(MAX_LEVEL) as u8
    }
}

fn half_points(size: f32) -> u32 {
    // Above zero, and larger than no page.
    (size * 2.0).round().min(100_000.0) as u32
}

/// The size of most letters, in half points, where there are enough to tell.
fn median(letters: &BTreeMap<u32, usize>) -> Option<u32> {
    let all: usize = letters.values().sum();
    if all < ENOUGH {
        return None;
    }
    let mut seen = 0;
    letters.iter().find_map(|(size, letters)| {
        seen += letters;
        (seen * 2 >= all).then_some(*size)
    })
}

fn candidates(
    lines: &[&str],
    shapes: &[Option<Shape>],
    usual: u32,
    is_bold: &dyn Fn(usize) -> bool,
) -> Vec<Candidate> {
    // A size within the half point of the usual one is no larger.
    let usual = (usual as f32 + 0.5) / 2.0;
    let large = |line: usize| {
        let shape = shapes.get(line).copied().flatten()?;
        let larger = shape.size / usual;
        let fits = larger >= LARGER || (larger >= LARGER_BOLD && is_bold(shape.first));
        fits.then_some(shape)
    };
    let mut found: Vec<Candidate> = Vec::new();
    let mut line = 0;
    while line < lines.len() {
        let Some(first) = large(line) else {
            line += 1;
            continue;
        };
        let mut end = line + 1;
        let mut last = first;
        while let Some(next) = large(end).filter(|next| continues(&last, next)) {
            (last, end) = (next, end + 1);
        }
        let text = lines[line..end].join(" ");
        let next = (end..lines.len()).find(|line| !lines[*line].is_empty());
        let is_followed = next.is_some_and(|next| {
            let smaller = shapes.get(next).copied().flatten();
            large(next).is_some() || smaller.is_some_and(|next| next.size < first.size)
        });
        if end - line <= MAX_LINES && is_followed && reads_like_one(&text) {
            // A page header ends with the number of its page.
            let key = key(&text).trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            found.push(Candidate { line, lines: end - line, size: first.size, key });
        }
        line = end;
    }
    found
}

/// True for two lines of one heading.
fn continues(line: &Shape, next: &Shape) -> bool {
    let same = line.size.max(next.size) <= line.size.min(next.size) * SAME;
    let down = line.height - next.height;
    same && down > 0.0 && down <= line.size * NEAR
}

fn reads_like_one(text: &str) -> bool {
    // The number of a heading says nothing of its words.
    let words = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let marks = words.chars().filter(|c| !c.is_whitespace()).count();
    let letters = words.chars().filter(|c| c.is_alphabetic()).count();
    let digits = words.chars().filter(|c| c.is_numeric()).count();
    let begins = text.chars().next().is_some_and(|c| c.is_alphanumeric() && !c.is_lowercase());
    let bullet = begins_item(text) && !text.starts_with(|c: char| c.is_ascii_digit());
    let short = text.chars().count() <= MAX_CHARS;
    // Dates and amounts are figures more than words.
    let says_words = letters >= 3 && letters * 2 >= marks && digits * 2 <= letters;
    begins && says_words && short && !bullet && !text.ends_with(['.', ',', ';', ':', '-', '…'])
}

/// True for the names that bold fonts go by.
pub(super) fn is_bold_name(font: &str) -> bool {
    let font = font.to_ascii_lowercase();
    let words = ["bold", "black", "heavy", "cmbx", "sfbx", "demi", "-bd", "medi"];
    words.iter().any(|word| font.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a page from top to bottom with the size of their letters; bold ones have a star.
    fn found(sizes: &mut Sizes, page: &[(&str, f32)]) -> Vec<(String, u8)> {
        let lines: Vec<&str> = page.iter().map(|(line, _)| line.trim_start_matches('*')).collect();
        let mut height = 800.0;
        let shapes: Vec<Option<Shape>> = page
            .iter()
            .enumerate()
            .map(|(first, (line, size))| {
                height -= size * 1.2;
                let letters = line.chars().filter(|c| c.is_alphanumeric()).count();
                let (start, end, left, right) = (first, first, 0.0, 0.0);
                let size = *size;
                (letters > 0).then_some(Shape {
                    size,
                    height,
                    letters,
                    first,
                    start,
                    end,
                    left,
                    right,
                })
            })
            .collect();
        let headings = sizes.headings(&lines, &shapes, &|line| page[line].0.starts_with('*'));
        let said = |heading: &Heading| lines[heading.line..heading.line + heading.lines].join(" ");
        headings.iter().map(|heading| (said(heading), heading.level)).collect()
    }

    const TEXT: (&str, f32) =
        ("Enough words in the size of the text to know how large that is on the page.", 10.0);

    #[test]
    fn larger_short_lines_over_text_are_headings_by_their_size() {
        let page = [
            ("*A title that takes", 20.0),
            ("*two lines", 20.0),
            TEXT,
            ("*1 Introduction", 14.0),
            TEXT,
            ("*1.1.1 Bold", 11.5),
            TEXT,
            ("*2 Methods", 14.0),
            TEXT,
        ];
        let expected = [
            ("A title that takes two lines", 1),
            ("1 Introduction", 2),
            ("1.1.1 Bold", 3),
            ("2 Methods", 2),
        ];
        let expected = expected.map(|(text, level)| (text.to_owned(), level));
        assert_eq!(found(&mut Sizes::default(), &page), expected);
    }

    #[test]
    fn ordinary_text_has_no_headings() {
        let pages: [&[(&str, f32)]; 9] = [
            // Names under a title, and emphasis in the size of the text.
            &[TEXT, ("Jane Doe and John Smith", 12.0), TEXT],
            &[TEXT, ("*Important words", 10.0), TEXT],
            // A sentence, an amount, a bullet, an ordinary line that goes on in lower case.
            &[TEXT, ("This is said in large letters.", 16.0), TEXT],
            &[TEXT, ("45 %", 24.0), TEXT, ("October 14, 1998", 16.0), TEXT],
            &[TEXT, ("• Large bullet", 16.0), TEXT],
            &[TEXT, ("and so on", 16.0), TEXT],
            // Nothing follows it.
            &[TEXT, ("Large at the end", 16.0)],
            // Too little text to know.
            &[("Cover", 30.0), ("Few words", 10.0)],
            // A quotation over many lines.
            &[TEXT, ("A", 16.0), ("long", 16.0), ("quotation", 16.0), ("this", 16.0), TEXT],
        ];
        for page in pages {
            assert!(found(&mut Sizes::default(), page).is_empty(), "{page:?}");
        }
    }

    #[test]
    fn what_every_page_says_is_said_once() {
        let page = [("Annual report", 18.0), TEXT];
        let mut sizes = Sizes::default();
        assert_eq!(found(&mut sizes, &page).len(), 1);
        assert!(found(&mut sizes, &page).is_empty());
        assert!(found(&mut sizes, &page).is_empty());
    }

    #[test]
    fn a_page_of_small_print_makes_no_headings_of_ordinary_text() {
        let mut sizes = Sizes::default();
        found(&mut sizes, &[TEXT, TEXT, TEXT, TEXT]);
        let small = ("Small print about all that is not included in the price of this offer.", 6.0);
        let page = [small, ("Not included", 10.0), small];
        assert!(found(&mut sizes, &page).is_empty());
    }
}
