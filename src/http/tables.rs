//! Tables of documents over HTTP: listed, read in pages, downloaded as CSV.
//!
//! Called by: the router. Talks to: `app::tables`.
//! Invariants: a table comes as CSV only where it is asked for, and then as a download.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{Failure, Problem};
use super::extract::{Id, Number, Params, Tenant, page_limit};
use crate::app::tables::{self, TableRow};
use crate::auth::Read;
use crate::types::{Cell, DocumentId};

#[derive(Serialize, ToSchema)]
pub(super) struct TableList {
    tables: Vec<TableRow>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TableView {
    #[serde(flatten)]
    table: TableRow,
    /// Which row the first of `cells` is, counted from 0; the header is none.
    first_row: u64,
    /// Rows of cells: `null`, a truth, a number, a text, `{"number", "text"}` for a number that is
    /// written in another way, or `{"date", "text"}`.
    #[schema(value_type = Vec<Vec<Object>>)]
    cells: Vec<Vec<Cell>>,
    /// Where the next page starts, if there is one.
    next_start: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct RowParams {
    /// First row, counted from 0.
    start: Option<u64>,
    /// Most rows, up to 1000.
    limit: Option<usize>,
    /// `json` (a page of rows) or `csv` (all of them).
    #[param(value_type = Option<String>)]
    format: Option<TableFormat>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TableFormat {
    Json,
    Csv,
}

/// The tables of a document.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/documents/{id}/tables", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = TableList), (status = 404, body = Problem)))]
pub(super) async fn list_tables(
    Tenant(tenant): Tenant<Read>,
    Id(id): Id<DocumentId>,
) -> Result<Json<TableList>, Failure> {
    Ok(Json(TableList { tables: tables::list(&tenant, id).await? }))
}

/// One table: rows as data, or all of it as CSV (`format=csv` or `Accept: text/csv`).
///
/// In CSV, an apostrophe stands in front of a text that a spreadsheet would take for a formula.
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/documents/{id}/tables/{number}", tag = "documents",
    params(("tenant" = String, Path), ("id" = String, Path), ("number" = u32, Path), RowParams),
    responses((status = 200, content((TableView = "application/json"), (String = "text/csv"))), (status = 404, body = Problem)))]
pub(super) async fn get_table(
    Tenant(tenant): Tenant<Read>,
    Id(document): Id<DocumentId>,
    Number(number): Number,
    Params(params): Params<RowParams>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let accepts_csv = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.trim_start().starts_with("text/csv"));
    let as_csv = params.format.map_or(accepts_csv, |format| format == TableFormat::Csv);
    if as_csv {
        return Ok(as_download(number, tables::csv(&tenant, document, number).await?));
    }
    let start = params.start.unwrap_or(0);
    let found = tables::rows(&tenant, document, number, start, page_limit(params.limit)).await?;
    Ok(Json(TableView {
        table: found.table,
        first_row: found.start,
        cells: found.rows,
        next_start: found.next,
    })
    .into_response())
}

fn as_download(number: u32, csv: tables::TableCsv) -> Response {
    let mut response = Body::from_stream(tokio_stream::iter(csv)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
    );
    if let Ok(value) =
        HeaderValue::from_str(&format!("attachment; filename=\"table-{number}.csv\""))
    {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
