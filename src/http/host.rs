//! The `Host` allow-list, and what marks a request that came over TLS.
//!
//! Called by: the router, `appliance`. Talks to: `app`.
//! Invariants: a request over the network names a host that the server answers to, or reaches no
//! handler; a handler finds that host in the `Host` header, whatever the protocol version.
//! Why: a foreign page can have its own name resolved to our address (DNS rebinding) and then
//! counts as same-origin in the browser; the name in the request gives it away.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::set_header::SetResponseHeaderLayer;

use super::caller::{LocalConsole, OverTls};
use super::error::Failure;
use crate::app::tls::{Names, Tls};
use crate::config::HostPort;
use crate::error::ErrorCode;

/// Browsers stay with TLS for a year after each answer.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=31536000";

/// Longest part of a refused host that is said back.
const SHOWN: usize = 100;

/// The same surface for connections that are encrypted.
pub fn over_tls(router: Router) -> Router {
    router
        .layer(SetResponseHeaderLayer::overriding(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(STRICT_TRANSPORT_SECURITY),
        ))
        .layer(axum::Extension(OverTls))
}

/// Refuses requests for hosts that are not this server's.
pub(super) async fn check(
    State(tls): State<Arc<Tls>>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.extensions().get::<LocalConsole>().is_some() {
        return next.run(request).await;
    }
    match asked(&request, tls.names()) {
        Ok(host) => {
            request.headers_mut().insert(header::HOST, host);
            next.run(request).await
        }
        Err(said) => {
            let said: String = said.chars().take(SHOWN).collect();
            let detail = if said.is_empty() {
                "the request names no host".to_owned()
            } else {
                format!("this server does not answer to `{said}`")
            };
            Failure::new(ErrorCode::HostNotAllowed, detail).into_response()
        }
    }
}

/// The host that a request names, in its target (HTTP/2, absolute form) and its header. Where it
/// names several, each must be ours.
fn asked(request: &Request, names: &Names) -> Result<HeaderValue, String> {
    let target = request.uri().authority().map(Authority::as_str);
    let headers = request.headers().get_all(header::HOST).iter();
    let mut first = None;
    for said in target.map(str::as_bytes).into_iter().chain(headers.map(HeaderValue::as_bytes)) {
        let text = String::from_utf8_lossy(said).into_owned();
        let ours = text.parse::<HostPort>().is_ok_and(|host| names.answers_to(&host));
        if !ours {
            return Err(text);
        }
        first.get_or_insert(text);
    }
    let first = first.ok_or_else(String::new)?;
    HeaderValue::from_str(&first).map_err(|_| first)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn ask(target: &str, hosts: &[&str]) -> Result<String, String> {
        let server = "names = ['cairn.lan', '10.0.0.5', '::1', 'cairn.example:443']";
        let names = Names::of(&toml::from_str(server).unwrap());
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let request = request.body(Body::empty()).unwrap();
        asked(&request, &names).map(|host| host.to_str().unwrap().to_owned())
    }

    #[test]
    fn hosts_of_ours_pass_in_every_form() {
        for host in [
            "cairn.lan:8420",
            "CAIRN.LAN.:8420",
            "10.0.0.5:8420",
            "[::1]:8420",
            "[0:0:0:0:0:0:0:1]:8420",
            "[::ffff:10.0.0.5]:8420",
            "cairn.example",
            "cairn.example:443",
        ] {
            assert_eq!(ask("/health", &[host]), Ok(host.to_owned()));
        }
        // HTTP/2 gives the host in the target alone; handlers find it in the header.
        let target = "https://cairn.lan:8420/health";
        assert_eq!(ask(target, &[]), Ok("cairn.lan:8420".to_owned()));
        assert_eq!(ask(target, &["10.0.0.5:8420"]), Ok("cairn.lan:8420".to_owned()));
    }

    #[test]
    fn a_rebound_name_is_refused_wherever_it_stands() {
        for host in [
            "evil.example:8420",
            "cairn.lan.evil.example:8420",
            "cairn.lan",
            "cairn.lan:80",
            "10.0.0.6:8420",
            "::1",
            "[::1]",
            "[::2]:8420",
            "user@cairn.lan:8420",
            "cairn.lan:8420, evil.example",
            "",
        ] {
            assert_eq!(ask("/health", &[host]), Err(host.to_owned()));
        }
        assert_eq!(ask("/health", &[]), Err(String::new()));
        let evil = Err("evil.example".to_owned());
        assert_eq!(ask("/health", &["cairn.lan:8420", "evil.example"]), evil);
        assert_eq!(ask("http://cairn.lan:8420/health", &["evil.example"]), evil);
        assert_eq!(ask("http://evil.example/health", &["cairn.lan:8420"]), evil);
    }
}
