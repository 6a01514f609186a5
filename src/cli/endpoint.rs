//! Addresses of the API: path segments and query values, encoded.
//!
//! Called by: `cli`. Talks to: nothing.
//! Invariants: a name with a slash, a space or any other character stays one segment or value.

use axum::http::Uri;
use url::Url;

use super::error::CliError;

/// The address of one resource under `/api/v1`.
#[derive(Clone, Debug)]
pub struct Endpoint(Url);

/// The resource at `segments` under `/api/v1`.
pub fn api<const N: usize>(segments: [&str; N]) -> Endpoint {
    let mut url = Url::parse("http://cairn/api/v1").expect("invariant: the base is a URL");
    url.path_segments_mut().expect("invariant: an http URL has a path").extend(segments);
    Endpoint(url)
}

impl Endpoint {
    /// The resource at `segments` below this one.
    pub fn below<const N: usize>(mut self, segments: [&str; N]) -> Self {
        self.0.path_segments_mut().expect("invariant: an http URL has a path").extend(segments);
        self
    }

    /// The same with a query value.
    pub fn with(mut self, key: &str, value: impl AsRef<str>) -> Self {
        self.0.query_pairs_mut().append_pair(key, value.as_ref());
        self
    }

    /// The same with a query value, where there is one.
    pub fn with_some(self, key: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Path and query, as they stand in a request line.
    ///
    /// # Errors
    /// When the address is longer than HTTP allows.
    pub fn uri(&self) -> Result<Uri, CliError> {
        let text = match self.0.query() {
            Some(query) => format!("{}?{query}", self.0.path()),
            None => self.0.path().to_owned(),
        };
        text.parse().map_err(|error| CliError::because("the request has no valid address", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_encoded() {
        let endpoint = api(["tenants", "a b/c", "documents"]).with("source", "x&y\n%/z.pdf");
        assert_eq!(
            endpoint.uri().unwrap().to_string(),
            "/api/v1/tenants/a%20b%2Fc/documents?source=x%26y%0A%25%2Fz.pdf"
        );
    }

    #[test]
    fn absent_values_leave_no_trace() {
        assert_eq!(api(["status"]).with_some("q", None::<&str>).uri().unwrap(), "/api/v1/status");
    }
}
