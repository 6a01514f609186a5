//! How a message of a chat begins: `[31.12.23, 18:00:01] ` or `12/31/23, 6:00 PM - `.
//!
//! Called by: `chat_text`, and `chat_text::copied` for date and time. Talks to: `jiff`.
//! Invariants: linear in the length of the line; what is not clearly such a beginning is none.

use jiff::civil::{Date, DateTime};

/// Date and time as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The three numbers of the date, in the order they stand.
    date: [i16; 3],
    year_first: bool,
    hour: i8,
    minute: i8,
    second: i8,
}

/// Which number of a date is the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    DayMonth,
    MonthDay,
}

impl Order {
    /// Decides for a whole file: a number over 12 is a day; where there is none, the order in
    /// which less goes back in time; else what goes with the clock.
    pub(super) fn of(stamps: impl Iterator<Item = Stamp>) -> Self {
        let (mut first_over, mut second_over) = (false, false);
        let mut before: Option<[i32; 2]> = None;
        let mut back = [0_u64; 2];
        for stamp in stamps.filter(|stamp| !stamp.year_first) {
            let [a, b, year] = stamp.date.map(i32::from);
            first_over |= a > 12;
            second_over |= b > 12;
            let year = if year < 100 { year + 2000 } else { year };
            let now = [(year * 16 + b) * 32 + a, (year * 16 + a) * 32 + b];
            if let Some(before) = before {
                back[0] += u64::from(now[0] < before[0]);
                back[1] += u64::from(now[1] < before[1]);
            }
            before = Some(now);
        }
        match (first_over, second_over) {
            (true, _) => Self::DayMonth,
            (false, true) => Self::MonthDay,
            _ if back[1] < back[0] => Self::MonthDay,
            _ => Self::DayMonth,
        }
    }
}

impl Stamp {
    /// Not both orders need to be possible, but one must be.
    pub(super) fn new(date: [i16; 3], clock: &Clock) -> Option<Self> {
        let stamp = Self {
            date,
            year_first: date[0] > 31,
            hour: clock.hour,
            minute: clock.minute,
            second: clock.second.unwrap_or(0),
        };
        let possible = [Order::DayMonth, Order::MonthDay].iter().any(|o| stamp.civil(*o).is_some());
        possible.then_some(stamp)
    }

    pub(super) fn is_year_first(&self) -> bool {
        self.year_first
    }

    pub(super) fn civil(&self, order: Order) -> Option<DateTime> {
        let [a, b, c] = self.date;
        let (year, month, day) = match order {
            _ if self.year_first => (a, b, c),
            Order::DayMonth => (c, b, a),
            Order::MonthDay => (c, a, b),
        };
        let year = if year < 100 { year + 2000 } else { year };
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        Some(date.at(self.hour, self.minute, self.second, 0))
    }
}

/// The stamp at the start of a line, and what follows it.
pub(super) fn split(line: &str) -> Option<(Stamp, &str)> {
    if let Some(inner) = line.strip_prefix('[') {
        let (stamp, rest) = inner.split_once(']').filter(|(stamp, _)| stamp.len() <= 40)?;
        let (stamp, left) = read(stamp)?;
        return left.trim().is_empty().then(|| (stamp, rest.trim_start()));
    }
    if !line.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (stamp, rest) = read(line)?;
    let rest = rest.trim_start().strip_prefix("- ").or_else(|| rest.trim().strip_prefix('-'))?;
    Some((stamp, rest))
}

/// Date, comma and time; the comma tells a chat from the lines of a log.
fn read(text: &str) -> Option<(Stamp, &str)> {
    let (date, text) = date(text)?;
    let text = text.trim_start_matches('.').trim_start().strip_prefix(',')?.trim_start();
    let (clock, text) = clock(text)?;
    Some((Stamp::new(date, &clock)?, text))
}

/// Three numbers between the same separators.
pub(super) fn date(text: &str) -> Option<([i16; 3], &str)> {
    let (a, text) = number(text)?;
    let separator = text.chars().next().filter(|c| matches!(c, '.' | '/' | '-'))?;
    let (b, text) = number(text[1..].trim_start())?;
    let (c, text) = number(text.strip_prefix(separator)?.trim_start())?;
    Some(([a, b, c], text))
}

/// A time of day.
pub(super) struct Clock {
    pub(super) hour: i8,
    minute: i8,
    pub(super) second: Option<i8>,
    /// Written with the half of the day.
    pub(super) halved: bool,
}

pub(super) fn clock(text: &str) -> Option<(Clock, &str)> {
    let (hour, text) = number(text)?;
    let separator = text.chars().next().filter(|c| matches!(c, ':' | '.'))?;
    let (minute, mut text) = number(&text[1..])?;
    let mut second = None;
    if let Some(after) = text.strip_prefix(separator)
        && let Some((value, after)) = number(after)
    {
        (second, text) = (Some(value), after);
    }
    let (half, text) = half_of_day(text);
    let halved = half.is_some();
    let hour = match half {
        Some(_) if hour > 12 => return None,
        Some(Half::Morning) => hour % 12,
        Some(Half::Afternoon) => hour % 12 + 12,
        None => hour,
    };
    if hour > 23 || minute > 59 || second.is_some_and(|second| second > 60) {
        return None;
    }
    let second = second.and_then(|second| i8::try_from(second.min(59)).ok());
    let clock = Clock {
        hour: i8::try_from(hour).ok()?,
        minute: i8::try_from(minute).ok()?,
        second,
        halved,
    };
    Some((clock, text))
}

enum Half {
    Morning,
    Afternoon,
}

/// `PM`, `p.m.`, `p. m.` and the like.
fn half_of_day(text: &str) -> (Option<Half>, &str) {
    let start = text.trim_start();
    let half = match start.bytes().next().map(|byte| byte.to_ascii_lowercase()) {
        Some(b'a') => Half::Morning,
        Some(b'p') => Half::Afternoon,
        _ => return (None, text),
    };
    let rest = start[1..].trim_start_matches('.').trim_start();
    match rest.strip_prefix(['m', 'M']) {
        Some(rest) if !rest.starts_with(char::is_alphanumeric) => {
            (Some(half), rest.trim_start_matches('.'))
        }
        _ => (None, text),
    }
}

/// A number of at most four digits.
pub(super) fn number(text: &str) -> Option<(i16, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let value = text.get(..digits).filter(|_| (1..=4).contains(&digits))?.parse().ok()?;
    Some((value, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, order: Order) -> Option<(String, &str)> {
        let (stamp, rest) = split(line)?;
        Some((stamp.civil(order)?.to_string(), rest))
    }

    #[test]
    fn beginnings_of_many_places_are_read() {
        use Order::{DayMonth, MonthDay};
        for (line, order, at) in [
            ("[31.12.23, 18:00:01] Ann: hi", DayMonth, "2023-12-31T18:00:01"),
            ("12/31/23, 6:00 PM - Ann: hi", MonthDay, "2023-12-31T18:00:00"),
            ("31/12/2023, 12:05 a. m. - Ann: hi", DayMonth, "2023-12-31T00:05:00"),
            ("31/12/2023, 12:05 pm - Ann: hi", DayMonth, "2023-12-31T12:05:00"),
            ("2023/12/31, 18:00 - Ann: hi", DayMonth, "2023-12-31T18:00:00"),
            ("[2023-12-31, 18:00:00] Ann: hi", MonthDay, "2023-12-31T18:00:00"),
            ("31.12.2023, 18.00 - Ann: hi", DayMonth, "2023-12-31T18:00:00"),
        ] {
            assert_eq!(shown(line, order), Some((at.to_owned(), "Ann: hi")), "{line}");
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "2023-12-31 18:00:01,123 - root - INFO - x",
            "[2023-12-31 18:00:01] INFO: x",
            "1.2.3, 4 - x",
            "99/99/23, 18:00 - Ann: hi",
            "31.12.23, 25:00 - Ann: hi",
            "31.12.23, 18:00 Ann",
            "[31.12.23, 18:00:01",
            "",
        ] {
            assert_eq!(split(line).map(|(_, rest)| rest), None, "{line}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_whole_file() {
        let order = |lines: &[&str]| {
            Order::of(lines.iter().filter_map(|line| split(line).map(|(stamp, _)| stamp)))
        };
        assert_eq!(order(&["01/02/23, 1:00 - a: b", "1/13/23, 1:00 - a: b"]), Order::MonthDay);
        assert_eq!(order(&["01/02/23, 1:00 - a: b", "13/1/23, 1:00 - a: b"]), Order::DayMonth);
        // The 1st of February to the 3rd of January would go back in time.
        assert_eq!(
            order(&["1/2/23, 1:00 - a: b", "1/9/23, 1:00 - a: b", "2/3/23, 1:00 - a: b"]),
            Order::MonthDay
        );
    }
}
