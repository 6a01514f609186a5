//! A connection to a mail server: opened, signed in, commands and their responses.
//!
//! Called by: `sources::imap`. Talks to: the one host that it is given, which the admin allowed.
//! Invariants: this is the only place of Cairn that opens a connection to another machine; every
//! wait is bounded, and so is what is kept of any response; the password is sent under TLS, or
//! where the settings say that it need not be.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use super::wire::{Part, Response, Sent, announced, sent, shown};
use crate::app::sources::{ImapSettings, Security};
use crate::config::{Host, HostPort};
use crate::error::chain;
use crate::tls::ClientTls;

/// Longest wait for a connection, and for the next words of a server.
const CONNECT_WAIT: Duration = Duration::from_secs(20);
const WAIT: Duration = Duration::from_secs(60);

/// Longest line, and most of one response, that is kept; a search may name every mail of a folder.
const MAX_LINE: usize = 32 << 20;
const MAX_PLAIN_LINE: usize = 64 << 10;
const MAX_LITERAL: u64 = 256 << 10;
const MAX_RESPONSE: usize = 1 << 20;

/// Responses to one command.
const MAX_RESPONSES: usize = 20_000;

/// Bytes of a mail handed on at a time.
const PIECE: usize = 64 << 10;

/// A mail has to come at least this fast.
const LEAST_BYTES_PER_SECOND: u64 = 16 << 10;

/// However long a mail is said to be, it has to be here after this many seconds.
const MOST_SECONDS: u64 = 3600;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// What went wrong with a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Refused(String),
    #[error("the mail server does not answer in time")]
    Silent,
    #[error("the connection to the mail server ended: {0}")]
    Ended(io::Error),
    #[error("the mail server said what it may not: {0}")]
    Nonsense(&'static str),
    #[error("{0}")]
    Tls(String),
}

/// An open connection.
pub(super) struct Connection {
    stream: BufReader<Box<dyn Wire>>,
    tag: u32,
    /// A response was not read to its end: nothing more can be asked.
    pub(super) is_spoilt: bool,
}

impl Connection {
    /// Connects, secures the connection and signs in.
    pub(super) async fn open(
        settings: &ImapSettings,
        host: &HostPort,
        password: &Zeroizing<String>,
    ) -> Result<Self, WireError> {
        let tcp = dial(host).await?;
        let stream: Box<dyn Wire> = match settings.security {
            Security::Tls => Box::new(secured(settings, host, tcp).await?),
            Security::Plain => Box::new(tcp),
            Security::Starttls => {
                let mut tcp = tcp;
                ask_for_tls(&mut tcp).await?;
                Box::new(secured(settings, host, tcp).await?)
            }
        };
        let mut connection = Self { stream: BufReader::new(stream), tag: 0, is_spoilt: false };
        if settings.security != Security::Starttls {
            let greeting = connection.line(MAX_PLAIN_LINE).await?;
            if !greets(&greeting) {
                return Err(WireError::Refused(format!("it greets with: {}", shown(&greeting))));
            }
        }
        connection.sign_in(&settings.user, password).await?;
        Ok(connection)
    }

    async fn sign_in(&mut self, user: &str, password: &str) -> Result<(), WireError> {
        let parts = [sent(user.as_bytes()), sent(password.as_bytes())];
        self.command("LOGIN", &parts).await.map(drop).map_err(|error| match error {
            WireError::Refused(why) => {
                WireError::Refused(format!("the mail server refused the sign-in: {why}"))
            }
            other => other,
        })
    }

    /// Sends a command and gives what is said before it is done.
    pub(super) async fn command(
        &mut self,
        words: &str,
        strings: &[Sent],
    ) -> Result<Vec<Response>, WireError> {
        let tag = self.send(words, strings).await?;
        let mut said = Vec::new();
        loop {
            let response = self.response().await?;
            if self.is_end(&tag, &response)? {
                self.is_spoilt = false;
                return Ok(said);
            }
            if said.len() >= MAX_RESPONSES {
                return Err(WireError::Nonsense("too many responses"));
            }
            said.push(response);
        }
    }

    /// Sends a command; its tag.
    async fn send(&mut self, words: &str, strings: &[Sent]) -> Result<String, WireError> {
        self.tag += 1;
        let tag = format!("c{}", self.tag);
        // Until it is answered in full.
        self.is_spoilt = true;
        let mut line = Zeroizing::new(format!("{tag} {words}").into_bytes());
        for string in strings {
            match string {
                Sent::Quoted(text) => {
                    line.push(b' ');
                    line.extend_from_slice(text.as_bytes());
                }
                Sent::Literal(bytes) => {
                    line.extend_from_slice(format!(" {{{}}}\r\n", bytes.len()).as_bytes());
                    self.write(&line).await?;
                    self.await_go_ahead().await?;
                    line = Zeroizing::new(bytes.clone());
                }
            }
        }
        line.extend_from_slice(b"\r\n");
        self.write(&line).await?;
        Ok(tag)
    }

    async fn await_go_ahead(&mut self) -> Result<(), WireError> {
        loop {
            let line = self.line(MAX_PLAIN_LINE).await?;
            match line.first() {
                Some(b'+') => return Ok(()),
                Some(b'*') => {}
                _ => return Err(WireError::Refused(shown(&line))),
            }
        }
    }

    /// True for the response that ends a command well.
    fn is_end(&mut self, tag: &str, response: &Response) -> Result<bool, WireError> {
        let text = response.text();
        if let Some(rest) = text.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
            self.is_spoilt = false;
            let word = rest.split(' ').next().unwrap_or_default();
            return if word.eq_ignore_ascii_case("OK") {
                Ok(true)
            } else {
                Err(WireError::Refused(rest.to_owned()))
            };
        }
        if text.to_ascii_uppercase().starts_with("* BYE") {
            self.is_spoilt = true;
            return Err(WireError::Refused(format!("the mail server ended it: {text}")));
        }
        Ok(false)
    }

    /// Asks for a mail; its length where there is one. Its bytes have to be read next.
    pub(super) async fn fetch(&mut self, uid: u32) -> Result<Option<u64>, WireError> {
        let tag = self.send(&format!("UID FETCH {uid} (UID BODY.PEEK[])"), &[]).await?;
        loop {
            let line = self.line(MAX_PLAIN_LINE).await?;
            let upper = line.to_ascii_uppercase();
            let is_body =
                upper.starts_with(b"* ") && has(&upper, b" FETCH ") && has(&upper, b"BODY[]");
            match announced(&line) {
                Some(length) if is_body => return Ok(Some(length)),
                Some(length) => drop(self.literal(length).await?),
                None => {
                    let response = Response { parts: vec![Part::Line(line)] };
                    if self.is_end(&tag, &response)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next bytes of a mail of which `left` are to come.
    pub(super) async fn piece(&mut self, left: u64, by: Instant) -> io::Result<Bytes> {
        let most = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
        let mut piece = BytesMut::with_capacity(most);
        let mut bounded = (&mut self.stream).take(most as u64);
        let by = by.min(Instant::now() + WAIT);
        let read = timeout_at(by, bounded.read_buf(&mut piece)).await.map_err(|_| {
            io::Error::new(io::ErrorKind::ConnectionAborted, "the mail server is too slow")
        })?;
        match read {
            Ok(0) => Err(broken_off("the connection ended in the middle of a mail".to_owned())),
            Ok(_) => Ok(piece.freeze()),
            Err(error) => Err(broken_off(format!("the connection ended in a mail: {error}"))),
        }
    }

    /// Reads what stands behind a mail.
    pub(super) async fn finish_fetch(&mut self) -> io::Result<()> {
        let tag = format!("c{}", self.tag);
        let finish = async {
            loop {
                let response = self.response().await?;
                if self.is_end(&tag, &response)? {
                    return Ok::<_, WireError>(());
                }
            }
        };
        finish.await.map_err(|error| broken_off(error.to_string()))
    }

    /// When a mail of this length has to be here.
    pub(super) fn deadline(length: u64) -> Instant {
        Instant::now()
            + WAIT
            + Duration::from_secs((length / LEAST_BYTES_PER_SECOND).min(MOST_SECONDS))
    }

    async fn response(&mut self) -> Result<Response, WireError> {
        let mut response = Response::default();
        let mut size = 0;
        loop {
            // Only the answer to a search is one long line.
            let line = self.line(MAX_LINE).await?;
            let length = announced(&line);
            if !line.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"* SEARCH")) {
                size += line.len();
            }
            response.parts.push(Part::Line(line));
            if let Some(length) = length {
                let literal = self.literal(length).await?;
                size += literal.len();
                response.parts.push(Part::Literal(literal));
            }
            if size > MAX_RESPONSE {
                return Err(WireError::Nonsense("a response without end"));
            }
            if length.is_none() {
                return Ok(response);
            }
        }
    }

    async fn literal(&mut self, length: u64) -> Result<Vec<u8>, WireError> {
        if length > MAX_LITERAL {
            return Err(WireError::Nonsense("a string that is too long"));
        }
        let mut literal = vec![0; usize::try_from(length).unwrap_or(0)];
        match timeout(WAIT, self.stream.read_exact(&mut literal)).await {
            Ok(Ok(_)) => Ok(literal),
            Ok(Err(error)) => Err(WireError::Ended(error)),
            Err(_) => Err(WireError::Silent),
        }
    }

    /// A line without its end.
    async fn line(&mut self, most: usize) -> Result<Vec<u8>, WireError> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.stream).take(most as u64);
        match timeout(WAIT, bounded.read_until(b'\n', &mut line)).await {
            Err(_) => return Err(WireError::Silent),
            Ok(Err(error)) => return Err(WireError::Ended(error)),
            Ok(Ok(_)) => {}
        }
        if line.pop() != Some(b'\n') {
            return Err(if line.len() + 1 >= most {
                WireError::Nonsense("a line without end")
            } else {
                WireError::Ended(io::ErrorKind::UnexpectedEof.into())
            });
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(WAIT, write).await {
            Ok(written) => written.map_err(WireError::Ended),
            Err(_) => Err(WireError::Silent),
        }
    }
}

async fn dial(host: &HostPort) -> Result<TcpStream, WireError> {
    let port = host.port.unwrap_or(993);
    let connect = async {
        match &host.host {
            Host::Ip(ip) => TcpStream::connect((*ip, port)).await,
            Host::Name(name) => TcpStream::connect((name.as_str(), port)).await,
        }
    };
    match timeout(CONNECT_WAIT, connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(WireError::Refused(format!("{host} cannot be reached: {error}"))),
        Err(_) => Err(WireError::Refused(format!("{host} does not answer"))),
    }
}

async fn secured(
    settings: &ImapSettings,
    host: &HostPort,
    tcp: TcpStream,
) -> Result<crate::tls::ClientStream, WireError> {
    let (name, trusted) = (host.host.clone(), settings.certificate.clone());
    let tls = tokio::task::spawn_blocking(move || ClientTls::new(&name, trusted.as_deref()))
        .await
        .map_err(|error| WireError::Tls(error.to_string()))?
        .map_err(|error| WireError::Tls(format!("TLS cannot be set up: {}", chain(&error))))?;
    match timeout(CONNECT_WAIT, tls.wrap(tcp)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(WireError::Tls(format!(
            "no trust in {host}: {error}; give the certificate of the site's authority or of the \
             server itself"
        ))),
        Err(_) => Err(WireError::Silent),
    }
}

/// Asks for TLS on a connection in clear. Byte by byte, so that nothing sent ahead of the
/// handshake is taken for a part of what comes after it.
async fn ask_for_tls(tcp: &mut TcpStream) -> Result<(), WireError> {
    let greeting = clear_line(tcp).await?;
    if !greets(&greeting) {
        return Err(WireError::Refused(format!("it greets with: {}", shown(&greeting))));
    }
    tcp.write_all(b"c0 STARTTLS\r\n").await.map_err(WireError::Ended)?;
    loop {
        let line = clear_line(tcp).await?;
        if line.starts_with(b"* ") {
            continue;
        }
        let upper = line.to_ascii_uppercase();
        return if upper.starts_with(b"C0 OK") {
            Ok(())
        } else {
            Err(WireError::Refused(format!("the mail server refused TLS: {}", shown(&line))))
        };
    }
}

async fn clear_line(tcp: &mut TcpStream) -> Result<Vec<u8>, WireError> {
    let read = async {
        let mut line = Vec::new();
        loop {
            let byte = tcp.read_u8().await.map_err(WireError::Ended)?;
            if byte == b'\n' {
                return Ok(line);
            }
            if line.len() >= MAX_PLAIN_LINE {
                return Err(WireError::Nonsense("a line without end"));
            }
            line.push(byte);
        }
    };
    timeout(WAIT, read).await.map_err(|_| WireError::Silent)?
}

fn greets(line: &[u8]) -> bool {
    let upper = line.to_ascii_uppercase();
    upper.starts_with(b"* OK") || upper.starts_with(b"* PREAUTH")
}

fn has(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

fn broken_off(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, why)
}
