//! `cairn status`: is it running, is the model there, what needs attention.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: says of each fact what the server says; adds only where the answer came from.

use std::path::Path;

use indicatif::BinaryBytes;
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::terminal::printable;

#[derive(Deserialize)]
struct Status {
    name: Option<String>,
    version: String,
    started_at: String,
    home_free_bytes: u64,
    model: Model,
    ocr: Ocr,
    notices: Vec<String>,
}

#[derive(Deserialize)]
struct Model {
    state: String,
    detail: Option<String>,
    id: Option<String>,
    language: Option<String>,
    dimension: Option<u64>,
    runtime_version: Option<String>,
}

#[derive(Deserialize)]
struct Ocr {
    state: String,
    detail: String,
    version: Option<String>,
    languages: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, home: &Path) -> Result<Exit, CliError> {
    let endpoint = api(["status"]);
    if output.json() {
        let mut status: Value = client.get(&endpoint).await?;
        if let Value::Object(fields) = &mut status {
            fields.insert("running".to_owned(), client.is_server().into());
            fields.insert("home".to_owned(), home.display().to_string().into());
        }
        output.value(&status)?;
        return Ok(Exit::Done);
    }
    let status: Status = client.get(&endpoint).await?;
    let running = if client.is_server() {
        format!("running since {}", status.started_at)
    } else {
        "not running; start it with `cairn serve`".to_owned()
    };
    if let Some(name) = &status.name {
        output.line(format!("{:<11} {}", "name", printable(name)))?;
    }
    let rows = [
        ("server", running),
        ("version", status.version),
        ("home", home.display().to_string()),
        ("free space", BinaryBytes(status.home_free_bytes).to_string()),
        ("model", model_line(&status.model)),
        ("ocr", ocr_line(&status.ocr)),
    ];
    for (name, value) in rows {
        output.line(format!("{name:<11} {}", printable(&value)))?;
    }
    for notice in &status.notices {
        output.line(format!("note: {}", printable(notice)))?;
    }
    Ok(Exit::Done)
}

fn ocr_line(ocr: &Ocr) -> String {
    let mut parts = vec![ocr.state.clone()];
    parts.extend(ocr.version.as_ref().map(|version| format!("tesseract {version}")));
    if ocr.languages.is_empty() {
        parts.push(ocr.detail.clone());
    } else {
        parts.push(ocr.languages.join("+"));
    }
    parts.join(", ")
}

fn model_line(model: &Model) -> String {
    let mut parts = vec![model.state.clone()];
    parts.extend(model.id.clone());
    parts.extend(model.dimension.map(|dimension| format!("{dimension} dimensions")));
    parts.extend(model.language.clone());
    parts.extend(model.runtime_version.as_ref().map(|version| format!("ONNX Runtime {version}")));
    parts.extend(model.detail.clone());
    parts.join(", ")
}
