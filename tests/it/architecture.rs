//! The house rules that a compiler does not know: who may import whom, headers, sizes, names.
//!
//! Called by: cargo test. Talks to: the source files only.
//! Invariants: a failure names the file, the rule it breaks and what to do instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom, ground floor first: a module imports only from rows above its own.
/// `a::B` allows the one name `B` of `a`.
const TABLE: &[(&str, &str)] = &[
    ("types", ""),
    ("clock", ""),
    ("failpoint", ""),
    ("error", "types"),
    ("config", "types error failpoint"),
    ("disk", "error failpoint"),
    ("crypto", "types error"),
    ("database", "error disk crypto"),
    ("scratch", "error disk"),
    ("native", "error"),
    ("extract", "types error native"),
    ("chunk", "types error"),
    ("dates", ""),
    ("similarity", ""),
    ("telemetry", "config error"),
    ("keys", "types error disk crypto config"),
    ("archive", "types error crypto"),
    ("audit", "types error crypto"),
    ("system", "types error clock disk crypto database audit"),
    ("tls", "types error clock disk crypto config"),
    ("auth", "types error clock crypto audit system"),
    ("inference", "types error config crypto native"),
    ("extraction", "types error config extract"),
    (
        "tenant",
        "types error clock disk crypto database failpoint similarity keys archive audit system auth config",
    ),
    (
        "app",
        "types clock failpoint error config disk crypto native extract chunk dates similarity telemetry \
         keys archive audit system tls auth inference extraction tenant",
    ),
    ("sources", "types error clock disk tls auth app config tenant::TenantHandle"),
    ("http", "types error config telemetry auth app tenant::TenantHandle clock"),
    ("worker", "types error clock telemetry failpoint auth app config"),
    (
        "appliance",
        "types clock failpoint error config disk crypto scratch native extract chunk telemetry \
         keys system tls auth inference extraction tenant app sources http worker",
    ),
    (
        "cli",
        "types clock error config disk scratch native telemetry keys audit auth app appliance \
         chunk extract extraction",
    ),
    ("main", "cli"),
];

/// Crates that only some modules may name, and why.
const CRATES: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "mail_parser",
            "pdfium_render",
            "scraper",
            "pulldown_cmark",
            "chardetng",
            "infer",
            "zip",
            "sevenz_rust2",
            "calamine",
            "undoc",
            "quick_xml",
            "cfb",
            "outlook_pst",
            "compressed_rtf",
        ],
        &["extract"],
        "untrusted bytes are parsed in the extraction child only",
    ),
    (
        &["rusqlite"],
        &["database", "system", "tenant"],
        "the databases belong to system and tenant, which open them through database",
    ),
    (
        &["tantivy", "snowball_stemmers_rs", "lancedb", "lance_io", "lance_core", "object_store"],
        &["tenant"],
        "the projections are private children of tenant",
    ),
    (&["age"], &["archive"], "one module seals and opens what leaves the appliance"),
    (
        &["landlock", "seccompiler"],
        &["extract"],
        "the child confines itself before it reads a byte of a document",
    ),
    (&["blahaj"], &["keys"], "the key that opens everything is split in keys"),
    (&["ort", "fastembed"], &["inference", "native"], "models run behind inference"),
    (
        &["axum", "utoipa_axum"],
        &["http", "appliance", "cli"],
        "HTTP stays at the edges: the server in http, its client in cli",
    ),
    (
        &["rustls", "tokio_rustls", "rcgen", "x509_parser"],
        &["tls"],
        "certificates and their keys belong to tls",
    ),
    (&["axum_server"], &["appliance"], "one module listens"),
    (
        &["hyper", "hyper_util"],
        &["cli"],
        "cli alone is a client, of the local socket: nothing else may open a connection",
    ),
];

const FORBIDDEN_NAMES: &[&str] =
    &["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "handler"];
const MAX_LINES: usize = 600;
const MAX_MEDIAN_LINES: usize = 200;

struct Source {
    /// Relative to the repository, with forward slashes.
    name: String,
    /// First-level module, or `lib` or `main`.
    module: String,
    /// Modules between the crate root and this file's own items.
    depth: usize,
    text: String,
    /// Without comments and without the inline test module.
    code: String,
}

impl Source {
    fn parse(name: &str, text: &str) -> Self {
        let parts: Vec<&str> = name.trim_start_matches("src/").split('/').collect();
        let last = parts[parts.len() - 1];
        let module = parts[0].trim_end_matches(".rs").to_owned();
        let depth = if last == "mod.rs" { parts.len() - 1 } else { parts.len() };
        let depth = if matches!(module.as_str(), "lib" | "main") { 0 } else { depth };
        let code = without_comments(without_inline_tests(text));
        Self { name: name.to_owned(), module, depth, text: text.to_owned(), code }
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("/tests.rs") || self.name.contains("/tests/")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join("src"), &mut found);
    found.sort();
    assert!(!found.is_empty(), "no source file under src/");
    found
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).expect("a path under the root");
            let name = name.to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"));
            Source::parse(&name, &text)
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The text up to an inline `#[cfg(test)] mod … {`, which by habit closes the file.
fn without_inline_tests(text: &str) -> &str {
    let mut from = 0;
    while let Some(at) = text[from..].find("#[cfg(test)]").map(|at| at + from) {
        let rest = text[at + "#[cfg(test)]".len()..].trim_start();
        let head = rest.split(['{', ';']).next().unwrap_or_default();
        if head.starts_with("mod ") && rest[head.len()..].starts_with('{') {
            return &text[..at];
        }
        from = at + 1;
    }
    text
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| {
            let code = line.trim_start();
            if code.starts_with("//") { "" } else { line.split(" // ").next().unwrap_or(line) }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every path that starts at the crate root, groups spread out: `crate::{a::B, c}` gives two.
fn crate_paths(source: &Source) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let code = &source.code;
    for (at, _) in code.match_indices("crate::") {
        if !continues_word(code, at) {
            read_tree(&mut code[at + "crate::".len()..].chars().peekable(), &[], &mut paths);
        }
    }
    for (at, _) in code.match_indices("super::") {
        if continues_word(code, at) || code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut climbed = 0;
        while let Some(next) = rest.strip_prefix("super::") {
            rest = next;
            climbed += 1;
        }
        if climbed >= source.depth {
            read_tree(&mut rest.chars().peekable(), &[], &mut paths);
        }
    }
    if source.module == "main" {
        for (at, _) in code.match_indices("cairn::") {
            if !continues_word(code, at) {
                read_tree(&mut code[at + "cairn::".len()..].chars().peekable(), &[], &mut paths);
            }
        }
    }
    paths
}

fn continues_word(code: &str, at: usize) -> bool {
    code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_space(chars: &mut Chars<'_>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

fn read_tree(chars: &mut Chars<'_>, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    skip_space(chars);
    if chars.next_if_eq(&'{').is_some() {
        loop {
            skip_space(chars);
            match chars.peek() {
                None => return,
                Some('}') => {
                    chars.next();
                    return;
                }
                Some(',') => {
                    chars.next();
                }
                Some(_) => {
                    read_tree(chars, prefix, paths);
                    while chars.next_if(|c| !matches!(c, ',' | '}')).is_some() {}
                }
            }
        }
    }
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_' || *c == '*') {
        name.push(c);
    }
    let mut path = prefix.to_vec();
    if !name.is_empty() {
        path.push(name);
        if chars.next_if_eq(&':').is_some() && chars.next_if_eq(&':').is_some() {
            read_tree(chars, &path, paths);
            return;
        }
    }
    paths.push(path);
}

fn why_not(module: &str) -> &'static str {
    match module {
        "http" => "handlers go through app",
        "worker" => "job kinds map to functions of app",
        "sources" => "sources hand files to app",
        "cli" => "commands go through app or the server's socket",
        "main" => "main calls cli and nothing else",
        _ => "a module imports only what the table of the house plan lists for it",
    }
}

/// What one file imports against the table, as sentences.
fn forbidden_imports(source: &Source) -> Vec<String> {
    let table: BTreeMap<&str, &str> = TABLE.iter().copied().collect();
    let Some(allowed) = table.get(source.module.as_str()) else {
        return vec![format!("{}: module {} is not in the table", source.name, source.module)];
    };
    let allowed: BTreeSet<&str> = allowed.split_whitespace().collect();
    let mut problems = BTreeSet::new();
    for path in crate_paths(source) {
        let Some(target) = path.first() else { continue };
        if *target == source.module {
            continue;
        }
        let full = path.iter().take(2).cloned().collect::<Vec<_>>().join("::");
        if !table.contains_key(target.as_str()) {
            problems.insert(format!("{}: crate::{full} is not a module of the table", source.name));
        } else if !allowed.contains(target.as_str()) && !allowed.contains(full.as_str()) {
            problems.insert(format!(
                "{}: {} may not import {full}: {}",
                source.name,
                source.module,
                why_not(&source.module)
            ));
        }
    }
    problems.into_iter().collect()
}

fn names_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    let mut uses = code.match_indices(&path).filter(|(at, _)| {
        let before = &code[..*at];
        let in_path = before.ends_with("::") && !before.ends_with(" ::");
        !continues_word(code, *at) && !in_path
    });
    uses.next().is_some() || code.contains(&format!("use {name};"))
}

fn report(rule: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{rule}:\n  {}", problems.join("\n  "));
}

#[test]
fn modules_import_only_from_the_layers_below_them() {
    let problems: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_test() && source.module != "lib")
        .flat_map(forbidden_imports)
        .collect();
    report("imports against the table", &problems);
}

#[test]
fn the_import_table_has_no_way_upward() {
    for (row, (module, allowed)) in TABLE.iter().enumerate() {
        for name in allowed.split_whitespace() {
            let target = name.split("::").next().unwrap_or(name);
            let below = TABLE[..row].iter().any(|(lower, _)| *lower == target);
            assert!(below, "{module} lists {name}, which is not in a row before it");
        }
    }
}

#[test]
fn crates_are_named_only_by_the_modules_that_own_them() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (crates, owners, why) in CRATES {
            for name in *crates {
                if !owners.contains(&source.module.as_str()) && names_crate(&source.code, name) {
                    problems.push(format!("{}: may not name {name}: {why}", source.name));
                }
            }
        }
    }
    report("crates outside their module", &problems);
}

#[test]
fn one_module_opens_connections_to_other_machines() {
    let opens = ["TcpStream::connect", "TcpSocket::new", "lookup_host"];
    let mut found: Vec<String> = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        if opens.iter().any(|call| source.code.contains(call)) {
            found.push(source.name.clone());
        }
    }
    assert_eq!(found, ["src/sources/imap/connection.rs"]);
}

#[test]
fn every_source_file_opens_with_a_header() {
    let mut problems = Vec::new();
    for source in sources() {
        let header: String =
            source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        if header.len() < "//! What this is.".len() {
            problems.push(format!("{}: the file does not open with a `//!` header", source.name));
        } else if !source.is_test() && source.depth > 0 && !header.contains("Called by:") {
            problems.push(format!("{}: the header does not say who calls it", source.name));
        }
    }
    report("headers", &problems);
}

#[test]
fn no_source_file_outgrows_its_room() {
    let mut lengths = Vec::new();
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = without_inline_tests(&source.text).lines().count();
        lengths.push(lines);
        if lines > MAX_LINES {
            problems.push(format!("{}: {lines} lines, at most {MAX_LINES}", source.name));
        }
    }
    report("files too long", &problems);
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= MAX_MEDIAN_LINES, "the median file has {median} lines, not 200 or fewer");
}

#[test]
fn modules_are_named_for_what_they_hold() {
    let mut problems = Vec::new();
    for source in sources() {
        for part in source.name.trim_end_matches(".rs").split('/') {
            if FORBIDDEN_NAMES.contains(&part) {
                problems.push(format!("{}: `{part}` says nothing about its content", source.name));
            }
        }
    }
    report("names", &problems);
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let mut problems = Vec::new();
    for source in sources() {
        if source.code.contains("#[allow(") || source.code.contains("#![allow(") {
            problems.push(format!("{}: use #[expect(.., reason = \"..\")]", source.name));
        }
    }
    report("silenced lints", &problems);
}

#[test]
fn a_forbidden_import_is_named_with_file_rule_and_reason() {
    let text = "//! x\nuse crate::{app::ingest, types::{TenantId, DocumentId}};\n\
                use crate::tenant::{TenantHandle, catalog::Catalog};\n\
                // use crate::disk;\n\
                fn f() { super::super::disk::free(); super::here(); }\n\
                #[cfg(test)]\nmod tests { use crate::system::System; }\n";
    let found = forbidden_imports(&Source::parse("src/http/documents.rs", text));
    assert_eq!(
        found,
        [
            "src/http/documents.rs: http may not import disk::free: handlers go through app",
            "src/http/documents.rs: http may not import tenant::catalog: handlers go through app",
        ]
    );
}

#[test]
fn a_crate_is_found_by_path_and_not_by_a_likeness() {
    assert!(names_crate("use ort::session::Session;", "ort"));
    assert!(names_crate("fn f(x: ::ort::Session) {}", "ort"));
    assert!(!names_crate("use crate::report::sort::by_ort;", "ort"));
    assert!(!names_crate("use crate::ort::x;", "ort"));
}
