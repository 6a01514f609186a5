//! Years that stand alone, and numbers that only look like one.
//!
//! Called by: `dates::patterns`. Talks to: nothing; pure.
//! Invariants: looks at a few words; a number that may count something is no year.

use super::calendar::{Days, unit_named};
use super::patterns::{Found, Scan};
use super::tokens::Token;

/// Words after which a number of four digits is a year.
const YEAR_CUES: &[&str] = &[
    "since", "during", "year", "early", "late", "seit", "jahr", "jahre", "jahres", "anfang",
    "ende", "mitte", "sommer",
];
/// Words after which it is one unless it counts something.
const WEAK_CUES: &[&str] = &["in", "from", "by", "until", "till", "bis", "ab"];

/// Things that are counted and do not show it by their ending.
const COUNTED: &[&str] = &[
    "people",
    "men",
    "women",
    "children",
    "percent",
    "data",
    "staff",
    "square",
    "cubic",
    "meter",
    "kilometer",
    "meters",
    "euro",
    "euros",
    "eur",
    "usd",
    "gbp",
    "chf",
    "dollar",
    "stück",
    "tonnen",
    "liter",
    "kg",
    "km",
    "kwh",
    "mw",
    "prozent",
    "mann",
    "besucher",
    "einwohner",
    "mitarbeiter",
];
/// Words that a counted thing does not follow.
const BETWEEN: &[&str] = &[
    "and", "or", "but", "the", "a", "an", "we", "i", "he", "she", "it", "they", "you", "this",
    "that", "there", "at", "for", "with", "when", "while", "as", "after", "before", "is", "was",
    "are", "has", "to", "of", "through", "until", "which", "who", "his", "its",
];

impl Scan<'_> {
    /// `2020 Q3`, `2019` after a word that makes it a year.
    pub(super) fn bare_year(&self, at: usize) -> Found {
        let year = self.token(at)?.year()?;
        if self.lower(at + 1).as_deref() == Some("q")
            && let Some(part) = self.unspaced(at + 2).and_then(|part| part.small(4))
        {
            return Some((3, Days::part_of_year(year, part, 4)?));
        }
        let cue = at.checked_sub(1).and_then(|before| self.lower(before))?;
        if !self.is_year_cue(&cue) || self.goes_on(at + 1) || self.counts(at + 1, &cue) {
            return None;
        }
        Some((1, Days::year(year)?))
    }

    pub(super) fn is_year_cue(&self, word: &str) -> bool {
        YEAR_CUES.contains(&word) || WEAK_CUES.contains(&word)
    }

    /// What follows a number is what it counts.
    fn counts(&self, next: usize, cue: &str) -> bool {
        let Some(token) = self.token(next) else { return false };
        let first = self.lower(next);
        if first.as_deref().is_some_and(|word| unit_named(word).is_some()) {
            return true;
        }
        if !WEAK_CUES.contains(&cue) {
            return false;
        }
        if first.is_none() {
            let measures = ['%', '€', '$', '£', '°', '+', '×', '*'];
            return measures.iter().any(|sign| token.is(*sign))
                || token.text.starts_with(|c: char| c.is_ascii_digit());
        }
        if token.is_capital() {
            // German nouns: `bis 2000 Gäste`, `in 2000 Fällen`.
            return matches!(cue, "bis" | "ab") || first.as_deref().is_some_and(is_counted_noun);
        }
        self.counts_in_words(next)
    }

    /// `cases`, `different cases`, `verschiedenen Fällen`.
    fn counts_in_words(&self, next: usize) -> bool {
        for place in next..next + 3 {
            let Some(word) = self.lower(place) else { return false };
            let capital = self.token(place).is_some_and(Token::is_capital);
            if capital {
                return place > next && is_counted_noun(&word);
            }
            if BETWEEN.contains(&word.as_str()) {
                return false;
            }
            let plural =
                word.ends_with('s') && !["ss", "us", "is"].iter().any(|e| word.ends_with(e));
            if plural || COUNTED.contains(&word.as_str()) {
                return true;
            }
        }
        false
    }
}

/// In lower case; what German counts in the dative ends in `n`.
fn is_counted_noun(word: &str) -> bool {
    COUNTED.contains(&word) || word.ends_with('n')
}
