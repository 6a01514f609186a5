//! Records that are taken in as they come, over one request that stays open.
//!
//! Called by: `http`. Talks to: `app::ingest`, `app::search`, catalogue.
//! Invariants: a record is acknowledged after it is durable, in order; whatever is wrong with one
//! is told with its line and the rest goes on; nothing is gathered without bound: who does not read
//! the answers is not read from; what the tenant holds near a record is told as it is found.

mod lines;
mod places;
mod record;
mod related;
mod running;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::audit;
use super::ingest::{self, Receipt, Upload, clean_source};
use super::quota::Patience;
use super::{App, Error};
use crate::auth::{Actor, Write};
use crate::tenant::TenantHandle;
use crate::types::{DocumentId, FormatHint, SearchResult};
pub use places::{Place, Places};
pub use related::{RelatedFind, related};

use lines::{Line, Lines, MAX_LINE_BYTES};
use record::Record;
use related::Arrived;
use running::{Pending, Running};

/// Answers that wait to be read.
const ANSWERS: usize = 64;

/// Records taken in side by side; they are acknowledged in order all the same.
const ABREAST: usize = 8;

/// How long a stream lives: not for ever, however often its sender is asked for with its records. The
/// console needs no end.
const LIFETIME: Duration = Duration::from_secs(600);

/// How long a record waits while too much of the tenant waits to be indexed.
const QUEUE_PATIENCE: Duration = Duration::from_secs(120);

/// How long the last records are still looked up.
const LAST_FINDS: Duration = Duration::from_secs(10);

/// How often it is looked whether a revision is due.
const TICK: Duration = Duration::from_millis(50);

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object on each line.
    Json,
    /// Each line is added to one running document.
    Text,
}

/// What the sender says about a stream.
#[derive(Clone, Debug)]
pub struct StreamRequest {
    pub format: Format,
    /// Path that records without one of their own go below.
    pub source: Option<String>,
    pub collection: Option<String>,
}

/// What is told to the sender.
#[derive(Debug)]
pub enum Message {
    /// The record is in the catalogue.
    Accepted { seq: u64, line: u64, receipt: Acknowledged },
    /// The line is not taken in.
    Refused { seq: u64, line: u64, error: Error },
    /// The tenant holds this near the record.
    Related { seq: u64, document: DocumentId, finds: Vec<SearchResult> },
    /// Nothing more is read.
    End { reason: EndReason, accepted: u64, refused: u64, not_looked_up: u64 },
}

/// The acknowledgement of a record.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub document: DocumentId,
    pub item: crate::types::ItemId,
    pub source: String,
    /// `accepted`, `duplicate` or `unchanged`.
    pub outcome: &'static str,
}

impl From<&Receipt> for Acknowledged {
    fn from(receipt: &Receipt) -> Self {
        Self {
            document: receipt.accepted.document,
            item: receipt.accepted.item,
            source: receipt.source.clone(),
            outcome: receipt.accepted.outcome.as_str(),
        }
    }
}

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// All was read.
    Complete,
    /// It has lived long enough: what is not acknowledged is to be sent over a new one.
    Renew,
    /// The tenant is no longer served, or not to this sender.
    Closed,
}

/// Begins to take records in; the answers come until the stream ends.
///
/// # Errors
/// `Invalid` for an unusable source; `Quota` where too many streams are open; `TenantClosed`.
pub async fn begin<E: Send + 'static>(
    app: &Arc<App>,
    tenant: TenantHandle<Write>,
    request: StreamRequest,
    body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
) -> Result<mpsc::Receiver<Message>, Error> {
    app.standing(tenant.id()).await?.must_be_active()?;
    let place = app.streams.take(tenant.id())?;
    let below = clean_source(request.source.as_deref().unwrap_or("stream"))?;
    // Two connections never write to the same document.
    let stamp = tenant.now().strftime("%Y-%m-%dT%H.%M.%S%.3fZ").to_string();
    let base = format!("{below}/{stamp}");
    let (send, receive) = mpsc::channel(ANSWERS);
    let (arrived, looked_up) = mpsc::channel(related::WAITING);
    let finder = related::run(app.clone(), tenant.clone(), looked_up, send.clone());
    let intake = Intake {
        app: app.clone(),
        tenant,
        base,
        collection: request.collection,
        told: send,
        arrived,
        until: Instant::now() + LIFETIME,
        seq: 0,
        accepted: 0,
        refused: 0,
        not_looked_up: 0,
    };
    let format = request.format;
    let work = async move {
        let finder = tokio::spawn(audit::with_origin(audit::origin(), finder));
        Box::pin(intake.run(format, Lines::new(body), finder)).await;
        drop(place);
    };
    tokio::spawn(audit::with_origin(audit::origin(), work));
    Ok(receive)
}

/// One stream being taken in.
struct Intake {
    app: Arc<App>,
    tenant: TenantHandle<Write>,
    /// What records without a source of their own are called, up to their number.
    base: String,
    collection: Option<String>,
    told: mpsc::Sender<Message>,
    arrived: mpsc::Sender<Arrived>,
    until: Instant,
    seq: u64,
    accepted: u64,
    refused: u64,
    not_looked_up: u64,
}

/// Nobody reads the answers any more.
struct Gone;

impl Intake {
    async fn run<S, E>(
        mut self,
        format: Format,
        lines: Lines<S>,
        finder: tokio::task::JoinHandle<()>,
    ) where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let ended = match format {
            Format::Json => self.records(lines).await,
            Format::Text => self.text(lines).await,
        };
        let Ok(reason) = ended else {
            finder.abort();
            return;
        };
        // The last records are looked up as well.
        drop(self.arrived);
        let _ = tokio::time::timeout(LAST_FINDS, finder).await;
        let Self { accepted, refused, not_looked_up, .. } = self;
        let _ = self.told.send(Message::End { reason, accepted, refused, not_looked_up }).await;
    }

    /// When the stream is to end, whoever sends it.
    async fn lifetime(until: Instant, is_console: bool) {
        if is_console {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep_until(until).await;
    }

    async fn records<S, E>(&mut self, mut lines: Lines<S>) -> Result<EndReason, Gone>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let is_console = *self.tenant.actor() == Actor::Console;
        loop {
            let told = self.told.clone();
            let first = tokio::select! {
                biased;
                () = told.closed() => return Err(Gone),
                () = Self::lifetime(self.until, is_console) => return Ok(EndReason::Renew),
                line = lines.next() => line,
            };
            let Some(first) = first else { return Ok(EndReason::Complete) };
            let mut group = vec![first];
            while group.len() < ABREAST
                && let Some(Some(line)) = lines.next().now_or_never()
            {
                group.push(line);
            }
            if self.group(group).await? == Standing::Closed {
                return Ok(EndReason::Closed);
            }
        }
    }

    /// Takes a few records in side by side, unless two of them are of one source.
    async fn group(&mut self, lines: Vec<Line>) -> Result<Standing, Gone> {
        if !self.is_admitted().await {
            return Ok(Standing::Closed);
        }
        let mut numbered: Vec<(u64, u64, Result<Record, Error>)> = Vec::new();
        for line in lines {
            let Line { number, bytes } = line;
            if bytes.as_ref().is_some_and(|bytes| bytes.trim_ascii().is_empty()) {
                continue;
            }
            self.seq += 1;
            let read = match bytes {
                Some(bytes) => record::parse(bytes).map_err(Error::invalid),
                None => Err(too_long()),
            };
            numbered.push((self.seq, number, read));
        }
        let named: Vec<&str> = numbered
            .iter()
            .filter_map(|(_, _, read)| read.as_ref().ok()?.source.as_deref())
            .collect();
        let distinct = named.iter().collect::<std::collections::HashSet<_>>().len() == named.len();
        let abreast = if distinct { ABREAST } else { 1 };
        let (app, tenant) = (self.app.clone(), self.tenant.clone());
        let (base, collection) = (self.base.clone(), self.collection.clone());
        let taken = stream::iter(numbered).map(|(seq, line, read)| {
            let (app, tenant) = (app.clone(), tenant.clone());
            let (base, collection) = (base.clone(), collection.clone());
            async move {
                let taken = match read {
                    Ok(Record { source, text, bytes }) => {
                        let source = source.unwrap_or_else(|| format!("{base}-{seq:06}.json"));
                        let taken = take_in(&app, &tenant, source, collection, bytes).await;
                        taken.map(|receipt| (receipt, text))
                    }
                    Err(error) => Err(error),
                };
                (seq, line, taken)
            }
        });
        let mut taken = std::pin::pin!(taken.buffered(abreast));
        let mut standing = Standing::Served;
        while let Some((seq, line, taken)) = taken.next().await {
            match taken {
                Ok((receipt, text)) => {
                    self.acknowledge(seq, line, &receipt).await?;
                    self.look_up(seq, receipt.accepted.document, text);
                }
                Err(error) => {
                    if error.is_for_the_tenant() && !matches!(error, Error::Quota(_)) {
                        standing = Standing::Closed;
                    }
                    self.refuse(seq, line, error).await?;
                }
            }
        }
        Ok(standing)
    }

    async fn text<S, E>(&mut self, mut lines: Lines<S>) -> Result<EndReason, Gone>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let is_console = *self.tenant.actor() == Actor::Console;
        let mut running = Running::new(self.base.clone(), self.collection.clone());
        let (mut ended, mut look) = (None, Instant::now());
        loop {
            if ended.is_some() && running.pending.is_empty() {
                return Ok(ended.unwrap_or(EndReason::Complete));
            }
            // Not for every line: it asks the catalogue.
            let looks = !running.pending.is_empty() && (ended.is_some() || Instant::now() >= look);
            if looks {
                look = Instant::now() + TICK;
                let due = ended.is_some() || running.is_due(&self.tenant).await.unwrap_or(true);
                if due && self.revise(&mut running).await? == Standing::Closed {
                    return Ok(EndReason::Closed);
                }
            }
            let told = self.told.clone();
            tokio::select! {
                biased;
                () = told.closed() => {
                    // The lines are kept, though nobody hears of it.
                    let _ = self.revise(&mut running).await;
                    return Err(Gone);
                }
                () = Self::lifetime(self.until, is_console), if ended.is_none() => {
                    ended = Some(EndReason::Renew);
                }
                line = lines.next(), if ended.is_none() && running.has_room() => match line {
                    Some(line) => self.add(&mut running, line).await?,
                    None => ended = Some(EndReason::Complete),
                },
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Adds a line to what waits.
    async fn add(&mut self, running: &mut Running, line: Line) -> Result<(), Gone> {
        let Line { number, bytes } = line;
        let Some(bytes) = bytes else {
            self.seq += 1;
            return self.refuse(self.seq, number, too_long()).await;
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut pending = None;
        if !text.trim().is_empty() {
            self.seq += 1;
            pending = Some(Pending { seq: self.seq, number });
        }
        running.add(&text, pending);
        Ok(())
    }

    /// Makes a revision of what waits and acknowledges its lines.
    async fn revise(&mut self, running: &mut Running) -> Result<Standing, Gone> {
        if running.pending.is_empty() {
            return Ok(Standing::Served);
        }
        if !self.is_admitted().await {
            return Ok(Standing::Closed);
        }
        let text = running.added().to_owned();
        let patience = Patience::lasting(QUEUE_PATIENCE);
        let error = loop {
            let revised = running.flush(&self.app, &self.tenant).await;
            match revised {
                Ok((receipt, pending)) => {
                    let document = receipt.document;
                    let mut last = self.seq;
                    for Pending { seq, number } in pending {
                        last = seq;
                        self.accepted += 1;
                        let receipt = receipt.clone();
                        self.tell(Message::Accepted { seq, line: number, receipt }).await?;
                    }
                    self.look_up(last, document, text);
                    return Ok(Standing::Served);
                }
                Err(error) => {
                    if let Err(error) = patience.bear(error).await {
                        break error;
                    }
                }
            }
        };
        let closed = error.is_for_the_tenant() && !matches!(error, Error::Quota(_));
        let detail = error.to_string();
        let mut first = Some(error);
        for Pending { seq, number } in running.give_up() {
            let error = first.take().unwrap_or_else(|| Error::invalid(detail.clone()));
            self.refuse(seq, number, error).await?;
        }
        Ok(if closed { Standing::Closed } else { Standing::Served })
    }

    /// True while the sender may still write here.
    async fn is_admitted(&self) -> bool {
        self.app.still_admits(&self.tenant).await.unwrap_or(false)
    }

    async fn acknowledge(&mut self, seq: u64, line: u64, receipt: &Receipt) -> Result<(), Gone> {
        self.accepted += 1;
        self.tell(Message::Accepted { seq, line, receipt: receipt.into() }).await
    }

    async fn refuse(&mut self, seq: u64, line: u64, error: Error) -> Result<(), Gone> {
        self.refused += 1;
        self.tell(Message::Refused { seq, line, error }).await
    }

    async fn tell(&self, message: Message) -> Result<(), Gone> {
        self.told.send(message).await.map_err(|_| Gone)
    }

    /// Has a record looked up, unless too many wait for that.
    fn look_up(&mut self, seq: u64, document: DocumentId, text: String) {
        if self.arrived.try_send(Arrived { seq, document, text }).is_err() {
            self.not_looked_up += 1;
        }
    }
}

/// Whether more can be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Served,
    Closed,
}

fn too_long() -> Error {
    Error::invalid(format!("the line is longer than {MAX_LINE_BYTES} bytes"))
}

/// Takes one record in; while too much of the tenant waits to be indexed, the record waits too.
async fn take_in(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    source: String,
    collection: Option<String>,
    bytes: Vec<u8>,
) -> Result<Receipt, Error> {
    let patience = Patience::lasting(QUEUE_PATIENCE);
    let bytes = Bytes::from(bytes);
    loop {
        let upload = Upload {
            source: source.clone(),
            collection: collection.clone(),
            file_date: None,
            declared_type: Some("application/json".to_owned()),
            format: Some(FormatHint::DocumentJson),
            size_bytes: Some(bytes.len() as u64),
        };
        let body = stream::iter([Ok::<_, Infallible>(bytes.clone())]);
        match ingest::accept(app, tenant, upload, body).await {
            Err(error) => patience.bear(error).await?,
            taken => return taken,
        }
    }
}
