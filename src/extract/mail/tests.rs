//! Tests of the mail reader through `extract`.

use crate::extract::ExtractLimits;
use crate::extract::testing::{extract_from, limits, run};
use crate::types::{BlockKind, ExtractFailureCode};

const NESTED: &[u8] = b"From: =?utf-8?q?Ann_M=C3=BCller?= <ann@example.org>\r\n\
To: Bob <bob@example.org>, carl@example.org\r\n\
Subject: The\r\n  plan\r\n\
Date: Fri, 1 Mar 2024 10:00:00 +0100\r\n\
Message-ID: <1@example.org>\r\nIn-Reply-To: <0@example.org>\r\n\
MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n\
--outer\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n\
--inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello,\r\n\r\nsee below.\r\n\
--inner\r\nContent-Type: text/html\r\n\r\n<p>Hello <b>HTML</b></p>\r\n--inner--\r\n\
--outer\r\nContent-Type: text/csv; charset=iso-8859-1\r\n\
Content-Disposition: attachment; filename=\"../../a b.csv\"\r\n\
Content-Transfer-Encoding: base64\r\n\r\nbmFtZSxubwrkLDEK\r\n\
--outer\r\nContent-Type: message/rfc822\r\n\r\n\
From: dan@example.org\r\nSubject: Inner\r\n\r\nInner body\r\n\
--outer--\r\n";

#[test]
fn header_body_and_attachments_are_taken_apart() {
    let found = run("a.eml", NESTED);
    let document = &found.document;
    assert_eq!(document.media_type, "message/rfc822");
    assert_eq!(document.title.as_deref(), Some("The plan"));
    assert_eq!(document.authors, ["Ann Müller <ann@example.org>"]);
    assert_eq!(document.metadata["to"], "Bob <bob@example.org>, carl@example.org");
    assert_eq!(document.metadata["message_id"], "1@example.org");
    assert_eq!(document.metadata["in_reply_to"], "0@example.org");
    assert_eq!(
        document.content_date.map(|date| date.to_string()).as_deref(),
        Some("2024-03-01T09:00:00Z")
    );
    assert_eq!(document.metadata["utc_offset"], "+01:00");
    assert!(!document.container);
    let texts = found.texts();
    assert!(texts[0].starts_with("From: Ann Müller <ann@example.org>\nTo: Bob"), "{texts:?}");
    assert!(texts[0].contains("Date: Fri, 1 Mar 2024"));
    assert_eq!(texts[1..], ["Hello,", "see below."]);
    let names: Vec<&str> = found.children.iter().map(|(h, _)| h.name.as_str()).collect();
    assert_eq!(names, ["attachment-1/a b.csv", "attachment-2/message.eml"]);
    assert_eq!(found.children[0].1, b"name,no\n\xe4,1\n");
    assert_eq!(found.children[0].0.media_type.as_deref(), Some("text/csv; charset=iso-8859-1"));
    let inner = String::from_utf8_lossy(&found.children[1].1);
    assert!(inner.starts_with("From: dan@example.org"), "{inner}");
    assert!(inner.contains("Inner body"));
}

#[test]
fn an_invitation_says_when_its_event_takes_place() {
    let mail = |event: &str| {
        format!(
            "From: a@b.c\nSubject: s\nDate: Tue, 12 Mar 2024 10:00:00 +0100\nMIME-Version: 1.0\n\
             Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
             Please come.\n--b\nContent-Type: text/calendar; method=REQUEST\n\n\
             BEGIN:VCALENDAR\n{event}END:VCALENDAR\n--b--\n"
        )
    };
    let invited =
        run("a.eml", mail("BEGIN:VEVENT\nDTSTART:20240401T080000Z\nEND:VEVENT\n").as_bytes());
    let event = invited.document.event_date.map(|date| date.to_string());
    assert_eq!(event.as_deref(), Some("2024-04-01T08:00:00Z"));
    let date = invited.document.content_date.map(|date| date.to_string());
    assert_eq!(date.as_deref(), Some("2024-03-12T09:00:00Z"));
    assert_eq!(run("a.eml", mail("").as_bytes()).document.event_date, None);
}

#[test]
fn a_mail_of_html_alone_is_read_through_its_markup() {
    let found = run(
        "a.eml",
        b"From: a@b.c\nSubject: s\nContent-Type: text/html\n\n<p>One <i>two</i></p><script>no</script>",
    );
    assert_eq!(found.texts()[1..], ["One two"]);
}

#[test]
fn undeclared_and_multi_byte_bodies_are_decoded() {
    let found = run(
        "a.eml",
        b"From: a@b.c\nSubject: s\nContent-Type: text/plain; charset=shift_jis\n\n\x93\xfa\x96\x7b\n",
    );
    assert_eq!(found.texts()[1..], ["日本"]);
}

#[test]
fn attachments_survive_a_body_over_the_limit() {
    let limits = ExtractLimits { max_text_bytes: 60, ..limits() };
    let found = extract_from("a.eml", None, limits, &mut &NESTED[..]).expect("a mail");
    assert_eq!(found.children.len(), 2);
    assert!(found.document.truncated_at.is_some());
}

#[test]
fn mails_inside_mails_without_end_are_survived() {
    let mut mail = b"From: a@b.c\nSubject: s\nDate: x\n".to_vec();
    for _ in 0..20_000 {
        mail.extend_from_slice(b"Content-Type: message/rfc822\n\n");
    }
    let found = run("a.eml", &mail);
    assert_eq!(found.document.title.as_deref(), Some("s"));
}

#[test]
fn damaged_mails_yield_what_can_be_read() {
    for length in (1..NESTED.len()).step_by(7) {
        let mut input = &NESTED[..length];
        if let Err(failure) = extract_from("a.eml", None, limits(), &mut input) {
            assert_eq!(failure.code, ExtractFailureCode::Malformed, "{failure}");
        }
    }
}

#[test]
fn people_and_thread_are_facts_in_a_stable_form() {
    let mail =
        b"From: \"ANN\" <Ann@Example.ORG>\nTo: b@c.d, Carl <C@D.E>\nSubject: RE: [x] Aw: Plan\n\
Message-ID: <3@x>\nIn-Reply-To: <2@x>\nReferences: <1@x>\n <2@x>\n\nYes.\n";
    let facts = run("new/1709.M1P2.host:2,RS", mail).document.metadata;
    for (key, value) in [
        ("from_name", "ANN"),
        ("from_address", "ann@example.org"),
        ("to_addresses", "b@c.d, c@d.e"),
        ("thread_id", "1@x"),
        ("thread_subject", "plan"),
        ("references", "1@x 2@x"),
        ("flags", "replied, seen"),
    ] {
        assert_eq!(facts.get(key).map(String::as_str), Some(value), "{key}");
    }
}

#[test]
fn flags_of_mailboxes_are_facts() {
    let mail = b"From: a@b.c\nDate: x\nSubject: s\nStatus: RO\nX-Status: A\nX-Mozilla-Status: 0009\n\nText.\n";
    assert_eq!(run("a.eml", mail).document.metadata["flags"], "seen, replied, deleted");
}

#[test]
fn repeated_words_are_told_apart_in_plain_text_and_html() {
    let plain =
        b"From: a@b.c\nSubject: Re: s\n\nMy answer.\n\n> His question\n> goes on\n\n-- \nAnn\n";
    let html = b"From: a@b.c\nSubject: Re: s\nContent-Type: text/html\n\n<p>My answer.</p>\
<div class=gmail_quote><div>On 1 March Bob wrote:</div><blockquote><h1>His question</h1>\
<table><tr><td>a<td>b<tr><td>c<td>d</table></blockquote></div><div class=gmail_signature>Ann</div>";
    for mail in [&plain[..], &html[..]] {
        let found = run("a.eml", mail);
        let own: Vec<&str> = found
            .blocks
            .iter()
            .filter(|block| block.kind.is_own())
            .map(|block| block.text.as_str())
            .collect();
        assert_eq!(own[1..], ["My answer."], "{:?}", found.blocks);
        let all = found.texts().join("\n");
        assert!(all.contains("His question") && all.contains("Ann"), "{all}");
    }
}

#[test]
fn what_a_forward_passes_on_stays_its_words() {
    let mail = b"From: a@b.c\nSubject: Fwd: s\nContent-Type: text/html\n\n<p>For you.</p>\
<div class=gmail_quote>---------- Forwarded message ---------<br>From: x<blockquote>News</blockquote></div>";
    let found = run("a.eml", mail);
    assert!(found.blocks.iter().all(|block| block.kind.is_own()), "{:?}", found.blocks);
    assert_eq!(found.blocks.last().map(|block| &block.kind), Some(&BlockKind::Quote));
}

/// The texts of a mail's own words.
fn own(mail: &str) -> Vec<String> {
    let blocks = run("a.eml", mail.as_bytes()).blocks.into_iter();
    blocks.filter(|block| block.kind.is_own()).map(|block| block.text).collect()
}

#[test]
fn what_an_author_lists_or_tells_stays_the_authors() {
    for (body, last) in [
        (
            "Thank you.\n\nFrom: Berlin Hbf\nTo: Munich Hbf\nDate: 12 May 2024\nSeat: 45\n\n\
             Please bring your identity card.\n",
            "Please bring your identity card.",
        ),
        (
            "Hello Bob,\n\nOn 3 March the committee wrote:\nWe decline.\n\nWe should appeal.\n",
            "We should appeal.",
        ),
        ("Options:\n\n--\nA: the caracal.\n--\nB: the serval.\n", "B: the serval."),
    ] {
        let own = own(&format!("From: a@b.c\nSubject: s\n\n{body}"));
        assert!(own.last().is_some_and(|text| text.ends_with(last)), "{own:?}");
    }
}

#[test]
fn an_indented_paragraph_of_html_is_no_quote_unless_something_says_so() {
    let mail = |before: &str, tag: &str| {
        own(&format!(
            "From: a@b.c\nSubject: s\nContent-Type: text/html\n\n<p>See below.</p><p>{before}</p>\
             <{tag}><p>The rhubarb clause</p></blockquote><p>Regards</p>"
        ))
    };
    let indented = "blockquote style=\"margin:0 0 0 40px;border:none;padding:0px\"";
    assert_eq!(
        mail("The terms", indented)[1..],
        ["See below.", "The terms", "The rhubarb clause", "Regards"]
    );
    for (before, tag) in [
        ("Bob wrote:", "blockquote"),
        ("The terms", "blockquote type=cite"),
        ("The terms", "blockquote class=gmail_quote"),
    ] {
        assert_eq!(mail(before, tag)[1..], ["See below.", before, "Regards"]);
    }
}

#[test]
fn html_is_read_in_the_place_of_a_plain_text_that_says_nothing() {
    let found = run(
        "a.eml",
        b"From: shop@x.org\nSubject: Invoice\nMIME-Version: 1.0\n\
Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
Your mail program cannot show HTML.\n--b\nContent-Type: text/html\n\n\
<p>Invoice total: 1,234.50 EUR for the pomegranate press.</p><table><tr><th>Item</th><th>Price\
</th></tr><tr><td>Press</td><td>1200</td></tr></table>\n--b--\n",
    );
    let texts = found.texts();
    assert_eq!(
        texts[1..],
        ["Invoice total: 1,234.50 EUR for the pomegranate press.", "Item | Price\nPress | 1200"]
    );
    assert!(matches!(found.blocks[2].kind, BlockKind::Table { .. }));
}

#[test]
fn html_is_read_in_the_place_of_a_plain_text_that_flattens_its_structure() {
    let mail = |page: &str| {
        let mail = format!(
            "From: a@b.c\nSubject: s\nMIME-Version: 1.0\n\
             Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
             Risks\n\nFire. Water.\n--b\nContent-Type: text/html\n\n{page}\n--b--\n"
        );
        run("a.eml", mail.as_bytes()).blocks.swap_remove(1).kind
    };
    let heading = BlockKind::Heading { level: 2 };
    assert_eq!(mail("<h2>Risks</h2><ul><li>Fire.<li>Water.</ul>"), heading);
    assert_eq!(mail("<div>Risks</div><div>Fire. Water.</div>"), BlockKind::Paragraph);
}

#[test]
fn a_signature_in_html_is_told_by_its_mark_where_no_program_marked_it() {
    let mail = |last: &str| {
        own(&format!(
            "From: a@b.c\nSubject: s\nContent-Type: text/html\n\n<p>Yes.</p><div>{last}</div>"
        ))
    };
    assert_eq!(mail("-- <br>Ann, who signs at length.")[1..], ["Yes."]);
    assert_eq!(mail("--<br>Ann M\u{fc}ller<br>+49 30 123456")[1..], ["Yes."]);
    assert_eq!(mail("--<br>Please buy milk and eggs.").len(), 3);
    assert_eq!(mail("-- ").len(), 3);
}

#[test]
fn an_address_with_several_names_is_one_person() {
    let mail = "From: A <a@x.de>\nTo: \"Müller, Jörg\" <J.Mueller@X.de>, J.MUELLER@x.DE, \
=?utf-8?Q?J=C3=B6rg_M=C3=BCller?= <j.mueller@x.de>\nSubject: P\n\nhi\n";
    let facts = run("a.eml", mail.as_bytes()).document.metadata;
    assert_eq!(facts["to"], "Jörg Müller <J.Mueller@x.de>");
    assert_eq!(facts["to_addresses"], "j.mueller@x.de");
}

#[test]
fn an_attachment_in_uuencode_is_the_file_it_stands_for() {
    let mail = |body: &str| {
        let mail = format!(
            "From: a@b.c\nSubject: s\nDate: x\nMIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSee below.\n--b\n\
             Content-Type: application/octet-stream; name=\"a.txt\"\n\
             Content-Transfer-Encoding: X-uuencode\n\n{body}\n--b--\n"
        );
        run("a.eml", mail.as_bytes()).children.swap_remove(0).1
    };
    assert_eq!(mail("begin 644 a.txt\n#0V%T\n`\nend"), b"Cat");
    assert_eq!(mail("begin 644 a.txt\n#0V%T"), b"begin 644 a.txt\n#0V%T", "it breaks off");
}

#[test]
fn a_file_in_uuencode_among_the_words_is_an_attachment_and_no_words() {
    let found = run(
        "a.eml",
        b"From: a@b.c\nSubject: s\nDate: x\n\nSee the file.\n\nbegin 644 ../a.txt\n#0V%T\n`\nend\n\n\
          Regards\n",
    );
    assert_eq!(found.texts()[1..], ["See the file.", "Regards"]);
    let (header, bytes) = &found.children[0];
    assert_eq!((header.name.as_str(), &bytes[..]), ("attachment-1/a.txt", &b"Cat"[..]));
}

/// Found by fuzzing: a mail inside a mail inside a list whose end is missing.
#[test]
fn a_mail_whose_parts_contradict_each_other_is_read_or_ends_with_a_reason() {
    let seed = include_bytes!("../../../tests/fuzz/readers/seeds/mails/digest_without_end");
    match extract_from("a.eml", None, limits(), &mut &seed[1..]) {
        Ok(found) => assert!(found.texts().concat().contains("Nathaniel"), "{:?}", found.blocks),
        Err(failure) => assert_eq!(failure.code, ExtractFailureCode::Malformed),
    }
}
