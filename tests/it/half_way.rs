//! Clients that go away before they have their answer: what they began is done to its end.
//!
//! Called by: cargo test. Talks to: HTTP of one server per test, over sockets that are closed early.
//! Invariants: a state that is shown is in force, and what was done is on record.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::people::Browser;
use crate::harness::{Home, Server, wait_for};

/// Sends a request and leaves after a moment.
fn begin_and_leave(
    server: &Server<'_>,
    browser: Option<&Browser<'_>>,
    method: &str,
    path: &str,
    body: &Value,
    after: Duration,
) {
    let body = body.to_string();
    let who = browser.map_or_else(String::new, |browser| {
        format!("Cookie: {}\r\nX-Cairn-CSRF: {}\r\n", browser.cookie, browser.csrf)
    });
    let mut stream = TcpStream::connect(&server.address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {}\r\n{who}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    )
    .unwrap();
    sleep(after);
    let _ = stream.shutdown(Shutdown::Both);
}

/// Begins and leaves until it is done: one that left too early was never heard.
fn until_done(what: &str, begin: impl Fn(), done: impl Fn() -> bool) {
    wait_for(what, || {
        begin();
        for _ in 0..20 {
            if done() {
                return Some(());
            }
            sleep(Duration::from_millis(100));
        }
        None
    });
}

fn entries(home: &Home, action: &str) -> Vec<Value> {
    let trail = home.json(&["audit", "list", "--action", action]);
    trail["entries"].as_array().unwrap().clone()
}

#[test]
fn limits_that_were_changed_hold_and_a_tenant_that_was_locked_is() {
    let home = Home::new();
    home.user("boss", &["--role", "admin"]);
    let server = home.serve();
    let boss = server.sign_in("boss");
    let key = server.key("demo");
    for (number, wait) in [0, 1, 2, 5, 10].into_iter().enumerate() {
        let limits = json!({ "limits": { "documents": number + 1 } });
        let (path, after) = ("/api/v1/tenants/demo", Duration::from_millis(wait));
        let before = entries(&home, "tenant.tier").len();
        until_done(
            "the change to be on record",
            || begin_and_leave(&server, Some(&boss), "PATCH", path, &limits, after),
            || entries(&home, "tenant.tier").len() > before,
        );
        // What is on record is in force a moment later at most.
        wait_for("the limit to hold", || {
            let limits = server.with_key(&key, "GET", "/api/v1/tenants/demo/usage", b"").json();
            (limits["limits"]["documents"] == number + 1).then_some(())
        });
    }
    for wait in [1, 5, 20] {
        let (path, after) = ("/api/v1/tenants/demo/lock", Duration::from_millis(wait));
        let before = entries(&home, "tenant.lock").len();
        until_done(
            "the lock to be on record",
            || begin_and_leave(&server, Some(&boss), "POST", path, &json!({}), after),
            || entries(&home, "tenant.lock").len() > before,
        );
        wait_for("the tenant to be locked", || {
            (home.json(&["tenant", "show", "demo"])["state"] == "locked").then_some(())
        });
        wait_for("its files to be closed", || {
            let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
            let mut files = open.filter_map(|file| file.ok()?.path().read_link().ok());
            (!files.any(|file| file.ends_with("tenant.db"))).then_some(())
        });
        home.run(&["tenant", "unlock", "demo"]);
    }
}

#[test]
fn a_key_that_was_changed_is_on_record_and_an_appliance_that_was_sealed_has_none() {
    let home = Home::new();
    home.user("boss", &["--role", "admin"]);
    let server = home.serve();
    let boss = server.sign_in("boss");
    for wait in [1, 5, 20] {
        let (path, after) = ("/api/v1/keys/rotate", Duration::from_millis(wait));
        let before = entries(&home, "appliance.rotate_kek").len();
        until_done(
            "the change of the key to be on record",
            || begin_and_leave(&server, Some(&boss), "POST", path, &json!({}), after),
            || entries(&home, "appliance.rotate_kek").len() > before,
        );
    }
    let (path, after) = ("/api/v1/seal", Duration::from_millis(2));
    until_done(
        "the appliance to be sealed to its end",
        || begin_and_leave(&server, Some(&boss), "POST", path, &json!({}), after),
        || server.log().contains("the appliance is sealed"),
    );
}

#[test]
fn a_guess_is_on_record_although_its_sender_does_not_wait() {
    let home = Home::new();
    home.user("ann", &[]);
    let server = home.serve();
    let guess = json!({ "name": "ann", "password": "four words of a guess" });
    for number in 1..=3 {
        let after = Duration::from_millis(5);
        until_done(
            "the guess to be on record",
            || begin_and_leave(&server, None, "POST", "/api/v1/session", &guess, after),
            || entries(&home, "session.refused").len() >= number,
        );
    }
}
