//! One way to ask Cairn anything: a request to the HTTP API, over the running server's socket or
//! to the same router inside this process.
//!
//! Called by: every command but `serve`, `extract`, `version`. Talks to: `appliance`, the socket.
//! Invariants: while a server holds the home, this process never opens a store; when this process
//! holds the home, it holds its lock until `close`.
//! Why: two code paths, one for a running server and one for a stopped one, would drift apart;
//! this way a command cannot behave differently in the two cases.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tower::ServiceExt;

use super::endpoint::Endpoint;
use super::error::{CliError, Exit};
use super::socket::{Socket, SocketError};
use crate::appliance::{Appliance, ApplianceError};
use crate::config::Config;

/// How long to wait for a home that another command holds, or whose server is just starting.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How often to look again meanwhile.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// A connection to the API, as the console.
pub enum Client {
    /// A server runs.
    Socket(Socket),
    /// No server runs; this process holds the home.
    InProcess { appliance: Box<Appliance>, router: Router },
}

impl Client {
    /// Reaches the server of a home, or opens the home where none runs.
    ///
    /// # Errors
    /// When the home is not initialised, cannot be opened, or another command keeps holding it.
    pub async fn connect(config: &Config) -> Result<Self, CliError> {
        if !config.home.is_initialised() {
            return Err(CliError::no_home(&config.home.path));
        }
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(socket) = reach_server(config).await? {
                return Ok(Self::Socket(socket));
            }
            match Box::pin(Appliance::open(config.clone())).await {
                Ok(appliance) => {
                    let router = appliance.local_router();
                    return Ok(Self::InProcess { appliance: Box::new(appliance), router });
                }
                Err(ApplianceError::HomeLocked { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(LOCK_POLL).await;
                }
                Err(error @ ApplianceError::HomeLocked { .. }) => {
                    return Err(CliError::from(error)
                        .hint("Another cairn command works on this home: wait for it to end."));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reaches the server of a home; `None` where none runs.
    ///
    /// # Errors
    /// When a server is there and cannot be reached.
    pub async fn of_server(config: &Config) -> Result<Option<Self>, CliError> {
        Ok(reach_server(config).await?.map(Self::Socket))
    }

    /// True where a server answers, false where this process does the work itself.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    /// GET, parsed.
    ///
    /// # Errors
    /// An answer other than success, or no answer.
    pub async fn get<T: DeserializeOwned>(&self, endpoint: &Endpoint) -> Result<T, CliError> {
        parse(&self.get_bytes(endpoint).await?)
    }

    /// GET, unparsed.
    ///
    /// # Errors
    /// An answer other than success, or no answer.
    pub async fn get_bytes(&self, endpoint: &Endpoint) -> Result<Bytes, CliError> {
        self.send(request(Method::GET, endpoint, None, Body::empty())?).await
    }

    /// POST of a JSON value, parsed.
    ///
    /// # Errors
    /// An answer other than success, or no answer.
    pub async fn post<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        value: &impl Serialize,
    ) -> Result<T, CliError> {
        self.send_json(Method::POST, endpoint, value).await
    }

    /// PUT of a JSON value, parsed.
    ///
    /// # Errors
    /// An answer other than success, or no answer.
    pub async fn put<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        value: &impl Serialize,
    ) -> Result<T, CliError> {
        self.send_json(Method::PUT, endpoint, value).await
    }

    /// PATCH with a JSON value, parsed.
    ///
    /// # Errors
    /// An answer other than success, or no answer.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        value: &impl Serialize,
    ) -> Result<T, CliError> {
        self.send_json(Method::PATCH, endpoint, value).await
    }

    /// POST of raw bytes as they come, never held as a whole.
    ///
    /// # Errors
    /// An answer other than success, or no answer; also when `body` itself fails.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        body: Body,
    ) -> Result<T, CliError> {
        self.upload_as(endpoint, "application/octet-stream", body).await
    }

    /// The same with a media type.
    ///
    /// # Errors
    /// An answer other than success, or no answer; also when `body` itself fails.
    pub async fn upload_as<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        media_type: &str,
        body: Body,
    ) -> Result<T, CliError> {
        let request = request(Method::POST, endpoint, Some(media_type), body)?;
        parse(&self.send(request).await?)
    }

    /// POST of a JSON value; the answer as it comes, never held as a whole.
    ///
    /// # Errors
    /// An answer other than success, or no answer. One that breaks off is an error of its body.
    pub async fn download(
        &self,
        endpoint: &Endpoint,
        value: &impl Serialize,
    ) -> Result<Response<Body>, CliError> {
        self.open(json_request(Method::POST, endpoint, value)?).await
    }

    async fn open(&self, request: Request<Body>) -> Result<Response<Body>, CliError> {
        let answer = match self {
            Self::Socket(socket) => socket.open(request).await.map_err(|error| silent(&error))?,
            Self::InProcess { router, .. } => here(router, request).await,
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        Err(CliError::from_reply(status, &collected(answer.into_body()).await?))
    }

    /// POST of a body as it comes; the answer as it comes meanwhile.
    ///
    /// # Errors
    /// An answer other than success, or no answer. One that breaks off is an error of its body.
    pub async fn converse(
        &self,
        endpoint: &Endpoint,
        media_type: &str,
        body: Body,
    ) -> Result<Response<Body>, CliError> {
        self.open(request(Method::POST, endpoint, Some(media_type), body)?).await
    }

    /// DELETE; `None` where the answer has no body.
    ///
    /// # Errors
    /// An answer other than success, or no answer.
    pub async fn delete<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Option<T>, CliError> {
        let bytes = self.send(request(Method::DELETE, endpoint, None, Body::empty())?).await?;
        if bytes.is_empty() { Ok(None) } else { parse(&bytes).map(Some) }
    }

    /// Ends the connection; closes the home where this process holds it.
    ///
    /// # Errors
    /// When the appliance cannot be shut down in order.
    pub async fn close(self) -> Result<(), CliError> {
        match self {
            Self::Socket(_) => Ok(()),
            Self::InProcess { appliance, router } => {
                drop(router);
                Box::pin(appliance.shutdown()).await.map_err(CliError::from)
            }
        }
    }

    async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        endpoint: &Endpoint,
        value: &impl Serialize,
    ) -> Result<T, CliError> {
        parse(&self.send(json_request(method, endpoint, value)?).await?)
    }

    async fn send(&self, request: Request<Body>) -> Result<Bytes, CliError> {
        let (status, bytes) = match self {
            Self::Socket(socket) => {
                let answer = socket.exchange(request).await.map_err(|error| silent(&error))?;
                (answer.status(), answer.into_body())
            }
            Self::InProcess { router, .. } => {
                let answer = here(router, request).await;
                (answer.status(), collected(answer.into_body()).await?)
            }
        };
        if status.is_success() { Ok(bytes) } else { Err(CliError::from_reply(status, &bytes)) }
    }
}

/// The socket of a running server; `None` where none runs, which a stale socket file shows by
/// refusing the connection.
async fn reach_server(config: &Config) -> Result<Option<Socket>, CliError> {
    let path = config.home.socket_path();
    match Socket::connect(&path).await {
        Ok(socket) => Ok(Some(socket)),
        Err(SocketError::Connect { source, .. }) => match source.kind() {
            // `InvalidInput`: the path is longer than a socket address holds, so no server has it.
            io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::InvalidInput => Ok(None),
            io::ErrorKind::PermissionDenied => Err(CliError::ending(
                Exit::NotFound,
                format!("{} is not for this user: {source}", path.display()),
            )
            .hint("Run the command as the user the server runs as, or as root.")),
            _ => Err(CliError::because(path.display().to_string(), &source)),
        },
        Err(error) => Err(CliError::because("the server did not answer", &error)),
    }
}

fn silent(error: &SocketError) -> CliError {
    CliError::because("the server did not answer", error)
        .hint("See whether it still runs with `cairn status`.")
}

async fn here(router: &Router, request: Request<Body>) -> Response<Body> {
    match router.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

async fn collected(body: Body) -> Result<Bytes, CliError> {
    let body = body.collect().await;
    Ok(body.map_err(|error| CliError::because("the answer broke off", &error))?.to_bytes())
}

fn json_request(
    method: Method,
    endpoint: &Endpoint,
    value: &impl Serialize,
) -> Result<Request<Body>, CliError> {
    let body = serde_json::to_vec(value)
        .map_err(|error| CliError::because("the request cannot be written as JSON", &error))?;
    request(method, endpoint, Some("application/json"), Body::from(body))
}

fn request(
    method: Method,
    endpoint: &Endpoint,
    media_type: Option<&str>,
    body: Body,
) -> Result<Request<Body>, CliError> {
    let mut builder = Request::builder().method(method).uri(endpoint.uri()?);
    if let Some(media_type) = media_type {
        builder = builder.header(header::CONTENT_TYPE, media_type);
    }
    builder.body(body).map_err(|error| CliError::because("the request is not valid", &error))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CliError> {
    serde_json::from_slice(bytes).map_err(|error| {
        CliError::because("the answer cannot be understood", &error).hint(
            "The server may be of another version: compare `cairn version` and `cairn status`.",
        )
    })
}
