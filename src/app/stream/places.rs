//! How many streams of a tenant are open, in and out.
//!
//! Called by: `app::stream`, `http` for what is watched. Talks to: nothing.
//! Invariants: what one stream may gather is bounded, so this bounds what all of a tenant may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::quota::Exceeded;
use crate::types::TenantId;

/// Streams of records of one tenant at a time.
const MOST_IN: u32 = 16;
/// Streams of events of one tenant at a time: pages that are open.
const MOST_WATCHED: u32 = 128;

/// The open streams of all tenants.
#[derive(Clone)]
pub struct Places {
    most: u32,
    open: Arc<Mutex<HashMap<TenantId, u32>>>,
}

impl Places {
    /// Those of streams that bring records.
    pub fn for_records() -> Self {
        Self { most: MOST_IN, open: Arc::default() }
    }

    /// Those of streams that tell events.
    pub fn for_watchers() -> Self {
        Self { most: MOST_WATCHED, open: Arc::default() }
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// `Streams` where the tenant has as many as it may.
    pub fn take(&self, tenant: TenantId) -> Result<Place, Exceeded> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(tenant).or_default();
        if *count >= self.most {
            return Err(Exceeded::Streams { limit: u64::from(self.most) });
        }
        *count += 1;
        Ok(Place { places: self.clone(), tenant })
    }
}

/// The place of an open stream, until dropped.
pub struct Place {
    places: Places,
    tenant: TenantId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open.lock().unwrap_or_else(PoisonError::into_inner);
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
        let (places, tenant) = (Places::for_records(), TenantId::generate());
        let mut taken: Vec<Place> =
            (0..MOST_IN).map(|_| places.take(tenant).expect("a place")).collect();
        assert!(places.take(tenant).is_err());
        assert!(places.take(TenantId::generate()).is_ok(), "another tenant");
        taken.pop();
        assert!(places.take(tenant).is_ok());
        taken.clear();
        assert!(places.open.lock().expect("no panic").is_empty());
    }
}
