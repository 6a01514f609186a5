//! Tables as data: what a cell holds, and what its text stands for on the way there.
//!
//! Called by: `extract` (which says what kind a cell is), `app::index` (which reads its value),
//! `app::tables`, `http`. Talks to: nothing.
//! Invariants: a value never says more than its text: what is not surely a number or a date stays
//! text, and a number that is written in any way but the plainest keeps its text.

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize, Serializer};

/// Digits beyond which a number is rather the number of something.
const MAX_DIGITS: usize = 15;

/// Which table of a document some of its rows belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePart {
    /// Counted from 1 in the order of the text; rows of one table follow each other.
    pub number: u32,
    /// What the document calls it: the name of a sheet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// For each row a letter per cell, see [`CellKind`]; where there is none, the cell is text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
}

/// What the text of a cell stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CellKind {
    #[default]
    Text,
    /// As programs write numbers.
    Number,
    /// `1,234.50`, `$5`, `12 %`.
    PointNumber,
    /// `1.234,50`.
    CommaNumber,
    Boolean,
    /// `2024-03-01`, with or without a time.
    Date,
    /// `1.3.2024`.
    DottedDate,
}

impl CellKind {
    const ALL: [(Self, char); 7] = [
        (Self::Text, 't'),
        (Self::Number, 'n'),
        (Self::PointNumber, 'p'),
        (Self::CommaNumber, 'c'),
        (Self::Boolean, 'b'),
        (Self::Date, 'd'),
        (Self::DottedDate, 'g'),
    ];

    /// Its letter on the wire.
    pub fn letter(self) -> char {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).map_or('t', |(_, letter)| letter)
    }

    /// The kind of a letter; one that is not known says nothing.
    pub fn of(letter: char) -> Self {
        let known = Self::ALL.into_iter().find(|(_, known)| *known == letter);
        known.map_or(Self::Text, |(kind, _)| kind)
    }
}

/// The value of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// `null`.
    Empty,
    Boolean(bool),
    Number(#[serde(serialize_with = "plain")] f64),
    Text(String),
    /// A number with the text that writes it in another way.
    Figure {
        #[serde(serialize_with = "plain")]
        number: f64,
        text: String,
    },
    /// `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SS`, with the text where that is written in another way.
    Date {
        date: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
}

impl Cell {
    /// Reads a cell whose text is of `kind`; what cannot be read as that is text.
    pub fn read(text: &str, kind: CellKind) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Empty;
        }
        let value = match kind {
            CellKind::Text => None,
            CellKind::Number => text.parse().ok().filter(|n: &f64| n.is_finite()).map(Self::Number),
            CellKind::PointNumber | CellKind::CommaNumber => {
                let decimal = if kind == CellKind::PointNumber { '.' } else { ',' };
                figure(text, decimal).map(|number| Self::Figure { number, text: text.to_owned() })
            }
            CellKind::Boolean if text.eq_ignore_ascii_case("true") => Some(Self::Boolean(true)),
            CellKind::Boolean if text.eq_ignore_ascii_case("false") => Some(Self::Boolean(false)),
            CellKind::Boolean => None,
            CellKind::Date => iso_date(text).map(|date| Self::Date { date, text: None }),
            CellKind::DottedDate => {
                dotted_date(text).map(|date| Self::Date { date, text: Some(text.to_owned()) })
            }
        };
        value.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// The cell as the document writes it, as far as that is known.
    pub fn shown(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Boolean(value) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) | Self::Figure { text, .. } => text.clone(),
            Self::Date { date, text } => text.clone().unwrap_or_else(|| date.clone()),
        }
    }

    /// True where no program can take the cell for anything but a value.
    pub fn is_value(&self) -> bool {
        matches!(self, Self::Empty | Self::Boolean(_) | Self::Number(_))
    }
}

/// Whole numbers without a fraction that says nothing.
fn plain<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return serializer.serialize_i64(*number as i64);
    }
    serializer.serialize_f64(*number)
}

/// The digits of a figure with the signs between them, and whether it is negative: without the
/// currency, the per cent sign and the sign of the number.
pub fn bare_figure(text: &str) -> Option<(&str, bool)> {
    const UNITS: [&str; 9] = ["€", "$", "£", "¥", "EUR", "USD", "GBP", "CHF", "%"];
    let mut rest = text.trim();
    let mut negative = false;
    if let Some(inner) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        // As accounts write it; `(1)` alone is the number of a note.
        if !inner.contains([',', '.']) {
            return None;
        }
        (rest, negative) = (inner.trim(), true);
    }
    // A sign may stand on either side of a currency.
    for _ in 0..3 {
        if let Some(after) = rest.strip_prefix(['-', '\u{2212}']).filter(|_| !negative) {
            (rest, negative) = (after.trim_start(), true);
        }
        if let Some(after) = UNITS.iter().find_map(|unit| rest.strip_prefix(*unit)) {
            rest = after.trim_start();
        }
        if let Some(before) = UNITS.iter().find_map(|unit| rest.strip_suffix(*unit)) {
            rest = before.trim_end();
        }
    }
    let rest = rest.strip_prefix('+').unwrap_or(rest);
    let digits = rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.ends_with(|c: char| c.is_ascii_digit());
    digits.then_some((rest, negative))
}

/// The number that a text writes with this sign before its fraction.
pub fn figure(text: &str, decimal: char) -> Option<f64> {
    let (bare, negative) = bare_figure(text)?;
    let (whole, fraction) = match bare.split_once(decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (bare, None),
    };
    if fraction.is_some_and(|f| f.is_empty() || !f.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let mut digits = ungrouped(whole, decimal, fraction.is_some())?;
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if leading_zero || digits.len() + fraction.map_or(0, str::len) > MAX_DIGITS {
        return None;
    }
    if let Some(fraction) = fraction {
        digits.push('.');
        digits.push_str(fraction);
    }
    let number: f64 = digits.parse().ok()?;
    Some(if negative { -number } else { number })
}

/// The digits of a whole number whose thousands may be set apart.
fn ungrouped(whole: &str, decimal: char, has_fraction: bool) -> Option<String> {
    let mut signs = whole.chars().filter(|c| !c.is_ascii_digit());
    let Some(sign) = signs.next() else { return Some(whole.to_owned()) };
    let may_group = match sign {
        ',' | '.' => sign != decimal,
        '\'' | '\u{2019}' | '\u{a0}' | '\u{202f}' => true,
        // Numbers of things are written in groups, too.
        ' ' => has_fraction,
        _ => false,
    };
    if !may_group || signs.any(|other| other != sign) {
        return None;
    }
    let mut groups = whole.split(sign);
    let first = groups.next()?;
    let grouped = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    grouped.then(|| whole.replace(sign, ""))
}

/// `2024-03-01`, `2024-03-01 12:00:00`.
pub fn iso_date(text: &str) -> Option<String> {
    let shape = text.len() >= 10 && text.as_bytes().get(4) == Some(&b'-');
    if !shape || text.len() > 35 {
        return None;
    }
    if text.len() == 10 {
        return text.parse::<Date>().ok().map(|date| date.to_string());
    }
    let time = text.as_bytes().get(10).is_some_and(|sign| matches!(sign, b' ' | b'T'));
    text.parse::<DateTime>().ok().filter(|_| time).map(|time| time.to_string())
}

/// `1.3.2024`.
pub fn dotted_date(text: &str) -> Option<String> {
    let mut parts = text.split('.');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit())
    };
    if parts.next().is_some() || !digits(day, 2) || !digits(month, 2) || year.len() != 4 {
        return None;
    }
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    date.ok().map(|date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_they_are_written() {
        for (text, decimal, number) in [
            ("1,234.50", '.', 1234.5),
            ("1.234,50", ',', 1234.5),
            ("1,234,567", '.', 1_234_567.0),
            ("-$5.00", '.', -5.0),
            ("$-5.00", '.', -5.0),
            ("12 %", '.', 12.0),
            ("1.234 EUR", ',', 1234.0),
            ("(1,234)", '.', -1234.0),
            ("1\u{a0}234,5", ',', 1234.5),
            ("1 234,5", ',', 1234.5),
            ("\u{2212}3,5", ',', -3.5),
        ] {
            assert_eq!(figure(text, decimal), Some(number), "{text}");
        }
        for (text, decimal) in [
            ("007", '.'),
            ("1,23,4", '.'),
            ("12 345", '.'),
            ("(1)", '.'),
            ("1.2.3", '.'),
            ("1234567890123456", '.'),
            ("0049 30", '.'),
            ("5 kg", '.'),
            ("-", '.'),
            ("", '.'),
            ("€", '.'),
        ] {
            assert_eq!(figure(text, decimal), None, "{text}");
        }
    }

    #[test]
    fn cells_survive_json_and_say_what_they_are() {
        let cells = [
            (Cell::read(" ", CellKind::Number), "null"),
            (Cell::read("TRUE", CellKind::Boolean), "true"),
            (Cell::read("12", CellKind::Number), "12"),
            (Cell::read("-0.5", CellKind::Number), "-0.5"),
            (Cell::read("007", CellKind::Text), "\"007\""),
            (Cell::read("NaN", CellKind::Number), "\"NaN\""),
            (Cell::read("1,5", CellKind::CommaNumber), r#"{"number":1.5,"text":"1,5"}"#),
            (Cell::read("2024-03-01", CellKind::Date), r#"{"date":"2024-03-01"}"#),
            (
                Cell::read("2024-03-01 12:00:00", CellKind::Date),
                r#"{"date":"2024-03-01T12:00:00"}"#,
            ),
            (
                Cell::read("1.3.2024", CellKind::DottedDate),
                r#"{"date":"2024-03-01","text":"1.3.2024"}"#,
            ),
            (Cell::read("31.2.2024", CellKind::DottedDate), "\"31.2.2024\""),
        ];
        for (cell, json) in cells {
            assert_eq!(serde_json::to_string(&cell).expect("JSON"), json);
            assert_eq!(serde_json::from_str::<Cell>(json).expect("a cell"), cell, "{json}");
        }
    }

    #[test]
    fn kinds_survive_the_wire() {
        for (kind, letter) in CellKind::ALL {
            assert_eq!((CellKind::of(letter), kind.letter()), (kind, letter));
        }
        assert_eq!(CellKind::of('?'), CellKind::Text);
    }
}
