//! Tests of the HTML reader through `extract`.

use crate::extract::testing::run;
use crate::types::BlockKind;

#[test]
fn a_page_becomes_headings_paragraphs_lists_and_code() {
    let found = run(
        "a.html",
        b"<!doctype html><html lang=en><head><title> The\n page </title>\
          <meta name=author content='Ann B'><meta property='article:published_time' content='2024-03-01'>\
          <style>p{}</style></head><body><nav>Home | About</nav><h1>One</h1>\
          <p>Some <b>bold</b>\n words,<br>two lines.</p><ul><li>first<ol><li>inner</li></ol></li></ul>\
          <blockquote><p>said</p></blockquote><pre>a\n  b</pre><script>x()</script>\
          <p hidden>no</p><div style='display: none'>no</div>tail&nbsp;end</body></html>",
    );
    assert_eq!(found.document.title.as_deref(), Some("The page"));
    assert_eq!(found.document.authors, ["Ann B"]);
    assert_eq!(found.document.metadata["lang"], "en");
    assert!(found.document.content_date.is_some());
    assert_eq!(
        found.texts(),
        [
            "One",
            "Some bold words,\ntwo lines.",
            "first",
            "inner",
            "said",
            "a\n  b",
            "tail\u{a0}end"
        ]
    );
    let kinds: Vec<&BlockKind> = found.blocks.iter().map(|block| &block.kind).collect();
    assert_eq!(*kinds[0], BlockKind::Heading { level: 1 });
    assert_eq!(*kinds[2], BlockKind::ListItem { depth: 0, ordered: false });
    assert_eq!(*kinds[3], BlockKind::ListItem { depth: 1, ordered: true });
    assert_eq!(*kinds[4], BlockKind::Quote);
    assert_eq!(*kinds[5], BlockKind::Code);
}

#[test]
fn data_tables_keep_their_cells_and_layout_tables_become_paragraphs() {
    let found = run(
        "a.html",
        b"<table><tr><td><h2>Inside</h2><p>a layout</p></td><td>right side</td></tr><tr><td>\
          <table><tr><th>Name</th><th>Age</th></tr><tr><td>Ann</td><td><p>4</p>2</td></tr></table>\
          </td></tr></table>",
    );
    assert_eq!(found.texts(), ["Inside", "a layout", "right side", "Name | Age\nAnn | 4 2"]);
    let BlockKind::Table { rows, header, .. } = &found.blocks[3].kind else {
        panic!("the inner table holds data");
    };
    assert!(*header);
    assert_eq!(rows[1], ["Ann", "4\n2"]);
}

#[test]
fn a_page_that_is_xml_may_close_its_elements_at_once() {
    let page = "<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title/>\
                <script src=\"a.js\"/></head><body><h1>One</h1><p>words</p></body></html>";
    for (name, page) in [
        ("a.html", format!("<?xml version='1.0'?>\n{page}")),
        ("a.html", page.to_owned()),
        ("a.xhtml", page.replace(" xmlns=\"http://www.w3.org/1999/xhtml\"", "")),
    ] {
        let found = run(name, page.as_bytes());
        assert_eq!(found.texts(), ["One", "words"], "{page}");
        assert_eq!(found.document.title.as_deref(), Some("One"));
    }
}

#[test]
fn a_table_that_names_its_columns_keeps_lists_headings_and_tables_in_its_cells() {
    let found = run(
        "a.html",
        b"<table><tr><th>Vendor</th><th>Contacts</th><th>Fee</th></tr>\
          <tr><td>Acme</td><td>At work: <ul><li>Ann</li>\n<li><p>Bob</p></li></ul></td><td>12</td></tr>\
          <tr><td><h4>Globex</h4></td><td><table><tr><td>Cid</td> <td>Rome</td></tr>\
          <tr><td>Dee</td><td>Oslo</td></tr></table>both</td><td>34</td></tr></table><p>after</p>",
    );
    assert_eq!(
        found.texts(),
        [
            "Vendor | Contacts | Fee\nAcme | At work: Ann; Bob | 12\n\
             Globex | Cid, Rome; Dee, Oslo both | 34",
            "after"
        ]
    );
    assert_eq!(found.blocks[1].kind, BlockKind::Paragraph);
}

#[test]
fn header_cells_that_lay_out_a_mail_make_no_table() {
    let found = run(
        "a.html",
        b"<table><tr><th><table><tr><th>Hello</th></tr></table></th><th>x</th></tr>\
          <tr><th><ul><li>one</li></ul></th><th>y</th></tr></table>",
    );
    assert_eq!(found.texts(), ["Hello", "x", "one", "y"]);
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = format!("<html>{}words", "<div><b>".repeat(5_000));
    let found = run("a.html", deep.as_bytes());
    assert_eq!(found.texts().concat(), "words");
    let lists = format!("<html>{}item", "<ul><li>".repeat(1_000));
    let found = run("a.html", lists.as_bytes());
    assert_eq!(found.blocks[0].kind, BlockKind::ListItem { depth: 255, ordered: false });
}

#[test]
fn broken_markup_yields_its_text() {
    let found = run("a.html", b"<html><p>one<p>two</b></table><div>three <a href=\"x");
    assert_eq!(found.texts(), ["one", "two", "three"]);
}

#[test]
fn the_declared_encoding_is_used() {
    let found = run(
        "a.html",
        b"<html><meta http-equiv=Content-Type content='text/html; charset=windows-1251'>\xcf\xf0\xe8",
    );
    assert_eq!(found.texts(), ["При"]);
    assert_eq!(found.document.metadata["charset"], "windows-1251");
}
