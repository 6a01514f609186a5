//! What the cells of a table stand for: numbers, dates, truths or words.
//!
//! Called by: `rows`. Talks to: nothing; pure.
//! Invariants: a cell that may be read in two ways is text, unless the table shows elsewhere how
//! it writes numbers.
//!
//! Why a whole table is looked at: `1,234` is a thousand in one and about one in another, and only
//! its other cells can tell.

use crate::types::{CellKind, bare_figure, dotted_date, figure, iso_date};

/// How a table writes its numbers, as far as was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Numerals {
    comma: Seen,
    point: Seen,
    /// What a point is where nothing else tells: programs put it before a fraction.
    by_program: bool,
}

/// What a sign was seen to do.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    fraction: bool,
    thousands: bool,
    /// Cells in which it may do either.
    unsure: u32,
}

/// What a sign does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Fraction,
    Thousands,
    Unsure,
}

impl Numerals {
    /// For a table that a program wrote.
    pub(super) fn by_program() -> Self {
        Self { by_program: true, ..Self::default() }
    }

    /// Learns from a cell how its table writes numbers.
    pub(super) fn look(&mut self, text: &str) {
        let Some((bare, _)) = numeric(text) else { return };
        for (sign, seen) in [(',', &mut self.comma), ('.', &mut self.point)] {
            match role(bare, sign) {
                Some(Sign::Fraction) => seen.fraction = true,
                Some(Sign::Thousands) => seen.thousands = true,
                Some(Sign::Unsure) => seen.unsure = seen.unsure.saturating_add(1),
                None => {}
            }
        }
    }

    /// What a cell stands for.
    pub(super) fn kind(&self, text: &str) -> CellKind {
        let text = text.trim();
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return CellKind::Boolean;
        }
        if iso_date(text).is_some() {
            return CellKind::Date;
        }
        if dotted_date(text).is_some() {
            return CellKind::DottedDate;
        }
        let Some((bare, _)) = numeric(text) else { return CellKind::Text };
        match (self.settled(bare, ','), self.settled(bare, '.')) {
            (Some(Sign::Unsure), _) | (_, Some(Sign::Unsure)) => CellKind::Text,
            (Some(Sign::Fraction), _) | (None, Some(Sign::Thousands)) => {
                readable(text, ',', CellKind::CommaNumber)
            }
            (None, _) if is_plain(text) => CellKind::Number,
            _ => readable(text, '.', CellKind::PointNumber),
        }
    }

    /// What a sign does in a cell, by the cell itself or else by the others.
    fn settled(&self, bare: &str, sign: char) -> Option<Sign> {
        let role = role(bare, sign)?;
        if role != Sign::Unsure {
            return Some(role);
        }
        let (own, other) =
            if sign == ',' { (self.comma, self.point) } else { (self.point, self.comma) };
        Some(match (own.fraction, own.thousands) {
            (true, true) => Sign::Unsure,
            (true, false) => Sign::Fraction,
            (false, true) => Sign::Thousands,
            (false, false) if other.fraction && !other.thousands => Sign::Thousands,
            (false, false) if other.thousands && !other.fraction => Sign::Fraction,
            (false, false) if sign == '.' && self.by_program => Sign::Fraction,
            // Fractions of three digits throughout are rare.
            (false, false) if sign == ',' && own.unsure > 1 => Sign::Thousands,
            (false, false) => Sign::Unsure,
        })
    }
}

/// The digits and signs of a cell that holds a number and little else.
fn numeric(text: &str) -> Option<(&str, bool)> {
    let found = bare_figure(text)?;
    let signs = [',', '.', '\'', '\u{2019}', ' ', '\u{a0}', '\u{202f}'];
    found.0.chars().all(|c| c.is_ascii_digit() || signs.contains(&c)).then_some(found)
}

/// What a sign does, judged by one cell; `None` where it is not there.
fn role(bare: &str, sign: char) -> Option<Sign> {
    let at = bare.rfind(sign)?;
    let other = if sign == ',' { '.' } else { ',' };
    if let Some(other_at) = bare.rfind(other) {
        // The last one stands before the fraction.
        return Some(if at > other_at { Sign::Fraction } else { Sign::Thousands });
    }
    if bare.matches(sign).count() > 1 {
        let in_threes = bare.split(sign).skip(1).all(|group| group.len() == 3);
        return in_threes.then_some(Sign::Thousands);
    }
    let (whole, fraction) = (&bare[..at], &bare[at + 1..]);
    let may_group = fraction.len() == 3
        && (1..=3).contains(&whole.len())
        && whole.bytes().all(|b| b.is_ascii_digit())
        && !whole.starts_with('0');
    Some(if may_group { Sign::Unsure } else { Sign::Fraction })
}

/// Written as a program would write it again.
fn is_plain(text: &str) -> bool {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.is_some_and(|number| number.to_string() == text) && figure(text, '.').is_some()
}

fn readable(text: &str, decimal: char, kind: CellKind) -> CellKind {
    if figure(text, decimal).is_some() { kind } else { CellKind::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(numerals: Numerals, cells: &[&str]) -> String {
        let mut numerals = numerals;
        cells.iter().for_each(|cell| numerals.look(cell));
        cells.iter().map(|cell| numerals.kind(cell).letter()).collect()
    }

    #[test]
    fn a_table_tells_by_its_other_cells_what_a_sign_means() {
        let cases: [(&[&str], &str); 9] = [
            (&["1,234", "5.50"], "pp"),
            (&["1,234", "5,5"], "cc"),
            (&["1.234", "5,5"], "cc"),
            (&["1.234", "1.234.567"], "cc"),
            (&["1,234", "12,345"], "pp"),
            (&["1,234"], "t"),
            (&["1.234", "2.345"], "tt"),
            (&["1.234,50", "1,234.50", "1,234"], "cpt"),
            (&["0.125", "1.234"], "nn"),
        ];
        for (cells, expected) in cases {
            assert_eq!(kinds(Numerals::default(), cells), expected, "{cells:?}");
        }
        assert_eq!(kinds(Numerals::by_program(), &["1.234", "2.345"]), "nn");
    }

    #[test]
    fn what_only_looks_like_a_number_is_text() {
        let cells =
            ["007", "12", "-3.5", "1.50", "1e5", "2024-03-01", "01.03.2024", "true", "x", ""];
        assert_eq!(kinds(Numerals::default(), &cells), "tnnptdgbtt");
        let cells = ["+49 30 1234", "1.2.3", "3/4", "(1)", "5 kg", "12345678901234567890", "10:30"];
        assert_eq!(kinds(Numerals::default(), &cells), "ttttttt");
    }
}
