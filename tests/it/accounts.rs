//! Accounts over HTTP: how people get in, what each may do, how they are kept out.
//!
//! Called by: cargo test. Talks to: a server over its TCP port, and the command line.
//! Invariants: users are made at the console, as on a real appliance.

use serde_json::{Value, json};

use crate::harness::people::{Browser, PASSWORD, code};
use crate::harness::{Home, Response, Server};

const NEW_PASSWORD: &str = "five other words make sense";

fn assert_refused(answer: &Response, status: u16, code: &str, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(answer.json()["code"], code, "{what}");
}

/// The token at the end of a one-time link.
fn token(link: &Value) -> String {
    let link = link["link"].as_str().unwrap();
    link.split_once("/#/setup/").expect("a link to the page").1.to_owned()
}

fn set_up(server: &Server<'_>, body: &Value) -> Response {
    let headers = [("Content-Type", "application/json")];
    server.request("POST", "/api/v1/setup", &headers, body.to_string().as_bytes())
}

#[test]
fn the_first_admin_is_made_by_a_link_that_works_once() {
    let home = Home::new();
    let server = home.serve();
    let link = home.json(&["link"]);
    assert_eq!(link["purpose"], "first_admin");
    let token = token(&link);
    let what = server.anonymous("GET", &format!("/api/v1/setup?token={token}"), b"");
    assert_eq!((what.status, what.json()["purpose"].clone()), (200, "first_admin".into()));

    let weak = json!({ "token": token, "name": "root", "password": "password1234" });
    assert_refused(&set_up(&server, &weak), 400, "invalid_request", "a breached password");
    let given = json!({ "token": token, "name": "root", "password": PASSWORD });
    let foreign = [("Content-Type", "application/json"), ("Origin", "http://evil.example")];
    let body = given.to_string();
    let answer = server.request("POST", "/api/v1/setup", &foreign, body.as_bytes());
    assert_refused(&answer, 401, "unauthenticated", "a page of another site");

    let answer = set_up(&server, &given);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let set = answer.header("set-cookie").unwrap();
    for part in ["cairn_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    let admin = server.browser(&answer);
    let who = admin.get("/api/v1/session").json();
    assert_eq!(who["actor"], "user");
    assert_eq!(who["user"]["name"], "root");
    assert_eq!(who["user"]["appliance_role"], "admin");
    assert_eq!((&who["user"]["totp_enabled"], &who["memberships"]), (&false.into(), &json!([])));
    assert_eq!(who["csrf"], admin.csrf.as_str());

    assert_refused(&set_up(&server, &given), 401, "unauthenticated", "a used link");
    // From now on a link without a name sets the password of the only admin.
    let link = home.json(&["link"]);
    assert_eq!((&link["purpose"], &link["name"]), (&"reset".into(), &"root".into()));
}

#[test]
fn a_session_cookie_serves_our_own_pages_only_and_ends_when_told() {
    let home = Home::new();
    let server = home.serve();
    home.user("root", &["--role", "admin"]);
    let admin = server.sign_in("root");
    let cookie = ("Cookie", admin.cookie.as_str());
    let csrf = ("X-Cairn-CSRF", admin.csrf.as_str());
    let tenant = br#"{"name":"made-by-page"}"#;
    let create =
        |headers: &[(&str, &str)]| server.request("POST", "/api/v1/tenants", headers, tenant);
    for origin in ["http://evil.example", "null", "https://127.0.0.1.evil.example"] {
        let answer = create(&[cookie, csrf, ("Origin", origin)]);
        assert_refused(&answer, 401, "unauthenticated", origin);
    }
    assert_refused(&create(&[cookie]), 403, "csrf_failed", "no token");
    let other = server.sign_in("root");
    let answer = create(&[cookie, ("X-Cairn-CSRF", other.csrf.as_str())]);
    assert_refused(&answer, 403, "csrf_failed", "the token of another session");
    assert_refused(&create(&[csrf]), 401, "unauthenticated", "a token without a session");
    let own = format!("http://{}", server.address);
    assert_eq!(create(&[cookie, csrf, ("Origin", own.as_str())]).status, 201);
    assert_refused(&create(&[cookie, csrf]), 409, "conflict", "a name that is taken");

    let unproved = server.request("DELETE", "/api/v1/session", &[cookie], b"");
    assert_refused(&unproved, 403, "csrf_failed", "signing out without the token");
    assert_eq!(admin.delete("/api/v1/session").status, 204);
    assert_refused(&admin.get("/api/v1/session"), 401, "unauthenticated", "an ended session");
    assert_eq!(admin.delete("/api/v1/session").status, 204, "ending it twice is no error");
    assert_eq!(other.get("/api/v1/session").status, 200);
}

#[test]
fn wrong_passwords_are_slowed_down_alike_for_known_and_unknown_names() {
    let home = Home::new();
    let server = home.serve();
    home.user("ada", &[]);
    // A slow machine may let a short wait pass between two attempts, so more than five may fit.
    let failures_until_refused = |server: &Server<'_>, name: &str| {
        (0..12)
            .find(|attempt| {
                let answer = server.ask_for_session(name, "a wrong password", None);
                if answer.status == 401 {
                    assert_refused(&answer, 401, "bad_credentials", &format!("{name} {attempt}"));
                    return false;
                }
                assert_refused(&answer, 429, "too_many_attempts", name);
                let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((1..=901).contains(&seconds), "{seconds}");
                true
            })
            .expect("an attempt that is refused")
    };
    for name in ["ada", "nobody"] {
        let failures = failures_until_refused(&server, name);
        assert!(failures >= 5, "{name}: {failures}");
    }
    // A restart does not forget, the console does.
    drop(server);
    let server = home.serve();
    let failures = failures_until_refused(&server, "ada");
    assert!(failures <= 3, "{failures}");
    home.run(&["user", "enable", "ada"]);
    server.sign_in("ada");
}

#[test]
fn a_second_factor_is_offered_proved_and_then_demanded() {
    let home = Home::new();
    let server = home.serve();
    home.user("ada", &[]);
    let ada = server.sign_in("ada");
    let early = ada.post("/api/v1/me/totp/confirm", &json!({ "code": "123456" }));
    assert_refused(&early, 409, "conflict", "nothing was offered");
    let guess = ada.post("/api/v1/me/totp", &json!({ "password": "not hers at all" }));
    assert_refused(&guess, 401, "bad_credentials", "an open page without the password");
    let offer = ada.post("/api/v1/me/totp", &json!({ "password": PASSWORD })).json();
    let secret = offer["secret"].as_str().unwrap();
    assert!(offer["uri"].as_str().unwrap().starts_with("otpauth://totp/Cairn:ada?secret="));
    assert!(offer["qr_svg"].as_str().unwrap().starts_with("<svg "));
    let skewed = ada.post("/api/v1/me/totp/confirm", &json!({ "code": code(secret, 240) }));
    assert_refused(&skewed, 401, "totp_required", "a clock that is off");
    let detail = skewed.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("ahead of") && detail.contains("seconds"), "{detail}");

    let confirmed = ada.post("/api/v1/me/totp/confirm", &json!({ "code": code(secret, 0) }));
    assert_eq!(confirmed.status, 200, "{}", confirmed.text());
    let recovery: Vec<String> =
        serde_json::from_value(confirmed.json()["recovery_codes"].clone()).unwrap();
    assert_eq!(recovery.len(), 10);
    assert_eq!(ada.get("/api/v1/session").json()["user"]["totp_enabled"], true);

    let replaced = ada.post("/api/v1/me/totp", &json!({ "password": PASSWORD }));
    assert_refused(&replaced, 409, "conflict", "an open session alone replaces it");

    let ask = |code: Option<&str>| server.ask_for_session("ada", PASSWORD, code);
    assert_refused(&ask(None), 401, "totp_required", "no code");
    let used = ask(Some(&code(secret, 0)));
    assert_refused(&used, 401, "totp_required", "the code that proved the authenticator");
    assert_eq!(ask(Some(&code(secret, 30))).status, 200);
    assert_eq!(ask(Some(&recovery[0])).status, 200);
    assert_refused(&ask(Some(&recovery[0])), 401, "totp_required", "a used recovery code");
    let trail = home.json(&["audit", "list", "--action", "user.recovery_code"]);
    let entries = trail["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "the one that was taken: {trail}");
    assert_eq!(entries[0]["actor"]["name"], "ada");

    // A link over the network asks for it too; the console takes it away.
    let link = token(&home.json(&["link", "ada"]));
    let given = json!({ "token": link, "password": NEW_PASSWORD });
    assert_refused(&set_up(&server, &given), 401, "totp_required", "a link without a code");
    home.run(&["user", "reset-totp", "ada"]);
    assert_eq!(set_up(&server, &given).status, 201);
    assert_eq!(server.ask_for_session("ada", NEW_PASSWORD, None).status, 200);
}

#[test]
fn a_user_sees_and_ends_their_own_sessions_only() {
    let home = Home::new();
    let server = home.serve();
    home.user("ada", &[]);
    home.user("bob", &[]);
    let (first, second, bob) =
        (server.sign_in("ada"), server.sign_in("ada"), server.sign_in("bob"));
    let list =
        |browser: &Browser<'_>| browser.get("/api/v1/me/sessions").json()["sessions"].clone();
    let sessions = list(&first);
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&true.into(), &false.into()));
    assert_eq!(
        (&sessions[0]["address"], &sessions[0]["agent"]),
        (&"127.0.0.1".into(), &"test browser".into())
    );
    let id = sessions[1]["id"].as_str().unwrap();
    let path = format!("/api/v1/me/sessions/{id}");
    assert_refused(&bob.delete(&path), 404, "not_found", "a session of somebody else");
    assert_eq!(first.delete(&path).status, 204);
    assert_refused(&second.get("/api/v1/session"), 401, "unauthenticated", "a revoked session");

    let third = server.sign_in("ada");
    let change = |old: &str, new: &str| {
        first.post("/api/v1/me/password", &json!({ "old": old, "new": new }))
    };
    assert_refused(
        &change("not this one", NEW_PASSWORD),
        401,
        "bad_credentials",
        "a wrong old one",
    );
    assert_refused(&change(PASSWORD, "short"), 400, "invalid_request", "a short one");
    assert_eq!(change(PASSWORD, NEW_PASSWORD).status, 204);
    assert_eq!(list(&first).as_array().unwrap().len(), 1);
    assert_eq!(third.get("/api/v1/session").status, 401);
    assert_eq!(first.delete("/api/v1/me/sessions").status, 204);
    assert_eq!(first.get("/api/v1/session").status, 401);
    assert_eq!(bob.get("/api/v1/session").status, 200);
}

/// The answer of each route to each person, as statuses.
fn statuses(browser: &Browser<'_>) -> Vec<u16> {
    let tenant = "/api/v1/tenants/demo";
    [
        browser.get(tenant),
        browser.get(&format!("{tenant}/search?q=word&mode=keyword")),
        browser.send(
            "POST",
            &format!("{tenant}/documents?source={}.txt", browser.csrf),
            b"Some words.",
        ),
        browser.get(&format!("{tenant}/keys")),
        browser.get(&format!("{tenant}/members")),
        browser.patch(tenant, &json!({})),
        browser.get("/api/v1/users"),
        browser.get("/api/v1/doctor"),
    ]
    .map(|answer| answer.status)
    .to_vec()
}

#[test]
fn each_role_gets_what_the_table_says_and_a_stranger_nothing() {
    let home = Home::new();
    let server = home.serve();
    for role in ["owner", "editor", "reader", "auditor"] {
        home.member(role, role);
    }
    home.user("boss", &["--role", "admin"]);
    home.user("watch", &["--role", "operator"]);
    home.user("outsider", &[]);
    for (name, wanted) in [
        // tenant, search, upload, keys, members, change, users, doctor
        ("owner", [200, 200, 202, 200, 200, 404, 404, 404]),
        ("editor", [200, 200, 202, 404, 404, 404, 404, 404]),
        ("reader", [200, 200, 404, 404, 404, 404, 404, 404]),
        ("auditor", [200, 404, 404, 404, 404, 404, 404, 404]),
        ("boss", [200, 404, 404, 404, 200, 200, 200, 200]),
        ("watch", [200, 404, 404, 404, 404, 404, 404, 200]),
        ("outsider", [404, 404, 404, 404, 404, 404, 404, 404]),
    ] {
        let browser = server.sign_in(name);
        assert_eq!(statuses(&browser), wanted, "{name}");
        let listed = browser.get("/api/v1/tenants").json();
        let seen = listed["tenants"].as_array().unwrap().len();
        assert_eq!(seen, usize::from(name != "outsider"), "{name}");
        // Who may not read a tenant sees none of its numbers.
        let detail = browser.get("/api/v1/tenants/demo").json();
        let reads = matches!(name, "owner" | "editor" | "reader");
        assert_eq!(detail.get("totals").is_some(), reads, "{name}: {detail:#}");
    }
}

#[test]
fn owners_and_admins_see_to_members_and_an_owner_to_keys() {
    let home = Home::new();
    let server = home.serve();
    home.member("ada", "owner");
    home.user("bob", &[]);
    home.user("boss", &["--role", "admin"]);
    let (ada, bob, boss) = (server.sign_in("ada"), server.sign_in("bob"), server.sign_in("boss"));
    let members = "/api/v1/tenants/demo/members";
    let bobs = format!("{members}/bob");
    let collection = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (body, status) in [
        (json!({ "role": "reader" }), 400),
        (json!({ "role": "king", "collections": null }), 400),
        (json!({ "role": "owner", "collections": [collection] }), 400),
        (json!({ "role": "reader", "collections": [collection] }), 200),
    ] {
        assert_eq!(ada.put(&bobs, &body).status, status, "{body}");
    }
    let listed = boss.get(members).json();
    let found: Vec<(&Value, &Value, &Value)> = listed["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (&member["user_name"], &member["role"], &member["collections"]))
        .collect();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], (&"ada".into(), &"owner".into(), &Value::Null));
    assert_eq!(found[1], (&"bob".into(), &"reader".into(), &json!([collection])));
    assert_eq!(bob.get("/api/v1/tenants/demo").status, 200);
    assert_eq!(bob.get("/api/v1/session").json()["memberships"][0]["tenant_name"], "demo");
    let unknown =
        ada.put(&format!("{members}/nobody"), &json!({ "role": "reader", "collections": null }));
    assert_refused(&unknown, 404, "not_found", "an unknown user");
    assert_eq!(boss.delete(&bobs).status, 204);
    assert_refused(&bob.get("/api/v1/tenants/demo"), 404, "not_found", "a former member");
    assert_refused(&boss.delete(&bobs), 404, "not_found", "no member");

    let keys = "/api/v1/tenants/demo/keys";
    let key = json!({ "name": "monitor", "role": "reader", "expires_at": "2100-01-01T00:00:00Z" });
    let made = ada.post(keys, &key);
    assert_eq!(made.status, 201, "{}", made.text());
    let key = made.json()["key"].as_str().unwrap().to_owned();
    let listed = ada.get(keys).json()["keys"][0].clone();
    assert_eq!((&listed["role"], &listed["created_by"]), (&"reader".into(), &"ada".into()));
    assert_eq!(listed["expires_at"], "2100-01-01T00:00:00Z");
    assert!(listed.get("key").is_none());
    let past = json!({ "name": "late", "expires_at": "2020-01-01T00:00:00Z" });
    assert_refused(&ada.post(keys, &past), 400, "invalid_request", "a key that is past");
    let upload = "/api/v1/tenants/demo/documents?source=a.txt";
    assert_refused(
        &server.with_key(&key, "POST", upload, b"x"),
        404,
        "not_found",
        "a reader writes",
    );
    assert_eq!(server.with_key(&key, "GET", "/api/v1/tenants/demo", b"").status, 200);
    let strong = home.json(&["apikey", "create", "demo", "--role", "owner", "--expires-days", "1"]);
    let strong = strong["key"].as_str().unwrap();
    for path in [keys, members] {
        let answer = server.with_key(strong, "GET", path, b"");
        assert_refused(&answer, 404, "not_found", "keys are for programs, not for granting");
    }
    assert_eq!(server.with_key(strong, "GET", "/api/v1/me/sessions", b"").status, 404);
}

#[test]
fn a_key_rests_with_its_makers_account_and_ends_with_their_ownership() {
    let home = Home::new();
    let server = home.serve();
    home.member("ada", "owner");
    let keys = "/api/v1/tenants/demo/keys";
    let made_by_ada = || {
        let made = server.sign_in("ada").post(keys, &json!({ "name": "hers", "role": "owner" }));
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["key"].as_str().unwrap().to_owned()
    };
    let opens = |key: &str| server.with_key(key, "GET", "/api/v1/tenants/demo", b"").status;
    let key = made_by_ada();
    let console = server.key("demo");
    home.run(&["user", "disable", "ada"]);
    assert_eq!((opens(&key), opens(&console)), (401, 200));
    home.run(&["user", "enable", "ada"]);
    assert_eq!(opens(&key), 200);

    home.run(&["tenant", "member", "add", "demo", "ada", "--role", "editor"]);
    assert_eq!((opens(&key), opens(&console)), (401, 200), "an editor makes no keys");
    home.run(&["tenant", "member", "add", "demo", "ada", "--role", "owner"]);
    assert_eq!(opens(&key), 401, "what has ended does not come back");
    let second = made_by_ada();
    home.run(&["tenant", "member", "remove", "demo", "ada"]);
    assert_eq!(opens(&second), 401);
    home.run(&["tenant", "member", "add", "demo", "ada", "--role", "owner"]);
    let third = made_by_ada();
    home.run(&["user", "delete", "ada"]);
    assert_eq!(opens(&third), 401);
    assert_eq!(opens(&console), 200);
    // All of it is in the tenant's own trail, also that the account that was a member is gone.
    let trail = home.json(&["audit", "list", "demo", "--action", "key.revoke"]);
    assert_eq!(trail["entries"].as_array().unwrap().len(), 3, "{trail:#}");
    let trail = home.json(&["audit", "list", "demo", "--action", "member.change"]);
    let last = &trail["entries"][0]["detail"];
    assert_eq!((&last["name"], &last["role"]), (&"ada".into(), &"none".into()), "{trail:#}");
}

#[test]
fn a_suspended_tenant_is_closed_to_its_members_and_says_so_to_nobody_else() {
    let home = Home::new();
    let server = home.serve();
    home.member("ada", "owner");
    home.user("outsider", &[]);
    home.user("boss", &["--role", "admin"]);
    let key = server.key("demo");
    let (ada, outsider, boss) =
        (server.sign_in("ada"), server.sign_in("outsider"), server.sign_in("boss"));
    let tenant = "/api/v1/tenants/demo";
    assert_refused(
        &ada.post(&format!("{tenant}/suspend"), &json!({})),
        404,
        "not_found",
        "an owner",
    );
    let suspended = boss.post(&format!("{tenant}/suspend"), &json!({}));
    assert_eq!((suspended.status, &suspended.json()["state"]), (200, &"suspended".into()));
    for path in ["", "/documents", "/search?q=x&mode=keyword", "/members", "/keys"] {
        let path = format!("{tenant}{path}");
        assert_refused(&ada.get(&path), 403, "tenant_suspended", &path);
        assert_refused(&outsider.get(&path), 404, "not_found", &path);
    }
    let answer = server.with_key(&key, "GET", tenant, b"");
    assert_refused(&answer, 403, "tenant_suspended", "a key");
    assert_eq!(boss.get(tenant).json()["state"], "suspended");
    assert_eq!(ada.get("/api/v1/tenants").json()["tenants"][0]["state"], "suspended");
    assert_eq!(home.output(&["ledger", "demo"]).status.code(), Some(0), "the console sees it");
    assert_eq!(boss.post(&format!("{tenant}/resume"), &json!({})).status, 200);
    assert_eq!(ada.get(&format!("{tenant}/documents")).status, 200);

    let change = json!({ "name": "renamed", "tier": "casual", "limits": { "documents": 5 } });
    let changed = boss.patch(tenant, &change).json();
    assert_eq!((&changed["name"], &changed["tier"]), (&"renamed".into(), &"casual".into()));
    assert_refused(
        &boss.patch("/api/v1/tenants/renamed", &json!({ "name": "a b" })),
        400,
        "invalid_request",
        "a bad name",
    );
}

#[test]
fn admins_see_to_users_and_one_always_remains() {
    let home = Home::new();
    let server = home.serve();
    home.user("boss", &["--role", "admin"]);
    let boss = server.sign_in("boss");
    let made = boss.post("/api/v1/users", &json!({ "name": "ada" }));
    assert_eq!((made.status, &made.json()["has_password"]), (201, &false.into()));
    assert_refused(
        &boss.post("/api/v1/users", &json!({ "name": "ADA" })),
        409,
        "conflict",
        "taken",
    );
    assert_refused(
        &boss.post("/api/v1/users", &json!({ "name": "a b" })),
        400,
        "invalid_request",
        "a bad name",
    );
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let link = boss.post(&format!("/api/v1/users/{id}/link"), &json!({}));
    assert_eq!(link.status, 201);
    let given = json!({ "token": token(&link.json()), "name": "ada", "password": PASSWORD });
    let ada = server.browser(&set_up(&server, &given));
    assert_refused(&ada.get("/api/v1/users"), 404, "not_found", "no admin");

    let change = |user: &str, body: Value| boss.patch(&format!("/api/v1/users/{user}"), &body);
    for body in [json!({ "disabled": true }), json!({ "appliance_role": null })] {
        assert_refused(&change("boss", body), 409, "conflict", "the only admin");
    }
    assert_refused(&boss.delete("/api/v1/users/boss"), 409, "conflict", "the only admin");
    let role = change("ada", json!({ "appliance_role": "operator" }));
    assert_eq!(role.json()["appliance_role"], "operator");
    assert_eq!(ada.get("/api/v1/doctor").status, 200, "a role counts at once");
    assert_eq!(change("ada", json!({ "disabled": true })).json()["appliance_role"], "operator");
    assert_refused(&ada.get("/api/v1/session"), 401, "unauthenticated", "a disabled user");
    assert_refused(
        &server.ask_for_session("ada", PASSWORD, None),
        401,
        "bad_credentials",
        "a disabled user",
    );
    assert_eq!(change("ada", json!({ "disabled": false })).status, 200);
    let ada = server.sign_in("ada");
    assert_refused(
        &boss.delete(&format!("/api/v1/users/{id}/totp")),
        404,
        "not_found",
        "for the console only",
    );
    assert_eq!(boss.delete(&format!("/api/v1/users/{id}")).status, 204);
    assert_refused(&ada.get("/api/v1/session"), 401, "unauthenticated", "a removed user");
    let names: Vec<Value> = boss.get("/api/v1/users").json()["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].clone())
        .collect();
    assert_eq!(names, ["boss"]);
}

#[test]
fn the_console_sees_to_users_whether_or_not_the_server_runs() {
    let home = Home::new();
    home.user("ada", &["--role", "operator"]);
    let refused =
        home.output_with_input(&["user", "add", "bob", "--password-stdin"], "password1234\n");
    assert_eq!(refused.status.code(), Some(2));
    let users = home.json(&["user", "list"]);
    assert_eq!(users["users"].as_array().unwrap().len(), 1, "nobody is left without a password");
    let made = home.json(&["user", "add", "bob"]);
    assert_eq!((&made["purpose"], &made["name"]), (&"reset".into(), &"bob".into()));
    assert!(home.run(&["user", "show", "bob"]).contains("no password yet"));
    assert_eq!(home.json(&["user", "role", "ada", "none"])["appliance_role"], Value::Null);
    home.run(&["tenant", "member", "add", "demo", "ada", "--role", "editor"]);
    assert!(home.run(&["tenant", "member", "list", "demo"]).contains("editor"));

    let server = home.serve();
    let ada = server.sign_in("ada");
    assert_eq!(ada.get("/api/v1/session").json()["memberships"][0]["role"], "editor");
    home.run(&["user", "disable", "ada"]);
    assert_eq!(ada.get("/api/v1/session").status, 401);
    home.run(&["user", "enable", "ada"]);
    let output = home
        .output_with_input(&["user", "reset-password", "ada", "--password-stdin"], NEW_PASSWORD);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.ask_for_session("ada", NEW_PASSWORD, None).status, 200);
    assert_eq!(server.ask_for_session("ada", PASSWORD, None).status, 401);
    home.run(&["tenant", "member", "remove", "demo", "ada"]);
    home.run(&["user", "delete", "ada"]);
    assert_eq!(home.output(&["user", "show", "ada"]).status.code(), Some(3));
    assert_eq!(home.output(&["user", "add", "bob"]).status.code(), Some(1), "the name is taken");
    assert_eq!(home.output(&["link", "nobody"]).status.code(), Some(3));
    assert_eq!(home.output(&["user", "role", "bob", "king"]).status.code(), Some(2));
}
