//! Conversions between SQL values and types, used by every query of the catalogue.
//!
//! Called by: `tenant::catalog`. Talks to: nothing.
//! Invariants: a value that cannot be converted is an error naming its column, never a default.

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;

use super::{CatalogError, CatalogReader, failed};
use crate::types::ItemState;

impl CatalogReader<'_> {
    pub(super) fn one<T>(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, CatalogError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, read).optional())
            .map_err(failed(operation))
    }

    pub(super) fn all<T>(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, CatalogError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_map(params, read)?.collect())
            .map_err(failed(operation))
    }

    pub(super) fn count(
        &self,
        operation: &'static str,
        sql: &str,
        params: impl Params,
    ) -> Result<u64, CatalogError> {
        let count = self.one(operation, sql, params, |row| row.get::<_, Option<i64>>(0))?;
        Ok(count.flatten().unwrap_or(0).unsigned_abs())
    }
}

fn unreadable(
    column: usize,
    kind: Type,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

pub(super) fn id<T: std::str::FromStr<Err = uuid::Error>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    row.get_ref(column)?
        .as_str()?
        .parse()
        .map_err(|error: uuid::Error| unreadable(column, Type::Text, error))
}

pub(super) fn optional_id<T: std::str::FromStr<Err = uuid::Error>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => id(row, column).map(Some),
    }
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?)
        .map_err(|error| unreadable(column, Type::Integer, error))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?
        .map(|us| {
            Timestamp::from_microsecond(us)
                .map_err(|error| unreadable(column, Type::Integer, error))
        })
        .transpose()
}

pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<ItemState> {
    let word = row.get_ref(column)?.as_str()?;
    ItemState::parse(word).ok_or_else(|| {
        unreadable(column, Type::Text, std::io::Error::other(format!("unknown state {word:?}")))
    })
}

pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|error| unreadable(column, Type::Text, error))
}

/// JSON of a value whose serialisation cannot fail (string keys, no maps of other kinds).
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, CatalogError> {
    serde_json::to_string(value).map_err(|error| CatalogError::Corrupt {
        what: "a value to be stored",
        source: error.into(),
    })
}

/// `?` placeholders for an `IN` list of `count` values.
pub(super) fn placeholders(count: usize) -> String {
    let mut list = "?,".repeat(count);
    list.pop();
    list
}
