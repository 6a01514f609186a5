//! Forms that leave something out: the year of a day, a week or a quarter, the week of a weekday.
//!
//! Called by: `dates::patterns`. Talks to: nothing; pure.
//! Invariants: what is left out is taken from the day the text was written on, so a text without
//! one has no such dates; each form needs a word before it that makes it a date, unless it cannot
//! be anything else.

use jiff::civil::Date;

use super::calendar::{
    Days, Unit, direction_named, nearest, nearest_days, on_or_after, on_or_before, unit_named,
    weekday, weekday_named,
};
use super::patterns::{Found, Scan};
use super::tokens::Token;

/// Words after which two numbers with points are a day and a month.
const DAY_CUES: &[&str] = &["am", "vom", "zum", "bis", "ab", "seit", "den", "spätestens"];
/// Words that make `Q2` a quarter and not a second question.
const QUARTER_CUES: &[&str] =
    &["in", "im", "for", "during", "by", "until", "since", "bis", "ab", "seit", "für"];
/// Times of day in the plural: what happens on them happens again and again.
const REPEATED: &[&str] = &["mornings", "afternoons", "evenings", "nights"];
/// Longest run of days of which both ends lack the year.
const MAX_RUN: i64 = 62;

impl Scan<'_> {
    /// `KW 12`, `KW 12/2024`.
    pub(super) fn calendar_week(&self, at: usize) -> Found {
        if self.token(at)?.text != "KW" {
            return None;
        }
        let week = self.token(at + 1)?.small(53)?;
        self.week(at, at + 2, week)
    }

    /// `20. KW`, `20. KW 2024`.
    pub(super) fn numbered_week(&self, at: usize) -> Found {
        let week = self.token(at)?.small(53)?;
        if !self.sign(at + 1, '.') || self.token(at + 2)?.text != "KW" {
            return None;
        }
        self.week(at, at + 3, week)
    }

    fn week(&self, at: usize, next: usize, week: i8) -> Found {
        let at_year = next + usize::from(self.sign(next, '/'));
        if let Some(year) = self.token(at_year).and_then(Token::year)
            && !self.goes_on(at_year + 1)
        {
            return Some((at_year + 1 - at, Days::week(year, week)?));
        }
        if self.goes_on(next) || self.is_glued_after(next) {
            return None;
        }
        let days = nearest_days(self.context.written?, |year| Days::week(year, week))?;
        Some((next - at, days))
    }

    /// `in Q2`, without a year.
    pub(super) fn quarter_alone(&self, at: usize, next: usize, part: i8) -> Found {
        let written = self.context.written?;
        let cue = self.lower(at.checked_sub(1)?)?;
        let capital = self.token(at)?.is_capital();
        if !capital || !QUARTER_CUES.contains(&cue.as_str()) || self.is_of_some_year(next) {
            return None;
        }
        Some((next - at, nearest_days(written, |year| Days::part_of_year(year, part, 4))?))
    }

    /// `1. Quartal`, without a year; in English it may be that of a game.
    pub(super) fn named_quarter_alone(&self, at: usize, named: usize, part: i8) -> Found {
        let written = self.context.written?;
        let is_german = self.lower(named)?.starts_with("quartal");
        if !is_german || self.is_of_some_year(named + 1) {
            return None;
        }
        let days = nearest_days(written, |year| Days::part_of_year(year, part, 4))?;
        Some((named + 1 - at, days))
    }

    /// What follows says of which year, in words that are not read.
    fn is_of_some_year(&self, next: usize) -> bool {
        if self.goes_on(next) || self.is_glued_after(next) {
            return true;
        }
        let Some(word) = self.lower(next) else {
            return self.token(next).is_some_and(|token| token.year().is_some());
        };
        matches!(word.as_str(), "of" | "des" | "der" | "fy" | "fiscal" | "vom" | "im" | "vs")
            || word.starts_with("vorjahr")
            || direction_named(&word).is_some()
    }

    /// `am 3.5.`, `bis 31.12.`, `vom 3.5. bis 7.5.`
    pub(super) fn day_and_month_in_numbers(&self, at: usize) -> Found {
        let written = self.context.written?;
        let before = at.checked_sub(1)?;
        let cue = self.lower(before)?;
        if !DAY_CUES.contains(&cue.as_str()) {
            return None;
        }
        let (month, day) = self.month_and_day(at)?;
        if cue == "vom" && self.lower(at + 4).as_deref() == Some("bis") {
            return self.run(at, written, (month, day));
        }
        let ends_run = cue == "bis" && before.checked_sub(1).is_some_and(|b| self.sign(b, '.'));
        let day = match cue.as_str() {
            // The end of something whose beginning was not read.
            _ if ends_run => return None,
            "bis" | "spätestens" => on_or_after(written, month, day)?,
            "seit" => on_or_before(written, month, day)?,
            _ => nearest(written, month, day)?,
        };
        Some((4, Days::day(day)))
    }

    fn month_and_day(&self, at: usize) -> Option<(i8, i8)> {
        let day = self.token(at)?.small(31)?;
        let month = self.unspaced(at + 2)?.small(12)?;
        let points = [at + 1, at + 3]
            .into_iter()
            .all(|point| self.sign(point, '.') && self.unspaced(point).is_some());
        (points && !self.is_glued_after(at + 4)).then_some((month, day))
    }

    fn run(&self, at: usize, written: Date, (month, day): (i8, i8)) -> Found {
        let first = nearest(written, month, day)?;
        let (month, day) = self.month_and_day(at + 5)?;
        let last = on_or_after(first, month, day)?;
        let too_long = Unit::Day.away(first, MAX_RUN)? < last;
        (!too_long).then_some((9, Days { first, last }))
    }

    /// `2024-05`.
    pub(super) fn year_and_month(&self, at: usize) -> Found {
        let year = self.token(at)?.year().filter(|year| (1900..=2100).contains(year))?;
        let dash = self.sign(at + 1, '-') && self.unspaced(at + 1).is_some();
        let month = self.unspaced(at + 2).filter(|month| dash && month.text.len() == 2)?;
        let month = month.small(12)?;
        // `2010-11` may as well be two years.
        let is_run = i16::from(month) == (year + 1) % 100;
        let tied = self.unspaced(at + 3).is_some_and(|after| {
            after.text.starts_with(char::is_alphanumeric)
                || ['-', '/', '_'].iter().any(|sign| after.is(*sign))
        });
        if is_run || tied || self.goes_on(at + 3) {
            return None;
        }
        // After a noun it is the number of a bill or of a release.
        let free = match at.checked_sub(1).and_then(|before| self.token(before)) {
            None => true,
            Some(before) if before.is_word() => self.is_year_cue(&before.text.to_lowercase()),
            Some(before) => [',', ';', '(', '|'].iter().any(|sign| before.is(*sign)),
        };
        if free { Some((3, Days::month(year, month)?)) } else { None }
    }

    /// `am Montag`, `on Monday`: the one before or after, as the sentence tells.
    pub(super) fn weekday_alone(&self, at: usize, word: &str) -> Found {
        let named =
            weekday_named(word).filter(|_| self.token(at).is_some_and(Token::is_capital))?;
        let cue = self.lower(at.checked_sub(1)?)?;
        let written = self.context.written.filter(|day| day.weekday() != named)?;
        if !matches!(cue.as_str(), "on" | "am") || self.is_said_closer(at + 1) {
            return None;
        }
        let direction = self.time_of_sentence(at, cue == "am")?;
        Some((1, Days::day(weekday(written, named, direction)?)))
    }

    /// What follows a weekday is its date, its week, or more weekdays.
    fn is_said_closer(&self, next: usize) -> bool {
        let comma = usize::from(self.sign(next, ','));
        let article =
            self.lower(next + comma).is_some_and(|w| matches!(w.as_str(), "the" | "den" | "dem"));
        let after = next + comma + usize::from(article);
        if self.token(after).is_some_and(|t| t.text.starts_with(|c: char| c.is_ascii_digit())) {
            // A time of day is no date: `on Monday at 9` has a word in between, `am Montag, 9 Uhr`
            // has one behind.
            return !matches!(self.lower(after + 1).as_deref(), Some("uhr" | "am" | "pm"));
        }
        if self.month_at(after).is_some() {
            return true;
        }
        let Some(word) = self.lower(next) else {
            return self.sign(next, '-') || self.sign(next, '\u{2013}') || self.sign(next, '/');
        };
        REPEATED.contains(&word.as_str())
            || direction_named(&word).is_some()
            || matches!(
                word.as_str(),
                "week" | "of" | "der" | "in" | "vor" | "nach" | "after" | "before"
            ) && self.lower(next + 1).is_some_and(|w| is_about_time(&w))
            || matches!(word.as_str(), "to" | "bis" | "through" | "until")
                && self.lower(next + 1).is_some_and(|w| weekday_named(&w).is_some())
    }
}

fn is_about_time(word: &str) -> bool {
    unit_named(word).is_some()
        || direction_named(word).is_some()
        || matches!(word, "the" | "einer" | "zwei" | "two" | "three" | "drei")
}
