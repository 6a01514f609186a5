//! What tests need: a home, the command line on it, a server, and requests to it.
//!
//! Called by: every test. Talks to: the built binary.
//! Invariants: a server is killed when its value is dropped; every wait is bounded.

pub mod crowd;
pub mod imap;
pub mod people;
pub mod process;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file under `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures").join(name)
}

/// An initialised home with a tenant `demo`.
pub struct Home {
    program: PathBuf,
    path: PathBuf,
    /// Holds the home and, beside it, its key.
    _dir: TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self::with_config("")
    }

    /// A home whose `cairn.toml` holds `config`, served over plain HTTP.
    pub fn with_config(config: &str) -> Self {
        const OFF: &str = "[server]\ntls = \"off\"\n";
        match config.split_once("[server]\n") {
            Some((before, after)) => Self::with_tls(&format!("{before}{OFF}{after}")),
            None => Self::with_tls(&format!("{config}\n{OFF}")),
        }
    }

    /// A home whose `cairn.toml` holds `config` and nothing else, so that it is served over TLS.
    pub fn with_tls(config: &str) -> Self {
        Self::made_by(Path::new(env!("CARGO_BIN_EXE_cairn")), config)
    }

    /// A home that a build of Cairn makes, serves and works on.
    pub fn made_by(program: &Path, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Self { program: program.to_owned(), path: dir.path().join("home"), _dir: dir };
        std::fs::create_dir(home.path()).unwrap();
        std::fs::write(home.path().join("cairn.toml"), config).unwrap();
        home.run(&["init"]);
        home.run(&["tenant", "create", "demo"]);
        home
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The command, ready to be changed and run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).env("CAIRN_HOME", self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed; its standard output.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(
            output.status.success(),
            "cairn {args:?} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command, whatever comes of it.
    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command with `--json` that must succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        serde_json::from_str(&self.run(&all)).unwrap()
    }

    /// Adds files; the report of `cairn add --json`.
    pub fn add(&self, paths: &[&Path]) -> Value {
        let mut args = vec!["add", "demo"];
        args.extend(paths.iter().map(|path| path.to_str().unwrap()));
        self.json(&args)
    }

    /// Writes a file somewhere private and adds it under its name.
    pub fn add_text(&self, name: &str, text: &str) -> Value {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        self.add(&[&path])
    }

    pub fn ledger(&self) -> Value {
        self.json(&["ledger", "demo"])
    }

    /// The ledger item of a source.
    pub fn item(&self, source: &str) -> Value {
        let ledger = self.ledger();
        find(&ledger["items"], "source", source)
    }

    pub fn search(&self, query: &str, mode: &str) -> Value {
        self.json(&["search", "demo", query, "--mode", mode])
    }

    pub fn serve(&self) -> Server<'_> {
        Server::start(self, &[])
    }
}

/// The element of a JSON array whose `key` is `value`.
pub fn find(array: &Value, key: &str, value: &str) -> Value {
    array
        .as_array()
        .unwrap()
        .iter()
        .find(|element| element[key] == value)
        .unwrap_or_else(|| panic!("nothing with {key} = {value} in {array:#}"))
        .clone()
}

/// Sources of search results, in order.
pub fn sources(response: &Value) -> Vec<String> {
    response["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["source"].as_str().unwrap().to_owned())
        .collect()
}

/// Asserts that the totals of a ledger add up, and returns `received`.
pub fn assert_adds_up(ledger: &Value) -> u64 {
    let total = |name: &str| ledger[name].as_u64().unwrap();
    let states =
        ["waiting", "indexed", "duplicate", "unsupported", "failed", "superseded", "deleted"];
    let sum: u64 = states.iter().map(|state| total(state)).sum();
    assert_eq!(total("received"), sum, "{ledger:#}");
    let items = ledger["items"].as_array().unwrap();
    assert_eq!(items.len() as u64, sum, "every item is listed");
    for state in states {
        let listed = items.iter().filter(|item| item["state"] == state).count() as u64;
        assert_eq!(listed, total(state), "items in state {state}");
    }
    sum
}

/// Waits until `done` gives something.
pub fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A running server.
pub struct Server<'a> {
    pub home: &'a Home,
    pub address: String,
    child: Child,
}

impl<'a> Server<'a> {
    pub fn start(home: &'a Home, environment: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let log = std::fs::File::create(home.path().join("server.log")).unwrap();
        let child = home
            .command(&["serve", "--listen", &address])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { home, address, child };
        wait_for("the server", || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", server.log());
            }
            TcpStream::connect(&server.address).ok()
        });
        server
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("server.log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A request without any credentials.
    pub fn anonymous(&self, method: &str, path: &str, body: &[u8]) -> Response {
        self.request(method, path, &[], body)
    }

    /// A request with headers.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
            self.address,
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Response::parse(&answer)
    }

    /// A request with an API key of the tenant `demo`.
    pub fn with_key(&self, key: &str, method: &str, path: &str, body: &[u8]) -> Response {
        let authorization = format!("Bearer {key}");
        self.request(
            method,
            path,
            &[("Authorization", &authorization), ("Content-Type", "application/json")],
            body,
        )
    }

    /// A new API key of a tenant.
    pub fn key(&self, tenant: &str) -> String {
        let made = self.home.json(&["apikey", "create", tenant, "--name", "test"]);
        made["key"].as_str().unwrap().to_owned()
    }

    /// Waits until nothing waits in the tenant `demo`.
    pub fn settle(&self) -> Value {
        wait_for("the ledger to settle", || {
            let ledger = self.home.ledger();
            (ledger["waiting"] == 0).then_some(ledger)
        })
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- server log ---\n{}", self.log());
        }
    }
}

/// An answer of the server.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// An answer as it came over the wire.
    pub fn parse(bytes: &[u8]) -> Self {
        let split = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no HTTP answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let raw = &bytes[split + 4..];
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { unchunk(raw) } else { raw.to_vec() };
        Self { status, head, body }
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

fn unchunk(mut raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&raw[end + 2..end + 2 + size]);
        raw = &raw[end + 4 + size..];
    }
    body
}
