//! When the event of a calendar or of an invitation takes place.
//!
//! Called by: `cards`, `mail`. Talks to: `cards` for the lines of a file, `calendar::zone`.
//! Invariants: only the start of an event counts, never that of a time zone or of a reminder; a
//! calendar of several events has no date that is that of all; a local time whose zone is not
//! described in the file is taken as UTC, like every date without a zone.

mod zone;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

use self::zone::Zones;
use super::cards::{split, unfolded};
use super::date::Written;

/// The start of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    local: DateTime,
    /// True where it is said in UTC.
    is_utc: bool,
}

/// When the events of a calendar take place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// The first of them in the order of the file.
    pub(super) first: Option<Written>,
    /// The only one. Changed instances of a series are not counted beside it.
    pub(super) only: Option<Written>,
}

/// Finds the events of a calendar.
pub(super) fn events(text: &str) -> Events {
    let lines = unfolded(text);
    let zones = Zones::of(&lines);
    let mut open: Vec<String> = Vec::new();
    let mut starts: Vec<Written> = Vec::new();
    let mut event: Option<(Option<Written>, bool)> = None;
    for line in &lines {
        let Some((head, value)) = split(line) else { continue };
        let name = head.split(';').next().unwrap_or_default().to_ascii_uppercase();
        match name.as_str() {
            "BEGIN" => {
                open.push(value.trim().to_ascii_uppercase());
                if open.last().is_some_and(|name| name == "VEVENT") {
                    event = Some((None, false));
                }
            }
            "END" => {
                if open.pop().is_some_and(|name| name == "VEVENT")
                    && let Some((Some(start), false)) = event.take()
                {
                    starts.push(start);
                }
            }
            "DTSTART" if open.last().is_some_and(|name| name == "VEVENT") => {
                if let (Some((found, _)), Some(start)) = (&mut event, Start::read(value)) {
                    *found = found.or_else(|| start.written(zones.of_property(head)));
                }
            }
            "RECURRENCE-ID" => {
                if let Some((_, instance)) = &mut event {
                    *instance = true;
                }
            }
            _ => {}
        }
    }
    let only = if let [only] = starts[..] { Some(only) } else { None };
    Events { first: starts.first().copied(), only }
}

impl Start {
    /// Reads `20240312`, `20240312T093000` or `20240312T093000Z`.
    pub(super) fn read(value: &str) -> Option<Self> {
        let value = value.trim();
        let is_utc = value.ends_with(['Z', 'z']);
        let value = value.trim_end_matches(['Z', 'z']);
        let (day, time) = value.split_once(['T', 't']).unwrap_or((value, "000000"));
        let part = |text: &str, from: usize, to: usize| {
            let digits = text.get(from..to)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i16>().ok())?
        };
        let small = |number: Option<i16>| i8::try_from(number?).ok();
        let date = Date::new(part(day, 0, 4)?, small(part(day, 4, 6))?, small(part(day, 6, 8))?);
        let second = small(part(time, 4, 6)).unwrap_or(0).min(59);
        let time = Time::new(small(part(time, 0, 2))?, small(part(time, 2, 4))?, second, 0);
        Some(Self { local: date.ok()?.to_datetime(time.ok()?), is_utc })
    }

    /// The moment, with the hour of its place where `zone` tells it.
    fn written(self, zone: Option<&zone::Zone>) -> Option<Written> {
        let offset = if self.is_utc { None } else { zone.and_then(|zone| zone.offset(self.local)) };
        let at = offset.unwrap_or(Offset::UTC).to_timestamp(self.local).ok()?;
        Some(offset.map_or(Written::at(at), |offset| Written::with(at, offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::events;
    use crate::extract::date::shown_offset;

    const BERLIN: &str = "BEGIN:VTIMEZONE\nTZID:Europe/Berlin\n\
        BEGIN:DAYLIGHT\nDTSTART:19810329T020000\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\n\
        TZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nEND:DAYLIGHT\n\
        BEGIN:STANDARD\nDTSTART:19961027T030000\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\n\
        TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\n";

    fn calendar(events: &str) -> String {
        format!("BEGIN:VCALENDAR\n{BERLIN}{events}END:VCALENDAR\n")
    }

    fn event(start: &str) -> String {
        format!(
            "BEGIN:VEVENT\nUID:1\n{start}\nBEGIN:VALARM\nDTSTART:20010101T000000Z\nEND:VALARM\n\
             END:VEVENT\n"
        )
    }

    #[test]
    fn an_event_takes_place_where_its_zone_is() {
        for (start, at, offset) in [
            ("DTSTART:20240401T080000Z", "2024-04-01T08:00:00Z", None),
            ("DTSTART;TZID=Europe/Berlin:20240312T093000", "2024-03-12T08:30:00Z", Some("+01:00")),
            (
                "DTSTART;TZID=\"Europe/Berlin\":20240712T093000",
                "2024-07-12T07:30:00Z",
                Some("+02:00"),
            ),
            ("DTSTART;TZID=Europe/Berlin:20240331T013000", "2024-03-31T00:30:00Z", Some("+01:00")),
            ("DTSTART;TZID=Europe/Berlin:20240331T033000", "2024-03-31T01:30:00Z", Some("+02:00")),
            ("DTSTART;TZID=Nowhere:20240312T093000", "2024-03-12T09:30:00Z", None),
            ("DTSTART;VALUE=DATE:20240312", "2024-03-12T00:00:00Z", None),
        ] {
            let found = events(&calendar(&event(start))).only.expect("an event");
            assert_eq!(found.at.to_string(), at, "{start}");
            assert_eq!(found.offset.map(shown_offset).as_deref(), offset, "{start}");
        }
    }

    #[test]
    fn what_is_no_event_or_one_of_several_has_no_date_of_its_own() {
        assert_eq!(events(&calendar("")).first, None);
        assert_eq!(events(&calendar(&event("DTSTART:2024"))).first, None);
        assert_eq!(events(&calendar(&event("DTSTART:20241399T990000"))).first, None);
        let two = event("DTSTART:20240401T080000Z") + &event("DTSTART:20250401T080000Z");
        let found = events(&calendar(&two));
        assert_eq!(found.only, None);
        assert_eq!(found.first.expect("the first").at.to_string(), "2024-04-01T08:00:00Z");
        let changed = event("RECURRENCE-ID:20240408T080000Z\nDTSTART:20240409T080000Z");
        let series = event("DTSTART:20240401T080000Z") + &changed;
        assert!(events(&calendar(&series)).only.is_some());
    }
}
