//! A clock that is far off: set back by years, or ahead and put right again.
//!
//! Called by: cargo test. Talks to: a server whose clock is shifted by `CAIRN_CLOCK_SHIFT`.
//! Invariants: nothing is lost, trails stay sound, nobody is kept out by a time that never was, and
//! whoever has to mend the clock is told so.

use serde_json::{Value, json};

use crate::harness::people::{PASSWORD, code};
use crate::harness::{Home, Server, find, sources};

const YEAR: i64 = 365 * 24 * 3600;

/// A server by a clock that is this many seconds off.
fn serve(home: &Home, shift: i64) -> Server<'_> {
    Server::start(home, &[("CAIRN_CLOCK_SHIFT", &shift.to_string())])
}

fn second_factor(server: &Server<'_>, name: &str, shift: i64) -> String {
    let browser = server.sign_in(name);
    let offer = browser.post("/api/v1/me/totp", &json!({ "password": PASSWORD }));
    let secret = offer.json()["secret"].as_str().unwrap().to_owned();
    let confirmed =
        browser.post("/api/v1/me/totp/confirm", &json!({ "code": code(&secret, shift) }));
    assert_eq!(confirmed.status, 200, "{}", confirmed.text());
    secret
}

#[test]
fn a_clock_set_back_is_told_everywhere_and_loses_nothing() {
    let home = Home::new();
    home.add_text("heron.txt", "A heron stands in the reeds.");
    home.user("ada", &["--role", "admin"]);
    let secret = {
        let server = home.serve();
        second_factor(&server, "ada", 0)
    };
    let server = serve(&home, -10 * YEAR);
    let status = home.json(&["status"]);
    let told = |notices: &Value| notices.to_string().contains("clock was set back");
    assert!(told(&status["notices"]), "{status:#}");
    assert!(server.log().contains("clock was set back"), "{}", server.log());
    let doctor: Value = {
        let output = home.output(&["doctor", "--json"]);
        assert_eq!(output.status.code(), Some(1));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(find(&doctor["checks"], "name", "clock")["ok"], false);
    // A code of the right time is wrong by this clock, and the refusal says why.
    let refused = server.ask_for_session("ada", PASSWORD, Some(&code(&secret, 0)));
    assert_eq!(refused.status, 401, "{}", refused.text());
    assert!(refused.text().contains("appliance's clock"), "{}", refused.text());
    assert_eq!(sources(&home.search("heron", "keyword")), ["heron.txt"]);
    home.add_text("ibex.txt", "An ibex climbs the dam.");
    drop(server);

    let _server = home.serve();
    assert!(!told(&home.json(&["status"])["notices"]));
    assert_eq!(sources(&home.search("ibex", "keyword")), ["ibex.txt"]);
    let trail = home.json(&["audit", "list", "--action", "appliance.start"]);
    let behind: Vec<bool> = trail["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["detail"]["clock_behind"] == true)
        .collect();
    assert_eq!(behind, [false, true, false], "newest first: {trail:#}");
    assert_eq!(home.json(&["audit", "verify"])["ok"], true);
}

#[test]
fn a_clock_that_was_ahead_keeps_nobody_out_and_nobody_in() {
    let home = Home::new();
    home.user("ada", &["--role", "admin"]);
    let (secret, cookie) = {
        let server = serve(&home, YEAR);
        let secret = second_factor(&server, "ada", YEAR);
        // The next code, as the one that proved the secret is used up.
        let answer = server.ask_for_session("ada", PASSWORD, Some(&code(&secret, YEAR + 30)));
        (secret, server.browser(&answer).cookie)
    };
    // The clock is right again.
    let server = home.serve();
    let session = server.request("GET", "/api/v1/me/sessions", &[("Cookie", &cookie)], b"");
    assert_eq!(session.status, 401, "a session from next year would outlast its limit");
    let answer = server.ask_for_session("ada", PASSWORD, Some(&code(&secret, 0)));
    let ada = server.browser(&answer);
    assert_eq!(ada.get("/api/v1/me/sessions").status, 200);
    let again = server.ask_for_session("ada", PASSWORD, Some(&code(&secret, 0)));
    assert_eq!(again.status, 401, "a code still counts once");
}
