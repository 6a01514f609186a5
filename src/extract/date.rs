//! Dates as documents write them.
//!
//! Called by: the parsers of `extract`. Talks to: `jiff`.
//! Invariants: a date without a zone is taken as UTC; what is not clearly a date is none.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

/// Reads an ISO 8601 date or date and time, an RFC 2822 date, or a PDF date.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    if let Some(pdf) = text.strip_prefix("D:") {
        return parse_pdf_date(pdf);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    if text.len() >= 10
        && let Ok(date) = text.parse::<DateTime>()
    {
        return in_utc(date);
    }
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// `YYYYMMDDHHmmSSOHH'mm`, where everything after the year may be missing.
fn parse_pdf_date(text: &str) -> Option<Timestamp> {
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
        Some(offset) => offset.to_timestamp(time).ok(),
        None => in_utc(time),
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
    fn what_is_not_a_date_is_none() {
        for text in ["", "soon", "2024", "12:30", "2024-13-40", "D:", "D:99999999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
