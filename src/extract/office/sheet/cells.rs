//! One cell's value as text: numbers without noise, dates as ISO 8601.
//!
//! Called by: `sheet`, `odf`. Talks to: `calamine`, `units` for what a number counts.
//! Invariants: the same value is written the same way in every format.

use calamine::{Data, DataRef, ExcelDateTime};

use super::units::Unit;
use crate::types::{CellKind, iso_date};

const SECONDS_PER_DAY: f64 = 86_400.0;

/// The same value as the formats give it that are read whole.
pub(super) fn borrowed(value: &Data) -> DataRef<'_> {
    match value {
        Data::Int(value) => DataRef::Int(*value),
        Data::Float(value) => DataRef::Float(*value),
        Data::String(text) => DataRef::SharedString(text),
        Data::Bool(value) => DataRef::Bool(*value),
        Data::DateTime(value) => DataRef::DateTime(*value),
        Data::DateTimeIso(text) => DataRef::DateTimeIso(text.clone()),
        Data::DurationIso(text) => DataRef::DurationIso(text.clone()),
        Data::Error(error) => DataRef::Error(error.clone()),
        Data::Empty => DataRef::Empty,
    }
}

/// A value as text, and what it is; the number format may tell what its number counts.
pub(super) fn typed(value: &DataRef<'_>, unit: Option<&Unit>) -> (String, CellKind) {
    let kind = match value {
        DataRef::Int(_) | DataRef::Float(_) => CellKind::Number,
        DataRef::Bool(_) => CellKind::Boolean,
        DataRef::DateTime(_) | DataRef::DateTimeIso(_) => CellKind::Date,
        _ => CellKind::Text,
    };
    let text = shown(value, unit);
    // With its unit it is no longer written as programs write numbers.
    let bare = kind != CellKind::Number || text.parse::<f64>().is_ok();
    with_kind(text, if bare { kind } else { CellKind::PointNumber })
}

/// Times and durations are no dates.
fn with_kind(text: String, kind: CellKind) -> (String, CellKind) {
    let is_date = kind != CellKind::Date || iso_date(&text).is_some();
    (text, if is_date { kind } else { CellKind::Text })
}

/// `value` as its number format has it, where it has one that tells more than digits.
fn shown(value: &DataRef<'_>, unit: Option<&Unit>) -> String {
    match value {
        // Whole numbers in workbooks have 30 bits.
        DataRef::Int(value) => {
            unit.map_or_else(|| value.to_string(), |unit| unit.shown(*value as f64))
        }
        DataRef::Float(value) => unit.map_or_else(|| number(*value), |unit| unit.shown(*value)),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::Bool(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        DataRef::DateTime(value) => date(value),
        DataRef::Error(error) => error.to_string(),
        DataRef::Empty => String::new(),
    }
}

/// At most the 15 digits that spreadsheets keep: `0.1 + 0.2` reads `0.3`.
pub(in crate::extract::office) fn number(value: f64) -> String {
    let rounded = format!("{value:.14e}").parse::<f64>().unwrap_or(value);
    if rounded != 0.0 && (rounded.abs() >= 1e21 || rounded.abs() < 1e-9) {
        return format!("{rounded:e}");
    }
    rounded.to_string()
}

fn date(value: &ExcelDateTime) -> String {
    if value.is_duration() {
        let seconds = (value.as_f64() * SECONDS_PER_DAY).round();
        let sign = if seconds < 0.0 { "-" } else { "" };
        let seconds = seconds.abs().min(1e15);
        let (hours, rest) = ((seconds / 3600.0).floor(), seconds % 3600.0);
        return format!("{sign}{hours}:{:02}:{:02}", (rest / 60.0).floor(), rest % 60.0);
    }
    let (year, month, day, hour, minute, second, _) = value.to_ymd_hms_milli();
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    if (0.0..1.0).contains(&value.as_f64()) {
        return time;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if time == "00:00:00" { date } else { format!("{date} {time}") }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;

    #[test]
    fn numbers_are_written_without_noise() {
        for (value, text) in
            [(5000.0, "5000"), (0.1 + 0.2, "0.3"), (-2.5, "-2.5"), (1e300, "1e300"), (0.0, "0")]
        {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn dates_times_and_durations_are_told_apart() {
        let date = |value, kind| DataRef::DateTime(ExcelDateTime::new(value, kind, false));
        let of = |value, kind| shown(&date(value, kind), None);
        assert_eq!(of(45_292.0, ExcelDateTimeType::DateTime), "2024-01-01");
        assert_eq!(of(45_292.5, ExcelDateTimeType::DateTime), "2024-01-01 12:00:00");
        assert_eq!(of(0.25, ExcelDateTimeType::DateTime), "06:00:00");
        assert_eq!(of(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
        let kind = |value, kind| typed(&date(value, kind), None).1;
        assert_eq!(kind(45_292.5, ExcelDateTimeType::DateTime), CellKind::Date);
        assert_eq!(kind(0.25, ExcelDateTimeType::DateTime), CellKind::Text);
    }
}
