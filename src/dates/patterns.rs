//! The forms in which text writes dates.
//!
//! Called by: `dates`. Talks to: nothing; pure.
//! Invariants: a form looks at a few tokens only, so a text is read in time linear in its length.

use super::Context;
use super::calendar::{
    Days, Unit, direction_named, month_named, nearest, number_named, unit_named, weekday,
    weekday_named,
};
use super::tokens::Token;

/// How many tokens a form took, and the days it means.
pub(super) type Found = Option<(usize, Days)>;

/// Words that make a bare month a date.
const MONTH_CUES: [&str; 10] =
    ["in", "im", "since", "seit", "until", "bis", "early", "late", "ende", "anfang"];

/// Words after which `5/6/24` is a date.
const DAY_CUES: &[&str] = &[
    "on", "since", "until", "till", "by", "from", "dated", "before", "after", "am", "vom", "bis",
    "ab", "seit",
];

/// Units in the plural, which after "last" are no unit in particular.
const PLURALS: [&str; 10] = [
    "weeks", "months", "quarters", "years", "wochen", "monate", "monaten", "quartale", "jahre",
    "jahren",
];

pub(super) struct Scan<'s> {
    pub(super) tokens: &'s [Token<'s>],
    pub(super) context: Context,
}

impl Scan<'_> {
    /// The form that begins at a token, the most telling one first.
    pub(super) fn at(&self, at: usize) -> Found {
        let token = self.token(at)?;
        if token.is_word() {
            let word = token.text.to_lowercase();
            return self
                .month_first(at, &word)
                .or_else(|| self.part_of_year(at, &word))
                .or_else(|| self.calendar_week(at))
                .or_else(|| self.relative(at, &word))
                .or_else(|| self.weekday_alone(at, &word));
        }
        token.number?;
        if self.is_glued(at) {
            return None;
        }
        self.iso(at)
            .or_else(|| self.dotted(at))
            .or_else(|| self.slashed(at))
            .or_else(|| self.month_between(at))
            .or_else(|| self.day_and_month(at))
            .or_else(|| self.numbered_week(at))
            .or_else(|| self.numbered_quarter(at))
            .or_else(|| self.year_and_month(at))
            .or_else(|| self.day_and_month_in_numbers(at))
            .or_else(|| self.numbered_ago(at))
            .or_else(|| self.bare_year(at))
    }

    pub(super) fn token(&self, at: usize) -> Option<&Token<'_>> {
        self.tokens.get(at)
    }

    pub(super) fn lower(&self, at: usize) -> Option<String> {
        self.token(at).filter(|token| token.is_word()).map(|token| token.text.to_lowercase())
    }

    pub(super) fn sign(&self, at: usize, sign: char) -> bool {
        self.token(at).is_some_and(|token| token.is(sign))
    }

    /// Part of something longer: a number with a fraction, a name with digits, a version.
    pub(super) fn is_glued(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1).and_then(|before| self.token(before)) else {
            return false;
        };
        let glued = self.token(at).is_some_and(|token| !token.spaced);
        glued && (before.is_word() || before.number.is_some() || is_joint(before))
    }

    /// A number goes on after the form, so it is something else.
    pub(super) fn goes_on(&self, end: usize) -> bool {
        let glued = |at: usize| self.token(at).is_some_and(|token| !token.spaced);
        let digits = |at: usize| {
            self.token(at).is_some_and(|t| t.text.starts_with(|c: char| c.is_ascii_digit()))
        };
        (glued(end) && digits(end))
            || (glued(end)
                && glued(end + 1)
                && digits(end + 1)
                && self.tokens.get(end).is_some_and(is_joint))
    }

    /// A letter or digit goes on right at a token.
    pub(super) fn is_glued_after(&self, at: usize) -> bool {
        self.unspaced(at).is_some_and(|token| token.text.starts_with(char::is_alphanumeric))
    }

    /// `2021-03-03`, `2021/03/03`.
    fn iso(&self, at: usize) -> Found {
        let year = self.token(at)?.year()?;
        let sign = ['-', '/'].into_iter().find(|sign| self.sign(at + 1, *sign))?;
        let month = self.unspaced(at + 2)?.small(12)?;
        if !self.sign(at + 3, sign) {
            return None;
        }
        let day = self.unspaced(at + 4)?.small(31)?;
        if self.goes_on(at + 5) {
            return None;
        }
        Some((5, Days::date(year, month, day)?))
    }

    pub(super) fn unspaced(&self, at: usize) -> Option<&Token<'_>> {
        self.token(at).filter(|token| !token.spaced)
    }

    /// `03.03.2021`, `3. 3. 2021`, `3.3.21`.
    fn dotted(&self, at: usize) -> Found {
        let day = self.token(at)?.small(31)?;
        if !self.sign(at + 1, '.') || !self.sign(at + 3, '.') {
            return None;
        }
        let month = self.token(at + 2)?.small(12)?;
        let year = self.token(at + 4)?;
        let short = year.number.filter(|_| year.text.len() == 2 && !year.spaced);
        let year = year.year().or_else(|| short.map(century))?;
        if self.goes_on(at + 5) {
            return None;
        }
        Some((5, Days::date(year, month, day)?))
    }

    /// `3/14/2021`, `14/3/2021`, `on 5/6/24`.
    fn slashed(&self, at: usize) -> Found {
        let one = self.token(at)?.small(31)?;
        if !self.sign(at + 1, '/') || !self.sign(at + 3, '/') {
            return None;
        }
        let other = self.unspaced(at + 2)?.small(31)?;
        let year = self.unspaced(at + 4)?;
        let short = year.number.filter(|_| year.text.len() == 2 && self.has_day_cue(at));
        let year = year.year().or_else(|| short.map(century))?;
        if self.goes_on(at + 5) {
            return None;
        }
        let day_first = one > 12 || (self.context.day_first && other <= 12);
        let (day, month) = if day_first { (one, other) } else { (other, one) };
        Some((5, Days::date(year, month, day)?))
    }

    /// The word before makes three numbers a date.
    fn has_day_cue(&self, at: usize) -> bool {
        let cue = at.checked_sub(1).and_then(|before| self.lower(before));
        cue.is_some_and(|cue| DAY_CUES.contains(&cue.as_str()))
    }

    /// `12-Mar-2024`, `12-Mar-24`.
    fn month_between(&self, at: usize) -> Found {
        let day = self.token(at)?.small(31)?;
        let sign = ['-', '/', '.'].into_iter().find(|sign| self.sign(at + 1, *sign))?;
        let month = self.unspaced(at + 2).filter(|month| month.is_word())?;
        let month = month_named(&month.text.to_lowercase())?;
        let year = self.unspaced(at + 4)?;
        let short = year.number.filter(|_| year.text.len() == 2);
        let year = year.year().or_else(|| short.map(century))?;
        let tied = self.unspaced(at + 1).is_some() && self.unspaced(at + 3).is_some();
        if !tied || !self.sign(at + 3, sign) || self.goes_on(at + 5) {
            return None;
        }
        Some((5, Days::date(year, month, day)?))
    }

    /// `3 March 2021`, `3rd of March, 2021`, `3. März`.
    fn day_and_month(&self, at: usize) -> Found {
        let day = self.token(at)?.small(31)?;
        let mut next = at + 1;
        if self.sign(next, '.') {
            next += 1;
        } else if self.is_ordinal(next) {
            next += 1;
            if self.lower(next).as_deref() == Some("of") {
                next += 1;
            }
        }
        let month = self.month_at(next)?;
        next += 1 + usize::from(self.sign(next + 1, '.') && self.is_short(next));
        if let Some((count, year)) = self.year_after(next) {
            return Some((next + count - at, Days::date(year, month, day)?));
        }
        let end = if self.sign(next - 1, '.') { next - 1 } else { next };
        Some((end - at, Days::day(nearest(self.context.written?, month, day)?)))
    }

    /// `March 3, 2021`, `March 2021`, `in May`.
    fn month_first(&self, at: usize, word: &str) -> Found {
        let token = self.token(at)?;
        let month = month_named(word).filter(|_| token.is_capital())?;
        let after = at + 1 + usize::from(self.sign(at + 1, '.') && self.is_short(at));
        if let Some((count, year)) = self.year_after(after) {
            return Some((after + count - at, Days::month(year, month)?));
        }
        if let Some(day) = self.token(after).filter(|day| day.spaced).and_then(|day| day.small(31))
        {
            let next = after + 1 + usize::from(self.is_ordinal(after + 1));
            if let Some((count, year)) = self.year_after(next) {
                return Some((next + count - at, Days::date(year, month, day)?));
            }
            if !self.goes_on(next) && !self.sign(next, ':') {
                let day = nearest(self.context.written?, month, day)?;
                return Some((next - at, Days::day(day)));
            }
        }
        let before = at.checked_sub(1).and_then(|before| self.lower(before))?;
        let written = self.context.written.filter(|_| MONTH_CUES.contains(&before.as_str()))?;
        let first = nearest(written, month, 1)?;
        Some((1, Days::month(first.year(), month)?))
    }

    /// `Q3 2020`, `H1/2020`, `third quarter of 2020`, `drittes Quartal 2020`.
    fn part_of_year(&self, at: usize, word: &str) -> Found {
        if let "q" | "h" = word {
            let parts = if word == "q" { 4 } else { 2 };
            let part = self.unspaced(at + 1)?.small(i16::from(parts))?;
            let mut next = at + 2 + usize::from(self.sign(at + 2, '/') || self.sign(at + 2, '-'));
            next += usize::from(self.lower(next).as_deref() == Some("of"));
            if let Some(year) = self.token(next).and_then(Token::year) {
                return Some((next + 1 - at, Days::part_of_year(year, part, parts)?));
            }
            return if parts == 4 { self.quarter_alone(at, at + 2, part) } else { None };
        }
        let part = match word {
            "first" => 1,
            "second" => 2,
            "third" => 3,
            "fourth" => 4,
            _ => {
                let stem = word.trim_end_matches(['n', 's', 'm', 'r']);
                match stem {
                    "erste" => 1,
                    "zweite" => 2,
                    "dritte" => 3,
                    "vierte" => 4,
                    _ => return None,
                }
            }
        };
        self.quarter_of(at, at + 1, part)
    }

    /// `3. Quartal 2020`, `3rd quarter of 2020`.
    fn numbered_quarter(&self, at: usize) -> Found {
        let part = self.token(at)?.small(4)?;
        if !self.sign(at + 1, '.') && !self.is_ordinal(at + 1) {
            return None;
        }
        self.quarter_of(at, at + 2, part)
    }

    fn quarter_of(&self, at: usize, named: usize, part: i8) -> Found {
        if unit_named(&self.lower(named)?) != Some(Unit::Quarter) {
            return None;
        }
        let linked =
            self.lower(named + 1).is_some_and(|word| matches!(word.as_str(), "of" | "des"));
        let mut next = named + 1 + usize::from(linked);
        next += usize::from(self.lower(next).is_some_and(|word| word.starts_with("jahr")));
        match self.token(next).and_then(Token::year) {
            Some(year) => Some((next + 1 - at, Days::part_of_year(year, part, 4)?)),
            None => self.named_quarter_alone(at, named, part),
        }
    }

    /// Words that mean a day by its distance from the one the text was written on.
    fn relative(&self, at: usize, word: &str) -> Found {
        let written = self.context.written?;
        let day =
            |count: usize, days: i64| Some((count, Days::day(Unit::Day.away(written, days)?)));
        let is_lower = self.token(at).is_some_and(|token| !token.is_capital());
        match word {
            "today" | "heute" => return day(1, 0),
            "yesterday" | "gestern" => return day(1, -1),
            "tomorrow" => return day(1, 1),
            // The noun is the morning.
            "morgen" if is_lower => return day(1, 1),
            "vorgestern" => return day(1, -2),
            "übermorgen" => return day(1, 2),
            "day" => {
                let next = self.lower(at + 1)?;
                return match (next.as_str(), self.lower(at + 2)?.as_str()) {
                    ("before", "yesterday") => day(3, -2),
                    ("after", "tomorrow") => day(3, 2),
                    _ => None,
                };
            }
            _ => {}
        }
        self.neighbour(at, word).or_else(|| self.counted(at, word))
    }

    /// `last Tuesday`, `next month`, `letzte Woche`, `last March`.
    fn neighbour(&self, at: usize, word: &str) -> Found {
        let written = self.context.written?;
        let direction = direction_named(word)?;
        let next = self.lower(at + 1)?;
        if let Some(name) = weekday_named(&next) {
            return Some((2, Days::day(weekday(written, name, direction)?)));
        }
        if let Some(unit) = unit_named(&next).filter(|unit| *unit != Unit::Day) {
            let plural = PLURALS.contains(&next.as_str());
            return if plural { None } else { Some((2, unit.whole(written, direction)?)) };
        }
        let month = self.month_at(at + 1)?;
        let year = written.year();
        let year = match direction {
            -1 if month >= written.month() => year.checked_sub(1)?,
            1 if month <= written.month() => year.checked_add(1)?,
            _ => year,
        };
        Some((2, Days::month(year, month)?))
    }

    /// `two weeks ago`, `in two weeks`, `vor drei Tagen`.
    fn counted(&self, at: usize, word: &str) -> Found {
        let written = self.context.written?;
        let sign = match word {
            "in" => 1,
            "vor" => -1,
            _ => {
                let count = number_named(word)?;
                let unit = unit_named(&self.lower(at + 1)?)?;
                let ago = self
                    .lower(at + 2)
                    .is_some_and(|word| matches!(word.as_str(), "ago" | "earlier"));
                return ago.then_some((3, Days::day(unit.away(written, -count)?)));
            }
        };
        let count = match self.token(at + 1)?.number {
            Some(number) => i64::from(number),
            None => number_named(&self.lower(at + 1)?)?,
        };
        let unit = unit_named(&self.lower(at + 2)?)?;
        Some((3, Days::day(unit.away(written, sign * count)?)))
    }

    /// `3 weeks ago`.
    fn numbered_ago(&self, at: usize) -> Found {
        let count = i64::from(self.token(at)?.number?);
        let unit = unit_named(&self.lower(at + 1)?)?;
        let ago = self.lower(at + 2).is_some_and(|word| word == "ago");
        ago.then_some((3, Days::day(unit.away(self.context.written?, -count)?)))
    }

    /// A year after a month or day, with or without a comma, and the tokens it takes.
    fn year_after(&self, at: usize) -> Option<(usize, i16)> {
        let comma = usize::from(self.sign(at, ','));
        let year = self.token(at + comma)?;
        let year = year.year().filter(|_| year.spaced)?;
        (!self.goes_on(at + comma + 1)).then_some((comma + 1, year))
    }

    pub(super) fn month_at(&self, at: usize) -> Option<i8> {
        let token = self.token(at).filter(|token| token.is_capital())?;
        month_named(&token.text.to_lowercase())
    }

    fn is_short(&self, at: usize) -> bool {
        self.token(at).is_some_and(|token| token.text.chars().count() <= 4)
    }

    fn is_ordinal(&self, at: usize) -> bool {
        self.unspaced(at).is_some_and(|token| matches!(token.text, "st" | "nd" | "rd" | "th"))
    }
}

/// Signs that tie numbers to something longer.
fn is_joint(token: &Token<'_>) -> bool {
    ['.', ',', '-', '/', ':', '_', '+', '\u{2013}'].iter().any(|sign| token.is(*sign))
}

/// The year that two digits stand for.
fn century(short: i16) -> i16 {
    if short < 70 { 2000 + short } else { 1900 + short }
}
