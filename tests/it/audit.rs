//! The audit trail: what leaves an entry, what an entry leaves out, and what tampering shows.
//!
//! Called by: cargo test. Talks to: the command line and HTTP of one server per test.
//! Invariants: every trail a test leaves alone is sound at its end.

use serde_json::{Value, json};

use crate::harness::people::PASSWORD;
use crate::harness::{Home, Response, Server, find};

/// A word that is in a query and nowhere else.
const MARKER: &str = "zyzzyva";

/// Entries of a trail, oldest first.
fn entries(home: &Home, trail: &[&str]) -> Vec<Value> {
    let mut args = vec!["audit", "list"];
    args.extend(trail);
    let mut entries = home.json(&args)["entries"].as_array().unwrap().clone();
    entries.reverse();
    entries
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

/// The entry that a request left.
fn entry_of(entries: &[Value], response: &Response) -> Value {
    let id = response.header("x-request-id").unwrap();
    find(&Value::from(entries.to_vec()), "request_id", &id)
}

fn assert_sound(home: &Home) {
    let report = home.json(&["audit", "verify"]);
    assert_eq!(report["ok"], true, "{report:#}");
    let trails = report["trails"].as_array().unwrap();
    assert!(trails.iter().all(|trail| trail["entries"].as_u64().unwrap() > 0), "{report:#}");
    for name in ["system", "demo"] {
        find(&report["trails"], "trail", name);
    }
}

fn export(home: &Home) -> Vec<String> {
    home.run(&["audit", "export", "demo"]).lines().map(str::to_owned).collect()
}

fn request(server: &Server<'_>, key: &str, method: &str, path: &str, body: &[u8]) -> Response {
    server.with_key(key, method, &format!("/api/v1/tenants/demo/{path}"), body)
}

/// A key that may see and settle what the trail keeps.
fn owners_key(home: &Home) -> String {
    let made = home.json(&["apikey", "create", "demo", "--name", "test", "--role", "owner"]);
    made["key"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_program_does_is_on_record_with_who_what_where_and_how_it_ended() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let text = b"The ibex climbs the dam for its salt.";
    let upload = request(&server, &key, "POST", "documents?source=note.txt", text);
    assert_eq!(upload.status, 202, "{}", upload.text());
    let document = upload.json()["document"]["id"].as_str().unwrap().to_owned();
    server.settle();
    let get = |path: &str| request(&server, &key, "GET", path, b"");
    let done = [
        (get("search?q=ibex&mode=keyword"), "search", None),
        (get("documents?q=note"), "search", None),
        (
            request(&server, &key, "POST", "ask", br#"{"question":"Who climbs the dam?"}"#),
            "ask",
            None,
        ),
        (get(&format!("documents/{document}")), "document.read", Some(&document)),
        (
            get(&format!("documents/{document}/text?start=4&end=8")),
            "document.read",
            Some(&document),
        ),
        (get(&format!("documents/{document}/content")), "document.download", Some(&document)),
        (
            request(&server, &key, "POST", "rebuild", br#"{"projection":"fulltext"}"#),
            "index.rebuild",
            None,
        ),
        (request(&server, &key, "POST", "retry", br#"{"state":"failed"}"#), "document.retry", None),
        (
            request(&server, &key, "DELETE", &format!("documents/{document}"), b""),
            "document.delete",
            Some(&document),
        ),
    ];
    let refused = get(&format!("documents/{document}"));
    assert_eq!(refused.status, 404);

    let entries = entries(&home, &["demo"]);
    for (response, action, resource) in &done {
        assert!(response.status < 300, "{action}: {}", response.text());
        let entry = entry_of(&entries, response);
        assert_eq!(entry["action"], *action, "{entry:#}");
        assert_eq!(entry["result"], "ok", "{entry:#}");
        assert_eq!(entry["actor"]["kind"], "api_key", "{entry:#}");
        assert_eq!(entry["actor"]["name"], "test", "{entry:#}");
        assert_eq!(entry["source"], "127.0.0.1", "{entry:#}");
        let on = resource.map_or(Value::Null, |id| json!({ "kind": "document", "id": id }));
        assert_eq!(entry["resource"], on, "{entry:#}");
    }
    let uploaded = entry_of(&entries, &upload);
    assert_eq!(uploaded["action"], "document.upload");
    assert_eq!(uploaded["detail"]["size_bytes"], text.len());
    let searched = entry_of(&entries, &done[0].0);
    assert_eq!(searched["detail"]["documents"], json!([document]), "{searched:#}");
    assert_eq!(entry_of(&entries, &refused)["result"], "refused");
    assert_eq!(entries[0]["action"], "tenant.create", "{:#}", entries[0]);
    assert!(actions(&entries).contains(&"key.create"));
    assert!(!Value::from(entries).to_string().contains("note.txt"), "names of files stay out");
    assert_sound(&home);
}

#[test]
fn what_the_console_reads_is_in_the_trail_of_the_tenant() {
    let home = Home::new();
    // Without a server: the command itself holds the home and writes the trail before it ends.
    home.add_text("secret.txt", "The vault code is in the blue folder.");
    home.search("vault", "keyword");
    let seen = entries(&home, &["demo", "--actor", "console"]);
    for action in ["document.upload", "search"] {
        let entry = find(&Value::from(seen.clone()), "action", action);
        assert_eq!(entry["actor"], json!({ "kind": "console", "id": null, "name": null }));
        assert_eq!(entry["source"], Value::Null, "{entry:#}");
    }
    let server = home.serve();
    home.search("folder", "keyword");
    let more = entries(&home, &["demo", "--action", "search"]);
    assert_eq!(more.len(), 2, "{more:#?}");
    drop(server);
    assert_sound(&home);
}

#[test]
fn the_text_of_a_query_is_left_out_unless_the_tenant_says_otherwise() {
    let home = Home::new();
    let server = home.serve();
    let key = owners_key(&home);
    let search = || {
        let path = format!("search?q={MARKER}&mode=keyword");
        assert_eq!(request(&server, &key, "GET", &path, b"").status, 200);
    };
    search();
    search();
    let trail = entries(&home, &["demo", "--action", "search"]);
    for entry in &trail {
        assert_eq!(entry["detail"]["query_length"], MARKER.len(), "{entry:#}");
        assert_eq!(entry["detail"]["query_digest"], trail[0]["detail"]["query_digest"]);
    }
    assert!(!export(&home).concat().contains(MARKER));

    let policy = |on: bool| {
        let body = json!({ "query_text": on }).to_string();
        let changed = request(&server, &key, "PATCH", "audit/policy", body.as_bytes());
        assert_eq!((changed.status, changed.json()["query_text"].clone()), (200, on.into()));
        let kept = request(&server, &key, "GET", "audit/policy", b"").json();
        assert_eq!(kept["query_text"], on);
    };
    policy(true);
    search();
    policy(false);
    search();
    let trail = entries(&home, &["demo"]);
    let searches: Vec<&Value> = trail.iter().filter(|entry| entry["action"] == "search").collect();
    let texts: Vec<bool> =
        searches.iter().map(|entry| entry["detail"]["query"] == MARKER).collect();
    assert_eq!(texts, [false, false, true, false]);
    let changes = trail.iter().filter(|entry| entry["action"] == "audit.policy").count();
    assert_eq!(changes, 2);
    assert_sound(&home);
}

#[test]
fn an_exported_file_shows_any_edit_removal_and_reorder() {
    let home = Home::new();
    home.add_text("a.txt", "Alpha.");
    home.add_text("b.txt", "Beta.");
    home.search("alpha", "keyword");
    let lines = export(&home);
    assert!(lines.len() >= 5, "{lines:#?}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.jsonl");
    let check = |lines: &[String]| -> (Option<i32>, Value) {
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let output = home.output(&["audit", "verify", "--file", path.to_str().unwrap(), "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report["trails"][0].clone())
    };
    let (code, sound) = check(&lines);
    assert_eq!(
        (code, &sound["ok"], &sound["entries"]),
        (Some(0), &true.into(), &lines.len().into())
    );
    // Other white space and another order of fields are no change.
    let rewritten: Vec<String> = lines.iter().map(|line| reordered(line)).collect();
    assert_ne!(rewritten, lines);
    assert_eq!(check(&rewritten).0, Some(0));

    let found = |what: &str, lines: &[String], first_bad: u64| {
        let (code, trail) = check(lines);
        assert_eq!(code, Some(1), "{what}: {trail:#}");
        assert_eq!(trail["first_bad"], first_bad, "{what}: {trail:#}");
    };
    let changed = |at: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[at].contains(from), "{from}: {}", lines[at]);
        lines[at] = lines[at].replacen(from, to, 1);
        lines
    };
    found("an edit", &changed(2, "\"ok\"", "\"refused\""), 3);
    found("another actor", &changed(2, "console", "user"), 3);
    found("an added field", &changed(2, "{", "{\"note\":1,"), 3);
    found("no JSON", &changed(2, "{", ""), 3);
    found("another chain", &changed(0, "\"scope\":\"0", "\"scope\":\"1"), 1);
    let mut removed = lines.clone();
    removed.remove(2);
    found("a removal", &removed, 3);
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    found("a reorder", &swapped, 2);
    let mut repeated = lines.clone();
    repeated.insert(2, lines[1].clone());
    found("a repetition", &repeated, 3);
    found("no beginning", &lines[1..], 1);
    found("nothing", &[], 1);

    // The end is out of a file's sight, and the command says so.
    let (code, _) = check(&lines[..lines.len() - 1]);
    assert_eq!(code, Some(0));
    let said = home.output(&["audit", "verify", "--file", path.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("missing at its end"));
    let missing = home.output(&["audit", "verify", "--file", "/nonexistent"]);
    assert_eq!(missing.status.code(), Some(3));
}

/// The same entry with its fields in another order.
fn reordered(line: &str) -> String {
    let entry: Value = serde_json::from_str(line).unwrap();
    let fields = entry.as_object().unwrap().iter().rev();
    let fields: Vec<String> =
        fields.map(|(name, value)| format!(" \"{name}\" : {value}")).collect();
    format!("{{{}}}", fields.join(","))
}

#[test]
fn an_export_goes_to_a_file_of_its_owner_or_to_standard_output() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trail.jsonl");
    let written = home.json(&["audit", "export", "demo", "--out", path.to_str().unwrap()]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written["entries"], text.lines().count());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["action"], "audit.export", "an export is on record itself");
    let output = home.output(&["audit", "export", "demo", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let appliance = home.run(&["audit", "export"]);
    assert!(appliance.lines().all(|line| line.contains("\"scope\":\"system\"")), "{appliance}");
}

#[test]
fn the_trail_of_the_appliance_tells_of_tenants_and_nothing_of_their_documents() {
    let home = Home::new();
    let server = home.serve();
    home.run(&["tenant", "create", "brief"]);
    home.add_text("private-name.txt", "Something private.");
    let brief = home.json(&["tenant", "show", "brief"])["id"].clone();
    home.run(&["tenant", "delete", "brief", "--yes"]);
    let trail = entries(&home, &[]);
    let of_brief: Vec<&str> = trail
        .iter()
        .filter(|entry| entry["resource"]["id"] == brief)
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(of_brief, ["tenant.create", "tenant.delete"]);
    assert!(actions(&trail).contains(&"appliance.start"));
    assert!(!Value::from(trail).to_string().contains("private"), "no names of documents");
    // A key of a tenant is nobody to the appliance.
    let key = server.key("demo");
    for path in ["/api/v1/audit", "/api/v1/audit/export", "/api/v1/audit/verify"] {
        assert_eq!(server.with_key(&key, "GET", path, b"").status, 404, "{path}");
    }
    assert_sound(&home);
}

#[test]
fn pages_follow_each_other_and_unknown_actions_are_told() {
    let home = Home::new();
    let server = home.serve();
    let key = owners_key(&home);
    for number in 0..7 {
        let path = format!("search?q=word{number}&mode=keyword");
        assert_eq!(request(&server, &key, "GET", &path, b"").status, 200);
    }
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let path = format!("audit?action=search&limit=3&cursor={cursor}");
        let page = request(&server, &key, "GET", &path, b"").json();
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 3);
        seen.extend(entries.iter().map(|entry| entry["sequence"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
    let unknown = request(&server, &key, "GET", "audit?action=documents", b"");
    assert_eq!((unknown.status, &unknown.json()["code"]), (400, &"invalid_request".into()));
    let late = request(&server, &key, "GET", "audit?after=2999-01-01", b"").json();
    assert_eq!(late["entries"], json!([]));
}

#[test]
fn an_acknowledged_upload_is_on_record_after_a_kill() {
    let home = Home::new();
    for round in 0..3 {
        let source = format!("kept-{round}.txt");
        let document = {
            let server = home.serve();
            let key = server.key("demo");
            let path = format!("documents?source={source}");
            let upload = request(&server, &key, "POST", &path, source.as_bytes());
            assert_eq!(upload.status, 202);
            upload.json()["document"]["id"].clone()
            // Dropping the server is `kill -9`.
        };
        let trail = entries(&home, &["demo", "--action", "document.upload"]);
        assert!(trail.iter().any(|entry| entry["resource"]["id"] == document), "{trail:#?}");
        assert_sound(&home);
    }
}

#[test]
fn every_way_in_and_every_grant_is_on_record() {
    let home = Home::new();
    let server = home.serve();
    home.member("ann", "editor");
    assert_eq!(server.ask_for_session("ann", "not her password", None).status, 401);
    assert_eq!(server.ask_for_session(MARKER, PASSWORD, None).status, 401);
    let browser = server.sign_in("ann");
    assert_eq!(browser.delete("/api/v1/session").status, 204);
    home.run(&["tenant", "member", "remove", "demo", "ann"]);

    let trail = entries(&home, &[]);
    let ann = find(&Value::from(trail.clone()), "action", "user.create")["resource"].clone();
    assert_eq!(ann["kind"], "user");
    let ways: Vec<&Value> = trail
        .iter()
        .filter(|entry| entry["action"].as_str().unwrap().starts_with("session."))
        .collect();
    let words: Vec<&str> = ways.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = ["session.refused", "session.refused", "session.sign_in", "session.sign_out"];
    assert_eq!(words, expected, "{ways:#?}");
    assert!(ways.iter().all(|entry| entry["source"] == "127.0.0.1"), "{ways:#?}");
    assert_eq!((&ways[0]["resource"], &ways[0]["result"]), (&ann, &"refused".into()));
    assert_eq!(
        (&ways[1]["resource"], &ways[1]["actor"]["kind"]),
        (&Value::Null, &"anonymous".into())
    );
    assert_eq!((&ways[2]["actor"]["id"], &ways[2]["actor"]["name"]), (&ann["id"], &"ann".into()));
    assert!(
        !Value::from(trail.clone()).to_string().contains(MARKER),
        "a name that nobody has may be a password"
    );
    // Who may enter a tenant is in both trails.
    for trail in [trail, entries(&home, &["demo"])] {
        let changes: Vec<(Option<&str>, Option<&str>)> = trail
            .iter()
            .filter(|entry| entry["action"] == "member.change")
            .map(|entry| &entry["detail"])
            .map(|detail| (detail["role_before"].as_str(), detail["role"].as_str()))
            .collect();
        let expected = [(None, Some("editor")), (Some("editor"), Some("none"))];
        assert_eq!(changes, expected, "{trail:#?}");
    }
    assert_sound(&home);
}

#[test]
fn a_trail_that_is_put_back_to_an_earlier_state_is_found_out() {
    let home = Home::new();
    home.add_text("heron.txt", "A heron stands in the reeds.");
    let id = home.json(&["tenant", "show", "demo"])["id"].as_str().unwrap().to_owned();
    let folder = home.path().join("tenants").join(id);
    let copied = |from: &std::path::Path, to: &std::path::Path| {
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("tenant.db{suffix}");
            let _ = std::fs::remove_file(to.join(&name));
            if from.join(&name).exists() {
                std::fs::copy(from.join(&name), to.join(&name)).unwrap();
            }
        }
    };
    let aside = tempfile::tempdir().unwrap();
    copied(&folder, aside.path());
    home.search("heron", "keyword");
    home.search("reeds", "keyword");
    assert_sound(&home);
    let whole = entries(&home, &["demo"]).len();

    copied(aside.path(), &folder);
    for _ in 0..2 {
        let output = home.output(&["audit", "verify", "--json"]);
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let demo = find(&report["trails"], "trail", "demo");
        assert_eq!(demo["ok"], false, "{report:#}");
        let reason = demo["reason"].as_str().unwrap();
        assert!(reason.contains("put back"), "{reason}");
        assert!(demo["first_bad"].as_u64().unwrap() <= whole as u64, "{report:#}");
        // What comes after does not cover it up.
        for _ in 0..whole {
            home.search("heron", "keyword");
        }
    }
}

#[test]
fn who_makes_a_link_for_a_member_stands_in_the_trail_of_the_tenant() {
    let home = Home::new();
    home.member("ada", "owner");
    home.user("boss", &["--role", "admin"]);
    let server = home.serve();
    let made = server.sign_in("boss").post("/api/v1/users/ada/link", &json!({}));
    assert_eq!(made.status, 201, "{}", made.text());
    let trail = Value::from(entries(&home, &["demo"]));
    let link = find(&trail, "action", "user.link");
    assert_eq!(link["actor"]["name"], "boss", "{link:#}");
    home.run(&["user", "disable", "ada"]);
    let trail = Value::from(entries(&home, &["demo"]));
    assert_eq!(find(&trail, "action", "user.change")["detail"]["disabled"], true);
}

#[test]
fn what_concerns_a_locked_tenant_reaches_its_trail_when_it_is_unlocked() {
    let home = Home::new();
    let server = home.serve();
    home.user("ann", &[]);
    home.run(&["tenant", "lock", "demo"]);
    home.run(&["tenant", "member", "add", "demo", "ann", "--role", "reader"]);
    home.run(&["tenant", "rename", "demo", "vault"]);
    drop(server);
    let _server = home.serve();
    home.run(&["tenant", "unlock", "vault"]);
    let trail = entries(&home, &["vault"]);
    let last: Vec<&str> =
        actions(&trail).into_iter().filter(|action| !action.starts_with("audit.")).collect();
    let expected = ["tenant.lock", "member.change", "tenant.rename", "tenant.unlock"];
    assert!(last.ends_with(&expected), "{last:?}");
    let report = home.json(&["audit", "verify"]);
    assert_eq!(report["ok"], true, "{report:#}");
    home.run(&["tenant", "lock", "vault"]);
    let output = home.output(&["audit", "verify"]);
    assert_eq!(output.status.code(), Some(4), "one that is locked is not one that was altered");
    assert!(String::from_utf8_lossy(&output.stdout).contains("skipped vault"));
}

#[test]
fn an_auditor_sees_the_trail_and_nobody_else_but_the_owner() {
    let home = Home::new();
    let server = home.serve();
    for role in ["owner", "editor", "reader", "auditor"] {
        home.member(role, role);
    }
    home.user("boss", &["--role", "admin"]);
    for (name, of_tenant, policy, of_appliance) in [
        ("owner", 200, 200, 404),
        ("editor", 404, 404, 404),
        ("reader", 404, 404, 404),
        ("auditor", 200, 404, 404),
        ("boss", 404, 404, 200),
    ] {
        let browser = server.sign_in(name);
        for path in ["audit", "audit/export", "audit/verify", "audit/policy"] {
            let answer = browser.get(&format!("/api/v1/tenants/demo/{path}"));
            assert_eq!(answer.status, of_tenant, "{name} {path}: {}", answer.text());
        }
        let change = json!({ "query_text": false });
        let changed = browser.patch("/api/v1/tenants/demo/audit/policy", &change);
        assert_eq!(changed.status, policy, "{name}");
        for path in ["/api/v1/audit", "/api/v1/audit/export", "/api/v1/audit/verify"] {
            assert_eq!(browser.get(path).status, of_appliance, "{name} {path}");
        }
    }
    let read = entries(&home, &["demo", "--action", "audit"]);
    let by_auditor: Vec<&str> = read
        .iter()
        .filter(|entry| entry["actor"]["name"] == "auditor")
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(by_auditor, ["audit.read", "audit.export", "audit.verify"]);
}
