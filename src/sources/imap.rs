//! A mailbox on the site's own mail server: read, never written, only what is new.
//!
//! Called by: `sources::run`. Talks to: one mail server.
//! Invariants: folders are opened with EXAMINE and mails read with PEEK, so nothing is marked as
//! read; how far a folder was read is its UIDVALIDITY with the highest UID, and where the former
//! changes its mails are known again by their headers and length; a mail is streamed.

mod connection;
mod wire;

use std::collections::VecDeque;
use std::fmt::Write as _;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::connection::{Connection, WireError};
use self::wire::{Response, Token, folder_name, sent, shown};
use super::feed::{Content, Feed, FeedError, Listing, Page};
use crate::app::sources::{FoundItem, ImapSettings, ListedItem};
use crate::auth::Write;
use crate::config::HostPort;
use crate::error::chain;
use crate::tenant::TenantHandle;
use crate::types::RunProblem;

/// Mails asked about at a time.
const MAILS: usize = 200;

/// Most folders of a mailbox.
const MOST_FOLDERS: usize = 10_000;

/// What tells one mail from another.
const HEADERS: &str = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM TO SUBJECT)]";

/// Parts a name of a mail is made of: folder, UIDVALIDITY, UID.
const SEPARATOR: u8 = 0;

/// A folder to be read.
struct Folder {
    raw: Vec<u8>,
    /// Its name as a path.
    path: String,
}

/// A folder being read.
struct Opened {
    folder: Folder,
    validity: u64,
    /// UIDs that were not seen before.
    unread: VecDeque<u32>,
    highest: u32,
}

/// A mailbox being read.
pub(super) struct Mailbox {
    settings: ImapSettings,
    host: HostPort,
    password: Zeroizing<String>,
    connection: Connection,
    tenant: TenantHandle<Write>,
    source: i64,
    /// `None` before they are listed.
    folders: Option<VecDeque<Folder>>,
    opened: Option<Opened>,
    /// The folder that the server has open, with its UIDVALIDITY.
    selected: Option<(Vec<u8>, u64)>,
    cursors: Vec<(String, String)>,
}

impl From<WireError> for FeedError {
    fn from(error: WireError) -> Self {
        Self::Lost(error.to_string())
    }
}

impl Mailbox {
    /// Connects and signs in.
    pub(super) async fn connect(
        tenant: &TenantHandle<Write>,
        source: i64,
        settings: &ImapSettings,
        host: &HostPort,
        password: Option<String>,
    ) -> Result<Self, FeedError> {
        let password = Zeroizing::new(password.unwrap_or_default());
        let connection = Connection::open(settings, host, &password).await?;
        Ok(Self {
            settings: settings.clone(),
            host: host.clone(),
            password,
            connection,
            tenant: tenant.clone(),
            source,
            folders: None,
            opened: None,
            selected: None,
            cursors: Vec::new(),
        })
    }

    /// The folders that are wanted; a problem for each that is wanted and not there.
    async fn list(&mut self, page: &mut Page) -> Result<VecDeque<Folder>, FeedError> {
        let said = self.connection.command("LIST", &[sent(b""), sent(b"*")]).await?;
        let mut found: Vec<Folder> = said.iter().filter_map(folder_of).collect();
        found.truncate(MOST_FOLDERS);
        let wanted = &self.settings.folders;
        if wanted.is_empty() {
            return Ok(found.into());
        }
        for name in wanted {
            if !found.iter().any(|folder| is_called(folder, name)) {
                page.problems.push(RunProblem {
                    path: name.clone(),
                    reason: "The mailbox has no such folder.".to_owned(),
                });
            }
        }
        found.retain(|folder| wanted.iter().any(|name| is_called(folder, name)));
        Ok(found.into())
    }

    /// Opens a folder for reading; its UIDVALIDITY.
    async fn examine(&mut self, raw: &[u8]) -> Result<u64, WireError> {
        self.selected = None;
        let said = self.connection.command("EXAMINE", &[sent(raw)]).await?;
        let validity = said
            .iter()
            .find_map(|response| bracketed(&response.text(), "UIDVALIDITY"))
            .ok_or(WireError::Nonsense("a folder without UIDVALIDITY"))?;
        self.selected = Some((raw.to_vec(), validity));
        Ok(validity)
    }

    /// Opens a folder and finds what is new in it.
    async fn begin(&mut self, folder: Folder, page: &mut Page) -> Result<(), FeedError> {
        let validity = match self.examine(&folder.raw).await {
            Ok(validity) => validity,
            Err(WireError::Refused(reason)) if !self.connection.is_spoilt => {
                page.problems.push(RunProblem { path: folder.path, reason });
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let (source, name) = (self.source, cursor_name(&folder.raw));
        let before = self.tenant.read(move |catalog| catalog.source_cursor(source, &name)).await;
        let before = before.map_err(|error| FeedError::Lost(chain(&error)))?;
        let (known, last) = before.as_deref().and_then(cursor).unwrap_or((validity, 0));
        let last = if known == validity {
            last
        } else {
            page.renamed.push(external(&folder.raw, known, None));
            0
        };
        let words = format!("UID SEARCH UID {}:*", last.saturating_add(1));
        let said = self.connection.command(&words, &[]).await?;
        let mut unread: Vec<u32> = said
            .iter()
            .map(Response::tokens)
            .filter(|tokens| tokens.get(1).is_some_and(|word| word.is("SEARCH")))
            .flat_map(|tokens| {
                tokens
                    .iter()
                    .skip(2)
                    .filter_map(Token::number)
                    .filter_map(|uid| u32::try_from(uid).ok())
                    .collect::<Vec<u32>>()
            })
            // A range of nothing new still names the last mail.
            .filter(|uid| *uid > last)
            .collect();
        unread.sort_unstable();
        unread.dedup();
        let highest = unread.last().copied().unwrap_or(last);
        self.opened = Some(Opened { folder, validity, unread: unread.into(), highest });
        Ok(())
    }

    /// Asks about the next mails of the folder that is open.
    async fn describe(&mut self, page: &mut Page) -> Result<(), FeedError> {
        let Some(opened) = self.opened.as_mut() else { return Ok(()) };
        let take = opened.unread.len().min(MAILS);
        let uids: Vec<u32> = opened.unread.drain(..take).collect();
        if !uids.is_empty() {
            let list: Vec<String> = uids.iter().map(ToString::to_string).collect();
            let words =
                format!("UID FETCH {} (UID RFC822.SIZE INTERNALDATE {HEADERS})", list.join(","));
            let said = self.connection.command(&words, &[]).await?;
            let described = said.iter().filter_map(|response| {
                let mail = Described::read(&response.tokens())?;
                uids.binary_search(&mail.uid).is_ok().then(|| mail.listed(opened))
            });
            page.items.extend(described);
        }
        if opened.unread.is_empty() {
            let value = format!("{}:{}", opened.validity, opened.highest);
            self.cursors.push((cursor_name(&opened.folder.raw), value));
            self.opened = None;
        }
        Ok(())
    }

    /// Has the folder of a mail open on a connection that can be used.
    async fn select(&mut self, raw: &[u8], validity: u64) -> Result<(), FeedError> {
        if self.connection.is_spoilt {
            // A mail was not read to its end.
            self.connection = Connection::open(&self.settings, &self.host, &self.password).await?;
            self.selected = None;
        }
        let is_open = |selected: &Option<(Vec<u8>, u64)>| {
            selected.as_ref().is_some_and(|(open, is)| open == raw && *is == validity)
        };
        if is_open(&self.selected) {
            return Ok(());
        }
        match self.examine(raw).await {
            Ok(now) if now == validity => Ok(()),
            Ok(_) => Err(FeedError::Gone),
            Err(WireError::Refused(_)) if !self.connection.is_spoilt => Err(FeedError::Gone),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Feed for Mailbox {
    async fn page(&mut self) -> Result<Option<Page>, FeedError> {
        let mut page = Page::default();
        if self.folders.is_none() {
            self.folders = Some(self.list(&mut page).await?);
        }
        if self.opened.is_none() {
            let Some(folder) = self.folders.as_mut().and_then(VecDeque::pop_front) else {
                let is_empty = page.problems.is_empty();
                return Ok(if is_empty { None } else { Some(page) });
            };
            self.begin(folder, &mut page).await?;
        }
        self.describe(&mut page).await?;
        Ok(Some(page))
    }

    fn listing(&mut self) -> Listing {
        // What is not new is not listed, so nothing can be told to be gone.
        Listing { complete: false, spared: Vec::new(), cursors: std::mem::take(&mut self.cursors) }
    }

    async fn open(&mut self, item: &FoundItem) -> Result<Content<'_>, FeedError> {
        let (raw, validity, uid) = parts(&item.external).ok_or(FeedError::Gone)?;
        self.select(raw, validity).await?;
        let length = match self.connection.fetch(uid).await {
            Ok(Some(length)) => length,
            Ok(None) => return Err(FeedError::Gone),
            Err(WireError::Refused(reason)) if !self.connection.is_spoilt => {
                return Err(FeedError::Item(reason));
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Content { size_bytes: length, bytes: mail(&mut self.connection, length) })
    }
}

/// A mail as it comes.
fn mail(connection: &mut Connection, length: u64) -> BoxStream<'_, std::io::Result<bytes::Bytes>> {
    let by = Connection::deadline(length);
    futures::stream::try_unfold((connection, length), move |(connection, left)| async move {
        next_piece(connection, left, by).await
    })
    .boxed()
}

type Rest<'a> = Option<(bytes::Bytes, (&'a mut Connection, u64))>;

async fn next_piece(
    connection: &mut Connection,
    left: u64,
    by: Instant,
) -> std::io::Result<Rest<'_>> {
    if left == 0 {
        // Spoilt until the end of the response is read, and not asked again after it.
        if connection.is_spoilt {
            connection.finish_fetch().await?;
        }
        return Ok(None);
    }
    let piece = connection.piece(left, by).await?;
    let left = left - (piece.len() as u64).min(left);
    Ok(Some((piece, (connection, left))))
}

/// What a server says of a mail.
struct Described {
    uid: u32,
    size_bytes: u64,
    date: Option<Timestamp>,
    headers: Vec<u8>,
}

impl Described {
    fn read(tokens: &[Token]) -> Option<Self> {
        if !tokens.get(2)?.is("FETCH") {
            return None;
        }
        let (mut uid, mut size, mut date, mut headers) = (None, None, None, Vec::new());
        let mut rest = tokens.iter().skip(3);
        while let Some(token) = rest.next() {
            if token.is("UID") {
                uid = rest.next().and_then(Token::number);
            } else if token.is("RFC822.SIZE") {
                size = rest.next().and_then(Token::number);
            } else if token.is("INTERNALDATE") {
                date = rest.next().and_then(|token| date_of(token.bytes()));
            } else if matches!(token, Token::Atom(word) if is_headers(word)) {
                headers = rest.next().map(|token| token.bytes().to_vec()).unwrap_or_default();
            }
        }
        Some(Self { uid: u32::try_from(uid?).ok()?, size_bytes: size?, date, headers })
    }

    fn listed(self, opened: &Opened) -> ListedItem {
        let mut digest = Sha256::new();
        digest.update(&self.headers);
        digest.update(self.size_bytes.to_le_bytes());
        let identity = digest.finalize().iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        ListedItem {
            external: external(&opened.folder.raw, opened.validity, Some(self.uid)),
            path: format!("{}/{}.eml", opened.folder.path, &identity[..24]),
            mark: identity.clone(),
            identity: Some(identity),
            size_bytes: self.size_bytes,
            file_date: self.date,
            settled: true,
        }
    }
}

fn is_headers(word: &[u8]) -> bool {
    word.get(..19).is_some_and(|start| start.eq_ignore_ascii_case(b"BODY[HEADER.FIELDS "))
}

fn date_of(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    Timestamp::strptime("%d-%b-%Y %H:%M:%S %z", text.trim()).ok()
}

/// A folder that a LIST response names and that can be opened.
fn folder_of(response: &Response) -> Option<Folder> {
    let tokens = response.tokens();
    if !tokens.get(1)?.is("LIST") {
        return None;
    }
    let close = tokens.iter().position(|token| *token == Token::Close)?;
    let closed =
        tokens[..close].iter().any(|flag| flag.is("\\Noselect") || flag.is("\\NonExistent"));
    let (delimiter, name) = (tokens.get(close + 1)?, tokens.get(close + 2)?);
    let raw = name.bytes().to_vec();
    if closed || raw.is_empty() || raw.contains(&SEPARATOR) {
        return None;
    }
    let delimiter = match delimiter {
        Token::Text(text) if text.len() == 1 => char::from(text[0]),
        _ => '/',
    };
    let path = folder_name(&raw)
        .split([delimiter, '/'])
        .map(|step| if matches!(step, "" | "." | "..") { "_" } else { step })
        .collect::<Vec<_>>()
        .join("/");
    Some(Folder { raw, path: shown(path.as_bytes()) })
}

/// True where a folder is what somebody calls so.
fn is_called(folder: &Folder, name: &str) -> bool {
    let inbox = |text: &str| text.eq_ignore_ascii_case("INBOX");
    folder.path == name || folder_name(&folder.raw) == name || (inbox(&folder.path) && inbox(name))
}

/// The number behind a word in the brackets of a response: `[UIDVALIDITY 7]`.
fn bracketed(text: &str, word: &str) -> Option<u64> {
    let inner = text.split_once('[')?.1.split(']').next()?;
    let (found, number) = inner.split_once(' ')?;
    found.eq_ignore_ascii_case(word).then(|| number.trim().parse().ok())?
}

fn cursor_name(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).into_owned()
}

fn cursor(value: &str) -> Option<(u64, u32)> {
    let (validity, last) = value.split_once(':')?;
    Some((validity.parse().ok()?, last.parse().ok()?))
}

/// What a mail is called; without UID, how all of its folder begin.
fn external(raw: &[u8], validity: u64, uid: Option<u32>) -> Vec<u8> {
    let mut name = raw.to_vec();
    name.push(SEPARATOR);
    name.extend_from_slice(validity.to_string().as_bytes());
    name.push(SEPARATOR);
    if let Some(uid) = uid {
        name.extend_from_slice(uid.to_string().as_bytes());
    }
    name
}

fn parts(external: &[u8]) -> Option<(&[u8], u64, u32)> {
    let mut parts = external.split(|byte| *byte == SEPARATOR);
    let raw = parts.next()?;
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (validity, uid) = (number()?, number()?);
    Some((raw, validity, u32::try_from(uid).ok()?))
}

#[cfg(test)]
mod tests {
    use super::wire::Part;
    use super::*;

    fn response(line: &str) -> Response {
        Response { parts: vec![Part::Line(line.as_bytes().to_vec())] }
    }

    #[test]
    fn folders_have_paths_that_do_not_climb() {
        let path = |line: &str| folder_of(&response(line)).map(|folder| folder.path);
        assert_eq!(path(r#"* LIST () "." INBOX.Sent"#).as_deref(), Some("INBOX/Sent"));
        assert_eq!(path(r#"* LIST () "/" "../../etc""#).as_deref(), Some("_/_/etc"));
        assert_eq!(path(r#"* LIST (\Noselect) "/" x"#), None);
        assert_eq!(path("* LIST"), None);
        assert_eq!(path("* OK done"), None);
    }

    #[test]
    fn what_a_server_says_of_a_mail_comes_in_any_order() {
        let mut said = response(
            "* 3 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286 \
             BODY[HEADER.FIELDS (MESSAGE-ID)] {6}",
        );
        said.parts.push(Part::Literal(b"Header".to_vec()));
        said.parts.push(Part::Line(b" UID 9)".to_vec()));
        let mail = Described::read(&said.tokens()).unwrap();
        assert_eq!((mail.uid, mail.size_bytes, mail.headers), (9, 4286, b"Header".to_vec()));
        assert_eq!(mail.date.unwrap().to_string(), "1996-07-17T09:44:25Z");
        assert!(Described::read(&response("* 3 FETCH (FLAGS ())").tokens()).is_none());
    }

    #[test]
    fn names_of_mails_read_back() {
        let name = external(b"INBOX", 7, Some(42));
        assert_eq!(parts(&name), Some((&b"INBOX"[..], 7, 42)));
        assert_eq!(parts(b"INBOX"), None);
        assert_eq!(bracketed("* OK [UIDVALIDITY 12] valid", "uidvalidity"), Some(12));
        assert_eq!(cursor("12:99"), Some((12, 99)));
    }
}
