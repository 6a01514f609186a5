//! Tests of office documents through `extract`: locked files, attacks, small documents.

use std::fs;
use std::path::Path;

use crate::extract::testing::{Found, extract_from, limits, package_of, run};
use crate::extract::{ExtractRequest, extract};
use crate::types::{BlockKind, ExtractFailure, ExtractFailureCode};

fn fixture(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let paths = ["formats/poi", "robust/poi"].map(|folder| root.join(folder).join(name));
    let path = paths.iter().find(|path| path.is_file()).unwrap_or_else(|| panic!("no {name}"));
    fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn with_passwords(name: &str, passwords: &[&str]) -> Result<Found, ExtractFailure> {
    let passwords: Vec<String> = passwords.iter().map(|p| (*p).to_owned()).collect();
    let request = ExtractRequest {
        name: name.to_owned(),
        media_type: None,
        format: None,
        passwords: passwords.into(),
        limits: limits(),
    };
    let mut found = Found::default();
    found.document = extract(&request, &mut fixture(name).as_slice(), &mut found)?;
    Ok(found)
}

fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let parts: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    package_of(&parts)
}

#[test]
fn the_right_password_opens_a_locked_document() {
    for (name, password) in [
        ("protected_passtika.xlsx", "tika"),
        ("protected_passtika.xlsb", "tika"),
        ("bug53475-password-is-pass.docx", "pass"),
        ("bug53475-password-is-solrcell.docx", "solrcell"),
        ("password.xls", "password"),
        ("xor-encryption-abc.xls", "abc"),
        ("password_tika_binaryrc4.doc", "tika"),
        ("password_password_cryptoapi.doc", "password"),
        ("ppt_with_png_encrypted.ppt", "password"),
        ("60320-protected.xlsx", "Test001!!"),
    ] {
        let found = with_passwords(name, &["wrong", password]);
        let found = found.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert!(!found.texts().concat().trim().is_empty(), "{name}");
        let failure = with_passwords(name, &["wrong"]).expect_err(name);
        assert_eq!(failure.code, ExtractFailureCode::PasswordRequired, "{name}");
    }
}

#[test]
fn an_opened_document_is_named_by_what_it_is() {
    for (name, passwords, ending) in [
        ("protected_agile.docx", &[][..], "wordprocessingml.document"),
        ("protected_passtika.xlsx", &["tika"], "spreadsheetml.sheet"),
        ("protected_passtika.xlsb", &["tika"], "sheet.binary.macroenabled.12"),
        ("password.xls", &["password"], "vnd.ms-excel"),
    ] {
        let found = with_passwords(name, passwords).unwrap_or_else(|f| panic!("{name}: {f}"));
        let media_type = found.document.media_type;
        assert!(media_type.ends_with(ending), "{name}: {media_type}");
    }
}

#[test]
fn older_locks_ask_for_a_password() {
    for name in [
        "password.xls",
        "xor-encryption-abc.xls",
        "password_tika_binaryrc4.doc",
        "password_password_cryptoapi.doc",
        "ppt_with_png_encrypted.ppt",
    ] {
        let failure = with_passwords(name, &[]).expect_err(name);
        assert_eq!(failure.code, ExtractFailureCode::PasswordRequired, "{name}: {failure}");
    }
}

#[test]
fn entities_in_a_workbook_are_not_expanded() {
    for name in ["poc-xmlbomb.xlsx", "xxe_in_schema.xlsx"] {
        match with_passwords(name, &[]) {
            Ok(found) => assert!(found.texts().concat().len() < 10_000, "{name}"),
            Err(failure) => assert_eq!(failure.code, ExtractFailureCode::Malformed, "{name}"),
        }
    }
}

#[test]
fn a_word_document_keeps_headings_lists_tables_and_changes() {
    let document = "<w:document xmlns:w='w'><w:body>\
        <w:p><w:pPr><w:pStyle w:val='H1'/></w:pPr><w:r><w:t>Top</w:t></w:r></w:p>\
        <w:p><w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>new</w:t></w:r></w:ins>\
        <w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>\
        <w:p><w:pPr><w:numPr><w:ilvl w:val='1'/><w:numId w:val='3'/></w:numPr></w:pPr>\
        <w:r><w:t>item</w:t></w:r></w:p>\
        <w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val='2'/></w:tcPr><w:p><w:r><w:t>wide</w:t></w:r></w:p></w:tc></w:tr>\
        <w:tr><w:tc><w:tcPr><w:vMerge w:val='restart'/></w:tcPr><w:p><w:r><w:t>tall</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr>\
        <w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr><w:p/></w:tc><w:tc><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
        </w:body></w:document>";
    let styles = "<w:styles xmlns:w='w'><w:style w:styleId='H1'><w:name w:val='heading 1'/></w:style></w:styles>";
    let rels =
        "<Relationships><Relationship Id='1' Type='x/styles' Target='styles.xml'/></Relationships>";
    let bytes = package(&[
        ("word/document.xml", document),
        ("word/styles.xml", styles),
        ("word/_rels/document.xml.rels", rels),
    ]);
    let found = run("a.docx", &bytes);
    assert_eq!(found.texts(), ["Top", "kept new", "item", "wide | wide\ntall | b\ntall | c"]);
    assert_eq!(found.blocks[0].kind, BlockKind::Heading { level: 1 });
    assert_eq!(found.blocks[2].kind, BlockKind::ListItem { depth: 1, ordered: false });
    assert_eq!(found.document.title.as_deref(), Some("Top"));
}

/// A workbook of one sheet with the given rows and number formats.
fn workbook(formats: &[&str], rows: &str) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relationships = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let custom = (164..).zip(formats);
    let custom: String =
        custom.map(|(id, code)| format!("<numFmt numFmtId='{id}' formatCode='{code}'/>")).collect();
    let styles = (164..164 + formats.len()).map(|id| format!("<xf numFmtId='{id}'/>"));
    let styles: String = styles.collect();
    package(&[
        (
            "_rels/.rels",
            &format!(
                "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>\
                 <Relationship Id='r1' Type='{relationships}/officeDocument' Target='xl/workbook.xml'/>\
                 </Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            &format!(
                "<workbook xmlns='{main}' xmlns:r='{relationships}'><sheets>\
                 <sheet name='Numbers' sheetId='1' r:id='r1'/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            &format!(
                "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>\
                 <Relationship Id='r1' Type='{relationships}/worksheet' Target='worksheets/sheet1.xml'/>\
                 <Relationship Id='r2' Type='{relationships}/styles' Target='styles.xml'/>\
                 </Relationships>"
            ),
        ),
        (
            "xl/styles.xml",
            &format!(
                "<styleSheet xmlns='{main}'><numFmts>{custom}</numFmts>\
                 <cellXfs><xf numFmtId='0'/>{styles}</cellXfs></styleSheet>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            &format!("<worksheet xmlns='{main}'><sheetData>{rows}</sheetData></worksheet>"),
        ),
    ])
}

#[test]
fn numbers_of_a_workbook_are_shown_as_a_person_sees_them() {
    let bytes = workbook(
        &["#,##0.00 &quot;€&quot;", "0.0%", "yyyy-mm-dd"],
        "<row r='1'><c r='A1' s='1'><v>1234567.5</v></c><c r='B1' s='2'><v>0.253</v></c>\
         <c r='C1' s='3'><v>45382</v></c><c r='D1'><f>A1*2</f><v></v></c><c r='E1' s='1'/></row>\
         <row r='2'><c r='A2'><v>7</v></c><c r='D2'><f>A2*2</f></c>\
         <c r='E2'><f>A2</f><v>7</v></c></row>",
    );
    let found = run("a.xlsx", &bytes);
    assert_eq!(found.texts(), ["Numbers", "1234567.5 € | 25.3% | 2024-03-31 | \n7 |  |  | 7"]);
    assert_eq!(found.document.warnings.len(), 1);
    assert!(found.document.warnings[0].starts_with("2 formulas"), "{:?}", found.document.warnings);
}

/// The cells that the blocks of a document show, by the start of their text.
fn places(found: &Found) -> Vec<(&str, String)> {
    let shown = found.blocks.iter().map(|block| {
        let cells = block.cells.as_ref().map(ToString::to_string).unwrap_or_default();
        (&block.text[..block.text.len().min(5)], cells)
    });
    shown.collect()
}

#[test]
fn tables_of_a_workbook_say_which_cells_they_are() {
    let long: String = (1..=60)
        .map(|n| {
            let row = n + 8;
            let cell = |column| format!("<c r='{column}{row}' t='str'><v>{column} {n}</v></c>");
            format!("<row r='{row}'>{}{}</row>", cell('C'), cell('E'))
        })
        .collect();
    let short = "<row r='2'><c r='B2'><v>1</v></c></row><row r='3'><c r='AA3'><v>2</v></c></row>";
    let found = run("a.xlsx", &workbook(&[], &format!("{short}{long}")));
    assert_eq!(
        places(&found),
        [
            ("Numbe", String::new()),
            ("1 | \n", "Numbers B2:AA3".to_owned()),
            ("C 1 |", "Numbers C9:E59".to_owned()),
            ("C 1 |", "Numbers C60:E68".to_owned()),
        ]
    );
    let commented = run("a.xlsx", &fixture("../docling/xlsx_comments.xlsx"));
    let (_, comment) = places(&commented)
        .into_iter()
        .zip(&commented.blocks)
        .find(|(_, block)| block.text.starts_with("Comment on "))
        .map(|((_, cells), block)| (block, cells))
        .expect("a comment");
    assert!(comment.contains(' '), "{comment}");
    for name in ["../docling/legacy_sample.xls", "../docling/odf_table_with_title_01.ods"] {
        let found = run(name, &fixture(name));
        let tables = found.blocks.iter().filter(|b| matches!(b.kind, BlockKind::Table { .. }));
        assert!(
            tables.count() > 0
                && places(&found).iter().all(|(text, cells)| {
                    !text.contains('|') || cells.ends_with(|last: char| last.is_ascii_digit())
                })
        );
    }
}

#[test]
fn an_old_workbook_says_its_title_and_its_date() {
    let found = run("a.xls", &fixture("../docling/legacy_sample.xls"));
    assert_eq!(found.document.title.as_deref(), Some("Wild Duck Observations"));
    assert!(found.document.content_date.is_some());
}

/// The start of a PNG file, which says how large it is.
fn picture(width: u32, height: u32, note: &str) -> Vec<u8> {
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[8, 2, 0, 0, 0],
        note.as_bytes(),
    ]
    .concat()
}

#[test]
fn pictures_with_room_for_text_are_passed_on_once_however_few_bytes_they_have() {
    let document = "<document><body><p><r><t>Words</t></r></p></body></document>";
    let (line, icon) = (picture(400, 60, "a line"), picture(64, 64, "an icon"));
    let (rule, page) = (picture(2000, 4, "a rule"), picture(1240, 1754, "a page"));
    let bytes = package_of(&[
        ("word/document.xml", document.as_bytes()),
        ("word/media/image1.png", &line),
        ("word/media/image2.png", &icon),
        ("word/media/image3.png", &rule),
        ("word/media/image4.png", &page),
        ("word/media/image5.png", &line),
    ]);
    let found = run("a.docx", &bytes);
    let names: Vec<&str> = found.children.iter().map(|(header, _)| header.name.as_str()).collect();
    assert_eq!(names, ["embedded-1/image1.png", "embedded-2/image4.png"]);
    assert_eq!(found.document.metadata["pictures"], "5", "those left inside are counted");
}

#[test]
fn a_package_that_swells_is_refused_and_a_cut_one_is_damaged() {
    let bytes = package(&[("word/document.xml", &" ".repeat(80 << 20))]);
    let failure = extract_from("a.docx", None, limits(), &mut bytes.as_slice()).expect_err("large");
    assert_eq!(failure.code, ExtractFailureCode::TooLarge);
    let cut = &bytes[..bytes.len() / 2];
    let failure = extract_from("a.docx", None, limits(), &mut &cut[..]).expect_err("cut");
    assert_eq!(failure.code, ExtractFailureCode::Malformed);
}
