//! Pages of a PDF as pictures, for people who want to see what a passage stands on.
//!
//! Called by: `http`. Talks to: catalogue, blobs, the pool of processes that draw.
//! Invariants: a page is drawn by a confined process and never by the server; no picture is kept;
//! the page shown is that of the revision whose text is shown, so that citations fit.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::audit::{self, Action, Event};
use super::documents::text_item;
use super::{App, Error, index};
use crate::auth::CanRead;
use crate::extract::{ExtractLimits, ExtractRequest};
use crate::extraction::ChildSink;
use crate::tenant::TenantHandle;
use crate::types::{ChildHeader, DocumentId, FormatHint};

/// Longest time that drawing one page may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Longest time that somebody waits for a page, other pages before it included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest picture, in bytes: no page of the widest kind comes near it.
const MAX_PICTURE: u64 = 32 << 20;
const USUAL_WIDTH: u32 = 1200;

/// A page as a PNG file, `width` pixels wide as far as that is allowed.
///
/// # Errors
/// `NotFound` for a document or page that is not there; `Invalid` for a document of another kind;
/// `Conflict` for a page that cannot be drawn.
pub async fn picture<A: CanRead>(
    app: &App,
    tenant: &TenantHandle<A>,
    document: DocumentId,
    page: u32,
    width: Option<u32>,
) -> Result<Vec<u8>, Error> {
    let event = Event::new(Action::DocumentRead)
        .on("document", document)
        .with("part", "page")
        .with("page", page);
    let width = width.unwrap_or(USUAL_WIDTH);
    audit::concluded(tenant, event, draw(app, tenant, document, page, width).await).await
}

async fn draw<A: CanRead>(
    app: &App,
    tenant: &TenantHandle<A>,
    document: DocumentId,
    page: u32,
    width: u32,
) -> Result<Vec<u8>, Error> {
    let found = tenant
        .read(move |catalog| {
            let Some(row) = catalog.document(document)? else {
                return Ok(None);
            };
            let item = text_item(catalog, &row)?;
            let is_pdf = catalog.is_pdf(item)?;
            Ok(catalog.extract_input(item)?.map(|input| (input, is_pdf)))
        })
        .await?;
    let (input, is_pdf) = found.ok_or(Error::NotFound)?;
    if !is_pdf {
        return Err(Error::invalid(
            "only pages of PDF files are shown as pictures; read its text or download the original",
        ));
    }
    let request = ExtractRequest {
        name: input.source.clone(),
        media_type: None,
        format: Some(FormatHint::PdfPicture { page, width }),
        passwords: input.nesting.passwords.clone().into(),
        limits: ExtractLimits {
            max_children: 1,
            max_child_bytes: MAX_PICTURE,
            ..index::limits(app)
        },
    };
    let mut source = tenant.blobs()?.read(&input.blob).await?;
    let mut picture = Picture::default();
    let drawing = app.viewer.extract(tenant.id(), request, &mut source, &mut picture);
    let drawn = timeout(PATIENCE, drawing).await.map_err(|_| {
        conflict("too many pages are being drawn; try again in a minute".to_owned())
    })?;
    match drawn? {
        Ok(_) => picture.file.ok_or(Error::NotFound),
        Err(failure) => Err(conflict(format!(
            "{}. Read its text or download the original",
            failure.message.trim_end_matches('.')
        ))),
    }
}

fn conflict(detail: String) -> Error {
    Error::Conflict { detail }
}

/// The one picture that is drawn.
#[derive(Default)]
struct Picture {
    file: Option<Vec<u8>>,
}

#[async_trait]
impl ChildSink for Picture {
    async fn child(
        &mut self,
        _: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> io::Result<()> {
        let mut file = Vec::new();
        body.take(MAX_PICTURE).read_to_end(&mut file).await?;
        self.file = Some(file);
        Ok(())
    }
}
