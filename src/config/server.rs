//! `[server]`: where the appliance listens, under which names, and how long a sign-in lasts.
//!
//! Called by: `config`, `tls`, `http`, `appliance`. Talks to: nothing.
//! Invariants: plain HTTP is served on loopback only, unless the admin says `insecure_http`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{HostPort, Problem};

/// Whether the listener speaks TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// TLS, with the site's own certificate or with one of Cairn's own authority.
    #[default]
    Auto,
    /// Plain HTTP.
    Off,
}

/// The HTTP listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port of the dashboard and the API.
    pub listen: SocketAddr,
    /// TLS unless switched off.
    pub tls: TlsMode,
    /// Hosts the server answers to, the one for links first; empty for those the machine has.
    /// One with a port is where people reach it through a proxy or a port mapping.
    pub names: Vec<HostPort>,
    /// The site's own certificate with its chain, as PEM.
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate`, as PEM.
    pub private_key: Option<PathBuf>,
    /// Serve plain HTTP on addresses that others reach too.
    pub insecure_http: bool,
    /// Largest upload, in bytes.
    pub max_upload_bytes: u64,
    /// A browser session ends this many hours after sign-in, however busy it is.
    pub session_hours: u32,
    /// A browser session ends after this many minutes without use.
    pub session_idle_minutes: u32,
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
            tls: TlsMode::Auto,
            names: Vec::new(),
            certificate: None,
            private_key: None,
            insecure_http: false,
            max_upload_bytes: 64 << 30,
            session_hours: 12,
            session_idle_minutes: 30,
            link_minutes: 60,
            reserve_bytes: 64 << 20,
            log: DEFAULT_LOG.to_owned(),
            log_json: false,
        }
    }
}

impl ServerConfig {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.tls == TlsMode::Off && !self.listen.ip().is_loopback() && !self.insecure_http {
            problems.push(Problem::new(
                "server.listen",
                "plain HTTP is for loopback addresses (127.0.0.1, [::1]): set tls = \"auto\", or \
                 insecure_http = true where something in front adds TLS",
            ));
        }
        match (&self.certificate, &self.private_key) {
            (None, None) => {}
            (Some(certificate), Some(key)) if certificate.is_absolute() && key.is_absolute() => {}
            _ => problems.push(Problem::new(
                "server.certificate, server.private_key",
                "give both, as absolute paths of PEM files, or neither",
            )),
        }
        if self.max_upload_bytes == 0 {
            problems.push(Problem::new("server.max_upload_bytes", "must be above 0"));
        }
        if self.session_hours == 0 || self.session_idle_minutes == 0 || self.link_minutes == 0 {
            problems.push(Problem::new(
                "server.session_hours, server.session_idle_minutes, server.link_minutes",
                "must be above 0",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let config: ServerConfig = match toml::from_str(text) {
            Ok(config) => config,
            Err(error) => return error.to_string(),
        };
        let mut problems = Vec::new();
        config.check(&mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn plain_http_leaves_the_machine_only_where_the_admin_says_so() {
        for accepted in [
            "",
            "listen = '0.0.0.0:8420'",
            "tls = 'off'",
            "tls = 'off'\nlisten = '[::1]:1'",
            "tls = 'off'\nlisten = '10.0.0.5:80'\ninsecure_http = true",
        ] {
            assert_eq!(problems(accepted), "", "{accepted}");
        }
        for refused in ["listen = '0.0.0.0:8420'", "listen = '[::]:8420'", "listen = '10.0.0.5:1'"]
        {
            let said = problems(&format!("tls = 'off'\n{refused}"));
            assert!(said.contains("insecure_http"), "{refused}: {said}");
        }
    }

    #[test]
    fn a_certificate_comes_with_its_key_and_both_have_absolute_paths() {
        for refused in [
            "certificate = '/a.crt'",
            "private_key = '/a.key'",
            "certificate = 'a.crt'\nprivate_key = '/a.key'",
        ] {
            assert!(problems(refused).contains("server.private_key"), "{refused}");
        }
        assert_eq!(problems("certificate = '/a.crt'\nprivate_key = '/a.key'"), "");
    }

    #[test]
    fn names_are_hosts_and_a_wrong_one_is_named() {
        assert_eq!(problems("names = ['cairn.lan', '10.0.0.5', '[::1]:8443']"), "");
        let said = problems("names = ['cairn.lan', 'https://cairn.lan/']");
        assert!(said.contains("https://cairn.lan/"), "{said}");
    }
}
