//! Removing, retrying, rebuilding, and what a tenant needs at the start of a process.
//!
//! Called by: `http`, `worker`. Talks to: catalogue, projections, blobs.
//! Invariants: the catalogue changes first; projections follow through jobs.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::audit::{self, Action, Event};
use super::{App, Error, blocking, lifecycle, uploads};
use crate::auth::{CanWrite, SystemActor, Write};
use crate::error::chain;
use crate::tenant::TenantHandle;
use crate::types::{DocumentId, ItemState, TenantId};

pub use crate::tenant::Projection;

/// Removes a document and everything found inside it; returns how many documents went.
///
/// # Errors
/// `NotFound`.
pub async fn remove<A: CanWrite>(
    app: &App,
    tenant: &TenantHandle<A>,
    document: DocumentId,
) -> Result<u64, Error> {
    let event = Event::new(Action::DocumentDelete).on("document", document);
    let attempt = async || {
        let (occasion, event) = (audit::occasion(tenant), event.clone());
        let removal = tenant.write(move |catalog| {
            let removed = catalog.remove_document(document)?;
            if removed > 0 {
                catalog.record([occasion.record(event.with("documents", removed))])?;
            }
            Ok(removed)
        });
        removal.await
    };
    let removed = match attempt().await {
        // The tombstone itself needs a little space; what follows frees more.
        Err(error) if error.is_storage_full() && app.reserve.release() => attempt().await?,
        attempted => attempted?,
    };
    if removed == 0 {
        return Err(audit::refused(tenant, event, Error::NotFound).await);
    }
    app.quotas.note_removal(tenant.id());
    tenant.announce(Vec::new());
    app.schedule.wake(tenant.id());
    Ok(removed)
}

/// Queues a failed or unsupported document again; returns how many items were queued.
///
/// # Errors
/// `NotFound`; `Conflict` where the document neither failed nor is unsupported.
pub async fn retry_document<A: CanWrite>(
    app: &App,
    tenant: &TenantHandle<A>,
    document: DocumentId,
) -> Result<u64, Error> {
    let occasion = audit::occasion(tenant);
    let retried = tenant
        .write(move |catalog| {
            if catalog.document(document)?.is_none() {
                return Ok(None);
            }
            let retried = catalog.retry_document(document)?;
            if retried {
                let event = Event::new(Action::DocumentRetry).on("document", document);
                catalog.record([occasion.record(event)])?;
            }
            Ok(Some(retried))
        })
        .await?
        .ok_or(Error::NotFound)?;
    if !retried {
        return Err(Error::Conflict {
            detail: "only a failed or unsupported document can be tried again".to_owned(),
        });
    }
    tenant.announce(Vec::new());
    app.schedule.wake(tenant.id());
    Ok(1)
}

/// Longest password of a file, in bytes.
const MAX_PASSWORD_BYTES: usize = 1024;

/// Keeps a password for a locked document and queues it to be read again; returns how many items
/// were queued. It is kept in the tenant's encrypted catalogue for as long as the document is there,
/// so that the document can be read anew; one that does not open it is forgotten once it was tried.
///
/// # Errors
/// `Invalid` for no password or too long a one; `NotFound`; `Conflict` where the document is not
/// locked by a password.
pub async fn unlock_document<A: CanWrite>(
    app: &App,
    tenant: &TenantHandle<A>,
    document: DocumentId,
    password: Zeroizing<String>,
) -> Result<u64, Error> {
    if password.is_empty() || password.len() > MAX_PASSWORD_BYTES {
        return Err(Error::invalid(format!("a password has 1 to {MAX_PASSWORD_BYTES} bytes")));
    }
    let event = Event::new(Action::DocumentPassword).on("document", document);
    let (occasion, given) = (audit::occasion(tenant), event.clone());
    let unlocked = tenant
        .write(move |catalog| {
            let unlocked = catalog.unlock_document(document, &password)?;
            if unlocked == Some(true) {
                catalog.record([occasion.record(given)])?;
            }
            Ok(unlocked)
        })
        .await?;
    let error = match unlocked {
        Some(true) => {
            tenant.announce(Vec::new());
            app.schedule.wake(tenant.id());
            return Ok(1);
        }
        Some(false) => {
            Error::Conflict { detail: "the document does not wait for a password".to_owned() }
        }
        None => Error::NotFound,
    };
    Err(audit::refused(tenant, event, error).await)
}

/// Queues every failed or every unsupported item again, and what waited for an OCR program that is
/// there now.
///
/// # Errors
/// `Invalid` for any other state.
pub async fn retry_all<A: CanWrite>(
    app: &App,
    tenant: &TenantHandle<A>,
    state: ItemState,
) -> Result<u64, Error> {
    if !matches!(state, ItemState::Failed | ItemState::Unsupported) {
        return Err(Error::invalid("only failed and unsupported items can be tried again"));
    }
    let occasion = audit::occasion(tenant);
    let readable = app.ocr.engine().await.is_ok();
    let retried = tenant
        .write(move |catalog| {
            let mut retried = catalog.retry_all(state)?;
            if readable {
                retried += catalog.take_up_ocr()?;
            }
            let event = Event::new(Action::DocumentRetry)
                .with("state", state.as_str())
                .with("documents", retried);
            catalog.record([occasion.record(event)])?;
            Ok(retried)
        })
        .await?;
    tenant.announce(Vec::new());
    app.schedule.wake(tenant.id());
    Ok(retried)
}

/// Rebuilds projections from the catalogue; returns how many items were queued. Vectors are
/// written anew from stored embeddings, so nothing is inferred twice.
///
/// # Errors
/// When a projection cannot be cleared.
pub async fn rebuild<A: CanWrite>(
    app: &App,
    tenant: &TenantHandle<A>,
    projections: &[Projection],
) -> Result<u64, Error> {
    let mut queued = 0;
    for projection in projections.iter().copied() {
        // Cleared first: what is written from now on is either kept or written again.
        match projection {
            Projection::Fulltext => {
                let handle = tenant.clone();
                blocking(move || Ok(handle.clear_fulltext()?)).await?;
            }
            Projection::Vectors => tenant.clear_vectors().await?,
        }
        let occasion = audit::occasion(tenant);
        let rebuild = tenant.write(move |catalog| {
            let queued = catalog.rebuild(projection)?;
            let event = Event::new(Action::IndexRebuild)
                .with("projection", projection.as_str())
                .with("documents", queued);
            catalog.record([occasion.record(event)])?;
            Ok(queued)
        });
        queued += rebuild.await?;
    }
    tenant.announce(Vec::new());
    app.schedule.wake(tenant.id());
    Ok(queued)
}

/// Name of the setting that holds the model the vector table was made with.
const VECTOR_MODEL: &str = "vector_model";

/// Brings a tenant in order at the start of a process: blobs that no item names are removed, and
/// a change of model queues every document for vectors of the new one.
///
/// # Errors
/// When a store cannot be used.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the methods themselves are not general enough over the snapshot's lifetime"
)]
pub async fn prepare(app: &Arc<App>, tenant: &TenantHandle<Write>) -> Result<(), Error> {
    app.standing(tenant.id()).await?.count(tenant).await?;
    sweep_originals(tenant).await?;
    uploads::upkeep(app, tenant).await?;
    rebuild_what_is_lost(app, tenant).await?;
    let ready = app.inference.is_ready();
    tenant
        .write(move |catalog| if ready { Ok(()) } else { catalog.settle_all_without_vectors() })
        .await?;
    let readable = app.ocr.engine().await.is_ok();
    tenant
        .write(
            move |catalog| {
                if readable { catalog.take_up_ocr() } else { catalog.do_without_ocr() }
            },
        )
        .await?;
    if let Some(model) = app.inference.model() {
        let id = model.id.clone();
        let queued = tenant
            .write(move |catalog| {
                let before = catalog.setting(VECTOR_MODEL)?;
                if before.as_deref() == Some(id.as_str()) {
                    return Ok(0);
                }
                catalog.set_setting(VECTOR_MODEL, &id)?;
                if before.is_none() { Ok(0) } else { catalog.rebuild(Projection::Vectors) }
            })
            .await?;
        if queued > 0 {
            tracing::info!(tenant = %tenant.id(), queued, "the embedding model changed");
        }
    }
    // An idle tenant is left alone, so that it can be closed again.
    if tenant.read(|catalog| catalog.has_job()).await? {
        app.schedule.wake(tenant.id());
    }
    Ok(())
}

/// Puts a tenant in order and its work in line, whatever it takes; what goes wrong is logged, and
/// the lanes try again. For a tenant that was just found or just came.
pub async fn put_in_order(app: &Arc<App>, tenant: TenantId) {
    let prepared = async {
        if !app.standing(tenant).await?.is_active() {
            return Ok(());
        }
        let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
        prepare(app, &handle).await
    };
    let prepared = prepared.await;
    app.close_if_idle(tenant).await;
    if let Err(error) = prepared
        && !error.is_locked()
    {
        tracing::error!(tenant = %tenant, "a tenant cannot be put in order: {}", chain(&error));
        app.schedule.wake(tenant);
    }
}

/// Removes originals that no item names.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method itself is not general enough over the snapshot's lifetime"
)]
pub(super) async fn sweep_originals<A: CanWrite>(tenant: &TenantHandle<A>) -> Result<(), Error> {
    let named = || async { Ok::<_, Error>(tenant.read(|catalog| catalog.named_blobs()).await?) };
    let swept = tenant.blobs()?.sweep(named).await?;
    if swept > 0 {
        tracing::info!(tenant = %tenant.id(), swept, "originals that nothing names were removed");
    }
    Ok(())
}

/// Compacts projections, brings the vector index up to date, and goes on with a change of the data
/// key.
///
/// # Errors
/// When a projection cannot be maintained; it is as usable as before.
pub async fn upkeep(app: &Arc<App>, tenant: &TenantHandle<Write>) -> Result<(), Error> {
    let shared = app.clone();
    blocking(move || {
        if let Err(error) = shared.reserve.hold() {
            tracing::warn!("the disk reserve cannot be held: {error}");
        }
        Ok(())
    })
    .await?;
    tenant.take_from_outbox().await?;
    // What people are warned of is known without anybody asking.
    app.standing(tenant.id()).await?.count(tenant).await?;
    let handle = tenant.clone();
    blocking(move || {
        handle.drop_anchor()?;
        handle.shrink_log()?;
        Ok(handle.fulltext()?.compact()?)
    })
    .await?;
    if let Some(vectors) = tenant.vectors().await? {
        let done = vectors.maintain().await?;
        tracing::debug!(tenant = %tenant.id(), ?done, "vector table maintained");
    }
    uploads::upkeep(app, tenant).await?;
    if tenant.is_rotating() {
        let handle = tenant.clone();
        blocking(move || lifecycle::finish_rotation(&handle)).await?;
    }
    Ok(())
}

/// Queues documents for a projection that is empty although the catalogue says otherwise: it was
/// lost, or made by another release.
async fn rebuild_what_is_lost(app: &App, tenant: &TenantHandle<Write>) -> Result<(), Error> {
    let handle = tenant.clone();
    let mut lost = Vec::new();
    if blocking(move || Ok(handle.fulltext()?.document_count())).await? == 0 {
        lost.push(Projection::Fulltext);
    }
    if app.inference.is_ready()
        && let Some(vectors) = tenant.vectors().await?
        && vectors.rows().await? == 0
    {
        lost.push(Projection::Vectors);
    }
    for projection in lost {
        let queued = tenant.write(move |catalog| catalog.rebuild_if_ready(projection)).await?;
        if queued > 0 {
            tracing::info!(tenant = %tenant.id(), ?projection, queued, "a projection is made anew");
        }
    }
    Ok(())
}
