//! Use cases, one file each, over the services held by [`App`].
//!
//! Called by: `http`, `worker`, `sources`, `appliance`. Talks to: every lower layer.
//! Invariants: every use case takes a tenant handle or a grant, never a bare tenant id; nothing
//! here knows HTTP, and nothing here decides who may call it.

pub mod accounts;
pub mod ask;
pub mod audit;
pub mod collections;
pub mod deletion;
pub mod doctor;
pub mod documents;
mod error;
pub mod eval;
pub mod index;
pub mod ingest;
pub mod keys;
pub mod ledger;
pub mod lifecycle;
pub mod maintain;
pub mod pages;
pub mod quota;
mod schedule;
pub mod seal;
pub mod search;
pub mod sources;
pub mod status;
mod stop;
pub mod stream;
pub mod support;
pub mod tables;
pub mod tenants;
pub mod tls;
pub mod transfer;
pub mod uploads;
pub mod usage;

use std::sync::Arc;

use crate::auth::{Access, Actor, Authority, CanRead, Grant, SystemActor, Write, system_grant};
use crate::clock::SharedClock;
use crate::config::{Home, IngestConfig, ServerConfig};
use crate::disk::Reserve;
use crate::extraction::{ExtractionPool, Ocr};
use crate::inference::Embedder;
use crate::system::System;
use crate::tenant::{Registry, RegistryError, TenantHandle};
use crate::tls::Tls;
use crate::types::{ModelInfo, TenantId};

pub use error::Error;
pub use schedule::{Schedule, ScheduledTenant, TenantChange};
pub use stop::stop_asked;

/// The embedding model, or why there is none.
#[derive(Clone)]
pub enum Inference {
    Ready(Embedder),
    /// The model or its runtime is not there.
    Missing(String),
    /// It is there but does not work: wrong digest, failed self-test, unsuitable CPU.
    Failed(String),
}

impl Inference {
    /// The embedder.
    ///
    /// # Errors
    /// `Error::VectorsUnavailable` with the reason.
    pub fn embedder(&self) -> Result<&Embedder, Error> {
        match self {
            Self::Ready(embedder) => Ok(embedder),
            Self::Missing(detail) | Self::Failed(detail) => {
                Err(Error::VectorsUnavailable { detail: detail.clone() })
            }
        }
    }

    /// The model in use.
    pub fn model(&self) -> Option<&ModelInfo> {
        match self {
            Self::Ready(embedder) => Some(embedder.info()),
            Self::Missing(_) | Self::Failed(_) => None,
        }
    }

    /// Byte spans of the tokens of a text, as the embedding model sees them. Without a model
    /// they are estimated at five letters a token, so that documents read meanwhile get chunks
    /// that a model of the usual kind can take later.
    pub fn token_spans(&self, text: &str) -> Vec<(usize, usize)> {
        let Self::Ready(embedder) = self else {
            return estimated_spans(text);
        };
        match embedder.tokenizer().encode(text, false) {
            Ok(encoding) => encoding.get_offsets().to_vec(),
            Err(error) => {
                tracing::warn!("a text could not be tokenised, its tokens are estimated: {error}");
                estimated_spans(text)
            }
        }
    }

    /// Time spent inside the model so far, all sessions together.
    pub fn busy(&self) -> std::time::Duration {
        match self {
            Self::Ready(embedder) => embedder.busy(),
            Self::Missing(_) | Self::Failed(_) => std::time::Duration::ZERO,
        }
    }

    /// True where vectors can be computed.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}

/// Letters per token where no tokenizer is at hand.
const LETTERS_PER_TOKEN: usize = 5;

fn estimated_spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut letters = 0;
    for (at, c) in text.char_indices() {
        let end = at + c.len_utf8();
        match spans.last_mut() {
            Some(last) if c.is_alphanumeric() && letters > 0 && letters < LETTERS_PER_TOKEN => {
                last.1 = end;
                letters += 1;
            }
            _ if c.is_whitespace() => letters = 0,
            _ => {
                spans.push((at, end));
                letters = usize::from(c.is_alphanumeric());
            }
        }
    }
    spans
}

/// The services of one appliance. Cheap to clone through its `Arc`; it has no business methods.
pub struct App {
    pub home: Home,
    pub server: ServerConfig,
    pub ingest: IngestConfig,
    pub clock: SharedClock,
    pub started_at: jiff::Timestamp,
    pub system: Arc<System>,
    pub authority: Authority,
    pub registry: Registry,
    pub extraction: ExtractionPool,
    /// Draws pages for people, who do not wait for files being read.
    pub viewer: ExtractionPool,
    /// Reads pictures, where the program for it is installed.
    pub ocr: Ocr,
    pub inference: Inference,
    /// The temporary directory, if it is in memory; without one no vector index is built.
    pub scratch: Option<std::path::PathBuf>,
    pub schedule: Schedule,
    pub quotas: quota::Quotas,
    pub streams: stream::Places,
    pub watchers: stream::Places,
    /// Who writes to which upload at present.
    pub uploads: uploads::Turns,
    /// The file that holds the key of the home, where it is in a file.
    pub key_file: Option<std::path::PathBuf>,
    /// The configuration in force, masked.
    pub settings: serde_json::Value,
    /// The server's certificate and the hosts it answers to.
    pub tls: Arc<Tls>,
    /// Space given back when the volume is full and something has to be removed.
    pub reserve: Reserve,
    /// What synchronised sources may reach, and what they do.
    pub sources: sources::Sources,
    pub(crate) statistics: search::StatisticsCache,
}

impl App {
    /// Opens a tenant for a caller, off the async threads; an absent tenant and one that is not
    /// for this actor are the same `NotFound`.
    ///
    /// # Errors
    /// `NotFound`; `TenantClosed`; `Quota` for a tenant that asks too fast; or when a store cannot be
    /// opened.
    pub async fn open_tenant<A: Access>(
        self: &Arc<Self>,
        actor: Actor,
        tenant: String,
    ) -> Result<TenantHandle<A>, Error> {
        let app = self.clone();
        blocking(move || {
            let grant: Grant<A> =
                app.authority.authorise(&actor, &tenant)?.ok_or(Error::NotFound)?;
            // Only now: to a stranger no limit shows that the tenant is there.
            app.quotas.standing(grant.tenant())?.admit(grant.actor())?;
            Ok(app.registry.open(&grant)?)
        })
        .await
    }

    /// True while the holder of a handle would be given the same one again. For what stays open: a
    /// membership, a key or an account may end at any time, and what is in sight may change.
    ///
    /// # Errors
    /// `TenantClosed`; when the appliance database cannot be asked.
    pub async fn still_admits<A: CanRead>(
        self: &Arc<Self>,
        tenant: &TenantHandle<A>,
    ) -> Result<bool, Error> {
        let (app, actor) = (self.clone(), tenant.actor().clone());
        let (id, collections) = (tenant.id().to_string(), tenant.collections().clone());
        blocking(move || {
            let grant: Option<Grant<A>> = app.authority.authorise(&actor, &id)?;
            let same = grant.is_some_and(|grant| *grant.collections() == collections);
            Ok(same && app.authority.is_live(&actor)?)
        })
        .await
    }

    /// A tenant that is open at present, for Cairn's own rounds; they keep none open.
    ///
    /// # Errors
    /// Only that the process is ending.
    pub async fn if_open(
        self: &Arc<Self>,
        tenant: TenantId,
        who: SystemActor,
    ) -> Result<Option<TenantHandle<Write>>, Error> {
        let app = self.clone();
        blocking(move || Ok(app.registry.if_open(&system_grant(tenant, who)))).await
    }

    /// Closes a tenant that was opened for Cairn's own work only, and leaves any other open.
    pub async fn close_if_idle(self: &Arc<Self>, tenant: TenantId) {
        let app = self.clone();
        // Left open, it is closed later.
        let _ = tokio::task::spawn_blocking(move || app.registry.close_if_idle(tenant)).await;
    }

    /// Permission on a tenant for a caller, without opening it: for what the appliance knows of
    /// the tenant and its stores do not.
    ///
    /// # Errors
    /// `NotFound`; `TenantClosed` for a caller who could otherwise.
    pub async fn grant<A: Access>(
        self: &Arc<Self>,
        actor: Actor,
        tenant: String,
    ) -> Result<Grant<A>, Error> {
        let app = self.clone();
        blocking(move || {
            let grant: Grant<A> =
                app.authority.authorise(&actor, &tenant)?.ok_or(Error::NotFound)?;
            // Who stands above tenants must get through to one that its members keep busy.
            if !app.authority.may_operate(grant.actor()) {
                app.quotas.standing(grant.tenant())?.admit(grant.actor())?;
            }
            Ok(grant)
        })
        .await
    }

    /// Opens a tenant for Cairn's own work.
    ///
    /// # Errors
    /// When a store cannot be opened.
    pub async fn open_for_work(
        self: &Arc<Self>,
        tenant: TenantId,
        who: SystemActor,
    ) -> Result<TenantHandle<Write>, Error> {
        let app = self.clone();
        blocking(move || match app.registry.open(&system_grant(tenant, who)) {
            Err(RegistryError::Absent { .. }) => Err(Error::NotFound),
            opened => Ok(opened?),
        })
        .await
    }
}

/// Runs blocking work on the blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::Interrupted)?
}
