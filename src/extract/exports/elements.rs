//! The elements of a long JSON list, one at a time.
//!
//! Called by: the readers of `extract::exports`. Talks to: `json::scan`, `serde_json`.
//! Invariants: one element is held at a time, and none that is longer than its caller says;
//! nesting is bounded by `serde_json`; a list that is damaged gives what stands before the damage,
//! and the damage is told.

use std::io::Read;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Outlet;
use crate::extract::charset::Utf8Reader;
use crate::extract::clean::size;
use crate::extract::emit::Stop;
use crate::extract::json::scan::{Broken, Scanner, each_element};
use crate::extract::source::RandomAccess;

type Take<'t, T> = dyn FnMut(T) -> Result<(), Stop> + 't;

/// Calls `take` with the elements of the outermost list, or of the list under `key` of the
/// outermost object. The answer says where the JSON is damaged, if it is.
pub(super) fn each(
    json: &[u8],
    key: Option<&str>,
    take: &mut Take<'_, Value>,
) -> Result<Option<String>, Stop> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    walk(&mut Scanner::new(json, usize::MAX), key, take).map(|walked| walked.damage)
}

/// An export in one JSON file, which may be read several times.
pub(super) struct Lists {
    pub(super) file: RandomAccess,
    /// Longest element that is read.
    pub(super) most: u64,
}

/// What became of the elements of a list.
pub(super) struct Walked {
    damage: Option<String>,
    left_out: u64,
}

impl Lists {
    /// Calls `take` with the elements of the list under `key` of the outermost object.
    pub(super) fn each<T: DeserializeOwned>(
        &self,
        key: &str,
        take: &mut Take<'_, T>,
    ) -> Result<Walked, Stop> {
        let text = Utf8Reader::new(self.file.part(0, u64::MAX), None);
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        walk(&mut Scanner::new(text, most), Some(key), take)
    }

    /// Tells what was not read.
    pub(super) fn tell(&self, walked: Walked, outlet: &mut dyn Outlet) {
        if walked.left_out > 0 {
            let (count, most) = (walked.left_out, size(self.most));
            outlet.warn(&format!("{count} entries longer than {most} were left out"));
        }
        if let Some(damage) = walked.damage {
            outlet.warn(&format!("The messages are damaged ({damage}); what stands after is lost"));
        }
    }
}

fn walk<R: Read, T: DeserializeOwned>(
    scanner: &mut Scanner<R>,
    key: Option<&str>,
    take: &mut Take<'_, T>,
) -> Result<Walked, Stop> {
    let mut broken = None;
    let walked = each_element(scanner, key, &mut |element| match serde_json::from_slice(element) {
        Ok(value) => take(value).map_err(Broken::Stopped),
        Err(error) => {
            broken = Some(error.to_string());
            Err(Broken::Stopped(Stop::Full))
        }
    });
    match (broken, walked) {
        (Some(error), _) => Ok(Walked { damage: Some(error), left_out: 0 }),
        (None, Ok(left_out)) => Ok(Walked { damage: None, left_out }),
        (None, Err(Broken::Damaged(damage))) => {
            Ok(Walked { damage: Some(damage.to_string()), left_out: 0 })
        }
        (None, Err(Broken::Stopped(stop))) => Err(stop),
    }
}

/// A field of text, empty where there is none.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The first of these fields that says something.
pub(super) fn first_text<'v>(value: &'v Value, keys: &[&str]) -> &'v str {
    keys.iter().map(|key| text(value, key)).find(|text| !text.trim().is_empty()).unwrap_or_default()
}

/// The elements of a list within a value.
pub(super) fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A number, written as one or as text.
pub(super) fn number(value: &Value, key: &str) -> Option<i64> {
    let value = value.get(key)?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}
