//! The API page: the description as a readable, self-hosted document.
//!
//! Called by: the router. Talks to: nothing.
//! Invariants: it is made from the same description that `/api/openapi.json` serves and loads
//! nothing from elsewhere.

use std::fmt::Write as _;

use axum::http::header;
use axum::response::{Html, IntoResponse};
use serde_json::Value;
use utoipa::openapi::OpenApi;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color-scheme:light dark}code,pre{font-family:ui-monospace,monospace}\
h2{margin-top:2.5rem}section{border-top:1px solid #8885;padding:.75rem 0}\
.verb{display:inline-block;min-width:4.5rem;font-weight:700}table{border-collapse:collapse}\
td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}";

/// Style sheet of the page; inline styles are forbidden by our own policy.
pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], STYLE)
}

/// The page.
pub(super) fn page(description: &OpenApi) -> Html<String> {
    let value = serde_json::to_value(description).unwrap_or_default();
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Cairn API</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"stylesheet\" href=\"/api/docs.css\"><h1>Cairn API</h1>\
         <p>Send an API key as <code>Authorization: Bearer …</code>. Machine-readable: \
         <a href=\"/api/openapi.json\">openapi.json</a>. Errors are problem+json with a stable \
         <code>code</code> and a <code>request_id</code>.</p>",
    );
    if let Some(paths) = value["paths"].as_object() {
        for (path, operations) in paths {
            for (verb, operation) in operations.as_object().into_iter().flatten() {
                if operation.get("responses").is_some() {
                    operation_section(&mut html, verb, path, operation);
                }
            }
        }
    }
    html.push_str("</html>");
    Html(html)
}

fn operation_section(html: &mut String, verb: &str, path: &str, operation: &Value) {
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let _ = write!(
        html,
        "<section><h3><span class=\"verb\">{}</span> <code>{}</code></h3><p>{}</p><table>",
        escape(&verb.to_uppercase()),
        escape(path),
        text(&operation["summary"]),
    );
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            text(&parameter["name"]),
            text(&parameter["in"]),
            text(&parameter["description"]),
        );
    }
    let statuses: Vec<&str> = operation["responses"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys())
        .map(String::as_str)
        .collect();
    let _ = write!(html, "</table><p>Answers: {}</p></section>", escape(&statuses.join(", ")));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
