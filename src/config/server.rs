//! `[server]`: where the appliance listens and how long a sign-in lasts.
//!
//! Called by: `config`, `http`, `appliance`. Talks to: nothing.
//! Invariants: without TLS only loopback addresses are accepted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Deserialize;

use super::Problem;

/// The HTTP listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port of the dashboard and the API.
    pub listen: SocketAddr,
    /// Largest upload, in bytes.
    pub max_upload_bytes: u64,
    /// A browser session ends this many hours after sign-in.
    pub session_hours: u32,
    /// A one-time link dies this many minutes after it was made.
    pub link_minutes: u32,
    /// Bytes kept back on the home volume, so that removing works when it is full.
    pub reserve_bytes: u64,
    /// What is logged, as `level` or `module=level` directives.
    pub log: String,
    /// Logs as JSON lines instead of text.
    pub log_json: bool,
}

/// Logged where the configuration says nothing.
pub const DEFAULT_LOG: &str = "info,lance=warn,lancedb=warn,tantivy=warn,datafusion=warn,ort=warn";

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8420),
            max_upload_bytes: 64 << 30,
            session_hours: 12,
            link_minutes: 60,
            reserve_bytes: 64 << 20,
            log: DEFAULT_LOG.to_owned(),
            log_json: false,
        }
    }
}

impl ServerConfig {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if !self.listen.ip().is_loopback() {
            problems.push(Problem::new(
                "server.listen",
                "only loopback addresses (127.0.0.1, [::1]) are served: this release has no TLS",
            ));
        }
        if self.max_upload_bytes == 0 {
            problems.push(Problem::new("server.max_upload_bytes", "must be above 0"));
        }
        if self.session_hours == 0 || self.link_minutes == 0 {
            problems
                .push(Problem::new("server.session_hours, server.link_minutes", "must be above 0"));
        }
    }
}
