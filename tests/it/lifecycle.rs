//! The life of a tenant: locked and suspended for longer than a process lives, what waits
//! meanwhile, what its tier does not include, and the certificate of its end.
//!
//! Called by: cargo test. Talks to: the command line and HTTP of one server per test.
//! Invariants: what was decided about a tenant holds until somebody decides otherwise.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Home, find, wait_for};

/// What the list of tenants says of one.
fn listed(home: &Home, name: &str) -> Value {
    find(&home.json(&["tenant", "list"])["tenants"], "name", name)
}

fn search(home: &Home, tenant: &str) -> Option<i32> {
    home.output(&["search", tenant, "heron", "--mode", "keyword"]).status.code()
}

fn is(home: &Home, name: &str, state: &str, locked: bool) {
    let tenant = listed(home, name);
    assert_eq!((&tenant["state"], &tenant["locked"]), (&json!(state), &json!(locked)), "{name}");
}

#[test]
fn what_was_locked_or_suspended_is_so_after_a_restart() {
    let home = Home::new();
    home.run(&["tenant", "create", "asleep"]);
    home.add_text("heron.txt", "A heron stands in the reeds.");
    {
        // Ended by kill -9.
        let _server = home.serve();
        home.run(&["tenant", "lock", "demo"]);
        home.run(&["tenant", "suspend", "asleep"]);
        home.run(&["tenant", "lock", "asleep"]);
        is(&home, "asleep", "suspended", true);
    }
    for serving in [true, false] {
        let _server = serving.then(|| home.serve());
        is(&home, "demo", "locked", true);
        is(&home, "asleep", "suspended", true);
        for name in ["demo", "asleep"] {
            assert_eq!(search(&home, name), Some(4), "{name}");
        }
    }
    // Resuming is not unlocking.
    home.run(&["tenant", "resume", "asleep"]);
    is(&home, "asleep", "locked", true);
    assert_eq!(search(&home, "asleep"), Some(4));
    for name in ["demo", "asleep"] {
        home.run(&["tenant", "unlock", name]);
        is(&home, name, "active", false);
        assert_eq!(search(&home, name), Some(0), "{name}");
    }
    // A lock that has ended does not come back with the next suspension.
    home.run(&["tenant", "suspend", "asleep"]);
    is(&home, "asleep", "suspended", false);
    home.run(&["tenant", "lock", "asleep"]);
    home.run(&["tenant", "unlock", "asleep"]);
    is(&home, "asleep", "suspended", false);
}

#[test]
fn files_in_the_inbox_of_a_locked_tenant_are_counted_and_warned_of() {
    let home = Home::new();
    let inbox = PathBuf::from(home.json(&["tenant", "show", "demo"])["inbox"].as_str().unwrap());
    home.member("owner", "owner");
    home.user("limited", &[]);
    let server = home.serve();
    let owner = server.sign_in("owner");
    let collection = owner.post("/api/v1/tenants/demo/collections", &json!({ "name": "open" }));
    let settings = json!({ "role": "reader", "collections": [collection.json()["id"]] });
    assert_eq!(owner.put("/api/v1/tenants/demo/members/limited", &settings).status, 200);
    assert!(listed(&home, "demo").get("inbox_waiting").is_none());
    home.run(&["tenant", "lock", "demo"]);
    std::fs::create_dir(inbox.join("post")).unwrap();
    for name in ["one.txt", "post/two.txt", ".hidden"] {
        std::fs::write(inbox.join(name), "A letter that came too late.").unwrap();
    }
    assert_eq!(listed(&home, "demo")["inbox_waiting"], 2);
    assert_eq!(home.json(&["tenant", "show", "demo"])["inbox_waiting"], 2);
    for args in [&["tenant", "show", "demo"][..], &["tenant", "list"]] {
        let said = home.run(args);
        assert!(said.contains("2 files lie unencrypted in the drop folder of demo"), "{said}");
    }
    let seen = |name: &str| {
        let listed = server.sign_in(name).get("/api/v1/tenants").json();
        listed["tenants"][0].get("inbox_waiting").cloned()
    };
    assert_eq!(seen("owner"), Some(2.into()));
    assert_eq!(seen("limited"), None, "what all collections wait for is not for this reader");

    home.run(&["tenant", "unlock", "demo"]);
    wait_for("the letters to be taken in", || {
        (!inbox.join("one.txt").exists() && !inbox.join("post/two.txt").exists()).then_some(())
    });
    assert!(listed(&home, "demo").get("inbox_waiting").is_none());
}

#[test]
fn a_deletion_is_certified_by_a_signature_that_anybody_can_check() {
    let home = Home::new();
    home.add_text("heron.txt", "A heron stands in the reeds.");
    home.run(&["keys", "rotate", "demo"]);
    let signer = home.json(&["tenant", "signer"])["fingerprint"].as_str().unwrap().to_owned();
    let certificate = home.json(&["tenant", "delete", "demo", "--yes"]);
    assert_eq!((&certificate["documents"], &certificate["by"]), (&1.into(), &"console".into()));
    let ids = certificate["destroyed_key"]["key_ids"].as_array().unwrap();
    assert!(!ids.is_empty() && ids.iter().all(|id| id.as_str().unwrap().len() == 32), "{ids:?}");
    assert!(certificate["statement"].as_str().unwrap().contains(ids[0].as_str().unwrap()));

    let nowhere = tempfile::tempdir().unwrap();
    let file = nowhere.path().join("deletion.json");
    let check = |certificate: &Value, signer: Option<&str>| {
        std::fs::write(&file, certificate.to_string()).unwrap();
        let mut args = vec!["audit", "verify", "--json", "--certificate", file.to_str().unwrap()];
        args.extend(signer.iter().flat_map(|signer| ["--signer", *signer]));
        // Where no appliance is.
        let output = home.command(&args).env("CAIRN_HOME", nowhere.path()).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.success(), report["ok"] == true, "{report:#}");
        report["certificates"].as_array().unwrap().clone()
    };
    let sound = check(&certificate, Some(&signer));
    assert_eq!((&sound[0]["ok"], &sound[0]["signer"]), (&true.into(), &signer.as_str().into()));
    assert_eq!(check(&certificate, None)[0]["ok"], true);
    let kept = check(&home.json(&["tenant", "deletions"]), Some(&signer));
    assert_eq!((kept.len(), &kept[0]["ok"]), (1, &true.into()));

    let reason = |certificate: &Value, signer: Option<&str>| {
        check(certificate, signer)[0]["reason"].as_str().unwrap_or_default().to_owned()
    };
    let changed = |name: &str, value: Value| {
        let mut other = certificate.clone();
        other[name] = value;
        other
    };
    assert!(reason(&certificate, Some(&"0".repeat(64))).contains("another appliance"));
    for (name, value) in [
        ("documents", json!(0)),
        ("deleted_at", json!("2020-01-01T00:00:00Z")),
        ("by", json!("nobody")),
        ("remark", json!("a field that was not there")),
        ("destroyed_key", json!({ "scope": "x", "epochs": [1], "key_ids": ["00"] })),
    ] {
        assert!(reason(&changed(name, value), None).contains("was changed"), "{name}");
    }
    let mut unsigned = certificate.clone();
    unsigned.as_object_mut().unwrap().remove("signature");
    assert!(reason(&unsigned, None).contains("not signed"));
    assert!(reason(&json!({ "some": "thing" }), None).contains("no certificate"));
}

#[test]
fn what_a_tier_does_not_include_is_refused_by_name() {
    let home = Home::new();
    home.member("owner", "owner");
    home.user("limited", &[]);
    let server = home.serve();
    let owner = server.sign_in("owner");
    let collection = owner.post("/api/v1/tenants/demo/collections", &json!({ "name": "open" }));
    let collection = collection.json()["id"].clone();
    let limit = |to: Value| {
        let settings = json!({ "role": "reader", "collections": to });
        owner.put("/api/v1/tenants/demo/members/limited", &settings)
    };
    let export = || owner.get("/api/v1/tenants/demo/audit/export");
    let refused = |response: &crate::harness::Response, tier: &str, feature: &str| {
        assert_eq!(response.status, 403, "{}", response.text());
        let problem = response.json();
        assert_eq!(problem["code"], "not_in_tier", "{problem:#}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(tier) && detail.contains(feature), "{detail}");
    };

    home.run(&["tenant", "tier", "demo", "casual"]);
    refused(&limit(json!([collection])), "casual", "collection_access");
    refused(&export(), "casual", "audit_export");
    assert_eq!(limit(Value::Null).status, 200, "a member who sees everything needs no feature");

    home.run(&["tenant", "tier", "demo", "pro"]);
    assert_eq!(limit(json!([collection])).status, 200);
    let exported = export();
    assert_eq!(exported.status, 200);
    let entries: Vec<Value> =
        exported.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let attempts = entries.iter().filter(|entry| entry["action"] == "audit.export");
    let results: Vec<&str> = attempts.map(|entry| entry["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["refused", "ok"]);

    // Paying for less widens nobody's sight, and whoever runs the machine can always examine it.
    home.run(&["tenant", "tier", "demo", "casual"]);
    let members = owner.get("/api/v1/tenants/demo/members").json();
    assert_eq!(
        find(&members["members"], "user_name", "limited")["collections"],
        json!([collection])
    );
    assert!(!home.run(&["audit", "export", "demo"]).is_empty());
}
