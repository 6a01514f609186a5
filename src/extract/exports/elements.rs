//! The elements of a long JSON list, one at a time.
//!
//! Called by: the readers of `extract::exports`. Talks to: `serde_json`.
//! Invariants: one element is held at a time; nesting is bounded by `serde_json`; a list that is
//! damaged gives what stands before the damage, and the damage is told.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::Value;

use crate::extract::emit::Stop;

type Take<'t, T> = dyn FnMut(T) -> Result<(), Stop> + 't;

/// Calls `take` with the elements of the outermost list, or of the list under `key` of the
/// outermost object. The answer says where the JSON is damaged, if it is.
pub(super) fn each(
    json: &[u8],
    key: Option<&str>,
    take: &mut Take<'_, Value>,
) -> Result<Option<String>, Stop> {
    each_as(json, key, take)
}

/// As `each`, for elements of which only a part is to be held.
pub(super) fn each_as<T: DeserializeOwned>(
    json: &[u8],
    key: Option<&str>,
    take: &mut Take<'_, T>,
) -> Result<Option<String>, Stop> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let mut stop = None;
    let mut parser = serde_json::Deserializer::from_slice(json);
    let list = List { key, take, stop: &mut stop };
    let parsed = list.deserialize(&mut parser);
    match (stop, parsed) {
        (Some(stop), _) => Err(stop),
        (None, Ok(())) => Ok(None),
        (None, Err(error)) => Ok(Some(error.to_string())),
    }
}

struct List<'l, 't, T> {
    /// The name of the list within an object; without one, the value is the list.
    key: Option<&'l str>,
    take: &'l mut Take<'t, T>,
    stop: &'l mut Option<Stop>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for List<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for List<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<T>()? {
            if let Err(stop) = (self.take)(value) {
                *self.stop = Some(stop);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(key) = self.key else {
            return Err(A::Error::custom("an object, not a list"));
        };
        while let Some(name) = map.next_key::<String>()? {
            if name == key {
                map.next_value_seed(List {
                    key: None,
                    take: &mut *self.take,
                    stop: &mut *self.stop,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
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
