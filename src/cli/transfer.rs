//! `cairn tenant export` and `cairn tenant import`: a tenant carried from one appliance to another.
//!
//! Called by: `cli::tenant`. Talks to: the API, the file system.
//! Invariants: an archive has its name only once it is whole and durable, and replaces nothing;
//! neither way is it held in memory; the passphrase is on no command line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use clap::Subcommand;
use futures::{Stream, StreamExt, stream};
use indicatif::BinaryBytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;
use zeroize::Zeroizing;

use super::client::Client;
use super::endpoint::api;
use super::error::CliError;
use super::output::Output;
use super::prompt::PassphraseArgs;
use super::terminal::printable;
use crate::types::Tier;

/// Bytes read and sent at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Header with the fingerprint of the key that signs an archive.
const SIGNER: &str = "x-cairn-signer";

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Write everything of a tenant to one encrypted, signed archive
    #[command(after_help = "Example:
  cairn tenant export demo --to /media/stick/demo.cairn

Documents, originals, collections and the audit trail go along; accounts do not. The command
prints the fingerprint of the key that signed the archive: tell it to whoever imports it.")]
    Export {
        /// Tenant, by name or id
        tenant: String,
        /// File to write; it must not be there yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Make a tenant of an archive that an appliance has exported
    #[command(after_help = "Examples:
  cairn tenant import /media/stick/demo.cairn
  cairn tenant import demo.cairn --name archive --signer 3f1c…")]
    Import {
        /// The archive
        file: PathBuf,
        /// Name it is to have here [default: that of the archive]
        #[arg(long)]
        name: Option<String>,
        /// Limits and features it gets [default: those it had]
        #[arg(long, value_name = "TIER")]
        tier: Option<Tier>,
        /// Fingerprint of the key that must have signed it
        #[arg(long, value_name = "FINGERPRINT")]
        signer: Option<String>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

#[derive(Serialize)]
struct ImportSettings<'a> {
    passphrase: &'a str,
    name: Option<&'a str>,
    tier: Option<Tier>,
    signer: Option<&'a str>,
}

/// Runs one of these commands.
///
/// # Errors
/// Those of the API; a file that is there already, or cannot be read or written.
pub async fn run(client: &Client, output: Output, action: &Action) -> Result<(), CliError> {
    match action {
        Action::Export { tenant, to, passphrase } => {
            export(client, output, tenant, to, passphrase).await
        }
        Action::Import { file, name, tier, signer, passphrase } => {
            // Before anything is asked for.
            let archive = tokio::fs::File::open(file).await.map_err(|error| at(file, &error))?;
            let passphrase = passphrase.known().await?;
            let settings = ImportSettings {
                passphrase: &passphrase,
                name: name.as_deref(),
                tier: *tier,
                signer: signer.as_deref(),
            };
            import(client, output, &settings, archive).await
        }
    }
}

async fn export(
    client: &Client,
    output: Output,
    tenant: &str,
    to: &Path,
    passphrase: &PassphraseArgs,
) -> Result<(), CliError> {
    if to.exists() {
        return Err(CliError::failed(format!("{} is there already", to.display()))
            .hint("Name another file, or move that one away."));
    }
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(dir).map_err(|error| at(dir, &error))?;
    let passphrase = passphrase.chosen().await?;
    let endpoint = api(["tenants", tenant, "export"]);
    let answer = client.download(&endpoint, &json!({ "passphrase": *passphrase })).await?;
    let signer = header(&answer, SIGNER);
    let bytes = save(answer.into_body(), file, to).await?;
    if output.json() {
        let path = to.display().to_string();
        return output.value(&json!({ "path": path, "bytes": bytes, "signer": signer }));
    }
    let path = printable(&to.display().to_string());
    output.line(format!("wrote {path} ({})", BinaryBytes(bytes)))?;
    output.line(format!("signed by {}", printable(&signer)))
}

/// Writes what comes to a file that gets its name at the end; how many bytes there were.
async fn save(body: Body, file: tempfile::NamedTempFile, to: &Path) -> Result<u64, CliError> {
    let mut pieces = body.into_data_stream();
    let (mut file, mut bytes) = (file, 0);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            CliError::because("the archive broke off and was not kept", &error)
                .hint("The server's log says why.")
        })?;
        bytes += piece.len() as u64;
        // Pieces are short, and nothing else goes on in this process that would wait.
        file.write_all(&piece).map_err(|error| at(to, &error))?;
    }
    let path = to.to_owned();
    tokio::task::spawn_blocking(move || {
        file.as_file().sync_all()?;
        file.persist_noclobber(&path).map_err(|failed| failed.error).map(drop)
    })
    .await
    .map_err(|error| CliError::because("the archive was not kept", &error))?
    .map_err(|error| at(to, &error))?;
    Ok(bytes)
}

async fn import(
    client: &Client,
    output: Output,
    settings: &ImportSettings<'_>,
    archive: tokio::fs::File,
) -> Result<(), CliError> {
    let form = form(settings, archive)?;
    let endpoint = api(["imports"]);
    let imported: Value = client.upload_as(&endpoint, &form.0, Body::from_stream(form.1)).await?;
    if output.json() {
        return output.value(&imported);
    }
    let text = |key: &str| printable(imported.get(key).and_then(Value::as_str).unwrap_or("?"));
    let documents = imported.get("documents").and_then(Value::as_u64).unwrap_or_default();
    output.line(format!("imported tenant {} ({})", text("name"), text("id")))?;
    output.line(format!("{documents} documents; their indexes are made while the server runs"))?;
    output.line(format!("from the appliance {}", text("from_appliance")))?;
    output.line(format!("signed by {}", text("signer")))
}

/// A form of settings and archive: its media type and its bytes as they come.
fn form(
    settings: &ImportSettings<'_>,
    archive: tokio::fs::File,
) -> Result<(String, impl Stream<Item = io::Result<Bytes>> + use<>), CliError> {
    let boundary = format!("cairn-{}", uuid::Uuid::now_v7());
    let settings = serde_json::to_string(settings)
        .map(Zeroizing::new)
        .map_err(|error| CliError::because("the request cannot be written as JSON", &error))?;
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"settings\"\r\n\
         Content-Type: application/json\r\n\r\n{}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"archive\"; \
         filename=\"archive\"\r\nContent-Type: application/octet-stream\r\n\r\n",
        *settings
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let pieces = stream::iter([Ok(Bytes::from(head))])
        .chain(ReaderStream::with_capacity(archive, CHUNK_BYTES))
        .chain(stream::iter([Ok(Bytes::from(tail))]));
    Ok((format!("multipart/form-data; boundary={boundary}"), pieces))
}

fn header(answer: &Response<Body>, name: &str) -> String {
    let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or("unknown").to_owned()
}

fn at(path: &Path, error: &io::Error) -> CliError {
    CliError::because(path.display().to_string(), error)
}
