//! How much a tenant holds: for limits, for people, and for the certificate of a deletion.
//!
//! Called by: `app::quota`, `app::ingest`, `app::index`, `app::tenants`. Talks to: `document`, `item`.
//! Invariants: the same bytes count once; what was refused for a limit counts for nothing.

use rusqlite::params;
use sha2::{Digest, Sha256};

use super::{CatalogError, CatalogReader, NewDrop, failed};
use crate::crypto::hex;

/// Numbers that limits are set for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Bytes of originals, each content once.
    pub stored_bytes: u64,
    /// Live documents.
    pub documents: u64,
    /// Items that wait to be read or indexed.
    pub jobs_in_flight: u64,
}

impl Amounts {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            stored_bytes: self.stored_bytes.saturating_add(other.stored_bytes),
            documents: self.documents.saturating_add(other.documents),
            jobs_in_flight: self.jobs_in_flight.saturating_add(other.jobs_in_flight),
        }
    }

    /// The difference, never below zero.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self {
            stored_bytes: self.stored_bytes.saturating_sub(other.stored_bytes),
            documents: self.documents.saturating_sub(other.documents),
            jobs_in_flight: self.jobs_in_flight.saturating_sub(other.jobs_in_flight),
        }
    }
}

/// What a tenant held, without saying what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentSummary {
    pub amounts: Amounts,
    /// SHA-256 over the digests of all originals in order, each followed by a line feed.
    pub digest: String,
}

impl CatalogReader<'_> {
    /// Everything counted anew.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn amounts(&self) -> Result<Amounts, CatalogError> {
        Ok(Amounts {
            stored_bytes: self.count(
                "add up stored bytes",
                "SELECT sum(bytes) FROM (SELECT max(size_bytes) AS bytes FROM item \
                 WHERE blob IS NOT NULL GROUP BY blob)",
                [],
            )?,
            documents: self.count(
                "count documents",
                "SELECT count(*) FROM document d JOIN item i ON i.key = d.current_item \
                 WHERE d.deleted_at IS NULL AND i.blob IS NOT NULL",
                [],
            )?,
            jobs_in_flight: self.count(
                "count waiting items",
                // Pictures wait behind everything else and must hold nothing up.
                "SELECT count(*) FROM item WHERE state = 'waiting' AND reason IS NOT 'needs_ocr'",
                [],
            )?,
        })
    }

    /// What taking a drop in would add; asked before it is taken in.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn growth(&self, drop: &NewDrop) -> Result<Amounts, CatalogError> {
        Ok(Amounts {
            stored_bytes: if self.is_original(&drop.blob)? { 0 } else { drop.size_bytes },
            documents: u64::from(!self.is_live(&drop.collection, &drop.source)?),
            jobs_in_flight: 0,
        })
    }

    /// True where these bytes are those of an item, so that they count already.
    fn is_original(&self, blob: &str) -> Result<bool, CatalogError> {
        let found = self.one(
            "look for an original",
            "SELECT 1 FROM item WHERE blob = ?1 LIMIT 1",
            [blob],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// True where a source names a live document of a collection that holds bytes.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn is_live(&self, collection: &str, source: &str) -> Result<bool, CatalogError> {
        let found = self.one(
            "look for a source",
            "SELECT 1 FROM document d JOIN collection c ON c.key = d.collection \
             JOIN item i ON i.key = d.current_item \
             WHERE c.name = ?1 AND d.source = ?2 AND d.deleted_at IS NULL AND i.blob IS NOT NULL",
            params![collection, source],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// The amounts and one digest over all originals.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn content_summary(&self) -> Result<ContentSummary, CatalogError> {
        let amounts = self.amounts()?;
        let digest = self
            .connection
            .prepare("SELECT DISTINCT blob FROM item WHERE blob IS NOT NULL ORDER BY blob")
            .and_then(|mut statement| {
                let mut digest = Sha256::new();
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    digest.update(row.get_ref(0)?.as_str()?);
                    digest.update(b"\n");
                }
                Ok(digest)
            })
            .map_err(failed("list digests"))?;
        Ok(ContentSummary { amounts, digest: hex(&digest.finalize()) })
    }

    /// Items by state and reason.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn reasons(&self) -> Result<Vec<(String, Option<String>, u64)>, CatalogError> {
        self.all(
            "count items by reason",
            "SELECT state, reason, count(*) FROM item GROUP BY state, reason ORDER BY state, reason",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs())),
        )
    }
}
