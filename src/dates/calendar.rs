//! Names of months, weekdays, numbers and units, and the days they come to.
//!
//! Called by: `dates::patterns`. Talks to: `jiff`.
//! Invariants: a run of days that no calendar holds is none.

use jiff::Span;
use jiff::civil::{Date, Weekday};

/// A run of days, both ends meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) first: Date,
    pub(super) last: Date,
}

impl Days {
    pub(super) fn day(date: Date) -> Self {
        Self { first: date, last: date }
    }

    pub(super) fn date(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self::day)
    }

    pub(super) fn month(year: i16, month: i8) -> Option<Self> {
        let first = Date::new(year, month, 1).ok()?;
        Some(Self { first, last: first.last_of_month() })
    }

    pub(super) fn year(year: i16) -> Option<Self> {
        let first = Date::new(year, 1, 1).ok()?;
        Some(Self { first, last: first.last_of_year() })
    }

    /// A week of a year, counted as ISO 8601 does.
    pub(super) fn week(year: i16, week: i8) -> Option<Self> {
        // The fourth of January is in the first week, and a week is of the year of its Thursday.
        let days = Unit::Week.whole(Date::new(year, 1, 4).ok()?, 0)?;
        let first = Unit::Week.away(days.first, i64::from(week) - 1)?;
        let thursday = Unit::Day.away(first, 3)?;
        let last = Unit::Day.away(first, 6)?;
        (thursday.year() == year).then_some(Self { first, last })
    }

    /// The `part`th of `parts` equal parts of a year: quarters or halves.
    pub(super) fn part_of_year(year: i16, part: i8, parts: i8) -> Option<Self> {
        let months = 12 / parts;
        let first = Date::new(year, (part - 1) * months + 1, 1).ok()?;
        let last = Date::new(year, part * months, 1).ok()?.last_of_month();
        Some(Self { first, last })
    }
}

/// A length of time that text counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    /// The day that many units from `date`.
    pub(super) fn away(self, date: Date, count: i64) -> Option<Date> {
        let span = match self {
            Self::Day => Span::new().try_days(count),
            Self::Week => Span::new().try_weeks(count),
            Self::Month => Span::new().try_months(count),
            Self::Quarter => Span::new().try_months(count.checked_mul(3)?),
            Self::Year => Span::new().try_years(count),
        };
        date.checked_add(span.ok()?).ok()
    }

    /// The whole unit that many units from the one `date` is in.
    pub(super) fn whole(self, date: Date, count: i64) -> Option<Days> {
        let anchor = match self {
            // Of months of different length, the first days are never skipped.
            Self::Month | Self::Quarter => date.first_of_month(),
            _ => date,
        };
        let date = self.away(anchor, count)?;
        match self {
            Self::Day => Some(Days::day(date)),
            Self::Week => {
                let days = i64::from(date.weekday().to_monday_zero_offset());
                let first = Self::Day.away(date, -days)?;
                Some(Days { first, last: Self::Day.away(first, 6)? })
            }
            Self::Month => Days::month(date.year(), date.month()),
            Self::Quarter => Days::part_of_year(date.year(), (date.month() + 2) / 3, 4),
            Self::Year => Days::year(date.year()),
        }
    }
}

/// The weekday before, within the week of, or after `date`.
pub(super) fn weekday(date: Date, weekday: Weekday, direction: i64) -> Option<Date> {
    match direction {
        0 => {
            let week = Unit::Week.whole(date, 0)?;
            Unit::Day.away(week.first, i64::from(weekday.to_monday_zero_offset()))
        }
        _ => date.nth_weekday(if direction < 0 { -1 } else { 1 }, weekday).ok(),
    }
}

/// The year in which day and month come closest to `date`.
pub(super) fn nearest(date: Date, month: i8, day: i8) -> Option<Date> {
    let years = [date.year().checked_sub(1)?, date.year(), date.year().checked_add(1)?];
    let candidates = years.into_iter().filter_map(|year| Date::new(year, month, day).ok());
    candidates.min_by_key(|candidate| distance(*candidate, date))
}

/// The days that come closest to `date`, of those of the year before, its own and the next one.
pub(super) fn nearest_days(date: Date, of: impl Fn(i16) -> Option<Days>) -> Option<Days> {
    let years = [date.year().checked_sub(1)?, date.year(), date.year().checked_add(1)?];
    let candidates = years.into_iter().filter_map(of);
    candidates.min_by_key(|days| distance(days.first, date) + distance(days.last, date))
}

/// The first time that day and month come on `date` or after it.
pub(super) fn on_or_after(date: Date, month: i8, day: i8) -> Option<Date> {
    let years = [date.year(), date.year().checked_add(1)?];
    years.into_iter().filter_map(|year| Date::new(year, month, day).ok()).find(|day| *day >= date)
}

/// The last time that day and month came on `date` or before it.
pub(super) fn on_or_before(date: Date, month: i8, day: i8) -> Option<Date> {
    let years = [date.year(), date.year().checked_sub(1)?];
    years.into_iter().filter_map(|year| Date::new(year, month, day).ok()).find(|day| *day <= date)
}

fn distance(one: Date, other: Date) -> i64 {
    let days = |date: Date| i64::from(date.year()) * 366 + i64::from(date.day_of_year());
    (days(one) - days(other)).abs()
}

/// A month by name or abbreviation, in lower case.
pub(super) fn month_named(word: &str) -> Option<i8> {
    Some(match word {
        "january" | "januar" | "jänner" | "jan" => 1,
        "february" | "februar" | "feber" | "feb" => 2,
        "march" | "märz" | "maerz" | "mar" | "mär" | "mrz" => 3,
        "april" | "apr" => 4,
        "may" | "mai" => 5,
        "june" | "juni" | "jun" => 6,
        "july" | "juli" | "jul" => 7,
        "august" | "aug" => 8,
        "september" | "sept" | "sep" => 9,
        "october" | "oktober" | "oct" | "okt" => 10,
        "november" | "nov" => 11,
        "december" | "dezember" | "dec" | "dez" => 12,
        _ => return None,
    })
}

/// A weekday by its full name, in lower case.
pub(super) fn weekday_named(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "montag" => Weekday::Monday,
        "tuesday" | "dienstag" => Weekday::Tuesday,
        "wednesday" | "mittwoch" => Weekday::Wednesday,
        "thursday" | "donnerstag" => Weekday::Thursday,
        "friday" | "freitag" => Weekday::Friday,
        "saturday" | "samstag" | "sonnabend" => Weekday::Saturday,
        "sunday" | "sonntag" => Weekday::Sunday,
        _ => return None,
    })
}

/// A unit of time, in lower case.
pub(super) fn unit_named(word: &str) -> Option<Unit> {
    Some(match word {
        "day" | "days" | "tag" | "tage" | "tagen" => Unit::Day,
        "week" | "weeks" | "woche" | "wochen" => Unit::Week,
        "month" | "months" | "monat" | "monate" | "monaten" | "monats" => Unit::Month,
        "quarter" | "quarters" | "quartal" | "quartale" | "quartals" => Unit::Quarter,
        "year" | "years" | "jahr" | "jahre" | "jahren" | "jahres" => Unit::Year,
        _ => return None,
    })
}

/// A small number by name, in lower case.
pub(super) fn number_named(word: &str) -> Option<i64> {
    Some(match word {
        "a" | "an" | "one" | "ein" | "eine" | "einem" | "einer" | "einen" => 1,
        "two" | "zwei" => 2,
        "three" | "drei" => 3,
        "four" | "vier" => 4,
        "five" | "fünf" => 5,
        "six" | "sechs" => 6,
        "seven" | "sieben" => 7,
        "eight" | "acht" => 8,
        "nine" | "neun" => 9,
        "ten" | "zehn" => 10,
        "eleven" | "elf" => 11,
        "twelve" | "zwölf" => 12,
        _ => return None,
    })
}

/// Before, within or after the present unit, in lower case.
pub(super) fn direction_named(word: &str) -> Option<i64> {
    const ENDINGS: [&str; 5] = ["e", "en", "er", "es", "em"];
    match word {
        "last" | "previous" | "past" => return Some(-1),
        "this" => return Some(0),
        "next" | "coming" => return Some(1),
        _ => {}
    }
    let stems = [
        ("letzt", -1),
        ("vergangen", -1),
        ("vorig", -1),
        ("dies", 0),
        ("nächst", 1),
        ("kommend", 1),
    ];
    stems.into_iter().find_map(|(stem, direction)| {
        let ending = word.strip_prefix(stem)?;
        ENDINGS.contains(&ending).then_some(direction)
    })
}
