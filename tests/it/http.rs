//! The HTTP edge: who gets in, what a stranger can learn, what every answer looks like.
//!
//! Called by: cargo test. Talks to: a server over its TCP port.
//! Invariants: no request, however made, is answered with a 5xx unless something is missing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Home, PATIENCE, Response, Server, assert_adds_up, sources, wait_for};

const ABSENT_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Every operation of the description: method and path template.
fn operations(server: &Server<'_>) -> Vec<(String, String)> {
    let description = server.anonymous("GET", "/api/openapi.json", b"").json();
    let mut found = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if operations.get(method).is_some() {
                found.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    assert!(found.len() >= 20, "{found:?}");
    found
}

/// The body that a route needs to be understood at all.
fn body_for(method: &str, path: &str) -> &'static [u8] {
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("POST", "ask") => br#"{"question":"who?"}"#,
        ("POST", "rebuild") => br#"{"projection":"all"}"#,
        ("POST", "retry") => br#"{"state":"failed"}"#,
        ("POST", "keys" | "tenants") => br#"{"name":"stranger"}"#,
        ("POST", _) => b"{}",
        _ => b"",
    }
}

fn filled(path: &str, tenant: &str) -> String {
    let path =
        path.replace("{tenant}", tenant).replace("{id}", ABSENT_ID).replace("{user}", ABSENT_ID);
    match path.rsplit('/').next() {
        Some("search") => format!("{path}?q=word"),
        Some("documents") => format!("{path}?source=stranger.txt"),
        _ => path,
    }
}

fn assert_problem(response: &Response, status: u16, code: &str, what: &str) {
    assert_eq!(response.status, status, "{what}: {response:?}");
    let kind = response.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/problem+json"), "{what}: content type {kind:?}");
    let problem = response.json();
    assert_eq!(problem["code"], code, "{what}: {problem:#}");
    assert_eq!(problem["status"], status, "{what}: {problem:#}");
    let id = problem["request_id"].as_str().unwrap_or_default();
    assert!(!id.is_empty(), "{what}: {problem:#}");
    assert_eq!(response.header("x-request-id").as_deref(), Some(id), "{what}");
    for field in ["type", "title", "detail"] {
        assert!(problem[field].is_string(), "{what}: no {field}: {problem:#}");
    }
}

/// Uploads without a content type, as a program would that does not know it.
fn upload(server: &Server<'_>, key: &str, source: &str, bytes: &[u8]) -> Response {
    let path = format!("/api/v1/tenants/demo/documents?source={source}");
    server.request("POST", &path, &[("Authorization", &format!("Bearer {key}"))], bytes)
}

/// Files below a folder.
fn files_below(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name() != "format")
        .map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 })
        .sum()
}

#[test]
fn without_credentials_every_route_is_closed() {
    let home = Home::new();
    let server = home.serve();
    for (method, template) in operations(&server) {
        if !template.starts_with("/api/v1/") {
            continue;
        }
        // Signing in needs no sign-in, nor does a one-time link, nor does the seal, which accounts
        // lie behind; signing out of nothing does nothing.
        let open = [
            ("POST", "/api/v1/session"),
            ("DELETE", "/api/v1/session"),
            ("GET", "/api/v1/setup"),
            ("POST", "/api/v1/setup"),
            ("GET", "/api/v1/seal"),
            ("POST", "/api/v1/unseal"),
        ];
        if open.contains(&(method.as_str(), template.as_str())) {
            continue;
        }
        let path = filled(&template, "demo");
        let body = body_for(&method, &template);
        let json = [("Content-Type", "application/json")];
        let what = format!("{method} {template}");
        assert_problem(&server.request(&method, &path, &json, body), 401, "unauthenticated", &what);
        let wrong = server.with_key("ck_not_a_key", &method, &path, body);
        assert_problem(&wrong, 401, "unauthenticated", &format!("{what} with a wrong key"));
    }
    assert_eq!(home.ledger()["received"], 0);
    assert_eq!(home.json(&["tenant", "list"])["tenants"].as_array().unwrap().len(), 1);
}

/// What a caller sees of an answer, without what differs from request to request.
pub fn visible(response: &Response) -> (u16, Vec<String>, Value) {
    let changing = ["x-request-id", "date"];
    let mut head: Vec<String> = response
        .head
        .lines()
        .skip(1)
        .map(str::to_lowercase)
        .filter(|line| !changing.iter().any(|name| line.starts_with(&format!("{name}:"))))
        .collect();
    head.sort();
    let mut body: Value = serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&response.body).into_owned()));
    if let Some(fields) = body.as_object_mut() {
        fields.remove("request_id");
    }
    (response.status, head, body)
}

#[test]
fn a_foreign_tenant_and_one_that_does_not_exist_look_the_same() {
    let home = Home::new();
    let server = home.serve();
    home.run(&["tenant", "create", "other"]);
    home.add_text("secret.txt", "The vault code is in the blue folder.");
    let demo = home.json(&["tenant", "show", "demo"])["id"].as_str().unwrap().to_owned();
    let document = home.item("secret.txt")["document_id"].as_str().unwrap().to_owned();
    let key = server.key("other");
    for (method, template) in operations(&server) {
        if !template.contains("{tenant}") {
            continue;
        }
        let body = body_for(&method, &template);
        let absent = server.with_key(&key, &method, &filled(&template, "nobody"), body);
        assert_problem(&absent, 404, "not_found", &format!("{method} {template}"));
        for tenant in ["demo", demo.as_str()] {
            let path = filled(&template, tenant);
            let foreign = server.with_key(&key, &method, &path, body);
            assert_eq!(visible(&foreign), visible(&absent), "{method} {path}");
            let real = path.replace(ABSENT_ID, &document);
            let foreign = server.with_key(&key, &method, &real, body);
            assert_eq!(visible(&foreign), visible(&absent), "{method} {real}");
        }
    }
    let listed = server.with_key(&key, "GET", "/api/v1/tenants", b"").json();
    assert!(!listed.to_string().contains("demo"), "{listed:#}");
    assert_eq!(sources(&home.search("vault code", "keyword")), ["secret.txt"]);
    assert_adds_up(&home.ledger());

    // A key opens its tenant, but neither makes keys nor tenants nor links.
    assert_eq!(server.with_key(&key, "GET", "/api/v1/tenants/other", b"").status, 200);
    for (method, path, body) in [
        ("GET", "/api/v1/tenants/other/keys", &b""[..]),
        ("POST", "/api/v1/tenants/other/keys", br#"{"name":"more"}"#),
        ("POST", "/api/v1/tenants", br#"{"name":"mine"}"#),
        ("DELETE", "/api/v1/tenants/other", b""),
        ("POST", "/api/v1/links", b"{}"),
        ("GET", "/api/v1/doctor", b""),
    ] {
        assert_problem(&server.with_key(&key, method, path, body), 404, "not_found", path);
    }
}

#[test]
fn every_answer_carries_the_security_headers() {
    let home = Home::new();
    let server = home.serve();
    for path in ["/", "/api/v1/status", "/api/docs", "/api/openapi.json", "/health", "/nothing"] {
        let response = server.anonymous("GET", path, b"");
        let header = |name: &str| response.header(name).unwrap_or_default();
        let policy = header("content-security-policy");
        for rule in ["default-src 'self'", "object-src 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(!header("x-request-id").is_empty(), "{path}");
    }
    let page = server.anonymous("GET", "/", b"");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
}

#[test]
fn health_readiness_and_metrics_need_no_sign_in_and_name_no_tenant() {
    let home = Home::new();
    let server = home.serve();
    home.run(&["tenant", "create", "confidential"]);
    let health = server.anonymous("GET", "/health", b"");
    assert_eq!((health.status, health.json()["status"].clone()), (200, "ok".into()));
    let ready = server.anonymous("GET", "/ready", b"");
    assert_eq!((ready.status, ready.json()["status"].clone()), (200, "ready".into()));
    let metrics = server.anonymous("GET", "/metrics", b"");
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    for name in ["cairn_model_ready 1", "cairn_home_free_bytes", "process_resident_memory_bytes"] {
        assert!(text.contains(name), "{text}");
    }
    assert!(!text.contains("confidential"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(value.parse::<f64>().is_ok(), "{name}: {value}");
    }
}

#[test]
fn an_original_comes_back_as_a_download_and_its_text_in_slices() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let page =
        b"<!doctype html><script>alert(1)</script><p>Hello from \xf0\x9f\xaa\xa8 quarry.</p>";
    let authorization = format!("Bearer {key}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "text/html")];
    let path = "/api/v1/tenants/demo/documents?source=web/na%C3%AFve%20page.html";
    let accepted = server.request("POST", path, &headers, page);
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let accepted = accepted.json();
    assert_eq!(accepted["outcome"], "accepted");
    assert_eq!(accepted["document"]["source"], "web/naïve page.html");
    assert!(accepted["job"].is_string());
    server.settle();

    let document = accepted["document"]["id"].as_str().unwrap();
    let path = format!("/api/v1/tenants/demo/documents/{document}");
    let original = server.with_key(&key, "GET", &format!("{path}/content"), b"");
    assert_eq!((original.status, original.body.as_slice()), (200, &page[..]));
    let kind = original.header("content-type").unwrap();
    assert!(!kind.contains("html"), "{kind}");
    let disposition = original.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment"), "{disposition}");
    assert!(disposition.contains("na%C3%AFve%20page.html"), "{disposition}");
    assert_eq!(original.header("x-content-type-options").unwrap(), "nosniff");

    let whole = server.with_key(&key, "GET", &format!("{path}/text"), b"");
    let text = whole.text();
    assert!(text.contains("Hello from 🪨 quarry."), "{text}");
    assert!(!text.contains("alert"), "{text}");
    let length = text.chars().count();
    assert_eq!(whole.header("x-text-length").unwrap(), length.to_string());
    assert!(whole.header("content-type").unwrap().starts_with("text/plain"));
    let start = text.chars().position(|c| c == '🪨').unwrap();
    let slices = [(start, start + 3, "🪨 q"), (length, length + 9, ""), (5, 2, "")];
    for (start, end, expected) in slices {
        let slice = format!("{path}/text?start={start}&end={end}");
        let slice = server.with_key(&key, "GET", &slice, b"");
        assert_eq!((slice.status, slice.text().as_str()), (200, expected));
        assert_eq!(slice.header("x-text-length").unwrap(), length.to_string());
    }
}

#[test]
fn a_form_with_two_files_is_taken_in_whole() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let body = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"one.txt\"\r\n\
        Content-Type: text/plain\r\n\r\nFirst tortoise.\r\n\
        --edge\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nno file\r\n\
        --edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"two.md\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n# Second\n\nSecond tortoise.\r\n--edge--\r\n";
    let authorization = format!("Bearer {key}");
    let headers = |kind: &'static str| {
        [("Authorization", authorization.clone()), ("Content-Type", kind.to_owned())]
    };
    let send = |kind: &'static str, body: &[u8]| {
        let headers = headers(kind);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        server.request("POST", "/api/v1/tenants/demo/documents", &headers, body)
    };
    let kind = "multipart/form-data; boundary=edge";
    let accepted = send(kind, body.as_bytes());
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let accepted = accepted.json();
    let documents = accepted["documents"].as_array().unwrap();
    let names: Vec<&Value> = documents.iter().map(|one| &one["document"]["source"]).collect();
    assert_eq!(names, ["one.txt", "two.md"]);
    assert_eq!(accepted["document"], documents[0]["document"]);
    assert_eq!(server.settle()["indexed"], 2);
    let mut found = sources(&home.search("tortoise", "keyword"));
    found.sort();
    assert_eq!(found, ["one.txt", "two.md"]);

    let cut = &body.as_bytes()[..body.len() - 30];
    assert_problem(&send(kind, cut), 400, "invalid_request", "a form that ends early");
    assert_problem(&send(kind, b"--edge--\r\n"), 400, "invalid_request", "a form without a file");
    let nameless = send("multipart/form-data", body.as_bytes());
    assert_problem(&nameless, 400, "invalid_request", "a form without a boundary");
}

#[test]
fn a_client_that_is_still_sending_gets_to_read_why_it_is_refused() {
    let home = Home::with_config("[server]\nmax_upload_bytes = 1000\n");
    let server = home.serve();
    let key = server.key("demo");
    // It sends everything before it reads anything, as simple clients do; far more than fits into
    // the buffers between the two.
    let answer = |key: &str, headers: &str, body: &[u8], last: &[u8]| {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /api/v1/tenants/demo/documents?source=large.bin HTTP/1.1\r\nHost: {}\r\n\
             Authorization: Bearer {key}\r\nConnection: close\r\n{headers}\r\n\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..640 {
            stream.write_all(body).expect("the server lets its client finish");
        }
        stream.write_all(last).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the answer is not taken back");
        Response::parse(&answer)
    };
    let piece = vec![b'x'; 100_000];
    let chunk = [b"186a0\r\n".as_slice(), &piece, b"\r\n"].concat();
    for _ in 0..3 {
        let told = answer(&key, "Content-Length: 64000000", &piece, b"");
        assert_problem(&told, 413, "too_large", "64 MB that were announced");
        let untold = answer(&key, "Transfer-Encoding: chunked", &chunk, b"0\r\n\r\n");
        assert_problem(&untold, 413, "too_large", "64 MB in pieces");
    }
    let stranger = answer("cairn_none", "Content-Length: 64000000", &piece, b"");
    assert_problem(&stranger, 401, "unauthenticated", "64 MB of a stranger");

    // Who waits to be asked is not asked for what is not wanted.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /api/v1/tenants/demo/documents?source=large.bin HTTP/1.1\r\nHost: {}\r\n\
         Authorization: Bearer {key}\r\nContent-Length: 64000000\r\nExpect: 100-continue\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 413");
    assert_eq!(home.ledger()["received"], 0);
}

#[test]
fn an_upload_over_the_limit_is_refused_and_nothing_of_it_kept() {
    let home = Home::with_config("[server]\nmax_upload_bytes = 1000\n");
    let server = home.serve();
    let key = server.key("demo");
    let refused = upload(&server, &key, "large.txt", &[b'x'; 2000]);
    assert_problem(&refused, 413, "too_large", "an upload of 2000 bytes");
    let ledger = home.ledger();
    assert_eq!(assert_adds_up(&ledger), 0);
    let tenant = home.json(&["tenant", "show", "demo"])["id"].as_str().unwrap().to_owned();
    let blobs = home.path().join("tenants").join(tenant).join("blobs");
    assert_eq!(files_below(&blobs), 0, "something is left below {}", blobs.display());
    assert_eq!(upload(&server, &key, "small.txt", &[b'x'; 1000]).status, 202);
}

#[test]
fn what_cannot_be_understood_is_the_callers_error() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let in_tenant = [
        ("GET", "/documents?cursor=xyz", 400),
        ("GET", "/documents?limit=-1", 400),
        ("GET", "/documents?limit=99999999999999999999999", 400),
        ("GET", "/documents?order=sideways", 400),
        ("GET", "/documents/not-an-id", 404),
        ("GET", "/documents/not-an-id/text", 404),
        ("GET", "/documents/not-an-id/content", 404),
        ("DELETE", "/documents/%ff", 404),
        ("POST", "/documents/not-an-id/retry", 404),
        ("POST", "/documents", 400),
        ("POST", "/documents?source=..%2F..", 400),
        ("POST", "/documents?source=a&file_date=yesterday", 400),
        ("POST", "/documents?source=a&format=nonsense", 400),
        ("GET", "/ledger?state=bogus", 400),
        ("GET", "/ledger?cursor=01890a5d-ac96-774b-bcce-b302099a8057", 400),
        ("GET", "/ledger?limit=many", 400),
        ("GET", "/search", 400),
        ("GET", "/search?q=", 400),
        ("GET", "/search?q=%20", 400),
        ("GET", "/search?q=x&mode=bogus", 400),
        ("GET", "/search?q=x&after=notadate", 400),
        ("GET", "/search?q=x&before=2024-13-45", 400),
        ("GET", "/search?q=x&limit=1e3", 400),
    ];
    for (method, path, status) in in_tenant {
        let path = format!("/api/v1/tenants/demo{path}");
        let authorization = format!("Bearer {key}");
        let response = server.request(method, &path, &[("Authorization", &authorization)], b"");
        let code = if status == 404 { "not_found" } else { "invalid_request" };
        assert_problem(&response, status, code, &format!("{method} {path}"));
    }
    let long = "x".repeat(9000);
    let long = server.with_key(&key, "GET", &format!("/api/v1/tenants/demo/search?q={long}"), b"");
    assert_problem(&long, 400, "invalid_request", "a query of 9000 bytes");
    for path in ["/api/v1/tenants/%ff", "/api/v1/tenants/a%2Fb", "/api/v1/tenants/demo/nothing"] {
        for method in ["GET", "DELETE"] {
            let response = server.with_key(&key, method, path, b"");
            assert_problem(&response, 404, "not_found", &format!("{method} {path}"));
        }
    }
    // Odd queries are still queries.
    for query in ["%22", "title:", "((((", "%00", "after:xyz", "-", "*", "%F0%9F%AA%A8", "a%22b"] {
        let path = format!("/api/v1/tenants/demo/search?q={query}&mode=keyword");
        let response = server.with_key(&key, "GET", &path, b"");
        assert!(response.status < 500, "{query}: {}", response.text());
    }
    assert_eq!(home.ledger()["received"], 0);
}

#[test]
fn a_body_that_is_no_json_is_a_problem_document_too() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    for (path, body) in [
        ("/api/v1/tenants/demo/ask", &b"{\"question\":"[..]),
        ("/api/v1/tenants/demo/ask", b"{\"question\":7}"),
        ("/api/v1/tenants/demo/ask", b"{\"question\":\"\"}"),
        ("/api/v1/tenants/demo/rebuild", b"{\"projection\":\"everything\"}"),
        ("/api/v1/tenants/demo/retry", b"{\"state\":\"indexed\"}"),
        ("/api/v1/tenants/demo/retry", b"[]"),
        ("/api/v1/session", b"nonsense"),
        ("/api/v1/setup", b"{\"token\":\"x\"}"),
    ] {
        let response = server.with_key(&key, "POST", path, body);
        let what = format!("{path} {}", String::from_utf8_lossy(body));
        assert_problem(&response, 400, "invalid_request", &what);
    }
}

#[test]
fn the_log_names_routes_and_nobody_who_is_named_in_them() {
    let home = Home::with_config("[server]\nlog = \"info,tower_http=debug\"\n");
    let server = home.serve();
    let key = server.key("demo");
    for path in [
        "/api/v1/users/onyxmarker",
        "/api/v1/tenants/onyxmarker/documents",
        "/api/v1/tenants/demo/members/onyxmarker",
        "/api/v1/tenants/demo/search?q=onyxmarker",
        "/onyxmarker.html",
    ] {
        server.with_key(&key, "GET", path, b"");
    }
    wait_for("the requests in the log", || {
        let log = server.log();
        let routes = ["/api/v1/users/{user}", "/api/v1/tenants/{tenant}/search"];
        routes.iter().all(|route| log.contains(route)).then_some(())
    });
    assert!(!server.log().contains("onyxmarker"), "{}", server.log());
}

#[test]
fn events_tell_the_totals_at_once_and_every_item_that_changes() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let head = format!(
        "GET /api/v1/tenants/demo/events HTTP/1.1\r\nHost: {}\r\n\
         Authorization: Bearer {key}\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut heard = String::new();
    let mut until = |sign: &str| {
        let start = Instant::now();
        let mut piece = [0; 4096];
        while !heard.contains(sign) {
            assert!(start.elapsed() < PATIENCE, "no {sign:?} in {heard}");
            if let Ok(count) = stream.read(&mut piece) {
                assert!(count > 0, "the stream ended: {heard}");
                heard.push_str(&String::from_utf8_lossy(&piece[..count]));
            }
        }
        heard.clone()
    };
    let first = until("event: ledger");
    assert!(first.to_lowercase().contains("content-type: text/event-stream"), "{first}");
    assert!(!first.contains("event: item"), "{first}");
    until("\"received\":0");
    assert_eq!(upload(&server, &key, "told.txt", b"The heron was seen.").status, 202);
    until("event: item");
    until("told.txt");
    until("\"received\":1");
    until("\"indexed\":1");
}

#[test]
fn an_unknown_route_is_a_problem_and_the_description_is_complete() {
    let home = Home::new();
    let server = home.serve();
    for path in ["/api/v1/nothing", "/api/v2/tenants", "/api/v1/tenants/demo/no/such/thing"] {
        assert_problem(&server.anonymous("GET", path, b""), 404, "not_found", path);
    }
    assert_eq!(server.anonymous("GET", "/no/such/page", b"").status, 404);

    let described = operations(&server);
    for (method, path) in [
        ("POST", "/session"),
        ("GET", "/session"),
        ("DELETE", "/session"),
        ("POST", "/links"),
        ("GET", "/setup"),
        ("POST", "/setup"),
        ("POST", "/me/password"),
        ("POST", "/me/totp"),
        ("DELETE", "/me/totp"),
        ("POST", "/me/totp/confirm"),
        ("GET", "/me/sessions"),
        ("DELETE", "/me/sessions"),
        ("DELETE", "/me/sessions/{id}"),
        ("GET", "/users"),
        ("POST", "/users"),
        ("GET", "/users/{user}"),
        ("PATCH", "/users/{user}"),
        ("DELETE", "/users/{user}"),
        ("POST", "/users/{user}/link"),
        ("DELETE", "/users/{user}/totp"),
        ("GET", "/status"),
        ("GET", "/doctor"),
        ("GET", "/tenants"),
        ("POST", "/tenants"),
        ("GET", "/tenants/{tenant}"),
        ("PATCH", "/tenants/{tenant}"),
        ("DELETE", "/tenants/{tenant}"),
        ("POST", "/tenants/{tenant}/suspend"),
        ("POST", "/tenants/{tenant}/resume"),
        ("POST", "/tenants/{tenant}/lock"),
        ("POST", "/tenants/{tenant}/unlock"),
        ("GET", "/tenants/{tenant}/usage"),
        ("GET", "/tiers"),
        ("GET", "/deletions"),
        ("GET", "/support"),
        ("GET", "/support/archive"),
        ("GET", "/tenants/{tenant}/members"),
        ("PUT", "/tenants/{tenant}/members/{user}"),
        ("DELETE", "/tenants/{tenant}/members/{user}"),
        ("POST", "/tenants/{tenant}/documents"),
        ("GET", "/tenants/{tenant}/documents"),
        ("GET", "/tenants/{tenant}/documents/{id}"),
        ("DELETE", "/tenants/{tenant}/documents/{id}"),
        ("GET", "/tenants/{tenant}/documents/{id}/text"),
        ("GET", "/tenants/{tenant}/documents/{id}/content"),
        ("GET", "/tenants/{tenant}/documents/{id}/pages/{number}"),
        ("GET", "/tenants/{tenant}/documents/{id}/tables"),
        ("GET", "/tenants/{tenant}/documents/{id}/tables/{number}"),
        ("POST", "/tenants/{tenant}/documents/{id}/retry"),
        ("POST", "/tenants/{tenant}/retry"),
        ("POST", "/tenants/{tenant}/rebuild"),
        ("GET", "/tenants/{tenant}/ledger"),
        ("GET", "/tenants/{tenant}/search"),
        ("POST", "/tenants/{tenant}/ask"),
        ("GET", "/tenants/{tenant}/events"),
        ("GET", "/tenants/{tenant}/keys"),
        ("POST", "/tenants/{tenant}/keys"),
        ("DELETE", "/tenants/{tenant}/keys/{id}"),
    ] {
        let wanted = (method.to_owned(), format!("/api/v1{path}"));
        assert!(described.contains(&wanted), "{wanted:?} is not described");
    }
    let page = server.anonymous("GET", "/api/docs", b"");
    assert_eq!(page.status, 200);
    let text = page.text();
    for attribute in ["href=\"", "src=\"", "action=\""] {
        for (at, _) in text.match_indices(attribute) {
            let target = text[at + attribute.len()..].split('"').next().unwrap_or_default();
            let local = target.starts_with('/') && !target.starts_with("//");
            assert!(local || target.starts_with('#'), "the API page refers to {target}");
        }
    }
    assert!(!text.contains("@import") && !text.contains("url("), "a reference hides in a style");
}
