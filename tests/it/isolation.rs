//! The isolation matrix: every route against every kind of caller.
//!
//! Called by: cargo test. Talks to: a server over its TCP port.
//! Invariants: a route of the API description that has no row here fails the test; what a caller
//! may not do looks like an absent thing, never like a forbidden one, to the last byte.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::people::Browser;
use crate::harness::{Home, PATIENCE, Response, Server};
use crate::http::visible;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Anonymous,
    Outsider,
    Reader,
    LimitedReader,
    Editor,
    Owner,
    Auditor,
    Operator,
    Admin,
    SuspendedOwner,
    ExpiredKey,
    ForeignKey,
    ReaderKey,
    OwnerKey,
}

const EVERYBODY: [Who; 14] = [
    Who::Anonymous,
    Who::Outsider,
    Who::Reader,
    Who::LimitedReader,
    Who::Editor,
    Who::Owner,
    Who::Auditor,
    Who::Operator,
    Who::Admin,
    Who::SuspendedOwner,
    Who::ExpiredKey,
    Who::ForeignKey,
    Who::ReaderKey,
    Who::OwnerKey,
];

/// Who gets through a route.
#[derive(Clone, Copy, Debug)]
enum Need {
    /// Nobody has to sign in.
    Nothing,
    /// Any valid session or key.
    SignedIn,
    /// A session; keys have no account.
    Person,
    Read,
    Write,
    /// Owners, but no key.
    Manage,
    /// Owners and their keys.
    Settle,
    /// Owners and auditors.
    Audit,
    /// Owners and admins: who belongs to the tenant.
    Admit,
    /// Whoever may see that the tenant is there.
    Sight,
    /// Whoever sees all of a tenant, or stands above it.
    Usage,
    Operate,
    Administer,
    Watch,
    Admin,
    Console,
}

/// Every route. `{tenant}` is a tenant that the members belong to.
const ROUTES: &[(&str, &str, Need)] = &[
    ("GET", "/api/v1/session", Need::SignedIn),
    ("POST", "/api/v1/session", Need::Nothing),
    ("DELETE", "/api/v1/session", Need::Nothing),
    ("GET", "/api/v1/setup", Need::Nothing),
    ("POST", "/api/v1/setup", Need::Nothing),
    ("POST", "/api/v1/links", Need::Console),
    ("POST", "/api/v1/me/password", Need::Person),
    ("POST", "/api/v1/me/totp", Need::Person),
    ("POST", "/api/v1/me/totp/confirm", Need::Person),
    ("DELETE", "/api/v1/me/totp", Need::Person),
    ("GET", "/api/v1/me/sessions", Need::Person),
    ("DELETE", "/api/v1/me/sessions/{id}", Need::Person),
    ("DELETE", "/api/v1/me/sessions", Need::Person),
    ("GET", "/api/v1/users", Need::Admin),
    ("POST", "/api/v1/users", Need::Admin),
    ("GET", "/api/v1/users/{user}", Need::Admin),
    ("PATCH", "/api/v1/users/{user}", Need::Admin),
    ("DELETE", "/api/v1/users/{user}", Need::Admin),
    ("DELETE", "/api/v1/users/{user}/totp", Need::Console),
    ("POST", "/api/v1/users/{user}/link", Need::Admin),
    ("GET", "/api/v1/seal", Need::Nothing),
    ("POST", "/api/v1/seal", Need::Admin),
    ("POST", "/api/v1/unseal", Need::Nothing),
    ("POST", "/api/v1/keys/rotate", Need::Admin),
    ("POST", "/api/v1/keys/events", Need::Console),
    ("GET", "/api/v1/status", Need::SignedIn),
    ("GET", "/api/v1/doctor", Need::Watch),
    ("GET", "/api/v1/support", Need::Admin),
    ("GET", "/api/v1/support/archive", Need::Admin),
    ("GET", "/api/v1/tls", Need::Admin),
    ("POST", "/api/v1/tls/renew", Need::Admin),
    ("POST", "/api/v1/tls/import", Need::Admin),
    ("GET", "/api/v1/tiers", Need::SignedIn),
    ("GET", "/api/v1/deletions", Need::Admin),
    ("GET", "/api/v1/signer", Need::SignedIn),
    ("GET", "/api/v1/tenants", Need::SignedIn),
    ("POST", "/api/v1/tenants", Need::Admin),
    ("GET", "/api/v1/tenants/{tenant}", Need::Sight),
    ("PATCH", "/api/v1/tenants/{tenant}", Need::Administer),
    ("DELETE", "/api/v1/tenants/{tenant}", Need::Administer),
    ("POST", "/api/v1/tenants/{tenant}/suspend", Need::Administer),
    ("POST", "/api/v1/tenants/{tenant}/resume", Need::Administer),
    ("POST", "/api/v1/tenants/{tenant}/lock", Need::Operate),
    ("POST", "/api/v1/tenants/{tenant}/unlock", Need::Operate),
    ("POST", "/api/v1/tenants/{tenant}/rotate-key", Need::Administer),
    ("POST", "/api/v1/tenants/{tenant}/export", Need::Settle),
    ("POST", "/api/v1/imports", Need::Admin),
    ("GET", "/api/v1/tenants/{tenant}/usage", Need::Usage),
    ("GET", "/api/v1/tenants/{tenant}/members", Need::Admit),
    ("PUT", "/api/v1/tenants/{tenant}/members/{user}", Need::Admit),
    ("DELETE", "/api/v1/tenants/{tenant}/members/{user}", Need::Admit),
    ("GET", "/api/v1/tenants/{tenant}/keys", Need::Manage),
    ("POST", "/api/v1/tenants/{tenant}/keys", Need::Manage),
    ("DELETE", "/api/v1/tenants/{tenant}/keys/{id}", Need::Manage),
    ("GET", "/api/v1/audit", Need::Admin),
    ("GET", "/api/v1/audit/export", Need::Admin),
    ("GET", "/api/v1/audit/verify", Need::Admin),
    ("GET", "/api/v1/tenants/{tenant}/audit", Need::Audit),
    ("GET", "/api/v1/tenants/{tenant}/audit/export", Need::Audit),
    ("GET", "/api/v1/tenants/{tenant}/audit/verify", Need::Audit),
    ("GET", "/api/v1/tenants/{tenant}/audit/policy", Need::Audit),
    ("PATCH", "/api/v1/tenants/{tenant}/audit/policy", Need::Settle),
    ("GET", "/api/v1/tenants/{tenant}/sources", Need::Read),
    ("POST", "/api/v1/tenants/{tenant}/sources", Need::Settle),
    ("GET", "/api/v1/tenants/{tenant}/sources/{id}", Need::Read),
    ("PATCH", "/api/v1/tenants/{tenant}/sources/{id}", Need::Settle),
    ("DELETE", "/api/v1/tenants/{tenant}/sources/{id}", Need::Settle),
    ("POST", "/api/v1/tenants/{tenant}/sources/{id}/run", Need::Settle),
    ("GET", "/api/v1/tenants/{tenant}/collections", Need::Read),
    ("POST", "/api/v1/tenants/{tenant}/collections", Need::Write),
    ("GET", "/api/v1/tenants/{tenant}/documents", Need::Read),
    ("POST", "/api/v1/tenants/{tenant}/documents", Need::Write),
    ("POST", "/api/v1/tenants/{tenant}/ingest/stream", Need::Write),
    ("OPTIONS", "/api/v1/tenants/{tenant}/uploads", Need::Write),
    ("POST", "/api/v1/tenants/{tenant}/uploads", Need::Write),
    ("HEAD", "/api/v1/tenants/{tenant}/uploads/{id}", Need::Write),
    ("PATCH", "/api/v1/tenants/{tenant}/uploads/{id}", Need::Write),
    ("POST", "/api/v1/tenants/{tenant}/uploads/{id}", Need::Write),
    ("DELETE", "/api/v1/tenants/{tenant}/uploads/{id}", Need::Write),
    ("GET", "/api/v1/tenants/{tenant}/documents/{id}", Need::Read),
    ("DELETE", "/api/v1/tenants/{tenant}/documents/{id}", Need::Write),
    ("GET", "/api/v1/tenants/{tenant}/documents/{id}/text", Need::Read),
    ("GET", "/api/v1/tenants/{tenant}/documents/{id}/content", Need::Read),
    ("GET", "/api/v1/tenants/{tenant}/documents/{id}/pages/{number}", Need::Read),
    ("GET", "/api/v1/tenants/{tenant}/documents/{id}/tables", Need::Read),
    ("GET", "/api/v1/tenants/{tenant}/documents/{id}/tables/{number}", Need::Read),
    ("POST", "/api/v1/tenants/{tenant}/documents/{id}/retry", Need::Write),
    ("POST", "/api/v1/tenants/{tenant}/documents/{id}/password", Need::Write),
    ("POST", "/api/v1/tenants/{tenant}/retry", Need::Write),
    ("POST", "/api/v1/tenants/{tenant}/rebuild", Need::Write),
    ("GET", "/api/v1/tenants/{tenant}/ledger", Need::Read),
    ("GET", "/api/v1/tenants/{tenant}/events", Need::Read),
    ("GET", "/api/v1/tenants/{tenant}/search", Need::Read),
    ("POST", "/api/v1/tenants/{tenant}/ask", Need::Read),
];

/// True where `who` gets through.
fn may(who: Who, need: Need) -> bool {
    use Who::{
        Admin, Anonymous, Auditor, Editor, ExpiredKey, ForeignKey, LimitedReader, Operator, Owner,
        OwnerKey, Reader, ReaderKey,
    };
    let is = |some: &[Who]| some.contains(&who);
    match need {
        Need::Nothing => true,
        Need::SignedIn => !is(&[Anonymous, ExpiredKey]),
        Need::Person => !is(&[Anonymous, ExpiredKey, ForeignKey, ReaderKey, OwnerKey]),
        Need::Read => is(&[Reader, LimitedReader, Editor, Owner, ReaderKey, OwnerKey]),
        Need::Write => is(&[Editor, Owner, OwnerKey]),
        Need::Manage => is(&[Owner]),
        Need::Settle => is(&[Owner, OwnerKey]),
        Need::Audit => is(&[Owner, Auditor, OwnerKey]),
        Need::Admit => is(&[Owner, Admin]),
        Need::Sight => is(&[
            Reader,
            LimitedReader,
            Editor,
            Owner,
            Auditor,
            Operator,
            Admin,
            ReaderKey,
            OwnerKey,
        ]),
        Need::Usage => is(&[Reader, Editor, Owner, Operator, Admin, ReaderKey, OwnerKey]),
        Need::Operate => is(&[Operator, Admin]),
        Need::Administer | Need::Admin => is(&[Admin]),
        Need::Watch => is(&[Operator, Admin]),
        Need::Console => false,
    }
}

/// Calls that would take away what the next ones need; who may make them is tried on the wrong
/// side only.
fn destroys(method: &str, template: &str) -> bool {
    let last = template.rsplit('/').next().unwrap_or_default();
    (method == "DELETE" && (template.ends_with("{tenant}") || template.ends_with("me/sessions")))
        || (method == "DELETE" && matches!(template, "/api/v1/session" | "/api/v1/users/{user}"))
        || (method == "DELETE"
            && (template.contains("/documents/") || template.contains("/members/")))
        || matches!((method, last), ("POST", "seal" | "suspend" | "lock" | "rotate" | "rotate-key"))
}

struct Ground<'a> {
    server: &'a Server<'a>,
    people: Vec<(Who, Browser<'a>)>,
    keys: Vec<(Who, String)>,
    document: String,
}

impl<'a> Ground<'a> {
    /// Signs everybody in. The server runs on a home that `settle` has filled.
    fn new(server: &'a Server<'a>) -> Self {
        let home = server.home;
        let expired = expiring_key(server);
        let document = found(&home.search("word", "keyword"));
        limit(server, "limited");
        let names = [
            (Who::Outsider, "outsider"),
            (Who::Reader, "reader"),
            (Who::LimitedReader, "limited"),
            (Who::Editor, "editor"),
            (Who::Owner, "owner"),
            (Who::Auditor, "auditor"),
            (Who::Operator, "operator"),
            (Who::Admin, "admin"),
            (Who::SuspendedOwner, "sleeper"),
        ];
        let ground = Ground {
            server,
            people: names.map(|(who, name)| (who, server.sign_in(name))).into(),
            keys: vec![
                (Who::ExpiredKey, expired),
                (Who::ForeignKey, key(home, "other", "owner")),
                (Who::ReaderKey, key(home, "demo", "reader")),
                (Who::OwnerKey, key(home, "demo", "owner")),
            ],
            document,
        };
        home.run(&["tenant", "suspend", "asleep"]);
        // Until the expiring key has.
        std::thread::sleep(std::time::Duration::from_secs(2));
        ground
    }

    /// How `who` shows who it is.
    fn credentials(&self, who: Who) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some((_, browser)) = self.people.iter().find(|(person, _)| *person == who) {
            headers.push(("Cookie", browser.cookie.clone()));
            headers.push(("X-Cairn-CSRF", browser.csrf.clone()));
        }
        if let Some((_, key)) = self.keys.iter().find(|(holder, _)| *holder == who) {
            headers.push(("Authorization", format!("Bearer {key}")));
        }
        headers
    }

    /// The whole answer to a request about a tenant, which must be one that comes to an end.
    fn answer(&self, who: Who, method: &str, template: &str, tenant: &str, id: &str) -> Response {
        let path = filled(method, template, tenant, id);
        let mut headers = self.credentials(who);
        headers.push(("Content-Type", "application/json".to_owned()));
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.server.request(method, &path, &headers, body_for(method, template).as_bytes())
    }

    /// The status of a request, which is not read to its end: a stream has none.
    fn ask(&self, who: Who, method: &str, template: &str) -> u16 {
        let tenant = if who == Who::SuspendedOwner { "asleep" } else { "demo" };
        let id = if template.contains("/documents/") { &self.document } else { ABSENT };
        let path = filled(method, template, tenant, id);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.server.address);
        for (name, value) in self.credentials(who) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = body_for(method, template);
        head.push_str(&format!(
            "Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let mut stream = TcpStream::connect(&self.server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        std::str::from_utf8(&first[9..]).unwrap().parse().unwrap()
    }
}

const ABSENT: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn filled(method: &str, template: &str, tenant: &str, id: &str) -> String {
    let mut path =
        template.replace("{tenant}", tenant).replace("{id}", id).replace("{user}", "spare");
    path = path.replace("{number}", "1");
    match path.rsplit('/').next() {
        Some("search") => path.push_str("?q=word"),
        Some("documents") if method == "POST" => path.push_str("?source=matrix.txt"),
        Some("setup") => path.push_str("?token=none"),
        _ => {}
    }
    path
}

/// The document that a search has found.
fn found(results: &Value) -> String {
    results["results"][0]["document_id"].as_str().expect("the document is found").to_owned()
}

fn body_for(method: &str, template: &str) -> &'static str {
    let last = template.rsplit('/').next().unwrap_or_default();
    match (method, last) {
        ("GET" | "HEAD" | "OPTIONS", _) => "",
        (_, "ask") => r#"{"question":"who?"}"#,
        (_, "rebuild") => r#"{"projection":"all"}"#,
        (_, "retry") => r#"{"state":"failed"}"#,
        (_, "keys" | "collections") => r#"{"name":"matrix","role":"reader"}"#,
        (_, "password") if template.contains("/documents/") => r#"{"password":"open"}"#,
        ("PUT", "{user}") => r#"{"role":"reader","collections":null}"#,
        _ => "{}",
    }
}

fn operations(server: &Server<'_>) -> Vec<(String, String)> {
    let description = server.anonymous("GET", "/api/openapi.json", b"").json();
    let paths: &serde_json::Map<String, Value> = description["paths"].as_object().unwrap();
    let methods = ["get", "post", "put", "patch", "delete", "head", "options"];
    paths
        .iter()
        .flat_map(|(path, operations)| {
            methods
                .iter()
                .filter(|method| operations.get(**method).is_some())
                .map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

/// A home with everybody in it.
fn settle() -> Home {
    let home = Home::new();
    for name in ["asleep", "other"] {
        home.run(&["tenant", "create", name]);
    }
    home.user("outsider", &[]);
    home.user("spare", &[]);
    home.user("operator", &["--role", "operator"]);
    home.user("admin", &["--role", "admin"]);
    for role in ["reader", "editor", "owner", "auditor"] {
        home.member(role, role);
    }
    let seen = "The word that the matrix looks for.\n\n| in | out |\n|---|---|\n| 1 | 2 |\n";
    home.add_text("seen.md", seen);
    home.user("limited", &[]);
    home.user("sleeper", &[]);
    home.run(&["tenant", "member", "add", "asleep", "sleeper", "--role", "owner"]);
    home
}

#[test]
fn every_route_lets_exactly_those_through_that_the_matrix_names() {
    let home = settle();
    let server = home.serve();
    let ground = Ground::new(&server);

    let mut wrong = Vec::new();
    let operations = operations(&server);
    for (method, template, _) in ROUTES {
        let known = operations.iter().any(|(m, t)| m == method && t == template);
        assert!(known, "the API has no {method} {template}: take its row out");
    }
    for (method, template) in &operations {
        let row = ROUTES.iter().find(|(m, t, _)| m == method && t == template);
        let (_, _, need) = row.unwrap_or_else(|| panic!("{method} {template} has no row"));
        for who in EVERYBODY {
            let expected = may(who, *need);
            if expected && destroys(method, template) {
                continue;
            }
            let status = ground.ask(who, method, template);
            let through = !matches!(status, 401 | 403 | 404);
            // What is looked for under an id of nothing is not there for whoever may look either,
            // and signing in with nothing is refused to everybody.
            let moot = expected
                && (template.contains("{id}") && !template.contains("/documents/")
                    || matches!(template.as_str(), "/api/v1/session" | "/api/v1/setup"));
            if through != expected && !moot {
                wrong.push(format!("{method} {template} by {who:?}: {status}, {need:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_foreign_tenant_and_an_absent_one_answer_every_caller_the_same() {
    let home = settle();
    home.run(&["tenant", "create", "stranger"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hidden.txt");
    std::fs::write(&path, "The word that a stranger keeps.").unwrap();
    home.run(&["add", "stranger", path.to_str().unwrap()]);
    let hidden = found(&home.json(&["search", "stranger", "word", "--mode", "keyword"]));
    let stranger = home.json(&["tenant", "show", "stranger"])["id"].as_str().unwrap().to_owned();
    let server = home.serve();
    let ground = Ground::new(&server);

    let mut wrong = Vec::new();
    let tenant_routes = ROUTES.iter().filter(|(_, template, _)| template.contains("{tenant}"));
    for (method, template, need) in tenant_routes {
        for who in EVERYBODY {
            // They stand above tenants and may see that this one is there.
            if matches!(who, Who::Operator | Who::Admin) && may(who, *need) {
                continue;
            }
            let absent = visible(&ground.answer(who, method, template, "nobody", ABSENT));
            let cells = [
                (ABSENT, ABSENT),
                ("stranger", ABSENT),
                ("stranger", hidden.as_str()),
                (stranger.as_str(), hidden.as_str()),
            ];
            for (tenant, id) in cells {
                let seen = visible(&ground.answer(who, method, template, tenant, id));
                if seen != absent {
                    wrong.push(format!("{method} {template} by {who:?}: {seen:?}, not {absent:?}"));
                }
            }
            if !matches!(absent.0, 401 | 403 | 404) {
                wrong.push(format!("{method} {template} by {who:?}: {absent:?} of no tenant"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let kept = home.json(&["ledger", "stranger"]);
    assert_eq!((&kept["indexed"], &kept["received"]), (&1.into(), &1.into()), "{kept:#}");
}

/// Makes the user a reader of the collection `documents` alone.
fn limit(server: &Server<'_>, user: &str) {
    let home = server.home;
    let key = key(home, "demo", "owner");
    let found = server.with_key(&key, "GET", "/api/v1/tenants/demo/collections", b"").json();
    let collection = found["collections"][0]["id"].as_str().expect("a collection").to_owned();
    home.run(&[
        "tenant",
        "member",
        "add",
        "demo",
        user,
        "--role",
        "reader",
        "--collection",
        &collection,
    ]);
}

fn key(home: &Home, tenant: &str, role: &str) -> String {
    let made = home.json(&["apikey", "create", tenant, "--name", "matrix", "--role", role]);
    made["key"].as_str().unwrap().to_owned()
}

/// A key that has ended by the time it is used.
fn expiring_key(server: &Server<'_>) -> String {
    let owner = server.sign_in("owner");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
    let body = serde_json::json!({ "name": "short", "role": "owner", "expires_at": soon });
    let made = owner.post("/api/v1/tenants/demo/keys", &body);
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["key"].as_str().unwrap().to_owned()
}
