//! Numbers about the process in the Prometheus text format.
//!
//! Called by: the router. Talks to: `/proc`.
//! Invariants: nothing about any tenant's content or name; reachable only where the server is.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::app::App;
use crate::app::status;

/// Process metrics.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let mut text = String::new();
    let started = app.started_at.as_microsecond() as f64 / 1e6;
    let model = u8::from(app.inference.is_ready());
    let shared = app.clone();
    let free = crate::app::blocking(move || Ok(status::free_bytes(&shared))).await.unwrap_or(0);
    let gauges = [
        ("cairn_start_time_seconds", "Unix time of the start.", started),
        ("cairn_model_ready", "1 where the embedding model works.", f64::from(model)),
        ("cairn_home_free_bytes", "Free bytes on the home volume.", free as f64),
        (
            "process_resident_memory_bytes",
            "Resident memory of the server process.",
            status::resident_bytes().unwrap_or(0) as f64,
        ),
    ];
    let busy = app.inference.busy().as_secs_f64();
    let _ = write!(
        text,
        "# HELP cairn_inference_busy_seconds_total Time spent inside the model, all sessions.\n\
         # TYPE cairn_inference_busy_seconds_total counter\n\
         cairn_inference_busy_seconds_total {busy}\n"
    );
    for (name, help, value) in gauges {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    }
    let _ = writeln!(text, "cairn_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
