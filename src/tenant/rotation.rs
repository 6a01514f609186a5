//! A tenant's data under a new data key.
//!
//! Called by: `tenant::stores` (what is done while the tenant is closed), `tenant::handle` (what
//! is done beside its work). Talks to: every store, `keys`.
//! Invariants: the old key is destroyed only when nothing is sealed under it any more; a crash at
//! any moment leaves files of either key, which the keyring opens both, and the work goes on when
//! the tenant is opened next.
//! Why in two parts: databases and projections are rewritten by their engines at any time and are
//! small, so they change while nobody has them open; originals are many and never change, so each
//! can be sealed anew on its own.

use std::path::Path;

use super::RegistryError;
use super::catalog::Catalog;
use super::reseal::reseal_tree;
use crate::crypto::{FileCipher, Keyring};
use crate::types::TenantId;

/// True while the tenant's data key is being changed.
pub(in crate::tenant) fn is_open(keyring: &Keyring) -> bool {
    keyring.epochs().len() > 1
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
