//! Server-sent events: the ledger as it changes, and what is near that which comes.
//!
//! Called by: the router. Talks to: `app::ledger`.
//! Invariants: a watcher that falls behind loses item events, never the totals; at most four
//! totals a second are sent; the stream ends when the tenant is no longer served, before anything is
//! told to somebody whose session or right has ended, and after a while in any case.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::error::{Failure, Problem};
use super::extract::Tenant;
use super::sources::SourceView;
use crate::app::ledger::{self, TenantEvent};
use crate::app::{App, Error, sources, stream};
use crate::auth::Read;
use crate::tenant::TenantHandle;
use crate::types::{DocumentId, ItemKey, LedgerTotals, SourceId, Throughput};

/// Between two totals.
const PACE: Duration = Duration::from_millis(250);
/// The same for a watcher who sees some collections only: their totals are counted anew each time.
const LIMITED_PACE: Duration = Duration::from_secs(1);

/// How long a stream lives. Browsers come again by themselves.
const LIFETIME: Duration = Duration::from_secs(600);

/// Item events per burst; a flood of changes is told by the totals.
const ITEMS_PER_BURST: usize = 50;

/// Documents per burst whose neighbours are looked up for one watcher.
const LOOKUPS_PER_BURST: usize = 4;

#[derive(Serialize)]
struct LedgerEvent {
    #[serde(flatten)]
    totals: LedgerTotals,
    throughput: Throughput,
}

/// The ledger's totals and changed items, as they change, and finds near what a stream brings.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/events", tag = "ledger",
    params(("tenant" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 404, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Read>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let place = app.watchers.take(tenant.id()).map_err(Error::from)?;
    let (send, receive) = mpsc::channel(64);
    // The first totals are read here, so that a failure is an answer and not a silent stream.
    let first = totals_event(&tenant).await?;
    tokio::spawn(async move {
        watch(app, tenant, first, send).await;
        drop(place);
    });
    Ok(Sse::new(ReceiverStream::new(receive)).keep_alive(KeepAlive::default()))
}

async fn totals_event(tenant: &TenantHandle<Read>) -> Result<Event, Failure> {
    let (totals, throughput) = ledger::totals(tenant).await?;
    Ok(json_event("ledger", &LedgerEvent { totals, throughput }))
}

fn json_event(name: &str, data: &impl Serialize) -> Event {
    let json = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
    Event::default().event(name).data(json)
}

async fn watch(
    app: Arc<App>,
    tenant: TenantHandle<Read>,
    first: Event,
    send: mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut changes = tenant.subscribe();
    let pace = if tenant.is_limited() { LIMITED_PACE } else { PACE };
    let end = Instant::now() + LIFETIME;
    if send.send(Ok(first)).await.is_err() {
        return;
    }
    loop {
        let mut told = Told::default();
        tokio::select! {
            () = send.closed() => return,
            () = tokio::time::sleep_until(end) => return,
            change = changes.recv() => match change {
                Ok(event) => told.take(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
        let until = Instant::now() + pace;
        while let Ok(change) = tokio::time::timeout_at(until, changes.recv()).await {
            match change {
                Ok(event) => told.take(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
        let standing = app.standing(tenant.id()).await;
        if standing.is_err() || standing.is_ok_and(|standing| !standing.is_active()) {
            // Suspended, locked or gone: the next request is told so.
            return;
        }
        if !app.still_admits(&tenant).await.unwrap_or(false) {
            return;
        }
        if report(&app, &tenant, told, &send).await.is_none() {
            return;
        }
    }
}

/// A document that has come, with what is near it.
struct Neighbours {
    document: DocumentId,
    query: Arc<str>,
    finds: Vec<(DocumentId, f64)>,
}

/// What happened within one pace.
#[derive(Default)]
struct Told {
    changed: Vec<ItemKey>,
    related: Vec<Neighbours>,
    sources: BTreeSet<SourceId>,
}

impl Told {
    fn take(&mut self, event: TenantEvent) {
        match event {
            TenantEvent::Items(items) => self.changed.extend(items),
            TenantEvent::Related { document, query, finds }
                if self.related.len() < ITEMS_PER_BURST =>
            {
                self.related.push(Neighbours { document, query, finds });
            }
            TenantEvent::Related { .. } => {}
            TenantEvent::Source(source) => drop(self.sources.insert(source)),
        }
    }
}

#[derive(Serialize)]
struct RelatedEvent {
    document: DocumentId,
    source: String,
    related: Vec<RelatedDocument>,
}

#[derive(Serialize)]
struct RelatedDocument {
    document_id: DocumentId,
    source: String,
    title: Option<String>,
    score: f64,
}

/// Sends how a source stands; nothing where it is gone or out of sight.
async fn report_source(
    app: &Arc<App>,
    tenant: &TenantHandle<Read>,
    source: SourceId,
    send: &mpsc::Sender<Result<Event, Infallible>>,
) -> Option<()> {
    match sources::show(app, tenant, &source.to_string(), 0).await {
        Ok(source) => send.send(Ok(json_event("source", &SourceView::from(source)))).await.ok(),
        Err(_) => Some(()),
    }
}

/// Sends what changed; `None` once the watcher is gone or the tenant cannot be read.
async fn report(
    app: &Arc<App>,
    tenant: &TenantHandle<Read>,
    told: Told,
    send: &mpsc::Sender<Result<Event, Infallible>>,
) -> Option<()> {
    let Told { mut changed, related, sources } = told;
    for source in sources {
        report_source(app, tenant, source, send).await?;
    }
    changed.sort_unstable();
    changed.dedup();
    changed.truncate(ITEMS_PER_BURST);
    for item in ledger::items(tenant, changed).await.ok()? {
        send.send(Ok(json_event("item", &item))).await.ok()?;
    }
    // A limited watcher has each of them looked up anew, which is a search.
    let most = if tenant.is_limited() { LOOKUPS_PER_BURST } else { ITEMS_PER_BURST };
    for Neighbours { document, query, finds } in related.into_iter().take(most) {
        let found = Box::pin(stream::related(app, tenant, document, &query, finds)).await;
        let Ok(Some((source, finds))) = found else { continue };
        let related = finds.into_iter().map(|find| RelatedDocument {
            document_id: find.document,
            source: find.source,
            title: find.title,
            score: find.score,
        });
        let event = RelatedEvent { document, source, related: related.collect() };
        send.send(Ok(json_event("related", &event))).await.ok()?;
    }
    let totals = totals_event(tenant).await.ok()?;
    send.send(Ok(totals)).await.ok()
}
