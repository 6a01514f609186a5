//! Collections of a tenant: listed and made.
//!
//! Called by: `http`. Talks to: catalogue.
//! Invariants: a caller who is limited to some sees no other, nor that there is any.

use super::Error;
use super::audit::{self, Action, Event};
use crate::auth::{CanRead, CanWrite};
use crate::tenant::{CatalogReader, TenantHandle};

pub use crate::tenant::CollectionRow;

/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// The collections in sight, by name.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn list<A: CanRead>(tenant: &TenantHandle<A>) -> Result<Vec<CollectionRow>, Error> {
    Ok(tenant.read(|catalog: &CatalogReader<'_>| catalog.collections()).await?)
}

/// Makes a collection; the one that is there where the name is taken.
///
/// # Errors
/// `Invalid` for an empty or overlong name.
pub async fn create<A: CanWrite>(
    tenant: &TenantHandle<A>,
    name: String,
) -> Result<CollectionRow, Error> {
    if name.trim().is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "a collection needs a name of 1 to {MAX_NAME_BYTES} bytes without control characters"
        )));
    }
    let occasion = audit::occasion(tenant);
    let made = tenant.write(move |catalog| {
        let known = catalog.collections()?.into_iter().find(|known| known.name == name);
        if let Some(known) = known {
            return Ok(known);
        }
        let made = catalog.add_collection(&name)?;
        let event = Event::new(Action::CollectionCreate)
            .on("collection", made.id)
            .with("name", made.name.clone());
        catalog.record([occasion.record(event)])?;
        Ok(made)
    });
    Ok(made.await?)
}
