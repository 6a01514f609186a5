//! The bookmarks of a PDF, and the places of their pages where they become headings.
//!
//! Called by: `pdf::structure`. Talks to: `pdfium-render`.
//! Invariants: a bookmark whose title is a line of its page turns that line into the heading and
//! says nothing twice; a title that is none of the lines comes once a page; rings and endless lists of bookmarks end.

use std::collections::{HashMap, HashSet};

use pdfium_render::prelude::{PdfBookmark, PdfDestinationViewSettings, PdfDocument};

use super::super::clean::one_line;
use super::text::Heading;

const MAX_BOOKMARKS: usize = 10_000;
/// Most of them on one page.
const MAX_ON_PAGE: usize = 200;
/// Lines over which a title may run.
const MAX_LINES: usize = 3;
/// Words before a number that belong to no title: `Chapter 3`, `Anhang A`.
const NUMBERED: [&str; 8] =
    ["chapter", "section", "part", "appendix", "kapitel", "abschnitt", "teil", "anhang"];
/// How far the top of a line may be above the place that a bookmark names, in points.
const SLACK: f32 = 2.0;

/// One bookmark that leads to a page of the document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bookmark {
    /// 1-based.
    pub(super) page: u32,
    pub(super) level: u8,
    pub(super) title: String,
    /// Height on the page, in points from its lower edge, where the bookmark names one.
    pub(super) top: Option<f32>,
}

/// The bookmarks by page, those of a page in their own order; none where there is but one, which
/// names the whole document.
pub(super) fn read(document: &PdfDocument<'_>) -> Vec<Bookmark> {
    let mut levels: HashMap<PdfBookmark<'_>, u8> = HashMap::new();
    let mut found = Vec::new();
    for bookmark in document.bookmarks().iter().take(MAX_BOOKMARKS) {
        let above = bookmark.parent().and_then(|parent| levels.get(&parent).copied()).unwrap_or(0);
        let level = above.saturating_add(1).min(6);
        let title = one_line(&bookmark.title().unwrap_or_default());
        let place = bookmark.destination().and_then(|destination| {
            let page = u32::try_from(destination.page_index().ok()?).ok()?.checked_add(1)?;
            Some((page, destination.view_settings().ok().and_then(top)))
        });
        // A bookmark that leads nowhere does not make those under it deeper.
        levels.insert(bookmark, if place.is_some() { level } else { above });
        if let Some((page, top)) = place
            && !key(&title).is_empty()
        {
            found.push(Bookmark { page, level, title, top });
        }
    }
    found.sort_by_key(|bookmark| bookmark.page);
    if found.len() > 1 { found } else { Vec::new() }
}

fn top(view: PdfDestinationViewSettings) -> Option<f32> {
    let top = match view {
        PdfDestinationViewSettings::SpecificCoordinatesAndZoom(_, top, _)
        | PdfDestinationViewSettings::FitPageHorizontallyToWindow(top)
        | PdfDestinationViewSettings::FitBoundsHorizontallyToWindow(top) => top?.value,
        PdfDestinationViewSettings::FitPageToRectangle(area) => area.top().value,
        _ => return None,
    };
    top.is_finite().then_some(top)
}

/// The headings that the bookmarks of one page make of its lines. `heights` says where lines
/// stand, as far as that is known.
pub(super) fn place(
    bookmarks: &[Bookmark],
    lines: &[&str],
    heights: &[Option<f32>],
) -> Vec<Heading> {
    if bookmarks.is_empty() {
        return Vec::new();
    }
    let keys: Vec<String> = lines.iter().map(|line| key(line)).collect();
    let mut taken = vec![false; lines.len()];
    let mut said = HashSet::new();
    let mut placed: Vec<Heading> = Vec::new();
    let mut after = 0;
    for bookmark in bookmarks.iter().take(MAX_ON_PAGE) {
        let wanted = key(&bookmark.title);
        if is_page_number(&wanted) {
            continue;
        }
        let height = |line: usize| heights.get(line).copied().flatten();
        let distance = |line: usize| match (bookmark.top, height(line)) {
            (Some(top), Some(height)) => (top - height).abs(),
            // What follows the bookmark before it comes first.
            _ if line >= after => 1e6 + (line - after) as f32,
            _ => 2e6 + line as f32,
        };
        let spans = (0..lines.len()).filter_map(|line| span(&keys, &taken, line, &wanted));
        let best = spans.min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
        if !said.insert(wanted) && best.is_none() {
            continue;
        }
        let (line, count) = best.unwrap_or_else(|| {
            let below = |line: &usize| {
                let top = bookmark.top.unwrap_or_default() + SLACK;
                height(*line).is_some_and(|height| height <= top)
            };
            let named = bookmark.top.and_then(|_| (0..lines.len()).find(below));
            (named.unwrap_or(after), 0)
        });
        taken[line..line + count].fill(true);
        after = line + count;
        placed.push(Heading {
            line,
            lines: count,
            level: bookmark.level,
            text: bookmark.title.clone(),
        });
    }
    placed.sort_by_key(|heading| heading.line);
    placed
}

/// The lines from `line` on that together are the title, as first line and number.
fn span(keys: &[String], taken: &[bool], line: usize, wanted: &str) -> Option<(usize, usize)> {
    let mut words = String::new();
    for count in 1..=MAX_LINES {
        let next = keys.get(line + count - 1)?;
        if next.is_empty() || taken[line + count - 1] {
            return None;
        }
        words.push_str(next);
        if is_same(&words, wanted) {
            return Some((line, count));
        }
        // A number before the title is all that a line may have more.
        if words.len() > wanted.len() + 16 {
            return None;
        }
    }
    None
}

/// Letters and digits only, for comparison.
pub(super) fn key(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// True for the same words, one of them perhaps with its number before it.
fn is_same(a: &str, b: &str) -> bool {
    a == b || numbers(a, b) || numbers(b, a)
}

fn numbers(long: &str, short: &str) -> bool {
    let Some(number) = long.strip_suffix(short).filter(|number| !number.is_empty()) else {
        return false;
    };
    let word = NUMBERED.iter().find_map(|word| number.strip_prefix(word));
    let rest = word.unwrap_or(number);
    let digits = rest.bytes().all(|byte| byte.is_ascii_digit()) && rest.len() <= 6;
    let letter = word.is_some() && rest.chars().count() <= 4;
    digits || letter
}

/// True for bookmarks that only count pages.
fn is_page_number(key: &str) -> bool {
    let rest = ["page", "seite", "p"].iter().find_map(|word| key.strip_prefix(word));
    let rest = rest.unwrap_or(key);
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bookmark(level: u8, title: &str, top: Option<f32>) -> Bookmark {
        Bookmark { page: 1, level, title: title.to_owned(), top }
    }

    fn shown(headings: &[Heading]) -> Vec<(usize, usize, &str)> {
        headings.iter().map(|h| (h.line, h.lines, h.text.as_str())).collect()
    }

    #[test]
    fn a_title_that_is_a_line_of_the_page_is_that_line() {
        let lines = ["Methods and", "Materials", "We measured.", "2.1 Samples", "Ten of them."];
        let bookmarks =
            [bookmark(1, "2 Methods and Materials", None), bookmark(2, "Samples", None)];
        let placed = place(&bookmarks, &lines, &[]);
        assert_eq!(shown(&placed), [(0, 2, "2 Methods and Materials"), (3, 1, "Samples")]);
    }

    #[test]
    fn of_two_equal_lines_the_one_at_the_named_height_is_the_heading() {
        let lines = ["Results", "of last year", "Results", "are good."];
        let heights = [Some(800.0), Some(700.0), Some(400.0), Some(380.0)];
        let results = bookmark(1, "Results", Some(415.0));
        let placed = place(std::slice::from_ref(&results), &lines, &heights);
        assert_eq!(shown(&placed), [(2, 1, "Results")]);
        let placed = place(&[results, bookmark(1, "Results", None)], &lines, &heights);
        assert_eq!(shown(&placed), [(0, 1, "Results"), (2, 1, "Results")]);
    }

    #[test]
    fn a_title_the_page_does_not_say_stands_where_the_bookmark_points() {
        let lines = ["one", "two", "three"];
        let heights = [Some(700.0), Some(500.0), Some(300.0)];
        let placed = place(
            &[
                bookmark(1, "Sales chapter", None),
                bookmark(2, "Lower", Some(510.0)),
                bookmark(2, "Lower", None),
                bookmark(2, "Page 7", None),
            ],
            &lines,
            &heights,
        );
        assert_eq!(shown(&placed), [(0, 0, "Sales chapter"), (1, 0, "Lower")]);
    }

    #[test]
    fn words_that_only_end_alike_are_not_the_same() {
        assert!(is_same("3introduction", "introduction"));
        assert!(is_same("chapteriiresults", "results"));
        assert!(!is_same("finalresults", "results"));
        assert!(!is_page_number("p"));
    }
}
