//! One writer per upload at a time.
//!
//! Called by: `app::uploads`. Talks to: nothing.
//! Invariants: whoever wants an upload asks its writer to stop and waits for it; a connection that
//! broke unnoticed therefore holds nobody up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::types::UploadId;

/// The uploads that somebody writes to.
#[derive(Clone, Default)]
pub struct Turns(Arc<State>);

#[derive(Default)]
struct State {
    taken: Mutex<HashMap<UploadId, Arc<Notify>>>,
    freed: Notify,
}

impl State {
    fn taken(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Notify>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    /// The right to write to an upload. Its present writer is asked to stop; `None` where it does
    /// not within `patience`.
    pub(super) async fn take(&self, upload: UploadId, patience: Duration) -> Option<Turn> {
        tokio::time::timeout(patience, async {
            loop {
                let freed = self.0.freed.notified();
                {
                    let mut taken = self.0.taken();
                    match taken.get(&upload) {
                        Some(asked) => asked.notify_one(),
                        None => {
                            let asked = Arc::<Notify>::default();
                            taken.insert(upload, asked.clone());
                            return Turn { turns: self.clone(), upload, asked };
                        }
                    }
                }
                freed.await;
            }
        })
        .await
        .ok()
    }
}

/// The right to write to an upload, until dropped.
pub(super) struct Turn {
    turns: Turns,
    upload: UploadId,
    asked: Arc<Notify>,
}

impl Turn {
    /// Resolves when somebody else wants the upload.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.taken().remove(&self.upload);
        self.turns.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_wants_an_upload_has_its_writer_stop() {
        let (turns, upload) = (Turns::default(), UploadId::generate());
        let moment = Duration::from_millis(50);
        let first = turns.take(upload, moment).await.expect("nobody has it");
        assert!(turns.take(upload, moment).await.is_none(), "the writer goes on");
        assert!(turns.take(UploadId::generate(), moment).await.is_some(), "another upload");
        let writer = tokio::spawn(async move {
            first.asked().await;
            drop(first);
        });
        assert!(turns.take(upload, Duration::from_secs(5)).await.is_some());
        writer.await.expect("the writer stopped");
    }
}
