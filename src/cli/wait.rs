//! Waiting until what was added is settled, and finding what became of it.
//!
//! Called by: `cli::add`, `cli::eval`, `cli::maintain`. Talks to: the API (ledger, status).
//! Invariants: never reports as settled what still waits: an item whose ancestors are not known
//! counts as ours until they are. Items that wait for vectors which no model can make are left
//! behind, and counted.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::client::Client;
use super::endpoint::{Endpoint, api};
use super::error::CliError;
use super::pages::{LedgerPage, each_page};
use super::progress::IndexProgress;
use crate::types::{ItemId, LedgerItem};

/// How often totals are asked for.
const POLL: Duration = Duration::from_millis(250);
/// How often the list of waiting items is read, where other work keeps the total above zero.
const LIST_POLL: Duration = Duration::from_secs(1);
/// The reason of an item that has its full text and lacks its vectors.
const AWAITING_VECTORS: &str = "awaiting_vectors";

/// How the waiting ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Items found by keyword only, because the model is missing or failed.
    pub without_vectors: u64,
}

#[derive(Deserialize)]
struct Status {
    model: ModelStatus,
}

#[derive(Deserialize)]
struct ModelStatus {
    state: String,
}

/// Waits until none of `roots`, nor anything found inside them, is waiting.
///
/// # Errors
/// Those of the API.
pub async fn until_items_settle(
    client: &Client,
    tenant: &str,
    roots: &[ItemId],
    progress: &IndexProgress,
) -> Result<Settled, CliError> {
    let Some(mut family) = Family::of(roots) else {
        return Ok(Settled::default());
    };
    let vectors_come = model_is_ready(client).await?;
    let mut last_list: Option<Instant> = None;
    loop {
        let page = totals(client, tenant).await?;
        progress.observe(&page);
        if page.totals.waiting == 0 {
            return Ok(Settled::default());
        }
        if last_list.is_none_or(|at| at.elapsed() >= LIST_POLL) {
            let waiting = family.waiting(client, tenant, vectors_come).await?;
            if let Waiting::Nothing { without_vectors } = waiting {
                return Ok(Settled { without_vectors });
            }
            last_list = Some(Instant::now());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until nothing at all is waiting in the tenant.
///
/// # Errors
/// Those of the API.
pub async fn until_all_settle(
    client: &Client,
    tenant: &str,
    progress: &IndexProgress,
) -> Result<Settled, CliError> {
    let vectors_come = model_is_ready(client).await?;
    loop {
        let page = totals(client, tenant).await?;
        progress.observe(&page);
        if page.totals.waiting == 0 && page.throughput.chunks_waiting == 0 {
            return Ok(Settled::default());
        }
        if !vectors_come {
            let mut without_vectors = 0;
            let mut more_comes = false;
            each_page(client, &waiting_items(tenant), |page: LedgerPage| {
                for item in &page.items {
                    if lacks_only_vectors(item) { without_vectors += 1 } else { more_comes = true }
                }
                Ok(if more_comes { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .await?;
            if !more_comes {
                return Ok(Settled { without_vectors });
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// `roots` and everything found inside them, as the ledger has them now, oldest first.
///
/// # Errors
/// Those of the API.
pub async fn outcome(
    client: &Client,
    tenant: &str,
    roots: &[ItemId],
) -> Result<Vec<LedgerItem>, CliError> {
    let Some(first) = roots.iter().min() else {
        return Ok(Vec::new());
    };
    // Ids sort by creation and a child is made after its parent, so everything that belongs to the
    // roots, and all that lies between, is not older than the first of them.
    let address = ledger(tenant).with("since", first.to_string());
    let mut items = Vec::new();
    each_page(client, &address, |page: LedgerPage| {
        items.extend(page.items.into_iter().filter(|item| item.id >= *first));
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    Ok(descendants(items, roots))
}

/// The ledger's totals and throughput, with at most one waiting item.
async fn totals(client: &Client, tenant: &str) -> Result<LedgerPage, CliError> {
    client.get(&waiting_items(tenant).with("limit", "1")).await
}

async fn model_is_ready(client: &Client) -> Result<bool, CliError> {
    let status: Status = client.get(&api(["status"])).await?;
    Ok(status.model.state == "ready")
}

fn ledger(tenant: &str) -> Endpoint {
    api(["tenants", tenant, "ledger"])
}

fn waiting_items(tenant: &str) -> Endpoint {
    ledger(tenant).with("state", "waiting")
}

fn lacks_only_vectors(item: &LedgerItem) -> bool {
    item.reason.as_deref() == Some(AWAITING_VECTORS)
}

/// What of a family still waits.
enum Waiting {
    Something,
    Nothing { without_vectors: u64 },
}

/// Whose an item is, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    Ours,
    Foreign,
    Unknown,
}

/// Tells items that belong to what was added from those that others dropped meanwhile.
struct Family {
    first: ItemId,
    ours: HashSet<ItemId>,
    foreign: HashSet<ItemId>,
}

impl Family {
    /// The family of `roots`; `None` where there is no root.
    fn of(roots: &[ItemId]) -> Option<Self> {
        let first = *roots.iter().min()?;
        Some(Self { first, ours: roots.iter().copied().collect(), foreign: HashSet::new() })
    }

    fn kin(&mut self, item: &LedgerItem) -> Kin {
        let kin = if self.ours.contains(&item.id) {
            Kin::Ours
        } else if item.id < self.first {
            Kin::Foreign
        } else {
            match item.parent {
                None => Kin::Foreign,
                Some(parent) if self.ours.contains(&parent) => Kin::Ours,
                Some(parent) if parent < self.first || self.foreign.contains(&parent) => {
                    Kin::Foreign
                }
                Some(_) => Kin::Unknown,
            }
        };
        match kin {
            Kin::Ours => self.ours.insert(item.id),
            Kin::Foreign => self.foreign.insert(item.id),
            Kin::Unknown => false,
        };
        kin
    }

    /// Reads the waiting items of the tenant, until one of ours turns up.
    async fn waiting(
        &mut self,
        client: &Client,
        tenant: &str,
        vectors_come: bool,
    ) -> Result<Waiting, CliError> {
        let mut unknown = Vec::new();
        let mut without_vectors = 0;
        let mut found = false;
        each_page(client, &waiting_items(tenant), |page: LedgerPage| {
            for item in page.items {
                match self.kin(&item) {
                    Kin::Foreign => {}
                    Kin::Unknown => unknown.push(item),
                    Kin::Ours if !vectors_come && lacks_only_vectors(&item) => without_vectors += 1,
                    Kin::Ours => found = true,
                }
            }
            Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .await?;
        for item in unknown {
            if self.kin(&item) != Kin::Foreign {
                if vectors_come || !lacks_only_vectors(&item) {
                    found = true;
                } else {
                    without_vectors += 1;
                }
            }
        }
        Ok(if found { Waiting::Something } else { Waiting::Nothing { without_vectors } })
    }
}

/// Those of `items` that are roots or have one among their ancestors, sorted by id.
fn descendants(mut items: Vec<LedgerItem>, roots: &[ItemId]) -> Vec<LedgerItem> {
    items.sort_unstable_by_key(|item| item.id);
    items.dedup_by_key(|item| item.id);
    // In this order every parent comes before its children.
    let mut ours: HashMap<ItemId, bool> = roots.iter().map(|root| (*root, true)).collect();
    items.retain(|item| {
        let mine = ours.get(&item.id).copied().unwrap_or(false)
            || item.parent.is_some_and(|parent| ours.get(&parent).copied().unwrap_or(false));
        ours.insert(item.id, mine);
        mine
    });
    items
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::types::{DocumentId, ItemState};

    fn item(parent: Option<ItemId>) -> LedgerItem {
        LedgerItem {
            id: ItemId::generate(),
            parent,
            source: "a".to_owned(),
            state: ItemState::Waiting,
            reason: None,
            detail: None,
            document_id: DocumentId::generate(),
            revision: 1,
            media_type: None,
            size_bytes: 1,
            received_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn children_of_children_are_family_and_the_work_of_others_is_not() {
        let earlier = item(None);
        let root = item(None);
        let other = item(None);
        let child = item(Some(root.id));
        let grandchild = item(Some(child.id));
        let foreign_child = item(Some(other.id));
        let late_child_of_earlier = item(Some(earlier.id));
        let mut family = Family::of(&[root.id]).unwrap();
        assert_eq!(family.kin(&earlier), Kin::Foreign);
        assert_eq!(family.kin(&grandchild), Kin::Unknown, "its parent was not seen yet");
        assert_eq!(family.kin(&child), Kin::Ours);
        assert_eq!(family.kin(&grandchild), Kin::Ours);
        assert_eq!(family.kin(&foreign_child), Kin::Unknown);
        assert_eq!(family.kin(&other), Kin::Foreign);
        assert_eq!(family.kin(&foreign_child), Kin::Foreign);
        assert_eq!(family.kin(&late_child_of_earlier), Kin::Foreign);
    }

    #[test]
    fn without_roots_there_is_nothing_to_wait_for() {
        assert!(Family::of(&[]).is_none());
    }

    #[test]
    fn the_outcome_holds_every_descendant_and_nothing_else() {
        let root = item(None);
        let other = item(None);
        let child = item(Some(root.id));
        let foreign_child = item(Some(other.id));
        let grandchild = item(Some(child.id));
        let expected = [root.id, child.id, grandchild.id];
        let roots = [root.id];
        let items = vec![grandchild, foreign_child, child.clone(), other, root, child];
        let found: Vec<ItemId> =
            descendants(items, &roots).into_iter().map(|item| item.id).collect();
        assert_eq!(found, expected);
    }
}
