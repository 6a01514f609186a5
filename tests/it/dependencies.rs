//! What may be linked into the appliance: banned crates, single copies, licences, sources.
//!
//! Called by: cargo test. Talks to: Cargo.lock and `cargo metadata`, without network.
//! Invariants: the lock file is checked for every platform, licences for the one we ship.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Crates that may not be in the lock file at all, and why.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-sys", "ring is the only crypto provider; two make rustls panic at run time"),
    ("aws-lc-rs", "ring is the only crypto provider; two make rustls panic at run time"),
    ("native-tls", "rustls is the only TLS"),
    ("openssl", "openssl-src serves SQLCipher alone, never TLS"),
    ("hf-hub", "an air-gapped appliance downloads no model"),
    ("kreuzberg", "its licence is not an open one"),
    ("ureq", "nothing here opens an outbound connection"),
];

/// Crates that we may not depend on ourselves, though another crate may bring them.
const BANNED_DIRECT: &[(&str, &str)] =
    &[("reqwest", "nothing here opens an outbound connection; lance's namespace client brings it")];

/// Crates of which exactly one copy may be linked.
const SINGLE: &[&str] = &["libsqlite3-sys", "ring", "rustls", "ort-sys", "tokenizers"];

/// Licences that ask for attribution at most, or for the source of changed files of theirs.
const ALLOWED_LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    // xxhash-rust: the Boost licence, like MIT and without a notice in binaries.
    "BSL-1.0",
    // notify, tiny-keccak: public domain.
    "CC0-1.0",
    "ISC",
    "MIT",
    // cssparser, dtoa-short, selectors (below scraper), option-ext: per-file copyleft; we change
    // none of their files and point to their source.
    "MPL-2.0",
    // Data tables of the Unicode Consortium (icu, unicode-ident).
    "Unicode-3.0",
    "Unlicense",
    // Parts of sqlcipher-src (libtomcrypt): do what you want.
    "WTFPL",
    "Zlib",
    // bzip2 in Rust: a BSD licence by another name.
    "bzip2-1.0.6",
    // SQLite: public domain with a blessing in place of a licence.
    "blessing",
];

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON")
}

struct Locked {
    name: String,
    version: String,
    /// None for our own crate.
    source: Option<String>,
}

fn locked() -> Vec<Locked> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let text = std::fs::read_to_string(&path).expect("Cargo.lock can be read");
    let packages: Vec<Locked> = text.split("[[package]]").skip(1).map(locked_package).collect();
    assert!(packages.len() > 100, "Cargo.lock lists only {} packages", packages.len());
    packages
}

fn locked_package(text: &str) -> Locked {
    let value = |key: &str| {
        let start = format!("{key} = \"");
        let line = text.lines().find(|line| line.starts_with(&start))?;
        Some(line[start.len()..].trim_end_matches('"').to_owned())
    };
    Locked {
        name: value("name").expect("a locked package has a name"),
        version: value("version").expect("a locked package has a version"),
        source: value("source"),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Whether a licence expression can be met with licences from the list alone: one side of an
/// `OR` is enough, both sides of an `AND` are needed. `/` is an old way to write `OR`.
fn licence_is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let allowed = any_of(&tokens, &mut at);
    allowed && at == tokens.len()
}

fn any_of(tokens: &[&str], at: &mut usize) -> bool {
    let mut allowed = all_of(tokens, at);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        let other = all_of(tokens, at);
        allowed = allowed || other;
    }
    allowed
}

fn all_of(tokens: &[&str], at: &mut usize) -> bool {
    let mut allowed = one(tokens, at);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        let other = one(tokens, at);
        allowed = allowed && other;
    }
    allowed
}

fn one(tokens: &[&str], at: &mut usize) -> bool {
    let Some(token) = tokens.get(*at) else {
        return false;
    };
    *at += 1;
    if *token == "(" {
        let allowed = any_of(tokens, at);
        let closed = tokens.get(*at) == Some(&")");
        *at += 1;
        return allowed && closed;
    }
    if tokens.get(*at) == Some(&"WITH") {
        let exception = tokens.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return ALLOWED_LICENCES.contains(&format!("{token} WITH {exception}").as_str());
    }
    ALLOWED_LICENCES.contains(token)
}

#[test]
fn no_banned_crate_is_in_the_lock_file() {
    let mut problems = Vec::new();
    for package in locked() {
        for (name, why) in BANNED {
            if package.name == *name {
                problems.push(format!("{name} {}: {why}", package.version));
            }
        }
    }
    assert!(problems.is_empty(), "banned crates:\n  {}", problems.join("\n  "));
}

#[test]
fn we_depend_directly_on_no_http_client() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    let ours = packages.iter().find(|p| text(p, "name") == "cairn").expect("our own package");
    let direct = ours["dependencies"].as_array().expect("a package lists dependencies");
    for dependency in direct {
        let name = text(dependency, "name");
        let banned = BANNED.iter().chain(BANNED_DIRECT).find(|(banned, _)| *banned == name);
        assert!(banned.is_none(), "Cargo.toml names {name}: {}", banned.map_or("", |b| b.1));
    }
}

#[test]
fn crypto_sqlite_and_runtime_are_linked_once() {
    let locked = locked();
    for name in SINGLE {
        let versions: Vec<&str> =
            locked.iter().filter(|p| p.name == *name).map(|p| p.version.as_str()).collect();
        assert_eq!(versions.len(), 1, "{name} must be locked exactly once, found {versions:?}");
    }
}

#[test]
fn every_crate_comes_from_the_registry() {
    let mut registries = BTreeSet::new();
    for package in locked() {
        match package.source {
            None => assert_eq!(package.name, "cairn", "{} has no source", package.name),
            Some(source) => {
                assert!(source.starts_with("registry+"), "{} comes from {source}", package.name);
                registries.insert(source);
            }
        }
    }
    assert_eq!(registries.len(), 1, "all crates come from one registry: {registries:?}");
}

#[test]
fn every_crate_has_a_licence_that_we_accept() {
    let metadata = metadata();
    let mut problems = BTreeSet::new();
    for package in metadata["packages"].as_array().expect("metadata lists packages") {
        let licence = package["license"].as_str();
        if !licence.is_some_and(licence_is_allowed) {
            let licence = licence.unwrap_or("no licence expression");
            problems.insert(format!(
                "{} {}: {licence}",
                text(package, "name"),
                text(package, "version")
            ));
        }
    }
    let problems: Vec<String> = problems.into_iter().collect();
    assert!(problems.is_empty(), "licences to look at:\n  {}", problems.join("\n  "));
}

#[test]
fn a_choice_of_licences_needs_one_side_and_a_sum_needs_both() {
    assert!(licence_is_allowed("MIT OR GPL-3.0-only"));
    assert!(licence_is_allowed("GPL-2.0/MIT"));
    assert!(licence_is_allowed("(MIT OR AGPL-3.0-only) AND Unicode-3.0"));
    assert!(licence_is_allowed("Apache-2.0 WITH LLVM-exception"));
    assert!(!licence_is_allowed("MIT AND GPL-3.0-only"));
    assert!(!licence_is_allowed("GPL-2.0-only WITH Classpath-exception-2.0"));
    assert!(!licence_is_allowed("AGPL-3.0-only"));
    assert!(!licence_is_allowed("(MIT OR Apache-2.0"));
    assert!(!licence_is_allowed(""));
}
