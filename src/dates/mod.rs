//! Dates that running text mentions, in English and German.
//!
//! Called by: `app::index`. Talks to: nothing; pure.
//! Invariants: never fails or panics; a span is exactly the words it stands for, and spans are in
//! order and do not overlap; what could as well be something else is no date.
//!
//! Words relative to a day ("last Tuesday") are resolved against the day the document gives
//! itself. A document without one has no such mentions: the day it was taken in says nothing
//! about what its author meant.

mod calendar;
mod nearby;
mod order;
mod patterns;
mod tense;
mod tokens;
mod years;

use jiff::civil::Date;

pub use self::order::{day_first_by_address, day_first_by_tag, day_first_in};
use self::patterns::Scan;
use self::tokens::tokens;

/// Most mentions taken from one text.
const MAX_MENTIONS: usize = 200;

/// A span of text that stands for a day or a run of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateMention {
    /// Offsets in Unicode scalar values.
    pub start: usize,
    pub end: usize,
    /// First day meant.
    pub first: Date,
    /// Last day meant.
    pub last: Date,
    /// The words themselves.
    pub expression: String,
}

/// What is known about a text beforehand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// The day the document gives itself, where it was written.
    pub written: Option<Date>,
    /// `1/2/2024` is the first of February and not the second of January.
    pub day_first: bool,
}

/// The dates `text` mentions, in order.
pub fn find(text: &str, context: Context) -> Vec<DateMention> {
    let tokens = tokens(text);
    let scan = Scan { tokens: &tokens, context };
    let mut mentions = Vec::new();
    let (mut at, mut byte, mut chars) = (0, 0, 0);
    while at < tokens.len() && mentions.len() < MAX_MENTIONS {
        let Some((count, days)) = scan.at(at) else {
            at += 1;
            continue;
        };
        let (from, to) = (tokens[at].start, tokens[at + count - 1].end);
        let start = chars + text[byte..from].chars().count();
        let end = start + text[from..to].chars().count();
        mentions.push(DateMention {
            start,
            end,
            first: days.first,
            last: days.last,
            expression: text[from..to].to_owned(),
        });
        (byte, chars) = (to, end);
        at += count;
    }
    mentions
}

#[cfg(test)]
mod tests;
