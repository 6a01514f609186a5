//! What is done with an open tenant, on its way into the tenant's audit trail.
//!
//! Called by: `app::audit`, the registry when it closes a tenant. Talks to: catalogue.
//! Invariants: a record that was taken is committed or still waiting, never dropped; when the
//! queue is full its caller waits, and is refused after a while, so nothing goes on unrecorded
//! for long; after closing nothing is taken any more.
//! Why a queue: a read must not wait for the disk. Many share one commit, a fifth of a second
//! later at most; a power cut takes that much of the record of reads, and never of changes, whose
//! entries are in their own transactions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use super::{TenantHandle, Unlocked};
use crate::audit::Record;
use crate::auth::{Access, Audit, CanWrite};
use crate::error::chain;
use crate::tenant::catalog::{AuditReader, CatalogError};
use crate::tenant::latch::Locked;
use crate::tenant::stores::Stores;

/// Records that may wait for a commit.
const CAPACITY: usize = 1024;
/// This many waiting ones are committed at once.
const GROUP: usize = 64;
/// A record waits no longer than this for its commit to begin.
const INTERVAL: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a commit that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Records of one open tenant that wait for their commit.
pub(in crate::tenant) struct AuditQueue {
    pending: Mutex<Pending>,
    /// Places left; one is given back when its record is committed.
    room: Semaphore,
    /// How long a caller waits for a place before it is refused.
    patience: Duration,
    /// Told when a whole group waits.
    plenty: Notify,
    /// Held while committing, so that records keep their order.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Pending {
    records: Vec<Record>,
    /// True while a task is on its way to commit them.
    flusher: bool,
    closed: bool,
}

impl Default for AuditQueue {
    fn default() -> Self {
        Self {
            pending: Mutex::default(),
            room: Semaphore::new(CAPACITY),
            patience: PATIENCE,
            plenty: Notify::new(),
            turn: Mutex::default(),
        }
    }
}

impl AuditQueue {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record, waiting for a place; true where nobody is on the way to commit it.
    async fn push(&self, record: Record) -> Result<bool, CatalogError> {
        match tokio::time::timeout(self.patience, self.room.acquire()).await {
            Ok(Ok(place)) => place.forget(),
            Ok(Err(_)) | Err(_) => return Err(CatalogError::AuditFull),
        }
        let mut pending = self.pending();
        if pending.closed {
            self.room.add_permits(1);
            return Err(CatalogError::Locked(Locked));
        }
        pending.records.push(record);
        if pending.records.len() >= GROUP {
            self.plenty.notify_one();
        }
        Ok(!std::mem::replace(&mut pending.flusher, true))
    }

    /// Commits what waits by way of `write`. What cannot be committed keeps its place in front.
    fn flush(
        &self,
        write: impl FnOnce(Vec<Record>) -> Result<(), CatalogError>,
    ) -> Result<(), CatalogError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let records = std::mem::take(&mut self.pending().records);
        if records.is_empty() {
            return Ok(());
        }
        let written = write(records.clone());
        if written.is_ok() {
            self.room.add_permits(records.len());
        } else {
            self.pending().records.splice(..0, records);
        }
        written
    }

    /// True where nothing waits; then the next record needs a new flusher.
    fn is_done(&self) -> bool {
        let mut pending = self.pending();
        pending.flusher = !pending.records.is_empty();
        !pending.flusher
    }

    /// Takes no record from now on.
    fn close(&self) {
        self.pending().closed = true;
    }
}

impl Unlocked {
    /// Commits the records that wait. Blocks.
    pub(in crate::tenant) fn flush_audit(&self) -> Result<(), CatalogError> {
        let stores = self.stores().map_err(CatalogError::Locked)?;
        self.commit_audit(&stores)
    }

    /// The same with the stores at hand. Blocks.
    pub(super) fn commit_audit(&self, stores: &Stores) -> Result<(), CatalogError> {
        self.audit
            .flush(|records| stores.catalog.append_to_trail(self.context.clock.now(), records))
    }

    /// Refuses records from now on and commits those that wait, before the stores are closed under
    /// whoever still holds the tenant. Blocks.
    pub(super) fn close_audit(&self, stores: &Stores) {
        self.audit.close();
        if let Err(error) = self.commit_audit(stores) {
            tracing::error!(tenant = %self.id, "audit entries are lost: {}", chain(&error));
        }
        self.drop_anchor_if_possible(stores);
    }
}

impl Drop for Unlocked {
    fn drop(&mut self) {
        // Only where the task that would have done it was ended with the process.
        if let Ok(stores) = self.stores() {
            self.close_audit(&stores);
        }
    }
}

/// Commits what waits, until nothing does or the tenant is closed, which commits the rest. It
/// keeps no tenant open.
async fn flush_soon(queue: Arc<AuditQueue>, tenant: Weak<Unlocked>) {
    loop {
        // Early or not, it is time.
        let _ = tokio::time::timeout(INTERVAL, queue.plenty.notified()).await;
        let open = tenant.clone();
        let flushed = tokio::task::spawn_blocking(move || match open.upgrade() {
            Some(inner) => inner.flush_audit(),
            None => Err(CatalogError::Locked(Locked)),
        })
        .await
        .unwrap_or_else(|error| Err(CatalogError::Interrupted(error)));
        match flushed {
            Ok(()) => {}
            Err(CatalogError::Locked(Locked)) => return,
            Err(error) => {
                tracing::error!("audit entries cannot be written yet: {}", chain(&error));
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
        if queue.is_done() {
            return;
        }
    }
}

impl<A: Access> TenantHandle<A> {
    /// Puts a record on its way into the trail. It returns before the record is durable, and
    /// waits only while very many are on their way.
    ///
    /// # Errors
    /// `AuditFull` where the trail cannot be written for some time, `Locked` where the tenant was
    /// closed: then what the record tells of must not go on.
    pub async fn audit(&self, record: Record) -> Result<(), CatalogError> {
        if self.inner.audit.push(record).await? {
            let queue = self.inner.audit.clone();
            tokio::spawn(flush_soon(queue, Arc::downgrade(&self.inner)));
        }
        Ok(())
    }
}

impl<A: CanWrite> TenantHandle<A> {
    /// Commits what was recorded so far, before something changes that its entries depend on.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn flush_audit(&self) -> Result<(), CatalogError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || inner.flush_audit())
            .await
            .map_err(CatalogError::Interrupted)?
    }
}

impl TenantHandle<Audit> {
    /// Reads the trail over one snapshot, with everything that was recorded so far in it.
    ///
    /// # Errors
    /// Whatever `work` returns, or that the catalogue cannot be used.
    pub async fn read_audit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AuditReader<'_>) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || {
            let stores = inner.stores().map_err(CatalogError::Locked)?;
            inner.commit_audit(&stores)?;
            stores.catalog.read_trail(work)
        })
        .await
        .map_err(CatalogError::Interrupted)?
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::audit::{Action, Event, Occasion, Origin, Party};

    fn record() -> Record {
        let actor = Party::anonymous();
        let occasion = Occasion { at: Timestamp::UNIX_EPOCH, actor, origin: Origin::default() };
        occasion.record(Event::new(Action::Search))
    }

    fn failure() -> CatalogError {
        CatalogError::Corrupt { what: "a test", source: "on purpose".into() }
    }

    #[tokio::test]
    async fn the_first_record_asks_for_a_flusher_and_the_next_ones_do_not() {
        let queue = AuditQueue::default();
        assert!(queue.push(record()).await.unwrap());
        assert!(!queue.push(record()).await.unwrap());
        assert!(!queue.is_done(), "two wait");
        queue
            .flush(|records| {
                assert_eq!(records.len(), 2);
                Ok(())
            })
            .unwrap();
        assert!(queue.is_done());
        assert!(queue.push(record()).await.unwrap());
    }

    #[tokio::test]
    async fn what_cannot_be_committed_stays_in_front_of_what_came_meanwhile() {
        let queue = AuditQueue::default();
        for _ in 0..3 {
            queue.push(record()).await.unwrap();
        }
        let failed = queue.flush(|_| {
            queue.pending().records.push(record());
            Err(failure())
        });
        assert!(failed.is_err());
        assert_eq!(queue.room.available_permits(), CAPACITY - 3);
        queue
            .flush(|records| {
                assert_eq!(records.len(), 4);
                Ok(())
            })
            .unwrap();
    }

    #[tokio::test]
    async fn a_full_queue_lets_its_caller_wait_and_then_refuses() {
        let patience = Duration::from_millis(500);
        let queue = Arc::new(AuditQueue { patience, ..AuditQueue::default() });
        for _ in 0..CAPACITY {
            queue.push(record()).await.unwrap();
        }
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.push(record()).await.map(drop) }
        });
        tokio::time::sleep(patience / 5).await;
        assert!(!waiting.is_finished(), "it waits");
        queue.flush(|_| Ok(())).unwrap();
        waiting.await.unwrap().unwrap();
        for _ in 1..CAPACITY {
            queue.push(record()).await.unwrap();
        }
        assert!(matches!(queue.push(record()).await, Err(CatalogError::AuditFull)));
    }

    #[tokio::test]
    async fn a_closed_queue_takes_nothing_and_keeps_its_places() {
        let queue = AuditQueue::default();
        queue.push(record()).await.unwrap();
        queue.close();
        assert!(matches!(queue.push(record()).await, Err(CatalogError::Locked(_))));
        assert_eq!(queue.room.available_permits(), CAPACITY - 1);
        queue
            .flush(|records| {
                assert_eq!(records.len(), 1);
                Ok(())
            })
            .unwrap();
    }
}
