//! The end of a tenant, and the certificate that says so.
//!
//! Called by: `http`, `cli` (to check one). Talks to: `system`, registry, catalogue.
//! Invariants: the certificate is recorded before anything goes and shown once the tenant is gone;
//! it says how much there was and proves what by one digest, and holds nothing of the content. It
//! is signed by the appliance, so that whoever knows the appliance's fingerprint can check it
//! anywhere.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::audit::{self, Action, Event};
use super::{App, Error, blocking, tenants};
use crate::archive::{ArchiveError, Fingerprint, Signature};
use crate::auth::{Actor, Administer, Grant, SystemActor};
use crate::error::chain;
use crate::system::{Deletion, TenantRecord};
use crate::tenant::ContentSummary;
use crate::types::{ApplianceId, TenantId};

/// Says that a tenant is gone, what it held, and what makes copies of its files worthless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletionCertificate {
    #[schema(value_type = String)]
    pub appliance: ApplianceId,
    #[schema(value_type = String)]
    pub tenant: TenantId,
    pub name: String,
    #[schema(value_type = String)]
    pub deleted_at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// Live documents; absent where the tenant could not be opened any more.
    pub documents: Option<u64>,
    /// Bytes of originals, each content once.
    pub stored_bytes: Option<u64>,
    /// SHA-256 over the SHA-256 digests of all originals in lower-case hexadecimal, sorted, each
    /// followed by a line feed.
    pub content_digest: Option<String>,
    /// The data key that was destroyed.
    pub destroyed_key: DestroyedKey,
    /// All of it in words.
    pub statement: String,
    /// The appliance's signature of all the other fields, as JSON with its keys in order and no
    /// white space. Certificates of older releases have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// Which key is gone; not the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DestroyedKey {
    /// Whose key it was.
    pub scope: String,
    /// Epochs of the key, newest first.
    pub epochs: Vec<u32>,
    /// What the key of each epoch was called. Whoever still had such a key could tell by it which
    /// one it is; nothing can be learned of the key from it.
    #[serde(default)]
    pub key_ids: Vec<String>,
}

/// The public part of the key that an appliance signs with.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Signer {
    #[schema(value_type = String)]
    pub appliance: ApplianceId,
    /// `ed25519`.
    pub algorithm: String,
    /// Lower-case hexadecimal.
    pub public_key: String,
    /// SHA-256 of the public key: what people compare.
    pub fingerprint: String,
}

/// Why a certificate is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("this is no certificate of a deletion")]
    NotOne,
    #[error("the certificate is not signed")]
    Unsigned,
    #[error("the certificate was changed, or the signature is of another one")]
    Changed(#[source] ArchiveError),
}

/// Checks the signature of a certificate as it was handed out, and gives it back with who signed
/// it.
///
/// # Errors
/// What is wrong with it.
pub fn check(certificate: &Value) -> Result<(DeletionCertificate, Fingerprint), CertificateError> {
    let parsed: DeletionCertificate =
        serde_json::from_value(certificate.clone()).map_err(|_| CertificateError::NotOne)?;
    let signature = parsed.signature.as_ref().ok_or(CertificateError::Unsigned)?;
    // Of what is there, not of what this release knows: a field more must not go unsigned.
    let signer = signature.signer_of(&signed(certificate)).map_err(CertificateError::Changed)?;
    Ok((parsed, signer))
}

/// The bytes that are signed: every field but the signature.
fn signed(certificate: &Value) -> Vec<u8> {
    let mut fields = certificate.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("signature");
    }
    fields.sort_all_objects();
    fields.to_string().into_bytes()
}

/// Removes a tenant with everything it holds.
///
/// # Errors
/// When its key or its files cannot be removed.
pub async fn remove(
    app: &Arc<App>,
    grant: Grant<Administer>,
) -> Result<DeletionCertificate, Error> {
    let record = tenants::record(app, &grant).await?;
    let summary = summary(app, record.id).await;
    let (shared, actor) = (app.clone(), grant.actor().clone());
    let event =
        Event::new(Action::TenantDelete).on("tenant", record.id).with("name", record.name.clone());
    // Said before it is done: nothing that goes may go unrecorded.
    audit::record_appliance(app, &actor, event.clone()).await?;
    let removed = blocking(move || {
        let certificate = certify(&shared, &record, grant.actor(), summary)?;
        shared.registry.remove(&grant)?;
        Ok(certificate)
    });
    let certificate = match removed.await {
        Ok(certificate) => certificate,
        failed => return audit::concluded_for_appliance(app, &actor, event, failed).await,
    };
    let id = certificate.tenant;
    app.schedule.depart(id);
    app.extraction.forget(id);
    app.viewer.forget(id);
    app.statistics.forget(id);
    app.quotas.forget(id);
    Ok(certificate)
}

/// Certificates of tenants that are gone, after `cursor`.
///
/// # Errors
/// When the appliance database cannot be read.
pub async fn list(
    app: &Arc<App>,
    cursor: Option<TenantId>,
    limit: usize,
) -> Result<(Vec<DeletionCertificate>, Option<TenantId>), Error> {
    let app = app.clone();
    blocking(move || {
        let mut found = app.system.list_deletions(cursor, limit + 1)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more { found.last().map(|deletion| deletion.tenant) } else { None };
        let certificates = found.iter().filter_map(readable).collect();
        Ok((certificates, next))
    })
    .await
}

fn readable(deletion: &Deletion) -> Option<DeletionCertificate> {
    serde_json::from_str(&deletion.certificate)
        .inspect_err(|error| {
            tracing::error!(tenant = %deletion.tenant, "a certificate cannot be read: {error}");
        })
        .ok()
}

/// What the tenant holds; none where it cannot be opened, which must not keep it from going.
async fn summary(app: &Arc<App>, tenant: TenantId) -> Option<ContentSummary> {
    let summed = async {
        let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method by its name is for one lifetime of the snapshot only"
        )]
        let summary = handle.read(|catalog| catalog.content_summary()).await?;
        Ok::<ContentSummary, Error>(summary)
    };
    summed
        .await
        .inspect_err(|error| {
            tracing::warn!(tenant = %tenant, "deleted without a look at its content: {}", chain(error));
        })
        .ok()
}

/// Writes the certificate down. An attempt that was interrupted may have seen more than this one.
fn certify(
    app: &App,
    record: &TenantRecord,
    actor: &Actor,
    summary: Option<ContentSummary>,
) -> Result<DeletionCertificate, Error> {
    let before = app.system.recorded_deletion(record.id)?.as_ref().and_then(readable);
    let mut certificate = DeletionCertificate {
        appliance: app.system.appliance_id()?,
        tenant: record.id,
        name: record.name.clone(),
        deleted_at: app.clock.now(),
        by: named(actor),
        documents: summary.as_ref().map(|summary| summary.amounts.documents),
        stored_bytes: summary.as_ref().map(|summary| summary.amounts.stored_bytes),
        content_digest: summary.map(|summary| summary.digest),
        destroyed_key: key_of(app, record.id),
        statement: String::new(),
        signature: None,
    };
    if let Some(before) = before {
        certificate.documents = certificate.documents.or(before.documents);
        certificate.stored_bytes = certificate.stored_bytes.or(before.stored_bytes);
        certificate.content_digest = certificate.content_digest.or(before.content_digest);
        if certificate.destroyed_key.epochs.is_empty() {
            certificate.destroyed_key = before.destroyed_key;
        }
    }
    certificate.statement = statement(&certificate);
    let unwritable = |error| Error::invalid(format!("the certificate cannot be written: {error}"));
    let unsigned = serde_json::to_value(&certificate).map_err(unwritable)?;
    certificate.signature = Some(app.registry.signing_key()?.sign(&signed(&unsigned)));
    let json = serde_json::to_string(&certificate).map_err(unwritable)?;
    app.system.record_deletion(&Deletion { tenant: record.id, certificate: json })?;
    Ok(certificate)
}

/// What is known of the key that goes with the tenant.
fn key_of(app: &App, tenant: TenantId) -> DestroyedKey {
    let (epochs, key_ids) = app.registry.key_ids(tenant).into_iter().unzip();
    DestroyedKey { scope: tenant.to_string(), epochs, key_ids }
}

/// Who signs here.
///
/// # Errors
/// When the appliance's keys or its database cannot be read.
pub async fn signer(app: &Arc<App>) -> Result<Signer, Error> {
    let app = app.clone();
    blocking(move || {
        let key = app.registry.signing_key()?;
        Ok(Signer {
            appliance: app.system.appliance_id()?,
            algorithm: "ed25519".to_owned(),
            public_key: key.public_key(),
            fingerprint: key.fingerprint().to_string(),
        })
    })
    .await
}

/// Who did it, in words.
pub(super) fn named(actor: &Actor) -> String {
    match actor.name() {
        Some(name) => format!("{} {name}", actor.kind()),
        None => actor.kind().to_owned(),
    }
}

fn statement(certificate: &DeletionCertificate) -> String {
    let held = match (certificate.documents, certificate.stored_bytes) {
        (Some(documents), Some(bytes)) => {
            format!("It held {documents} documents in {bytes} bytes of originals.")
        }
        _ => "What it held could not be counted any more.".to_owned(),
    };
    let key = if certificate.destroyed_key.epochs.is_empty() {
        "Its files were removed."
    } else {
        &format!(
            "Its data key {} was destroyed first, then its files were removed: the appliance holds \
             nothing any more that reads copies of them. A backup of the folder of keys, \
             keys/{}.json, together with the key of the appliance as it is today, would; where there \
             may be one, destroy it, or change the key of the appliance and destroy the old one with \
             its recovery shares.",
            certificate.destroyed_key.key_ids.join(", "),
            certificate.tenant
        )
    };
    format!(
        "The tenant {} ({}) was deleted from the appliance {} at {} by {}. {held} {key}",
        certificate.name,
        certificate.tenant,
        certificate.appliance,
        certificate.deleted_at,
        certificate.by
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_claims_no_more_than_is_known() {
        let mut certificate = DeletionCertificate {
            appliance: ApplianceId::generate(),
            tenant: TenantId::generate(),
            name: "demo".to_owned(),
            deleted_at: Timestamp::UNIX_EPOCH,
            by: "console".to_owned(),
            documents: None,
            stored_bytes: None,
            content_digest: None,
            destroyed_key: DestroyedKey::default(),
            statement: String::new(),
            signature: None,
        };
        let said = statement(&certificate);
        assert!(said.contains("could not be counted") && !said.contains("key"), "{said}");
        certificate.documents = Some(3);
        certificate.stored_bytes = Some(70);
        certificate.destroyed_key.epochs = vec![1];
        certificate.destroyed_key.key_ids = vec!["00ff".to_owned()];
        let said = statement(&certificate);
        assert!(said.contains("3 documents in 70 bytes"), "{said}");
        assert!(said.contains("Its data key 00ff was destroyed first"), "{said}");
    }
}
