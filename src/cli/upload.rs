//! Sending one file into a tenant.
//!
//! Called by: `cli::add`, `cli::eval`. Talks to: the API, the file system.
//! Invariants: a file is streamed, never held; of a file that grows meanwhile the bytes that were
//! there when it was opened are sent; a file that cannot be read to its end is not acknowledged.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::ReaderStream;

use super::client::Client;
use super::endpoint::api;
use super::error::CliError;
use super::pages::Accepted;
use super::progress::UploadProgress;

/// Bytes read and sent at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// The code of a refusal that passes by itself.
const QUEUE_FULL: &str = "quota_jobs";

/// How often to try again then.
const ROOM_POLL: Duration = Duration::from_secs(2);

/// Where the bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Path(PathBuf),
    StandardInput,
}

/// One file on its way.
#[derive(Clone, Debug)]
pub struct Upload {
    pub origin: Origin,
    pub source: String,
    pub file_date: Option<Timestamp>,
}

/// What all files of one command have in common.
#[derive(Clone, Debug, Default)]
pub struct Destination {
    pub tenant: String,
    pub collection: Option<String>,
    /// True where every file is one document per line.
    pub documents_jsonl: bool,
}

/// Streams a file in; on return its bytes and its job are durable. While too much of the tenant
/// waits to be indexed, the file waits too.
///
/// # Errors
/// When the file cannot be read, or those of the API.
pub async fn send(
    client: &Client,
    destination: &Destination,
    upload: &Upload,
    progress: &UploadProgress,
) -> Result<Accepted, CliError> {
    loop {
        match send_once(client, destination, upload, progress).await {
            // Standard input cannot be read twice.
            Err(error)
                if error.code.as_deref() == Some(QUEUE_FULL) && upload.can_be_read_again() =>
            {
                tokio::time::sleep(ROOM_POLL).await;
            }
            answer => return answer,
        }
    }
}

impl Upload {
    fn can_be_read_again(&self) -> bool {
        self.origin != Origin::StandardInput
    }
}

async fn send_once(
    client: &Client,
    destination: &Destination,
    upload: &Upload,
    progress: &UploadProgress,
) -> Result<Accepted, CliError> {
    let reader: Box<dyn AsyncRead + Send + Unpin> = match &upload.origin {
        Origin::Path(path) => open(path).await.map_err(|error| unreadable(&error))?,
        Origin::StandardInput => Box::new(tokio::io::stdin()),
    };
    let failure: Arc<OnceLock<io::Error>> = Arc::default();
    let seen = Arc::clone(&failure);
    let sent = progress.clone();
    let stream = ReaderStream::with_capacity(reader, CHUNK_BYTES).map(move |chunk| {
        chunk.inspect(|bytes| sent.sent(bytes.len() as u64)).map_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            // Only the first error matters; the stream ends with it.
            let _ = seen.set(error);
            copy
        })
    });
    let endpoint = api(["tenants", &destination.tenant, "documents"])
        .with("source", &upload.source)
        .with_some("file_date", upload.file_date.map(|date| date.to_string()))
        .with_some("collection", destination.collection.as_deref())
        .with_some("format", destination.documents_jsonl.then_some("documents-jsonl"));
    let answer = client.upload(&endpoint, Body::from_stream(stream)).await;
    match failure.get() {
        // What the transport makes of a body that broke off says nothing about the cause.
        Some(error) => Err(unreadable(error)),
        None => answer,
    }
}

async fn open(path: &Path) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
    let file = tokio::fs::File::open(path).await?;
    let metadata = file.metadata().await?;
    // Files that the kernel makes up as they are read have no length; they are read to their end.
    let bytes = if metadata.is_file() && metadata.len() > 0 { metadata.len() } else { u64::MAX };
    Ok(Box::new(file.take(bytes)))
}

fn unreadable(error: &io::Error) -> CliError {
    CliError::failed(format!("cannot be read: {error}"))
}
