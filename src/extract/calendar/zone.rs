//! Time zones as a calendar describes them.
//!
//! Called by: `extract::calendar`. Talks to: nothing; pure.
//! Invariants: a rule that is not understood makes its zone unknown, never wrong; a file's zones
//! are bounded.
//!
//! Why not the system's own zones: the reader is confined and sees no files, and names that mail
//! programs use are often none of theirs.

use std::collections::HashMap;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::Offset;

use super::Start;
use crate::extract::cards::split;

const MAX_ZONES: usize = 100;
const MAX_OBSERVANCES: usize = 200;

/// The zones of a file by name.
pub(super) struct Zones(HashMap<String, Zone>);

/// One zone.
#[derive(Default)]
pub(super) struct Zone {
    observances: Vec<Observance>,
    /// True where a rule of it is not understood.
    unclear: bool,
}

/// From when on an offset holds, once or every year.
struct Observance {
    start: DateTime,
    yearly: Option<Yearly>,
    offset: Offset,
}

/// The `nth` weekday of a month, from its end where it is negative.
#[derive(Clone, Copy)]
struct Yearly {
    month: i8,
    nth: i8,
    weekday: Weekday,
    /// The last year it holds in.
    until: Option<i16>,
}

impl Zones {
    pub(super) fn of(lines: &[String]) -> Self {
        let mut zones: HashMap<String, Zone> = HashMap::new();
        let mut name = String::new();
        let mut zone: Option<Zone> = None;
        let mut draft: Option<Draft> = None;
        for line in lines {
            let Some((head, value)) = split(line) else { continue };
            let property = head.split(';').next().unwrap_or_default().to_ascii_uppercase();
            let value = value.trim();
            match (property.as_str(), value.to_ascii_uppercase().as_str()) {
                ("BEGIN", "VTIMEZONE") => (zone, name) = (Some(Zone::default()), String::new()),
                ("BEGIN", "STANDARD" | "DAYLIGHT") => draft = Some(Draft::default()),
                ("END", "STANDARD" | "DAYLIGHT") => {
                    if let (Some(zone), Some(draft)) = (&mut zone, draft.take()) {
                        zone.add(draft);
                    }
                }
                ("END", "VTIMEZONE") => {
                    if let Some(zone) = zone.take()
                        && zones.len() < MAX_ZONES
                    {
                        zones.insert(std::mem::take(&mut name), zone);
                    }
                }
                ("TZID", _) if zone.is_some() => value.clone_into(&mut name),
                (property, _) => {
                    if let Some(draft) = &mut draft {
                        draft.property(property, value);
                    }
                }
            }
        }
        Self(zones)
    }

    /// The zone that a property names.
    pub(super) fn of_property(&self, head: &str) -> Option<&Zone> {
        let named = head.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.eq_ignore_ascii_case("TZID").then(|| value.trim_matches('"'))
        });
        self.0.get(named?)
    }
}

impl Zone {
    fn add(&mut self, draft: Draft) {
        match draft.finish() {
            Some(observance) if self.observances.len() < MAX_OBSERVANCES => {
                self.observances.push(observance);
            }
            _ => self.unclear = true,
        }
    }

    /// The offset in force at a local time.
    pub(super) fn offset(&self, local: DateTime) -> Option<Offset> {
        if self.unclear {
            return None;
        }
        let begun = self.observances.iter().filter_map(|o| Some((o.begun(local)?, o.offset)));
        begun.max_by_key(|(begun, _)| *begun).map(|(_, offset)| offset)
    }
}

impl Observance {
    /// When it last began, at a local time.
    fn begun(&self, local: DateTime) -> Option<DateTime> {
        let Some(yearly) = self.yearly else {
            return (self.start <= local).then_some(self.start);
        };
        let latest = yearly.until.map_or(local.year(), |until| until.min(local.year()));
        [latest, latest.checked_sub(1)?]
            .into_iter()
            .filter_map(|year| Some(yearly.day(year)?.to_datetime(self.start.time())))
            .find(|begun| *begun <= local && *begun >= self.start)
    }
}

impl Yearly {
    fn day(self, year: i16) -> Option<Date> {
        let month = Date::new(year, self.month, 1).ok()?;
        month.nth_weekday_of_month(self.nth, self.weekday).ok()
    }

    /// Reads `FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU`.
    fn read(rule: &str) -> Option<Self> {
        let (mut month, mut day, mut until) = (None, None, None);
        for part in rule.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            match name.to_ascii_uppercase().as_str() {
                "FREQ" if value.eq_ignore_ascii_case("YEARLY") => {}
                "BYMONTH" => month = value.parse().ok(),
                "BYDAY" => day = Some(weekday(value)?),
                "UNTIL" => until = Some(value.get(..4)?.parse().ok()?),
                "INTERVAL" if value == "1" => {}
                "WKST" => {}
                _ => return None,
            }
        }
        let (nth, weekday) = day?;
        Some(Self { month: month?, nth, weekday, until })
    }
}

/// `-1SU`, `2MO`.
fn weekday(text: &str) -> Option<(i8, Weekday)> {
    let at = text.len().checked_sub(2)?;
    let (nth, name) = (text.get(..at)?, text.get(at..)?);
    let weekday = match name.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    let nth = nth.parse::<i8>().ok().filter(|nth| (1..=5).contains(&nth.abs()))?;
    Some((nth, weekday))
}

/// An observance while its lines are read.
#[derive(Default)]
struct Draft {
    start: Option<DateTime>,
    offset: Option<Offset>,
    /// None where a rule is not understood.
    rule: Option<Option<Yearly>>,
    /// Single days on which it begins are not read.
    days: bool,
}

impl Draft {
    fn property(&mut self, name: &str, value: &str) {
        match name {
            "DTSTART" => self.start = Start::read(value).map(|start| start.local),
            "TZOFFSETTO" => self.offset = offset(value),
            "RRULE" => self.rule = Some(Yearly::read(value)),
            "RDATE" => self.days = true,
            _ => {}
        }
    }

    fn finish(self) -> Option<Observance> {
        let yearly = match self.rule {
            Some(rule) => Some(rule?),
            None => None,
        };
        let complete = !self.days;
        complete.then_some(Observance { start: self.start?, yearly, offset: self.offset? })
    }
}

/// `+0100`.
fn offset(text: &str) -> Option<Offset> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i32>().ok();
    Offset::from_seconds(sign * (part(1, 3)? * 3600 + part(3, 5)? * 60)).ok()
}
