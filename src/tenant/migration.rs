//! Tenants of the format before, which were not encrypted, brought to this one.
//!
//! Called by: `tenant::stores`, before anything else of the tenant is opened. Talks to: every
//! store.
//! Invariants: no step needs the one before it undone, so the whole can be cut off anywhere and
//! begun again: the catalogue is encrypted in one step while it still has its old format, blobs
//! are sealed one by one, projections are thrown away; the catalogue's new format commits last,
//! together with the jobs that make the projections anew.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::RegistryError;
use super::blobs::seal_plain;
use super::catalog::Catalog;
use crate::crypto::{FileCipher, KeyPurpose, Keyring, SecretKey};
use crate::database::{self, DatabaseError};
use crate::disk;
use crate::keys::{KeyError, KeyStore};
use crate::types::TenantId;

/// The tenant's keys; a tenant of the format before has none and gets its first ones.
pub(in crate::tenant) fn keyring(
    id: TenantId,
    database: &Path,
    keys: &KeyStore,
) -> Result<Arc<Keyring>, RegistryError> {
    let scope = id.to_string();
    match keys.keyring(&scope) {
        // Only where there is nothing yet that another key could have sealed.
        Err(KeyError::Missing { .. }) if is_plain(id, database)? || !database.exists() => {
            keys.create_keyring(&scope)
        }
        found => found,
    }
    .map_err(RegistryError::keys(id))
}

/// Encrypts the catalogue, if it is not.
pub(in crate::tenant) fn encrypt(
    id: TenantId,
    database: &Path,
    keyring: &Keyring,
) -> Result<(), RegistryError> {
    if !is_plain(id, database)? {
        return Ok(());
    }
    tracing::info!(tenant = %id, "encrypting a tenant of an earlier release");
    let failed = |source| RegistryError::Database { tenant: id, source };
    let key = keyring
        .subkey(keyring.current_epoch(), KeyPurpose::Catalogue)
        .ok_or_else(|| failed(DatabaseError::WrongKey { path: database.to_owned() }))?;
    database::encrypt(database, &key).map_err(failed)
}

/// Encrypts what is beside the catalogue, and commits the catalogue's new format.
pub(in crate::tenant) fn finish(
    id: TenantId,
    root: &Path,
    catalog: &mut Catalog,
    blobs: &FileCipher,
    names: &SecretKey,
    now: Timestamp,
) -> Result<(), RegistryError> {
    seal_plain(&root.join("blobs"), blobs, names)
        .map_err(|source| RegistryError::Blobs { tenant: id, source })?;
    for projection in ["fulltext", "vectors"] {
        disk::empty_private_dir(&root.join(projection))
            .map_err(|source| RegistryError::Directory { tenant: id, source })?;
    }
    catalog.finish_migration(now).map_err(|source| RegistryError::Catalog { tenant: id, source })
}

fn is_plain(id: TenantId, database: &Path) -> Result<bool, RegistryError> {
    database::is_plain(database).map_err(|source| RegistryError::Directory { tenant: id, source })
}
