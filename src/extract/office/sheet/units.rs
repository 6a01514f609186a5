//! What a number is a number of, as its format says: percent, a currency, another unit.
//!
//! Called by: `sheet`, `odf`. Talks to: `cells` for the digits.
//! Invariants: never fails; a format that is not understood leaves the number plain. Digits are
//! not grouped and not rounded to what the format shows, beyond two places for percent and
//! currency, so that a number reads the same wherever it stands.

use super::cells::number;

/// Decimal places that are kept where a format shows fewer.
const PLACES: usize = 2;
/// Most digits of a number that is filled up with zeros.
const MAX_PADDED: usize = 20;

/// What stands around a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::extract::office) struct Unit {
    before: String,
    after: String,
    percent: bool,
    /// Decimal places of an amount; none where all digits count.
    places: Option<usize>,
    /// Least number of digits, for numbers that are names: `00042`.
    padded: usize,
}

impl Unit {
    /// The unit in a number format of a workbook, of which the first section counts.
    pub(super) fn of_format(code: &str) -> Self {
        Parts::read(code).map(Parts::unit).unwrap_or_default()
    }

    /// A share of one, shown in percent.
    pub(in crate::extract::office) fn percent(places: usize) -> Self {
        Self { percent: true, places: Some(places.max(PLACES)), ..Self::default() }
    }

    /// An amount of money, written as in `shown`, else with the code of its currency.
    pub(in crate::extract::office) fn currency(shown: &str, code: Option<&str>) -> Self {
        let shown = shown.trim();
        let mut unit = Self { places: Some(PLACES), ..Self::default() };
        match shown.chars().find(|c| is_currency(*c)) {
            Some(symbol) if shown.trim_start_matches('-').starts_with(symbol) => {
                unit.before = symbol.to_string();
            }
            Some(symbol) => unit.after = format!(" {symbol}"),
            None => unit.after = code.map(|code| format!(" {code}")).unwrap_or_default(),
        }
        unit
    }

    /// `value` with its unit.
    pub(in crate::extract::office) fn shown(&self, value: f64) -> String {
        let value = if self.percent { value * 100.0 } else { value };
        let value = match self.places {
            Some(places) if value.abs() < 1e15 => {
                format!("{value:.places$}").parse().unwrap_or(value)
            }
            _ => value,
        };
        let (sign, value) = if value < 0.0 { ("-", -value) } else { ("", value.abs()) };
        let mut digits = number(value);
        if self.padded > digits.len() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            digits = format!("{}{digits}", "0".repeat(self.padded - digits.len()));
        }
        let percent = if self.percent { "%" } else { "" };
        format!("{sign}{}{digits}{percent}{}", self.before, self.after)
    }
}

/// The first section of a number format, taken apart.
#[derive(Default)]
struct Parts {
    before: String,
    after: String,
    /// Zeros in front of the decimal point, and places behind it.
    zeros: usize,
    places: usize,
    percent: bool,
    /// A digit was seen; a point was.
    digits: bool,
    point: bool,
    /// There are optional digits or separators of groups.
    optional: bool,
    /// Digits show thousands or millions.
    scaled: bool,
    /// Text between the digits, fractions, powers: no unit but a form of its own.
    special: bool,
}

impl Parts {
    /// None where the format shows no digits.
    fn read(code: &str) -> Option<Self> {
        let mut parts = Self::default();
        let mut rest = code.chars();
        let mut commas = 0;
        while let Some(c) = rest.next() {
            if commas > 0 && !matches!(c, '0' | '#' | '?' | ',') {
                parts.scaled = true;
                commas = 0;
            }
            match c {
                ';' => break,
                '"' => {
                    let text: String = rest.by_ref().take_while(|c| *c != '"').collect();
                    parts.text(&text);
                }
                '\\' => parts.text(&rest.next().map(String::from).unwrap_or_default()),
                // Room as wide as a character, or filled with it.
                '_' | '*' => {
                    rest.next();
                }
                '[' => {
                    let inside: String = rest.by_ref().take_while(|c| *c != ']').collect();
                    if let Some(currency) = inside.strip_prefix('$') {
                        parts.text(currency.split('-').next().unwrap_or_default());
                    }
                }
                'G' if rest.as_str().starts_with("eneral") => {
                    rest = rest.as_str()["eneral".len()..].chars();
                    (parts.digits, parts.optional) = (true, true);
                }
                '0' | '#' | '?' => {
                    parts.digit(c);
                    commas = 0;
                }
                ',' if parts.digits => (parts.optional, commas) = (true, commas + 1),
                '.' => parts.point = true,
                '%' => parts.percent = true,
                'E' | 'e' | '/' | '@' if parts.digits => parts.special = true,
                other => parts.text(other.encode_utf8(&mut [0; 4])),
            }
        }
        parts.scaled |= commas > 0;
        parts.digits.then_some(parts)
    }

    fn digit(&mut self, c: char) {
        // Text behind digits that is followed by more of them stands between them.
        self.special |= self.digits && !self.after.trim().is_empty();
        self.after.clear();
        self.digits = true;
        if self.point {
            self.places += 1;
        } else {
            self.zeros += usize::from(c == '0');
            self.optional |= c != '0';
        }
    }

    fn text(&mut self, text: &str) {
        if self.digits { self.after.push_str(text) } else { self.before.push_str(text) }
    }

    fn unit(self) -> Unit {
        if self.special {
            return Unit::default();
        }
        let is_money = self.before.chars().chain(self.after.chars()).any(is_currency)
            || [&self.before, &self.after].iter().any(|text| is_currency_code(text.trim()));
        let places = (self.percent || is_money).then(|| self.places.max(PLACES));
        let padded = if self.optional || self.point { 0 } else { self.zeros.min(MAX_PADDED) };
        let named = |text: &str| is_unit(text) && (!self.scaled || text.chars().any(is_currency));
        let before = if named(&self.before) { self.before.trim_start() } else { "" };
        let after = if named(&self.after) { self.after.trim_end() } else { "" };
        Unit {
            before: before.to_owned(),
            after: after.to_owned(),
            percent: self.percent,
            places,
            padded,
        }
    }
}

fn is_currency(c: char) -> bool {
    matches!(c, '$' | '¢' | '£' | '¤' | '¥' | '฿' | '₠'..='\u{20cf}' | '﷼')
}

fn is_currency_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Text that says what is counted; brackets and dashes only decorate.
fn is_unit(text: &str) -> bool {
    text.len() <= 40
        && text.chars().any(|c| c.is_alphabetic() || is_currency(c) || matches!(c, '°' | '%' | '‰'))
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn numbers_are_shown_with_what_they_count() {
        for (code, value, shown) in [
            ("0.0%", 0.253, "25.3%"),
            ("0%", 1.0 / 3.0, "33.33%"),
            ("#,##0.00 \"€\"", 1_234_567.5, "1234567.5 €"),
            ("_-* #,##0.00 [$€-407]_-;-* #,##0.00 [$€-407]_-", 12.0, "12 €"),
            ("_($* #,##0.00_);_($* (#,##0.00)", -5.129, "-$5.13"),
            ("[$USD] #,##0", 3.0, "USD 3"),
            ("[$-409]#,##0.0", 3.14159, "3.14159"),
            ("0.0 \"kg\"", 12.5, "12.5 kg"),
            ("General", 0.1 + 0.2, "0.3"),
            ("General \"pcs\"", 7.0, "7 pcs"),
            ("00000", 1067.0, "01067"),
            ("#,##0", 1067.0, "1067"),
            ("#,##0,,\" M\"", 1_200_000.0, "1200000"),
            ("(000) 000-0000", 5_551_234_567.0, "5551234567"),
            ("0.00E+00", 1500.0, "1500"),
            ("# ?/?", 0.5, "0.5"),
            ("[Red]0;(0)", -4.0, "-4"),
            (";;;", 4.0, "4"),
            ("", 4.0, "4"),
        ] {
            assert_eq!(Unit::of_format(code).shown(value), shown, "{code}");
        }
    }

    #[test]
    fn an_amount_keeps_the_sign_it_was_written_with() {
        for (shown, code, expected) in [
            ("1.234,50 €", Some("EUR"), "1234.5 €"),
            ("-$1,234.50", Some("USD"), "$1234.5"),
            ("1 234,50", Some("CHF"), "1234.5 CHF"),
            ("1 234,50", None, "1234.5"),
        ] {
            assert_eq!(Unit::currency(shown, code).shown(1234.5), expected);
        }
        assert_eq!(Unit::percent(1).shown(0.31), "31%");
    }
}
