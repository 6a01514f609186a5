//! A mail server that speaks enough IMAP4rev1 for a mailbox to be read, and misbehaves on demand.
//!
//! Called by: the tests of mailboxes. Talks to: whoever connects to its port on loopback.
//! Invariants: what it is asked is written down; it stops when its value is dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub const USER: &str = "office";
pub const PASSWORD: &str = "se\"cret\\ pass";

/// How its connections are protected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Tls,
    Starttls,
    Plain,
}

/// A folder with its mails by UID.
pub struct Folder {
    pub name: String,
    pub validity: u32,
    pub mails: Vec<(u32, Vec<u8>)>,
}

/// What it holds, and how it behaves.
#[derive(Default)]
pub struct State {
    pub folders: Vec<Folder>,
    /// Sent in place of a greeting.
    pub greeting: Option<Vec<u8>>,
    /// The next mail breaks off after so many bytes.
    pub break_off: Option<usize>,
    /// The next mail is announced as so long.
    pub announce: Option<u64>,
    /// Every command, without the arguments of LOGIN.
    pub asked: Vec<String>,
}

pub struct MailServer {
    pub port: u16,
    /// PEM of the certificate that it shows.
    pub certificate: String,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

impl MailServer {
    pub fn start(security: Security) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let signed = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], private)
            .unwrap();
        let (state, stop) =
            (Arc::new(Mutex::new(State::default())), Arc::new(AtomicBool::new(false)));
        let (shared, stopped, config) = (state.clone(), stop.clone(), Arc::new(config));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { return };
                let (state, config) = (shared.clone(), config.clone());
                std::thread::spawn(move || serve(stream, security, &state, &config));
            }
        });
        Self { port, certificate: signed.pem(), state, stop }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts a mail into a folder, which is made where there is none.
    pub fn deliver(&self, folder: &str, mail: &str) {
        let mut state = self.state();
        let known = state.folders.iter().position(|known| known.name == folder);
        let at = known.unwrap_or_else(|| {
            state.folders.push(Folder { name: folder.to_owned(), validity: 1, mails: Vec::new() });
            state.folders.len() - 1
        });
        let mails = &mut state.folders[at].mails;
        let uid = mails.last().map_or(1, |(uid, _)| uid + 1);
        mails.push((uid, mail.replace('\n', "\r\n").into_bytes()));
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// A mail with a subject and a text.
pub fn mail(number: u32, subject: &str, text: &str) -> String {
    format!(
        "From: Ada <ada@example.lan>\nTo: office@example.lan\nSubject: {subject}\n\
         Date: Tue, 3 Nov 2026 10:00:00 +0000\nMessage-ID: <{number}@example.lan>\n\
         Content-Type: text/plain; charset=utf-8\n\n{text}\n"
    )
}

fn serve(stream: TcpStream, security: Security, state: &Mutex<State>, config: &Arc<ServerConfig>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let tls = |stream: TcpStream| -> Box<dyn Wire> {
        Box::new(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream))
    };
    let greeting = state.lock().unwrap().greeting.clone();
    let greeting = greeting.unwrap_or_else(|| b"* OK ready\r\n".to_vec());
    let mut wire: Box<dyn Wire> = match security {
        Security::Tls => tls(stream),
        Security::Plain => Box::new(stream),
        Security::Starttls => {
            let mut clear = stream;
            if clear.write_all(&greeting).is_err() {
                return;
            }
            let mut line = Vec::new();
            let mut byte = [0];
            while clear.read_exact(&mut byte).is_ok() && byte[0] != b'\n' {
                line.push(byte[0]);
            }
            if !String::from_utf8_lossy(&line).to_uppercase().contains("STARTTLS") {
                return;
            }
            state.lock().unwrap().asked.push("STARTTLS".to_owned());
            let _ = clear.write_all(b"c0 OK begin\r\n");
            tls(clear)
        }
    };
    if security != Security::Starttls && wire.write_all(&greeting).is_err() {
        return;
    }
    let _ = wire.flush();
    // An error is a client that went away, or a connection that is to break off.
    let _ = talk(&mut BufReader::new(wire), state);
}

fn talk(wire: &mut BufReader<Box<dyn Wire>>, state: &Mutex<State>) -> std::io::Result<()> {
    let mut selected: Option<String> = None;
    loop {
        let Some(line) = command(wire)? else { return Ok(()) };
        let mut words = line.splitn(3, ' ');
        let tag = words.next().unwrap_or_default().to_owned();
        let mut verb = words.next().unwrap_or_default().to_uppercase();
        let mut rest = words.next().unwrap_or_default().to_owned();
        if verb == "UID" {
            let (second, args) = rest.split_once(' ').unwrap_or((&rest, ""));
            verb = format!("UID {}", second.to_uppercase());
            rest = args.to_owned();
        }
        let shown = if verb == "LOGIN" { verb.clone() } else { format!("{verb} {rest}") };
        state.lock().unwrap().asked.push(shown);
        let mut done = "OK done";
        match verb.as_str() {
            "LOGIN" => {
                if strings(&rest) != [USER, PASSWORD] {
                    done = "NO wrong user or password";
                }
            }
            "LIST" => {
                let names: Vec<String> = state
                    .lock()
                    .unwrap()
                    .folders
                    .iter()
                    .map(|folder| folder.name.clone())
                    .collect();
                for name in names {
                    say(wire, &format!("* LIST (\\HasNoChildren) \"/\" \"{name}\"\r\n"))?;
                }
                say(wire, "* LIST (\\Noselect) \"/\" \"nothing\"\r\n")?;
            }
            "EXAMINE" => {
                let name = strings(&rest).pop().unwrap_or_default();
                let found = {
                    let state = state.lock().unwrap();
                    let folder = state.folders.iter().find(|folder| folder.name == name);
                    folder.map(|folder| (folder.mails.len(), folder.validity))
                };
                match found {
                    Some((count, validity)) => {
                        say(
                            wire,
                            &format!("* {count} EXISTS\r\n* OK [UIDVALIDITY {validity}] ok\r\n"),
                        )?;
                        selected = Some(name);
                        done = "OK [READ-ONLY] done";
                    }
                    None => done = "NO no such folder",
                }
            }
            "UID SEARCH" => {
                let from: u32 =
                    rest.trim_start_matches("UID ").trim_end_matches(":*").parse().unwrap();
                let mails = mails_of(state, selected.as_deref());
                let last = mails.last().map(|(uid, _)| *uid);
                let hits: Vec<String> = mails
                    .iter()
                    .map(|(uid, _)| *uid)
                    .filter(|uid| *uid >= from || Some(*uid) == last)
                    .map(|uid| uid.to_string())
                    .collect();
                say(wire, &format!("* SEARCH {}\r\n", hits.join(" ")))?;
            }
            "UID FETCH" => fetch(wire, state, selected.as_deref(), &rest)?,
            "LOGOUT" => return say(wire, &format!("* BYE\r\n{tag} OK\r\n")),
            _ => done = "BAD what?",
        }
        say(wire, &format!("{tag} {done}\r\n"))?;
    }
}

fn fetch(
    wire: &mut BufReader<Box<dyn Wire>>,
    state: &Mutex<State>,
    folder: Option<&str>,
    rest: &str,
) -> std::io::Result<()> {
    let (set, what) = rest.split_once(' ').unwrap();
    let wanted: Vec<u32> = set.split(',').map(|uid| uid.parse().unwrap()).collect();
    for (number, (uid, mail)) in mails_of(state, folder).into_iter().enumerate() {
        if !wanted.contains(&uid) {
            continue;
        }
        if what.contains("HEADER.FIELDS") {
            let text = String::from_utf8_lossy(&mail).into_owned();
            let head = text.split("\r\n\r\n").next().unwrap_or_default();
            let fields = ["message-id:", "date:", "from:", "to:", "subject:"];
            let mut head: String = head
                .lines()
                .filter(|line| fields.iter().any(|field| line.to_lowercase().starts_with(field)))
                .map(|line| format!("{line}\r\n"))
                .collect();
            head.push_str("\r\n");
            say(
                wire,
                &format!(
                    "* {} FETCH (UID {uid} RFC822.SIZE {} INTERNALDATE \"03-Nov-2026 11:00:00 +0100\" \
                 BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM TO SUBJECT)] {{{}}}\r\n{head})\r\n",
                    number + 1,
                    mail.len(),
                    head.len()
                ),
            )?;
            continue;
        }
        let (break_off, announce) = {
            let mut state = state.lock().unwrap();
            (state.break_off.take(), state.announce.take())
        };
        let length = announce.unwrap_or(mail.len() as u64);
        say(wire, &format!("* {} FETCH (UID {uid} BODY[] {{{length}}}\r\n", number + 1))?;
        if let Some(bytes) = break_off {
            wire.get_mut().write_all(&mail[..bytes])?;
            wire.get_mut().flush()?;
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        wire.get_mut().write_all(&mail)?;
        if announce.is_some() {
            // As much as is wanted, of nothing.
            let filler = vec![b'x'; 1 << 20];
            for _ in 0..length >> 20 {
                wire.get_mut().write_all(&filler)?;
            }
        }
        say(wire, ")\r\n")?;
    }
    Ok(())
}

fn mails_of(state: &Mutex<State>, folder: Option<&str>) -> Vec<(u32, Vec<u8>)> {
    let state = state.lock().unwrap();
    let found = state.folders.iter().find(|known| Some(known.name.as_str()) == folder);
    found.map(|folder| folder.mails.clone()).unwrap_or_default()
}

fn say(wire: &mut BufReader<Box<dyn Wire>>, text: &str) -> std::io::Result<()> {
    wire.get_mut().write_all(text.as_bytes())?;
    wire.get_mut().flush()
}

/// A command with its literals quoted; `None` once the client is gone.
fn command(wire: &mut BufReader<Box<dyn Wire>>) -> std::io::Result<Option<String>> {
    let mut whole = String::new();
    loop {
        let mut line = String::new();
        if wire.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let literal = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
        let Some((before, length)) = literal else {
            whole.push_str(line);
            return Ok(Some(whole));
        };
        let mut bytes = vec![0; length.parse().unwrap()];
        say(wire, "+ go ahead\r\n")?;
        wire.read_exact(&mut bytes)?;
        let text = String::from_utf8(bytes).unwrap().replace('\\', "\\\\").replace('"', "\\\"");
        whole.push_str(&format!("{before}\"{text}\""));
    }
}

/// The quoted strings of a line.
fn strings(line: &str) -> Vec<String> {
    let (mut found, mut open, mut escaped) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match (&mut open, c) {
            (Some(text), c) if escaped => {
                text.push(c);
                escaped = false;
            }
            (Some(_), '\\') => escaped = true,
            (Some(_), '"') => found.extend(open.take()),
            (Some(text), c) => text.push(c),
            (None, '"') => open = Some(String::new()),
            (None, _) => {}
        }
    }
    found
}
