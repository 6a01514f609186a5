//! Reading lists page by page, and the shapes of what the API sends.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: a list is read to its end, or to where the caller stops; pages keep their order.

use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::Client;
use super::endpoint::Endpoint;
use super::error::CliError;
use crate::types::{LedgerItem, LedgerTotals, Throughput};

/// Entries asked for at a time.
const PAGE: &str = "500";

/// One page of the ledger; the totals are those of the whole tenant.
#[derive(Debug, Deserialize)]
pub struct LedgerPage {
    #[serde(flatten)]
    pub totals: LedgerTotals,
    pub throughput: Throughput,
    pub items: Vec<LedgerItem>,
    pub next_cursor: Option<String>,
}

/// What the API answers to a dropped file.
#[derive(Debug, Deserialize)]
pub struct Accepted {
    pub item: LedgerItem,
    pub outcome: Outcome,
}

/// What dropping a file amounted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// New here, or a new revision.
    Accepted,
    /// The same bytes are there under another source.
    Duplicate,
    /// The same bytes are there under the same source.
    Unchanged,
}

/// The part of a document that commands show or act on.
#[derive(Debug, Deserialize)]
pub struct DocumentSummary {
    pub id: String,
    pub source: String,
}

/// A page of documents.
#[derive(Debug, Deserialize)]
pub struct DocumentPage {
    pub documents: Vec<DocumentSummary>,
    pub next_cursor: Option<String>,
}

/// A page of any list.
pub trait Page: DeserializeOwned {
    /// Where the next page starts; `None` on the last.
    fn next_cursor(&self) -> Option<&str>;
}

impl Page for LedgerPage {
    fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }
}

impl Page for DocumentPage {
    fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }
}

impl Page for Value {
    fn next_cursor(&self) -> Option<&str> {
        self.get("next_cursor").and_then(Self::as_str)
    }
}

/// Reads a list page by page until its end or until `each` breaks.
///
/// # Errors
/// Those of the API, and those of `each`.
pub async fn each_page<P: Page>(
    client: &Client,
    endpoint: &Endpoint,
    mut each: impl FnMut(P) -> Result<ControlFlow<()>, CliError>,
) -> Result<(), CliError> {
    let mut cursor: Option<String> = None;
    loop {
        let address = endpoint.clone().with("limit", PAGE).with_some("cursor", cursor.as_deref());
        let page: P = client.get(&address).await?;
        let next = page.next_cursor().map(ToOwned::to_owned);
        if each(page)?.is_break() || next.is_none() || next == cursor {
            return Ok(());
        }
        cursor = next;
    }
}

/// A list as one JSON value: the first page with all entries of `list` in it and no cursor.
///
/// # Errors
/// Those of the API.
pub async fn whole_list(
    client: &Client,
    endpoint: &Endpoint,
    list: &str,
) -> Result<Value, CliError> {
    let mut whole: Option<Value> = None;
    each_page(client, endpoint, |mut page: Value| {
        match &mut whole {
            None => whole = Some(page),
            Some(first) => {
                if let (Some(Value::Array(all)), Some(Value::Array(more))) =
                    (first.get_mut(list), page.get_mut(list))
                {
                    all.append(more);
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let mut whole = whole.unwrap_or_default();
    if let Value::Object(fields) = &mut whole {
        fields.remove("next_cursor");
    }
    Ok(whole)
}
