//! Tests of which form of a body is read, and how.

use super::*;
use crate::extract::testing::limits;

/// What is emitted of a body, and what is said about it.
fn read(forms: Forms, is_forward: bool) -> (Vec<Block>, Vec<String>) {
    let (limits, mut found) = (limits(), Collector::default());
    let mut out = Output::within(&limits, &mut found);
    forms.emit(is_forward, &mut out).expect("it is small");
    let warnings = std::mem::take(&mut out.document.warnings);
    (found.blocks, warnings)
}

fn texts(forms: Forms) -> Vec<String> {
    read(forms, false).0.into_iter().map(|block| block.text).collect()
}

fn compressed(rich: &str) -> Option<Vec<u8>> {
    Some(compressed_rtf::compress_rtf(rich).expect("plain rich text"))
}

const PLAIN: &str = "The prices are these:\r\n\r\nItem\r\n\tPrice\r\n\r\nPress\r\n\t1200\r\n";
const PAGE: &str = "<p>The prices are these:</p><table><tr><th>Item<th>Price\
                    <tr><td>Press<td>1200</table>";

#[test]
fn plain_text_is_read_where_html_and_rich_text_say_no_more() {
    let plain = || "Shall we?\r\n\r\n> When?\r\n".to_owned();
    let page = "<p>Shall <b>we</b>?</p><blockquote>When?</blockquote>".to_owned();
    let rich = compressed(r"{\rtf1\ansi Shall {\b we}?\par > When?\par}");
    for forms in [
        Forms { plain: plain(), page, rich: None },
        Forms { plain: plain(), page: String::new(), rich },
        Forms { plain: plain(), ..Forms::default() },
    ] {
        let (blocks, _) = read(forms, false);
        let found: Vec<_> = blocks.iter().map(|block| (&block.kind, &*block.text)).collect();
        let expected = [(&BlockKind::Paragraph, "Shall we?"), (&BlockKind::QuotedReply, "> When?")];
        assert_eq!(found, expected);
    }
}

#[test]
fn a_table_is_read_from_the_form_that_has_it() {
    let wrapped = r"{\rtf1\ansi\fromhtml1{\*\htmltag <p>}The prices are these:{\*\htmltag </p><table><tr><th>}Item{\*\htmltag <th>}Price{\*\htmltag <tr><td>}Press{\*\htmltag <td>}1200{\*\htmltag </table>}}";
    let native = r"{\rtf1\ansi The prices are these:\par\trowd\cellx1\cellx2\intbl Item\cell Price\cell\row\trowd\intbl Press\cell 1200\cell\row\pard}";
    let (plain, page) = (PLAIN.to_owned(), PAGE.to_owned());
    for forms in [
        Forms { plain: plain.clone(), page, rich: None },
        Forms { plain: plain.clone(), page: String::new(), rich: compressed(wrapped) },
        Forms { plain, page: String::new(), rich: compressed(native) },
    ] {
        let (blocks, warnings) = read(forms, false);
        assert_eq!(blocks[0].text, "The prices are these:");
        assert!(matches!(&blocks[1].kind, BlockKind::Table { rows, .. }
            if rows[..] == [["Item", "Price"], ["Press", "1200"]]));
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn a_table_that_is_only_repeated_is_no_reason_to_leave_the_plain_text() {
    let quoted = |table: &str| format!("<p>Agreed.</p><div class=gmail_quote>{table}</div>");
    let plain = format!("Agreed.\r\n\r\n-----Original Message-----\r\n{PLAIN}");
    let forms = Forms { plain, page: quoted(PAGE), rich: None };
    assert!(texts(forms)[1].starts_with("-----Original Message-----"));
}

#[test]
fn html_is_read_where_the_plain_text_says_less() {
    let page = "<p>Invoice total: 1,234.50 EUR for the pomegranate press.</p>".to_owned();
    let plain = "Your mail program cannot show HTML.".to_owned();
    let expected = ["Invoice total: 1,234.50 EUR for the pomegranate press."];
    assert_eq!(texts(Forms { plain, page: page.clone(), rich: None }), expected);
    assert_eq!(texts(Forms { page, ..Forms::default() }), expected);
}

#[test]
fn what_rich_text_repeats_is_told_apart() {
    let rich = r"{\rtf1\ansi\pard\outlinelevel0 Plan\par\pard I agree.\par\par -----Original Message-----\par From: Bob\par What now?\par}";
    let (blocks, _) = read(Forms { rich: compressed(rich), ..Forms::default() }, false);
    let own: Vec<bool> = blocks.iter().map(|block| block.kind.is_own()).collect();
    assert_eq!(own, [true, true, false, false, false]);
    assert_eq!(blocks[0].kind, BlockKind::Heading { level: 1 });
}

#[test]
fn a_damaged_form_is_said_and_the_other_read() {
    let rich = compressed(r"{\rtf1\ansi Hello\par}").expect("rich text");
    for damaged in [rich[..rich.len() - 1].to_vec(), vec![7; 40]] {
        let forms = Forms { plain: "Hello".to_owned(), rich: Some(damaged), ..Forms::default() };
        let (blocks, warnings) = read(forms, false);
        assert_eq!((blocks.len(), warnings.len()), (1, 1));
    }
}

#[test]
fn rich_text_that_is_not_what_its_header_says_is_none() {
    let rich = compressed(r"{\rtf1\ansi Hello\par}").expect("rich text");
    assert!(decompress(&rich).is_some_and(|text| text.starts_with(br"{\rtf1")));
    for cut in [0, 3, 12, 15, rich.len() - 1] {
        assert_eq!(decompress(&rich[..cut]), None);
    }
    let mut huge = rich;
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decompress(&huge), None);
}

#[test]
fn rich_text_that_is_not_compressed_is_read_however_its_length_is_counted() {
    let text = br"{\rtf1\ansi Hello\par}";
    let length = |more: usize| u32::try_from(text.len() + more).expect("it is short").to_le_bytes();
    for counted in [0, 12] {
        let head = [&length(12)[..], &length(counted), b"MELA", &[0; 4]].concat();
        assert_eq!(decompress(&[&head, &text[..]].concat()).as_deref(), Some(&text[..]));
    }
}
