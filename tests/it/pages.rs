//! Pages of PDF files as pictures: who gets them, what they are, what is on record of it.
//!
//! Called by: cargo test. Talks to: a server over its TCP port, the command line.
//! Invariants: the server itself never draws; what is shown is kept nowhere.

use serde_json::{Value, json};

use crate::harness::process::children_of;
use crate::harness::{Home, Response, Server, find, fixture, wait_for};

const PDF: &str = "pdf/pypdf/pdflatex-outline.pdf";

/// Adds a fixture; the id of its document.
fn add(home: &Home, path: &str) -> String {
    let report = home.json(&["add", "demo", fixture(path).to_str().unwrap()]);
    report["items"][0]["document_id"].as_str().unwrap().to_owned()
}

fn page(server: &Server<'_>, key: &str, document: &str, page: &str) -> Response {
    let path = format!("/api/v1/tenants/demo/documents/{document}/pages/{page}");
    server.with_key(key, "GET", &path, b"")
}

/// Width and height of a PNG file.
fn size(picture: &[u8]) -> (u32, u32) {
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{:?}", &picture[..picture.len().min(99)]);
    let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    (side(16), side(20))
}

#[test]
fn a_page_is_a_picture_and_its_reading_is_on_record() {
    let home = Home::new();
    let document = add(&home, PDF);
    let text = home.add_text("note.txt", "No page at all.");
    let text = text["items"][0]["document_id"].as_str().unwrap().to_owned();
    let server = home.serve();
    let key = server.key("demo");

    let first = page(&server, &key, &document, "1?width=640");
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(size(&first.body).0, 640);
    assert_eq!(first.header("content-type").unwrap(), "image/png");
    assert_eq!(first.header("cache-control").unwrap(), "private, no-store");
    assert_eq!(first.header("x-content-type-options").unwrap(), "nosniff");
    let wide = page(&server, &key, &document, "2?width=99999");
    assert_eq!(size(&wide.body).0, 1600);
    assert_ne!(first.body, wide.body);
    assert!(!children_of(server.pid()).is_empty(), "nobody but the server can have drawn it");

    for (which, status) in [("0", 404), ("99", 404), ("one", 404), ("-1", 404), ("1?width=x", 400)]
    {
        let refused = page(&server, &key, &document, which);
        assert_eq!(refused.status, status, "page {which}: {}", refused.text());
    }
    let refused = page(&server, &key, &text, "1");
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("only pages of PDF files"), "{}", refused.text());

    let entries = home.json(&["audit", "list", "demo", "--action", "document.read"]);
    let id = first.header("x-request-id").unwrap();
    let entry = find(&entries["entries"], "request_id", &id);
    assert_eq!(entry["resource"], json!({ "kind": "document", "id": document }), "{entry:#}");
    assert_eq!(entry["detail"]["part"], "page", "{entry:#}");
    assert_eq!(entry["detail"]["page"], 1, "{entry:#}");
    let id = refused.header("x-request-id").unwrap();
    assert_eq!(find(&entries["entries"], "request_id", &id)["result"], "refused");
}

#[test]
fn a_page_is_for_those_who_see_its_collection() {
    let home = Home::new();
    home.member("owner", "owner");
    home.user("limited", &[]);
    let file = fixture(PDF);
    let file = file.to_str().unwrap();
    let report = home.json(&["add", "demo", file, "--collection", "hidden"]);
    let hidden = report["items"][0]["document_id"].as_str().unwrap().to_owned();
    home.add_text("seen.txt", "What everybody sees.");
    let server = home.serve();
    let owner = server.sign_in("owner");
    let collections = owner.get("/api/v1/tenants/demo/collections").json();
    let open = find(&collections["collections"], "name", "documents")["id"].clone();
    let settings = json!({ "role": "reader", "collections": [open] });
    assert_eq!(owner.put("/api/v1/tenants/demo/members/limited", &settings).status, 200);
    let limited = server.sign_in("limited");
    let absent = "01890a5d-ac96-774b-bcce-b302099a8057";
    let ask = |id: &str| {
        let answer = limited.get(&format!("/api/v1/tenants/demo/documents/{id}/pages/1"));
        let mut problem = answer.json();
        problem["request_id"] = Value::Null;
        (answer.status, problem)
    };
    assert_eq!(ask(&hidden), ask(absent));
    assert_eq!(ask(&hidden).0, 404);
    let key = server.key("demo");
    assert_eq!(page(&server, &key, &hidden, "1").status, 200);
}

#[test]
fn a_locked_file_shows_its_pages_once_its_password_is_known() {
    let home = Home::new();
    let document = add(&home, "pdf/pypdf/libreoffice-writer-password.pdf");
    let server = home.serve();
    let key = server.key("demo");
    let refused = page(&server, &key, &document, "1");
    assert!(matches!(refused.status, 400 | 409), "{}", refused.text());
    let path = format!("/api/v1/tenants/demo/documents/{document}/password");
    let body = json!({ "password": "openpassword" }).to_string();
    assert_eq!(server.with_key(&key, "POST", &path, body.as_bytes()).status, 202);
    let shown = wait_for("the file to be opened", || {
        let shown = page(&server, &key, &document, "1");
        (shown.status == 200).then_some(shown)
    });
    assert_eq!(size(&shown.body).0, 1200);
}

#[test]
fn an_invoice_in_a_pdf_is_a_document_of_its_own_and_bookmarks_are_the_outline() {
    let home = Home::new();
    let report = home.json(&[
        "add",
        "demo",
        fixture("pdf/pypdf/attachment.pdf").to_str().unwrap(),
        fixture(PDF).to_str().unwrap(),
    ]);
    let items = report["items"].as_array().unwrap();
    let inside = items.iter().find(|item| {
        item["source"].as_str().is_some_and(|source| source.contains("attachment-1/"))
    });
    assert!(inside.is_some(), "{report:#}");
    let server = home.serve();
    let key = server.key("demo");
    let outlined = home.item("pdflatex-outline.pdf")["document_id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/tenants/demo/documents/{outlined}");
    let detail = server.with_key(&key, "GET", &path, b"").json();
    assert!(detail["outline"].as_array().unwrap().len() >= 3, "{detail:#}");
}
