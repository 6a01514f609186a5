//! Tests of the reader of PDF files, on small files written here and on those of the test data.
//!
//! Called by: cargo test. Talks to: `extract` through its public surface.
//! Invariants: the files are without a table of objects, which the library then makes itself.

use crate::extract::testing::{Found, limits, run};
use crate::extract::{ExtractLimits, ExtractRequest, extract};
use crate::types::BlockKind;

const PAGE: &str = "/Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<<\
     /F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\
     /F2<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>>>>>";

/// A file of these objects, the first being the catalogue.
fn pdf(objects: &[String]) -> Vec<u8> {
    let mut file = "%PDF-1.7\n".to_owned();
    for (number, object) in (1..).zip(objects) {
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    file.push_str("trailer<</Root 1 0 R>>\n%%EOF\n");
    file.into_bytes()
}

fn stream(entries: &str, content: &str) -> String {
    format!("<<{entries}/Length {}>>\nstream\n{content}\nendstream", content.len())
}

/// Lines of a page: font, size, distance from the lower edge, words.
fn lines(lines: &[(&str, u32, u32, &str)]) -> String {
    let line = |(font, size, y, words): &(&str, u32, u32, &str)| {
        format!("BT /{font} {size} Tf 72 {y} Td ({words}) Tj ET\n")
    };
    stream("", &lines.iter().map(line).collect::<String>())
}

/// The blocks as text, headings with as many marks as their level.
fn shown(found: &Found) -> Vec<String> {
    let block = |block: &crate::types::Block| match &block.kind {
        BlockKind::Heading { level } => format!("{} {}", "#".repeat((*level).into()), block.text),
        _ => block.text.clone(),
    };
    found.blocks.iter().map(block).collect()
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pdf/pypdf/");
    std::fs::read(folder.to_owned() + name).expect("a fixture")
}

/// One page of text with two files inside: one of the document, one pinned to the page.
fn with_files() -> Vec<u8> {
    pdf(&[
        "<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(factur-x.xml) 5 0 R]>>>>>>"
            .into(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".into(),
        format!("<<{PAGE}/Contents 4 0 R/Annots[7 0 R]>>"),
        lines(&[("F1", 10, 700, "The invoice is attached.")]),
        "<</Type/Filespec/F(factur-x.xml)/UF(factur-x.xml)/EF<</F 6 0 R>>>>".into(),
        stream("/Type/EmbeddedFile", "<?xml version=\"1.0\"?><Invoice>42</Invoice>"),
        "<</Type/Annot/Subtype/FileAttachment/Rect[9 9 20 20]/T(Ann)/Contents(The offer)/FS 8 0 R>>"
            .into(),
        "<</Type/Filespec/F(../offers/offer.txt)/EF<</F 9 0 R>>>>".into(),
        stream("/Type/EmbeddedFile", "An offer."),
    ])
}

#[test]
fn files_inside_are_children_wherever_they_hang() {
    let found = run("invoice.pdf", &with_files());
    let children: Vec<(&str, &[u8])> = found
        .children
        .iter()
        .map(|(header, body)| (header.name.as_str(), body.as_slice()))
        .collect();
    assert_eq!(
        children,
        [
            ("attachment-1/factur-x.xml", &b"<?xml version=\"1.0\"?><Invoice>42</Invoice>"[..]),
            ("attachment-2/offer.txt", &b"An offer."[..]),
        ]
    );
    assert!(!found.document.container);
    assert_eq!(found.texts(), ["The invoice is attached.", "Comment by Ann: The offer"]);
    let found = run("attachment.pdf", &fixture("attachment.pdf"));
    assert_eq!(found.children.len(), 1);
    assert!(!found.children[0].1.is_empty());
}

#[test]
fn files_inside_keep_to_the_limits_of_files_and_come_out_where_the_text_is_cut() {
    let read = |limits| {
        let request = ExtractRequest {
            name: "invoice.pdf".to_owned(),
            media_type: None,
            format: None,
            passwords: Default::default(),
            limits,
        };
        let mut found = Found::default();
        found.document =
            extract(&request, &mut &with_files()[..], &mut found).expect("the file is readable");
        found
    };
    let found = read(ExtractLimits { max_children: 1, ..limits() });
    assert_eq!(found.children.len(), 1);
    assert!(found.document.warnings.iter().any(|warning| warning.contains("first 1 files")));
    let found = read(ExtractLimits { max_child_bytes: 5, ..limits() });
    assert_eq!(found.children[0].1, b"<?xml");
    let found = read(ExtractLimits { max_text_bytes: 3, ..limits() });
    assert_eq!(found.texts(), ["The"]);
    assert_eq!(found.children.len(), 2);
    assert!(found.document.truncated_at.is_some());
}

#[test]
fn bookmarks_are_headings_where_they_point_to() {
    let page = |contents| format!("<<{PAGE}/Contents {contents} 0 R>>");
    let found = run(
        "report.pdf",
        &pdf(&[
            "<</Type/Catalog/Pages 2 0 R/Outlines 7 0 R>>".into(),
            "<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>".into(),
            page(5),
            page(6),
            lines(&[
                ("F1", 10, 700, "1 Sales of the year"),
                ("F1", 10, 680, "They were good."),
                ("F1", 10, 400, "North"),
                ("F1", 10, 380, "The north bought most."),
            ]),
            lines(&[("F1", 10, 700, "We expect more.")]),
            "<</Type/Outlines/First 8 0 R/Last 10 0 R>>".into(),
            "<</Title(Sales of the year)/Dest[3 0 R/XYZ 0 715 0]/First 9 0 R/Last 9 0 R/Next 10 0 R>>"
                .into(),
            "<</Title(North)/Parent 8 0 R/Dest[3 0 R/XYZ 0 412 0]>>".into(),
            "<</Title(Outlook chapter)/A<</S/GoTo/D[4 0 R/Fit]>>>>".into(),
        ]),
    );
    assert_eq!(
        shown(&found),
        [
            "# 1 Sales of the year",
            "They were good.",
            "## North",
            "The north bought most.",
            "# Outlook chapter",
            "We expect more.",
        ]
    );
    assert_eq!(found.blocks[4].page, Some(2));
    let found = run("outline.pdf", &fixture("pdflatex-outline.pdf"));
    let headings = shown(&found).iter().filter(|text| text.starts_with('#')).count();
    assert!(headings >= 3, "{:?}", shown(&found));
}

#[test]
fn bookmarks_in_a_ring_end() {
    let found = run(
        "ring.pdf",
        &pdf(&[
            "<</Type/Catalog/Pages 2 0 R/Outlines 5 0 R>>".into(),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".into(),
            format!("<<{PAGE}/Contents 4 0 R>>"),
            lines(&[("F1", 10, 700, "Some text.")]),
            "<</Type/Outlines/First 6 0 R/Last 7 0 R>>".into(),
            "<</Title(One)/Dest[3 0 R/Fit]/Next 7 0 R/First 6 0 R>>".into(),
            "<</Title(Two)/Dest[3 0 R/Fit]/Next 6 0 R>>".into(),
        ]),
    );
    assert_eq!(shown(&found), ["# One", "# Two", "Some text."]);
}

#[test]
fn large_letters_over_text_are_headings_without_bookmarks() {
    let found = run(
        "plain.pdf",
        &pdf(&[
            "<</Type/Catalog/Pages 2 0 R>>".into(),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".into(),
            format!("<<{PAGE}/Contents 4 0 R>>"),
            lines(&[
                ("F2", 18, 740, "Annual report"),
                ("F2", 14, 700, "Sales by region"),
                ("F1", 10, 680, "The table shows the sales of all regions in the year."),
                ("F2", 10, 660, "All numbers are final and audited by others"),
                ("F1", 10, 640, "and no number was changed after that date."),
                ("F2", 14, 600, "Outlook"),
                ("F1", 10, 580, "We expect growth of the ocelot segment."),
            ]),
        ]),
    );
    let headings: Vec<String> =
        shown(&found).into_iter().filter(|text| text.starts_with('#')).collect();
    assert_eq!(headings, ["# Annual report", "## Sales by region", "## Outlook"]);
    assert_eq!(found.blocks.iter().filter(|block| block.text.contains("Outlook")).count(), 1);
}

#[test]
fn comments_and_fields_of_forms_are_told() {
    let found = run(
        "form.pdf",
        &pdf(&[
            "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 6 0 R 7 0 R 8 0 R]>>>>".into(),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".into(),
            format!(
                "<<{PAGE}/Contents 4 0 R/Annots[5 0 R 6 0 R 7 0 R 8 0 R 9 0 R 10 0 R 11 0 R]>>"
            ),
            lines(&[("F1", 12, 700, "Application form")]),
            "<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(Zaphod Beeblebrox)/Rect[9 9 90 20]>>"
                .into(),
            "<</Type/Annot/Subtype/Widget/FT/Tx/T(empty)/Rect[9 30 90 40]>>".into(),
            "<</Type/Annot/Subtype/Widget/FT/Btn/T(adult)/V/On/AS/On/Rect[9 50 20 60]>>".into(),
            "<</Type/Annot/Subtype/Widget/FT/Tx/Ff 8192/T(pin)/V(1234)/Rect[9 70 90 80]>>".into(),
            "<</Type/Annot/Subtype/Text/T(Eva)/Contents(Check the tamarind figure)/Rect[1 1 2 2]>>"
                .into(),
            "<</Type/Annot/Subtype/Highlight/Contents(Whose number?)/Rect[1 1 2 2]\
             /QuadPoints[1 2 2 2 1 1 2 1]>>"
                .into(),
            "<</Type/Annot/Subtype/Popup/Contents(Whose number?)/Rect[1 1 2 2]>>".into(),
        ]),
    );
    assert_eq!(
        shown(&found),
        [
            "Application form",
            "name: Zaphod Beeblebrox",
            "adult: ☒",
            "Comment by Eva: Check the tamarind figure",
            "Comment: Whose number?",
        ]
    );
    assert!(found.blocks.iter().all(|block| block.page == Some(1)));
}

#[test]
fn authors_that_programs_fill_in_are_no_people() {
    let file = |author: &str| {
        let mut file = pdf(&[
            "<</Type/Catalog/Pages 2 0 R>>".into(),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".into(),
            format!("<<{PAGE}>>"),
            format!("<</Author({author})>>"),
        ]);
        let text = String::from_utf8(std::mem::take(&mut file)).expect("text");
        text.replace("<</Root 1 0 R>>", "<</Root 1 0 R/Info 4 0 R>>").into_bytes()
    };
    for author in ["anonymous", r"\(anonymous\)", "Unknown", r"\(unspecified\)"] {
        assert_eq!(run("a.pdf", &file(author)).document.authors, [""; 0], "{author}");
    }
    assert_eq!(run("a.pdf", &file("Eva Wright;unknown")).document.authors, ["Eva Wright"]);
}

#[test]
fn rows_with_the_same_gaps_are_a_table() {
    let cells = [
        ["Region", "2022", "2023"],
        ["North", "120", "150"],
        ["South", "80", "95"],
        ["West", "", "60"],
    ];
    let mut content = "BT /F1 10 Tf 72 700 Td (The table shows the sales.) Tj ET\n".to_owned();
    for (row, cells) in (0..).zip(cells) {
        for (column, cell) in (0..).zip(cells) {
            let (x, y) = (72 + column * 60, 680 - row * 18);
            content.push_str(&format!("BT /F1 10 Tf {x} {y} Td ({cell}) Tj ET\n"));
        }
    }
    content.push_str("BT /F1 10 Tf 72 560 Td (It ends here.) Tj ET\n");
    let found = run(
        "table.pdf",
        &pdf(&[
            "<</Type/Catalog/Pages 2 0 R>>".into(),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".into(),
            format!("<<{PAGE}/Contents 4 0 R>>"),
            stream("", &content),
        ]),
    );
    let texts = found.texts();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert_eq!((texts[0], texts[2]), ("The table shows the sales.", "It ends here."));
    let BlockKind::Table { rows, .. } = &found.blocks[1].kind else { panic!("{texts:?}") };
    assert_eq!(rows, &cells.map(|row| row.map(str::to_owned).to_vec()));
    assert_eq!(found.blocks[1].page, Some(1));
}
