//! People in tests: users made at the console, their browsers, their authenticators.
//!
//! Called by: tests. Talks to: the built binary, a server.
//! Invariants: a browser sends what a page would: the cookie, and the token beside it.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use super::{Home, Response, Server};

/// The password of every user in tests.
pub const PASSWORD: &str = "four words make sense";

impl Home {
    /// Runs a command with something on its standard input.
    pub fn output_with_input(&self, args: &[&str], input: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses its arguments does not wait for its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Makes a user with `PASSWORD`; `args` as `cairn user add` takes them after the name.
    pub fn user(&self, name: &str, args: &[&str]) {
        let mut all = vec!["user", "add", name, "--password-stdin"];
        all.extend(args);
        let output = self.output_with_input(&all, &format!("{PASSWORD}\n"));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes a user who belongs to the tenant `demo`.
    pub fn member(&self, name: &str, role: &str) {
        self.user(name, &[]);
        self.run(&["tenant", "member", "add", "demo", name, "--role", role]);
    }
}

/// A browser in which somebody is signed in.
pub struct Browser<'a> {
    server: &'a Server<'a>,
    pub cookie: String,
    pub csrf: String,
}

impl<'a> Server<'a> {
    /// Asks for a session.
    pub fn ask_for_session(&self, name: &str, password: &str, totp: Option<&str>) -> Response {
        let body = json!({ "name": name, "password": password, "totp": totp }).to_string();
        let headers = [("Content-Type", "application/json"), ("User-Agent", "test browser")];
        self.request("POST", "/api/v1/session", &headers, body.as_bytes())
    }

    /// Signs in a user who has `PASSWORD`.
    pub fn sign_in(&'a self, name: &str) -> Browser<'a> {
        self.browser(&self.ask_for_session(name, PASSWORD, None))
    }

    /// The browser that got this answer to a sign-in.
    pub fn browser(&'a self, answer: &Response) -> Browser<'a> {
        assert!(matches!(answer.status, 200 | 201), "{}: {}", answer.status, answer.text());
        let set = answer.header("set-cookie").expect("a cookie");
        let cookie = set.split(';').next().unwrap().to_owned();
        let csrf = answer.json()["csrf"].as_str().expect("a token for the page").to_owned();
        Browser { server: self, cookie, csrf }
    }
}

impl Browser<'_> {
    /// A request as a page of ours sends it.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Response {
        let headers = [
            ("Cookie", self.cookie.as_str()),
            ("X-Cairn-CSRF", self.csrf.as_str()),
            ("Content-Type", "application/json"),
        ];
        self.server.request(method, path, &headers, body)
    }

    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, body.to_string().as_bytes())
    }

    pub fn put(&self, path: &str, body: &Value) -> Response {
        self.send("PUT", path, body.to_string().as_bytes())
    }

    pub fn patch(&self, path: &str, body: &Value) -> Response {
        self.send("PATCH", path, body.to_string().as_bytes())
    }

    pub fn delete(&self, path: &str) -> Response {
        self.send("DELETE", path, b"")
    }
}

/// What an authenticator shows for a secret in base 32, `offset` seconds from now.
pub fn code(secret: &str, offset: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate(jiff::Timestamp::now().as_second().saturating_add(offset) as u64).to_string()
}
