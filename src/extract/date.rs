//! Dates as documents write them.
//!
//! Called by: the parsers of `extract`. Talks to: `jiff`.
//! Invariants: a date without a zone is taken as UTC; what is not clearly a date is none.
//!
//! Why the offset is kept beside the moment: a text that says "yesterday" means the day before the
//! one its writer had, which need not be that of UTC.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};

/// A moment as a document writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) at: Timestamp,
    /// How far from UTC the writer's day is, where the date says it.
    pub(super) offset: Option<Offset>,
}

impl Written {
    /// A moment of which no more is known.
    pub(super) fn at(at: Timestamp) -> Self {
        Self { at, offset: None }
    }

    pub(super) fn with(at: Timestamp, offset: Offset) -> Self {
        // What programs write for want of a zone says nothing of a place.
        Self { at, offset: Some(offset).filter(|offset| offset.seconds() != 0) }
    }
}

/// Reads an ISO 8601 date or date and time, an RFC 2822 date, or a PDF date.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    read_date(text).map(|written| written.at)
}

/// The same with the offset it is written in.
pub(super) fn read_date(text: &str) -> Option<Written> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    if let Some(pdf) = text.strip_prefix("D:") {
        return parse_pdf_date(pdf);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        let offset = Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset());
        return Some(offset.map_or(Written::at(at), |offset| Written::with(at, offset)));
    }
    if text.len() >= 10
        && let Ok(date) = text.parse::<DateTime>()
    {
        return in_utc(date).map(Written::at);
    }
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Written::with(zoned.timestamp(), zoned.offset()))
}

/// An offset from UTC as `+11:00`.
pub(super) fn shown_offset(offset: Offset) -> String {
    let sign = if offset.seconds() < 0 { '-' } else { '+' };
    let minutes = offset.seconds().abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Reads a date in English words, as programs write them for people: `March 1, 2024 6:31 AM`,
/// `1 Mar 2024`, `Thursday, March 2, 2023 at 10:11:12 AM UTC`.
pub(super) fn parse_written(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    if text.len() > 80 {
        return None;
    }
    let (mut year, mut month, mut day, mut time) = (None, None, None, None);
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '@' | '(' | ')'));
    for word in words.map(str::to_lowercase).filter(|word| !word.is_empty()) {
        let named = MONTHS.iter().position(|name| {
            *name == word || (word.len() >= 3 && name.starts_with(word.trim_end_matches('.')))
        });
        let number = word.parse::<i16>().ok();
        if let Some(at) = named.filter(|_| month.is_none()) {
            month = i8::try_from(at + 1).ok();
        } else if let Some(number) = number.filter(|n| (1000..=9999).contains(n)) {
            year = year.or(Some(number));
        } else if let Some(number) = number.filter(|n| (1..=31).contains(n)) {
            day = day.or(i8::try_from(number).ok());
        } else if let Some((hour, rest)) = word.split_once(':').filter(|_| time.is_none()) {
            let rest = rest.trim_end_matches(['a', 'p', 'm']);
            let (minute, second) = rest.split_once(':').unwrap_or((rest, "0"));
            time = Some((hour.parse::<i8>().ok()?, minute.parse().ok()?, second.parse().ok()?));
            let afternoon = word.ends_with("pm");
            if afternoon || word.ends_with("am") {
                let half = if afternoon { 12 } else { 0 };
                time = time.map(|(hour, m, s): (i8, i8, i8)| (hour % 12 + half, m, s));
            }
        } else if let (Some((hour, m, s)), "am" | "pm") = (time, word.as_str()) {
            time = Some((hour % 12 + if word == "pm" { 12 } else { 0 }, m, s));
        }
    }
    let (hour, minute, second) = time.unwrap_or_default();
    let date = Date::new(year?, month?, day?).ok()?;
    let time = jiff::civil::Time::new(hour, minute, second, 0).ok()?;
    in_utc(date.to_datetime(time))
}

/// `YYYYMMDDHHmmSSOHH'mm`, where everything after the year may be missing.
fn parse_pdf_date(text: &str) -> Option<Written> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (stamp, zone) = text.split_at(digits.min(14));
    let part = |from: usize, to: usize| stamp.get(from..to).and_then(|s| s.parse::<i8>().ok());
    let year = stamp.get(0..4)?.parse::<i16>().ok()?;
    let date = Date::new(year, part(4, 6).unwrap_or(1), part(6, 8).unwrap_or(1)).ok()?;
    let time = date.at(
        part(8, 10).filter(|h| *h < 24).unwrap_or(0),
        part(10, 12).filter(|m| *m < 60).unwrap_or(0),
        part(12, 14).filter(|s| *s < 60).unwrap_or(0),
        0,
    );
    let offset = zone_seconds(zone).and_then(|seconds| Offset::from_seconds(seconds).ok());
    match offset {
        Some(offset) => offset.to_timestamp(time).ok().map(|at| Written::with(at, offset)),
        None => in_utc(time).map(Written::at),
    }
}

fn zone_seconds(zone: &str) -> Option<i32> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let hours = digits.get(0..2)?.parse::<i32>().ok()?;
    let minutes = digits.get(2..4).and_then(|m| m.parse::<i32>().ok()).unwrap_or(0);
    Some(sign * (hours * 3600 + minutes * 60))
}

fn in_utc(date: DateTime) -> Option<Timestamp> {
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        parse_date(text).map(|date| date.to_string())
    }

    #[test]
    fn common_forms_are_read() {
        for (text, expected) in [
            ("2024-03-01T10:00:00+02:00", "2024-03-01T08:00:00Z"),
            ("2024-03-01T10:00:00", "2024-03-01T10:00:00Z"),
            ("2024-03-01 10:00:00", "2024-03-01T10:00:00Z"),
            ("2024-03-01", "2024-03-01T00:00:00Z"),
            ("Fri, 1 Mar 2024 10:00:00 +0100", "2024-03-01T09:00:00Z"),
            ("D:20230524100131+02'00'", "2023-05-24T08:01:31Z"),
            ("D:20230524100131Z", "2023-05-24T10:01:31Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_offset_of_a_date_is_kept_where_it_says_one() {
        for (text, expected) in [
            ("2024-03-12T08:00:00+11:00", Some("+11:00")),
            ("Tue, 12 Mar 2024 08:00:00 -0330", Some("-03:30")),
            ("D:20240312080000+05'30'", Some("+05:30")),
            ("2024-03-12T08:00:00Z", None),
            ("2024-03-12", None),
            ("Tue, 12 Mar 2024 08:00:00 +0000", None),
        ] {
            let offset = read_date(text).expect("a date").offset.map(shown_offset);
            assert_eq!(offset.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn dates_in_words_are_read() {
        for (text, expected) in [
            ("March 1, 2024", "2024-03-01T00:00:00Z"),
            ("@May 1, 2025 6:31 AM", "2025-05-01T06:31:00Z"),
            ("Jan 04, 2017", "2017-01-04T00:00:00Z"),
            ("1 Sept 2017 12:05pm", "2017-09-01T12:05:00Z"),
            ("Thursday, March 2, 2023 at 10:11:12\u{202f}PM UTC", "2023-03-02T22:11:12Z"),
        ] {
            assert_eq!(parse_written(text).map(|d| d.to_string()).as_deref(), Some(expected));
        }
        for text in ["", "March", "March 40, 2024", "Last Wednesday", "12:30", "May 1, 2025 99:99"]
        {
            assert_eq!(parse_written(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_date_is_none() {
        for text in ["", "soon", "2024", "12:30", "2024-13-40", "D:", "D:99999999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
