//! When the files in an archive were last changed.
//!
//! Called by: the readers of `extract::archive`. Talks to: `jiff`.
//! Invariants: a time that programs write where they know none (0, 1980-01-01) is none; what is
//! given out passes `ChildHeader::is_plausible_date`.

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

use super::zip::{field, u32_at, u64_at};
use crate::types::ChildHeader;

/// Seconds from 1601, where Windows begins to count, to 1970.
const SINCE_1601: i64 = 11_644_473_600;
/// Extra fields of zip that tell the time better than DOS does.
const EXTENDED: u16 = 0x5455;
const NTFS: u16 = 0x000a;

/// Seconds since 1970.
pub(super) fn of_unix(seconds: i64) -> Option<Timestamp> {
    let at = Timestamp::from_second(seconds).ok()?;
    ChildHeader::is_plausible_date(at).then_some(at)
}

/// Steps of 100 nanoseconds since 1601.
pub(super) fn of_windows(ticks: u64) -> Option<Timestamp> {
    of_unix(i64::try_from(ticks / 10_000_000).ok()?.checked_sub(SINCE_1601)?)
}

/// Date and time as DOS packs them, without a zone, which is taken as UTC.
fn of_dos(day: u16, time: u16) -> Option<Timestamp> {
    let part = |value: u16, from: u16, bits: u16| {
        i8::try_from((value >> from) & ((1 << bits) - 1)).unwrap_or(i8::MAX)
    };
    let year = 1980 + i16::try_from(day >> 9).ok()?;
    let day = jiff::civil::Date::new(year, part(day, 5, 4), part(day, 0, 5)).ok()?;
    // The first day that can be written is what is written where none is known.
    if day == date(1980, 1, 1) {
        return None;
    }
    let seconds = part(time, 0, 5).saturating_mul(2);
    let time = jiff::civil::Time::new(part(time, 11, 5), part(time, 5, 6), seconds, 0).ok()?;
    of_unix(day.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// When a file in a zip archive was changed, by its header: the extra fields tell it with a zone.
pub(super) fn of_zip(day: u16, time: u16, extra: &[u8]) -> Option<Timestamp> {
    let extended = || {
        let field = field(extra, EXTENDED)?;
        let seconds = (field.first()? & 1 != 0).then(|| u32_at(field, 1))??;
        of_unix(i64::from(seconds.cast_signed()))
    };
    let ntfs = || {
        // Reserved bytes, then the first list of times: its number, its length, the change first.
        let field = field(extra, NTFS)?;
        let first = field.get(4..8)? == [1, 0, 24, 0];
        of_windows(first.then(|| u64_at(field, 8))??)
    };
    extended().or_else(ntfs).or_else(|| of_dos(day, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(at: Option<Timestamp>) -> Option<String> {
        at.map(|at| at.to_string())
    }

    #[test]
    fn times_of_zip_are_read_from_the_best_that_is_there() {
        let (day, time) = ((32 << 9) | (5 << 5) | 6, (7 << 11) | (8 << 5) | 2);
        assert_eq!(shown(of_zip(day, time, &[])).as_deref(), Some("2012-05-06T07:08:04Z"));
        let extended = [b"UT\x05\0\x03".as_slice(), &1_336_280_000_u32.to_le_bytes()].concat();
        assert_eq!(shown(of_zip(day, time, &extended)).as_deref(), Some("2012-05-06T04:53:20Z"));
        let ticks = (1_336_280_000 + 11_644_473_600_u64) * 10_000_000;
        let mut ntfs = b"\x0a\0\x20\0\0\0\0\0\x01\0\x18\0".to_vec();
        ntfs.extend(ticks.to_le_bytes());
        ntfs.extend([0; 16]);
        assert_eq!(shown(of_zip(day, time, &ntfs)).as_deref(), Some("2012-05-06T04:53:20Z"));
    }

    #[test]
    fn times_that_say_nothing_are_none() {
        assert_eq!(of_zip(0, 0, &[]), None);
        assert_eq!(of_zip((1 << 5) | 1, 600, &[]), None);
        assert_eq!(of_zip(0xffff, 0xffff, &[]), None);
        assert_eq!(of_unix(0), None);
        assert_eq!(of_unix(i64::MAX), None);
        assert_eq!(of_windows(0), None);
        assert_eq!(of_windows(u64::MAX), None);
    }
}
