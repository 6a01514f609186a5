//! Whether a text writes the day or the month first where both are numbers.
//!
//! Called by: `app::index`. Talks to: nothing; pure.
//! Invariants: only dates that can be read in one way count; a text that writes both ways says
//! nothing, and so does a place or language that is not known to write one way.

use super::Context;
use super::patterns::Scan;
use super::tokens::tokens;

/// True where the dates of `text` that can be read in one way only have the day first, false
/// where they have the month first.
pub fn day_first_in(text: &str) -> Option<bool> {
    let tokens = tokens(text);
    let scan = Scan { tokens: &tokens, context: Context::default() };
    let (mut day_first, mut month_first) = (false, false);
    for at in 0..tokens.len() {
        match scan.order_at(at) {
            Some(true) => day_first = true,
            Some(false) => month_first = true,
            None => {}
        }
    }
    (day_first != month_first).then_some(day_first)
}

/// How people write who use a language of a region (`en-GB`), by its tag.
pub fn day_first_by_tag(tag: &str) -> Option<bool> {
    let tag = tag.trim().replace('_', "-").to_ascii_lowercase();
    let mut parts = tag.split('-');
    let (language, region) = (parts.next()?, parts.find(|part| part.len() == 2));
    match (language, region) {
        ("en", Some("us" | "ph")) => Some(false),
        // Canada writes both.
        ("en", Some("ca") | None) | ("", _) => None,
        _ => Some(true),
    }
}

/// How people write whose mail has an address under a country's domain.
pub fn day_first_by_address(address: &str) -> Option<bool> {
    const DAY_FIRST: &[&str] = &[
        "uk", "ie", "au", "nz", "in", "za", "sg", "de", "at", "ch", "fr", "es", "it", "nl", "be",
        "eu",
    ];
    let domain = address.trim().trim_end_matches('>').rsplit_once('.')?.1.to_ascii_lowercase();
    match domain.as_str() {
        "us" | "gov" | "mil" => Some(false),
        domain => DAY_FIRST.contains(&domain).then_some(true),
    }
}

impl Scan<'_> {
    /// The order of a date in numbers that starts at a token, where it can be one only.
    fn order_at(&self, at: usize) -> Option<bool> {
        let one = self.token(at)?.small(31)?;
        let other = self.unspaced(at + 2)?.small(31)?;
        let year = self.unspaced(at + 4)?;
        let is_date = self.sign(at + 1, '/')
            && self.sign(at + 3, '/')
            && (year.year().is_some() || year.text.len() == 2 && year.number.is_some())
            && !self.is_glued(at)
            && !self.goes_on(at + 5);
        match (one > 12, other > 12) {
            _ if !is_date => None,
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    }
}
