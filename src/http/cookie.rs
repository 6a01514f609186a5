//! The session cookie.
//!
//! Called by: `http::caller`, `http::session`. Talks to: nothing.
//! Invariants: no script reads it, it goes to this site only, and over TLS it is bound to this
//! very host and to TLS; the name says which of the two it is, so that neither passes as the
//! other.

use axum::http::request::Parts;
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use super::caller::OverTls;

/// Over plain HTTP, which is served on loopback only.
const PLAIN: &str = "cairn_session";
/// Browsers take this prefix only with `Secure`, the path `/` and no domain.
const BOUND: &str = "__Host-cairn_session";

/// Whether a request came over TLS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transport {
    tls: bool,
}

impl Transport {
    pub(super) fn of(parts: &Parts) -> Self {
        Self { tls: parts.extensions.get::<OverTls>().is_some() }
    }

    fn name(self) -> &'static str {
        if self.tls { BOUND } else { PLAIN }
    }

    /// The cookie that holds a session's token.
    pub(super) fn session(self, token: &str) -> Cookie<'static> {
        Cookie::build((self.name(), token.to_owned()))
            .path("/")
            .http_only(true)
            .secure(self.tls)
            .same_site(SameSite::Strict)
            .build()
    }

    /// The cookie to be removed.
    pub(super) fn gone(self) -> Cookie<'static> {
        Cookie::build((self.name(), "")).path("/").http_only(true).secure(self.tls).build()
    }
}

impl<S: Sync> axum::extract::FromRequestParts<S> for Transport {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Self, std::convert::Infallible> {
        Ok(Self::of(parts))
    }
}

/// The session token that came with a request.
pub(super) fn session_token(parts: &Parts) -> Option<String> {
    let jar = CookieJar::from_headers(&parts.headers);
    jar.get(Transport::of(parts).name()).map(|cookie| cookie.value().to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(cookie: &str, tls: bool) -> Parts {
        let (mut parts, ()) =
            Request::get("/").header("cookie", cookie).body(()).unwrap().into_parts();
        if tls {
            parts.extensions.insert(OverTls);
        }
        parts
    }

    #[test]
    fn over_tls_the_cookie_is_bound_to_the_host_and_secure() {
        let cookie = Transport { tls: true }.session("t").to_string();
        for part in ["__Host-cairn_session=t", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        assert!(!Transport { tls: false }.session("t").to_string().contains("Secure"));
    }

    #[test]
    fn a_cookie_of_one_transport_is_none_of_the_other() {
        let both = "cairn_session=plain; __Host-cairn_session=bound";
        assert_eq!(session_token(&parts(both, true)).as_deref(), Some("bound"));
        assert_eq!(session_token(&parts(both, false)).as_deref(), Some("plain"));
        assert_eq!(session_token(&parts("cairn_session=plain", true)), None);
    }
}
