//! How many streams of a tenant are open.
//!
//! Called by: `app::stream`. Talks to: nothing.
//! Invariants: what one stream may gather is bounded, so this bounds what all of a tenant may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::quota::Exceeded;
use crate::types::TenantId;

/// Streams of one tenant at a time.
const MOST: u32 = 16;

/// The open streams of all tenants.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<HashMap<TenantId, u32>>>);

impl Places {
    /// A place for one more stream.
    pub(super) fn take(&self, tenant: TenantId) -> Result<Place, Exceeded> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(tenant).or_default();
        if *count >= MOST {
            return Err(Exceeded::Streams { limit: u64::from(MOST) });
        }
        *count += 1;
        Ok(Place { places: self.clone(), tenant })
    }
}

/// The place of an open stream, until dropped.
pub(super) struct Place {
    places: Places,
    tenant: TenantId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_tenant_and_come_back() {
        let (places, tenant) = (Places::default(), TenantId::generate());
        let mut taken: Vec<Place> =
            (0..MOST).map(|_| places.take(tenant).expect("a place")).collect();
        assert!(places.take(tenant).is_err());
        assert!(places.take(TenantId::generate()).is_ok(), "another tenant");
        taken.pop();
        assert!(places.take(tenant).is_ok());
        taken.clear();
        assert!(places.0.lock().expect("no panic").is_empty());
    }
}
