//! Tests of the reader of Outlook items, on items built here.

use std::io::{Cursor, Write};

use cfb::CompoundFile;

use super::*;
use crate::extract::testing::{Found, extract_from, limits, run};
use crate::types::{BlockKind, ExtractFailureCode};

type File = CompoundFile<Cursor<Vec<u8>>>;

fn put(file: &mut File, path: &str, bytes: &[u8]) {
    file.create_stream(path).and_then(|mut stream| stream.write_all(bytes)).expect("memory");
}

fn put_text(file: &mut File, base: &str, property: u16, text: &str) {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    put(file, &format!("{base}/__substg1.0_{property:04X}001F"), &wide);
}

fn put_facts(file: &mut File, base: &str, header: usize, facts: &[(u16, u16, u64)]) {
    let mut bytes = vec![0; header];
    for (kind, property, value) in facts {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&property.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    put(file, &format!("{base}/{PROPERTIES}"), &bytes);
}

/// A mail with a recipient, a file and a mail inside.
fn item() -> Vec<u8> {
    let mut file = CompoundFile::create(Cursor::new(Vec::new())).expect("memory");
    // 2024-03-01T09:00:00Z in steps of 100 ns since 1601.
    let sent = (1_709_283_600 + 11_644_473_600) * 10_000_000;
    put_facts(&mut file, "", 32, &[(0x40, SUBMITTED, sent)]);
    put_text(&mut file, "", SUBJECT, "AW: Der Plan");
    put_text(&mut file, "", SENDER_NAME, "Ann Müller");
    put_text(&mut file, "", SENDER_SMTP, "Ann@Example.org");
    put_text(&mut file, "", MESSAGE_ID, "<2@example.org>");
    put_text(&mut file, "", IN_REPLY_TO, "<1@example.org>");
    put_text(
        &mut file,
        "",
        BODY,
        "Gut.\r\n\r\nVon: Bob\r\nGesendet: Freitag\r\nAn: Ann\r\nBetreff: Der Plan\r\n\r\nWas nun?",
    );
    let recipient = "/__recip_version1.0_#00000000";
    file.create_storage(recipient).expect("memory");
    put_facts(&mut file, recipient, 8, &[(3, RECIPIENT_TYPE, 1)]);
    put_text(&mut file, recipient, DISPLAY_NAME, "Bob");
    put_text(&mut file, recipient, SMTP_ADDRESS, "bob@example.org");
    let attached = "/__attach_version1.0_#00000000";
    file.create_storage(attached).expect("memory");
    put_facts(&mut file, attached, 8, &[(3, METHOD, 1)]);
    put_text(&mut file, attached, FILE_NAME, "../a b.csv");
    put(&mut file, &format!("{attached}/__substg1.0_37010102"), b"name,no\n");
    let mail = "/__attach_version1.0_#00000001";
    file.create_storage(mail).expect("memory");
    put_facts(&mut file, mail, 8, &[(3, METHOD, 5)]);
    put_text(&mut file, mail, DISPLAY_NAME, "Inner");
    let inner = format!("{mail}/__substg1.0_3701000D");
    file.create_storage(&inner).expect("memory");
    put_facts(&mut file, &inner, 24, &[(0x40, SUBMITTED, sent)]);
    put_text(&mut file, &inner, SUBJECT, "Inner");
    put_text(&mut file, &inner, BODY, "Inner body");
    file.flush().expect("memory");
    file.into_inner().into_inner()
}

fn date(found: &Found) -> Option<String> {
    found.document.content_date.map(|date| date.to_string())
}

#[test]
fn an_outlook_item_is_read_like_any_mail() {
    let found = run("plan.msg", &item());
    assert_eq!(found.document.media_type, "application/vnd.ms-outlook");
    assert_eq!(found.document.title.as_deref(), Some("AW: Der Plan"));
    assert_eq!(found.document.authors, ["Ann Müller <Ann@example.org>"]);
    assert_eq!(found.document.metadata["from_address"], "ann@example.org");
    assert_eq!(found.document.metadata["to"], "Bob <bob@example.org>");
    assert_eq!(found.document.metadata["thread_id"], "1@example.org");
    assert_eq!(date(&found).as_deref(), Some("2024-03-01T09:00:00Z"));
    assert_eq!(found.texts()[1], "Gut.");
    assert_eq!(found.blocks[2].kind, BlockKind::QuotedReply);
    assert!(found.blocks[2].text.ends_with("Was nun?"));
}

#[test]
fn what_is_attached_to_an_outlook_item_is_passed_on() {
    let found = run("plan.msg", &item());
    let names: Vec<&str> = found.children.iter().map(|(h, _)| h.name.as_str()).collect();
    assert_eq!(names, ["attachment-1/a b.csv", "attachment-2/Inner.msg"]);
    assert_eq!(found.children[0].1, b"name,no\n");
    let inner = run("attached", &found.children[1].1);
    assert_eq!(inner.document.title.as_deref(), Some("Inner"));
    assert_eq!(date(&inner).as_deref(), Some("2024-03-01T09:00:00Z"));
    assert_eq!(inner.texts().last(), Some(&"Inner body"));
}

#[test]
fn rich_text_is_read_where_there_is_no_other_body() {
    let mut file = CompoundFile::create(Cursor::new(Vec::new())).expect("memory");
    put_facts(&mut file, "", 32, &[]);
    put_text(&mut file, "", SUBJECT, "Rich");
    let rtf =
        r"{\rtf1\ansi\fromhtml1{\*\htmltag <p>}Hello {\*\htmltag <b>}you{\*\htmltag </b></p>}}";
    let body = compressed_rtf::compress_rtf(rtf).expect("plain rich text");
    put(&mut file, "/__substg1.0_10090102", &body);
    file.flush().expect("memory");
    let bytes = file.into_inner().into_inner();
    assert_eq!(run("a.msg", &bytes).texts().last(), Some(&"Hello you"));
}

#[test]
fn a_table_of_an_outlook_item_is_one_though_its_plain_text_has_the_same_words() {
    let mut file = CompoundFile::create(Cursor::new(Vec::new())).expect("memory");
    put_facts(&mut file, "", 32, &[(3, HTML_CODE_PAGE, 65001)]);
    put_text(&mut file, "", SUBJECT, "Prices");
    put_text(&mut file, "", BODY, "Größe\r\n\tPreis\r\n\r\nXL\r\n\t12\r\n");
    let page = "<table><tr><th>Größe<th>Preis<tr><td>XL<td>12</table>";
    put(&mut file, "/__substg1.0_10130102", page.as_bytes());
    file.flush().expect("memory");
    let found = run("a.msg", &file.into_inner().into_inner());
    assert_eq!(found.texts().last(), Some(&"Größe | Preis\nXL | 12"));
    assert!(matches!(found.blocks[1].kind, BlockKind::Table { .. }));
}

#[test]
fn damaged_items_are_refused_or_read_in_part() {
    let whole = item();
    for step in 1..40 {
        let mut broken = whole[..whole.len() * step / 40].to_vec();
        if let Some(byte) = broken.get_mut(512 + step * 97) {
            *byte ^= 0xff;
        }
        if let Err(failure) = extract_from("a.msg", None, limits(), &mut broken.as_slice()) {
            let expected = [ExtractFailureCode::Malformed, ExtractFailureCode::UnsupportedType];
            assert!(expected.contains(&failure.code), "{failure}");
        }
    }
}
