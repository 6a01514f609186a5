//! The times of a calendar: local ones with the zones that the calendar itself describes.
//!
//! Called by: `cards`, `cards::event`. Talks to: `jiff`.
//! Invariants: a zone that is not described counts as UTC; the work for one time is bounded by
//! the rules of its zone, of which there are at most `MAX_RULES`.
//!
//! Why not the zones of the system: a reader is confined and cannot open them, and every program
//! that writes calendars describes the zones it names.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::Offset;

use super::lines::Line;

/// Rules of one zone.
const MAX_RULES: usize = 200;

/// A moment as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written<'l> {
    pub(super) local: DateTime,
    pub(super) has_time: bool,
    is_utc: bool,
    zone: Option<&'l str>,
}

impl<'l> Written<'l> {
    /// `20240301`, `20240301T100000`, `20240301T100000Z`.
    pub(super) fn of(line: &Line<'l>) -> Option<Self> {
        let value = line.value.trim();
        let (local, has_time) = civil(value)?;
        let zone = line.parameter("TZID");
        Some(Self { local, has_time, is_utc: value.ends_with(['Z', 'z']), zone })
    }

    /// As people read it.
    pub(super) fn shown(&self) -> String {
        if !self.has_time {
            return self.local.date().to_string();
        }
        let time = self.local.strftime("%Y-%m-%d %H:%M");
        match self.zone {
            _ if self.is_utc => format!("{time} UTC"),
            Some(zone) => format!("{time} ({})", zone.trim_start_matches('/')),
            None => time.to_string(),
        }
    }
}

/// When the clocks of a zone change to an offset.
struct Rule {
    first: DateTime,
    offset: Offset,
    yearly: Option<Yearly>,
}

/// The same weekday of a month in every year.
struct Yearly {
    month: i8,
    nth: i8,
    weekday: Weekday,
    until: Option<Date>,
}

/// The zones of a calendar, by their names.
#[derive(Default)]
pub(super) struct Zones(HashMap<String, Vec<Rule>>);

impl Zones {
    pub(super) fn of(lines: &[String]) -> Self {
        let mut zones = Self::default();
        let (mut inside, mut name, mut rules) = (false, String::new(), Vec::new());
        let mut part: Vec<Line<'_>> = Vec::new();
        for line in lines.iter().filter_map(|line| Line::parse(line)) {
            let word = line.value.trim().to_ascii_uppercase();
            match (line.name.as_str(), word.as_str()) {
                ("BEGIN", "VTIMEZONE") => {
                    (inside, name, rules) = (true, String::new(), Vec::new());
                }
                ("END", "VTIMEZONE") => {
                    inside = false;
                    zones.0.insert(std::mem::take(&mut name), std::mem::take(&mut rules));
                }
                _ if !inside => {}
                ("BEGIN", _) => part.clear(),
                ("END", _) => add_rules(&part, &mut rules),
                ("TZID", _) => line.value.trim().clone_into(&mut name),
                _ => part.push(line),
            }
        }
        zones
    }

    /// The moment in the time of the world.
    pub(super) fn moment(&self, written: &Written<'_>) -> Option<Timestamp> {
        let rules = written.zone.and_then(|zone| self.0.get(zone)).filter(|_| !written.is_utc);
        let offset = rules.and_then(|rules| offset_at(rules, written.local));
        offset.unwrap_or(Offset::UTC).to_timestamp(written.local).ok()
    }
}

/// What holds at a time: the rule that came into force last.
fn offset_at(rules: &[Rule], local: DateTime) -> Option<Offset> {
    let in_force = rules.iter().filter_map(|rule| Some((rule.last_before(local)?, rule.offset)));
    let latest = in_force.max_by_key(|(since, _)| *since).map(|(_, offset)| offset);
    latest.or_else(|| rules.iter().min_by_key(|rule| rule.first).map(|rule| rule.offset))
}

impl Rule {
    /// The last time it came into force.
    fn last_before(&self, local: DateTime) -> Option<DateTime> {
        if self.first > local {
            return None;
        }
        let Some(yearly) = &self.yearly else { return Some(self.first) };
        let last_year = yearly.until.map_or(local.year(), |until| until.year().min(local.year()));
        let years = (self.first.year()..=last_year).rev().take(2);
        let mut found = years.filter_map(|year| yearly.in_year(year));
        let found = found.find(|date| {
            date.to_datetime(self.first.time()) <= local
                && yearly.until.is_none_or(|until| *date <= until)
        });
        let since = found.map_or(self.first, |date| date.to_datetime(self.first.time()));
        Some(since.max(self.first))
    }
}

impl Yearly {
    fn in_year(&self, year: i16) -> Option<Date> {
        Date::new(year, self.month, 1).ok()?.nth_weekday_of_month(self.nth, self.weekday).ok()
    }

    /// Reads `FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU`; what it leaves out is that of the first time.
    fn of(rule: &str, first: Date) -> Option<Self> {
        let field = |name: &str| {
            rule.split(';').find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        if !field("FREQ")?.eq_ignore_ascii_case("YEARLY") {
            return None;
        }
        let month = field("BYMONTH").and_then(|month| month.parse().ok());
        let by_day = field("BYDAY").unwrap_or_default();
        let at = by_day.len().saturating_sub(2);
        let weekday = by_day.get(at..).and_then(weekday).unwrap_or(first.weekday());
        let nth = by_day.get(..at).and_then(|nth| nth.parse().ok()).filter(|nth| *nth != 0);
        Some(Self {
            month: month.unwrap_or(first.month()),
            nth: nth.unwrap_or((first.day() - 1) / 7 + 1),
            weekday,
            until: field("UNTIL").and_then(|until| Some(civil(until)?.0.date())),
        })
    }
}

fn add_rules(part: &[Line<'_>], rules: &mut Vec<Rule>) {
    let value = |name: &str| part.iter().find(|line| line.name == name).map(|line| line.value);
    let first = value("DTSTART").and_then(|value| Some(civil(value.trim())?.0));
    let (Some(first), Some(offset)) = (first, value("TZOFFSETTO").and_then(offset)) else {
        return;
    };
    let yearly = value("RRULE").and_then(|rule| Yearly::of(rule, first.date()));
    let others = part.iter().filter(|line| line.name == "RDATE");
    let others = others.flat_map(|line| line.value.split(',')).filter_map(|v| civil(v.trim()));
    let others: Vec<DateTime> = others.map(|(at, _)| at).take(MAX_RULES).collect();
    if rules.len() + others.len() < MAX_RULES {
        rules.push(Rule { first, offset, yearly });
        rules.extend(others.into_iter().map(|first| Rule { first, offset, yearly: None }));
    }
}

/// `+0100`, `-053000`.
fn offset(text: &str) -> Option<Offset> {
    let text = text.trim();
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.trim_start_matches(['+', '-']);
    let part = |from: usize| digits.get(from..from + 2).and_then(|part| part.parse::<i32>().ok());
    let seconds = part(0)? * 3600 + part(2).unwrap_or(0) * 60 + part(4).unwrap_or(0);
    Offset::from_seconds(sign * seconds).ok()
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

/// Date and time as a calendar writes them, and whether there is a time.
fn civil(value: &str) -> Option<(DateTime, bool)> {
    let part = |from: usize, to: usize| {
        let digits = value.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i16>().ok())?
    };
    let small = |from: usize| i8::try_from(part(from, from + 2)?).ok();
    let date = Date::new(part(0, 4)?, small(4)?, small(6)?).ok()?;
    let time = value.get(8..9).filter(|mark| mark.eq_ignore_ascii_case("T"));
    let Some((hour, minute)) = time.and_then(|_| Some((small(9)?, small(11)?))) else {
        return Some((date.at(0, 0, 0, 0), false));
    };
    let second = small(13).unwrap_or(0).min(59);
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    Some((date.to_datetime(time), true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::cards::lines::unfolded;

    const ZONES: &str = "BEGIN:VTIMEZONE\nTZID:Europe/Berlin\nBEGIN:DAYLIGHT\n\
        TZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nDTSTART:19700329T020000\n\
        RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nEND:DAYLIGHT\nBEGIN:STANDARD\n\
        TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nDTSTART:19701025T030000\n\
        RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nEND:STANDARD\nEND:VTIMEZONE\n\
        BEGIN:VTIMEZONE\nTZID:Fixed\nBEGIN:STANDARD\nDTSTART:16010101T000000\n\
        TZOFFSETTO:-0530\nEND:STANDARD\nEND:VTIMEZONE\n\
        BEGIN:VTIMEZONE\nTZID:Eastern\nBEGIN:STANDARD\nDTSTART:20071104T020000\n\
        RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11\nTZOFFSETTO:-0500\nEND:STANDARD\n\
        BEGIN:DAYLIGHT\nDTSTART:20070311T020000\nRRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3\n\
        TZOFFSETTO:-0400\nEND:DAYLIGHT\nEND:VTIMEZONE\n";

    fn moment(line: &str) -> Option<String> {
        let lines = unfolded(ZONES);
        let line = Line::parse(line)?;
        Zones::of(&lines).moment(&Written::of(&line)?).map(|at| at.to_string())
    }

    #[test]
    fn local_times_are_those_of_the_zone_on_that_day() {
        for (line, expected) in [
            ("DTSTART;TZID=Europe/Berlin:20240301T100000", "2024-03-01T09:00:00Z"),
            ("DTSTART;TZID=\"Europe/Berlin\":20240701T100000", "2024-07-01T08:00:00Z"),
            ("DTSTART;TZID=Europe/Berlin:20240331T040000", "2024-03-31T02:00:00Z"),
            ("DTSTART;TZID=Europe/Berlin:20241027T040000", "2024-10-27T03:00:00Z"),
            ("DTSTART;TZID=Fixed:20240301T100000", "2024-03-01T15:30:00Z"),
            ("DTSTART;TZID=Eastern:20240115T120000", "2024-01-15T17:00:00Z"),
            ("DTSTART;TZID=Eastern:20240615T120000", "2024-06-15T16:00:00Z"),
            ("DTSTART;TZID=Unknown:20240301T100000", "2024-03-01T10:00:00Z"),
            ("DTSTART:20240301T100000Z", "2024-03-01T10:00:00Z"),
            ("DTSTART;VALUE=DATE:20240301", "2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(moment(line).as_deref(), Some(expected), "{line}");
        }
        for line in ["DTSTART:soon", "DTSTART:20241301", "DTSTART:2024", "DTSTART:20240301T250000"]
        {
            assert_eq!(moment(line), None, "{line}");
        }
    }
}
