//! A tenant's data under a new data key.
//!
//! Called by: `tenant::stores` (what is done while the tenant is closed), `tenant::handle` (what
//! is done beside its work). Talks to: every store, `keys`.
//! Invariants: the old key is destroyed only when nothing is sealed under it any more, and the trail
//! tells of it once; a crash at any moment leaves files of either key, which the keyring opens both,
//! and the work goes on when the tenant is opened next.
//! Why in two parts: databases and projections are rewritten by their engines at any time and are
//! small, so they change while nobody has them open; originals are many and never change, so each
//! can be sealed anew on its own.

use std::path::Path;

use jiff::Timestamp;

use super::RegistryError;
use super::catalog::{Catalog, CatalogError, CatalogWriter};
use super::reseal::reseal_tree;
use crate::audit::Record;
use crate::crypto::{FileCipher, Keyring};
use crate::types::TenantId;

/// The setting that stands while a change of the data key has not come to its end, with the epoch
/// of the new one. It goes with the entry that tells of the end: the keys alone would not say,
/// after a crash, whether the destruction of the old one is on record.
const CHANGING: &str = "data_key_changing";

/// True while the keys of a tenant hold an old one.
pub(in crate::tenant) fn is_open(keyring: &Keyring) -> bool {
    keyring.epochs().len() > 1
}

/// Notes that the data key is being changed, where it is; true where that has not come to its end,
/// be it for the entry alone. Blocks.
pub(in crate::tenant) fn note(
    catalog: &Catalog,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<bool, CatalogError> {
    catalog.write(now, |catalog| {
        if is_open(keyring) {
            catalog.set_setting(CHANGING, &keyring.current_epoch().to_string())?;
        }
        Ok(catalog.setting(CHANGING)?.is_some())
    })
}

/// Puts on record that the old data key is destroyed, unless it is already.
pub(in crate::tenant) fn conclude(
    catalog: &CatalogWriter<'_>,
    ended: Record,
) -> Result<(), CatalogError> {
    if catalog.forget_setting(CHANGING)? { catalog.record([ended]) } else { Ok(()) }
}

/// Brings catalogue and projections to the current epoch. Nothing may have them open. Blocks.
pub(in crate::tenant) fn rotate_closed(
    id: TenantId,
    root: &Path,
    keyring: &Keyring,
    projections: [(&str, &FileCipher); 2],
) -> Result<(), RegistryError> {
    Catalog::rekey(&root.join("tenant.db"), keyring)
        .map_err(|source| RegistryError::Catalog { tenant: id, source })?;
    for (dir, cipher) in projections {
        let resealed = reseal_tree(&root.join(dir), cipher, keyring.current_epoch())
            .map_err(|source| RegistryError::Reseal { tenant: id, source })?;
        tracing::info!(tenant = %id, dir, resealed, "files sealed with a new data key");
    }
    Ok(())
}
