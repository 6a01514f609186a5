//! Tenants carried away and brought in, over HTTP.
//!
//! Called by: the router. Talks to: `app::transfer`.
//! Invariants: an archive is streamed in both directions; a passphrase is in a body and never in
//! an address, which logs show. Who manages a tenant carries it away; who administers the
//! appliance brings one in.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as ResponseBody;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::caller::Administrator;
use super::error::{Failure, Problem};
use super::extract::{Body, Tenant};
use crate::app::App;
use crate::app::transfer::{self, Export, Fingerprint, Import, Imported, NotAFingerprint};
use crate::auth::Manage;
use crate::types::{ApplianceId, TenantId, TenantState, Tier};

/// Media type of an archive. It is sealed, so compressing it would only take time.
pub(super) const ARCHIVE_TYPE: &str = "application/x-cairn-archive";

/// Header with the fingerprint of the key that signs an archive.
const SIGNER: HeaderName = HeaderName::from_static("x-cairn-signer");

/// Longest settings of an import.
const MAX_SETTINGS_BYTES: usize = 64 << 10;

/// Bytes of a refused archive that are read and thrown away, so that its sender, who is still
/// busy sending, gets to read the answer.
const DRAINED_BYTES: usize = 256 << 20;

#[derive(Deserialize, ToSchema)]
pub(super) struct ExportRequest {
    /// Opens the archive; at least 12 characters.
    passphrase: String,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ImportSettings {
    passphrase: String,
    /// The name it is to have; that of the archive where absent.
    #[serde(default)]
    name: Option<String>,
    /// The tier it is to have; that of the archive where absent.
    #[serde(default)]
    tier: Option<Tier>,
    /// Fingerprint of the key that must have signed it; any where absent.
    #[serde(default)]
    signer: Option<String>,
}

/// The form of an import, in this order.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read field by field")]
pub(super) struct ImportForm {
    settings: ImportSettings,
    #[schema(content_media_type = "application/octet-stream")]
    archive: Vec<u8>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ImportedTenant {
    #[schema(value_type = String)]
    id: TenantId,
    name: String,
    tier: Tier,
    state: TenantState,
    /// Live documents; their indexes are being made.
    documents: u64,
    /// Fingerprint of the key that signed the archive.
    signer: String,
    /// The appliance it comes from.
    #[schema(value_type = String)]
    from_appliance: ApplianceId,
    /// What it was there.
    #[schema(value_type = String)]
    from_tenant: TenantId,
    #[schema(value_type = String)]
    exported_at: Timestamp,
}

impl From<Imported> for ImportedTenant {
    fn from(imported: Imported) -> Self {
        let Imported { record, provenance, signer, documents } = imported;
        Self {
            id: record.id,
            name: record.name,
            tier: record.tier,
            state: record.state,
            documents,
            signer: signer.to_string(),
            from_appliance: provenance.appliance,
            from_tenant: provenance.tenant,
            exported_at: provenance.exported_at,
        }
    }
}

/// Everything of a tenant in one encrypted archive, signed by this appliance. The answer breaks
/// off where the archive is not whole.
#[utoipa::path(post, path = "/api/v1/tenants/{tenant}/export", tag = "tenants",
    params(("tenant" = String, Path, description = "Id or name")), request_body = ExportRequest,
    responses((status = 200, body = Vec<u8>, content_type = "application/x-cairn-archive"),
        (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(super) async fn export_tenant(
    State(app): State<Arc<App>>,
    Tenant(tenant): Tenant<Manage>,
    Body(ExportRequest { passphrase }): Body<ExportRequest>,
) -> Result<Response, Failure> {
    let Export { name, signer, archive } =
        transfer::export(&app, tenant, Zeroizing::new(passphrase)).await?;
    let mut response = ResponseBody::from_stream(archive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ARCHIVE_TYPE));
    // Names of tenants are plain.
    let disposition = format!("attachment; filename=\"{name}.cairn\"");
    for (header, value) in
        [(header::CONTENT_DISPOSITION, disposition), (SIGNER, signer.to_string())]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header, value);
        }
    }
    Ok(response)
}

/// Makes a tenant of an archive.
#[utoipa::path(post, path = "/api/v1/imports", tag = "tenants",
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses((status = 201, body = ImportedTenant), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem),
        (status = 507, body = Problem)))]
pub(super) async fn import_tenant(
    State(app): State<Arc<App>>,
    Administrator(actor): Administrator,
    request: Request,
) -> Result<(StatusCode, Json<ImportedTenant>), Failure> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
    let wanted = match next_field(&mut form, "settings").await? {
        Some(field) => settings(field).await?,
        None => return Err(Failure::invalid("the form does not begin with `settings`")),
    };
    let Some(mut archive) = next_field(&mut form, "archive").await? else {
        return Err(Failure::invalid("the form holds no `archive` after its settings"));
    };
    match transfer::import(&app, &actor, wanted, &mut archive).await {
        Ok(imported) => Ok((StatusCode::CREATED, Json(imported.into()))),
        Err(error) => {
            drain(archive).await;
            Err(error.into())
        }
    }
}

/// The next field of a form, if it has this name.
async fn next_field<'a>(form: &'a mut Multipart, name: &str) -> Result<Option<Field<'a>>, Failure> {
    let field = form.next_field().await.map_err(|error| Failure::invalid(error.body_text()))?;
    Ok(field.filter(|field| field.name() == Some(name)))
}

async fn settings(mut field: Field<'_>) -> Result<Import, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SETTINGS_BYTES));
    while let Some(piece) =
        field.chunk().await.map_err(|error| Failure::invalid(error.body_text()))?
    {
        if bytes.len() + piece.len() > MAX_SETTINGS_BYTES {
            return Err(Failure::invalid("the settings are too long"));
        }
        bytes.extend_from_slice(&piece);
    }
    let ImportSettings { passphrase, name, tier, signer } = serde_json::from_slice(&bytes)
        .map_err(|error| {
            Failure::invalid(format!("the settings are not the JSON wanted: {error}"))
        })?;
    let signer: Option<Fingerprint> = signer
        .map(|signer| signer.parse())
        .transpose()
        .map_err(|error: NotAFingerprint| Failure::invalid(error.to_string()))?;
    Ok(Import { passphrase: Zeroizing::new(passphrase), name, tier, signer })
}

async fn drain(mut field: Field<'_>) {
    let mut drained = 0;
    while let Ok(Some(piece)) = field.chunk().await {
        drained += piece.len();
        if drained > DRAINED_BYTES {
            return;
        }
    }
}
