//! Tests of chats written as text.

use crate::extract::testing::{documents, run};

const IPHONE: &str = "[31.12.23, 18:00:01] Trip: \u{200e}Messages and calls are end-to-end encrypted. WhatsApp\r\n\
[31.12.23, 18:00:01] Ann Lee: Shall we go?\r\n\
It is cold.\r\n\
\r\n\
[01.01.24, 09:30:00] Bob: \u{200e}image omitted\r\n\
[01.01.24, 09:31:00] Ann Lee: note: bring a coat\r\n";

#[test]
fn a_chat_becomes_a_document_for_each_day() {
    let found = run("x/WhatsApp Chat - Trip.zip/_chat.txt", IPHONE.as_bytes());
    assert!(found.document.container);
    assert_eq!(found.document.metadata["messages"], "4");
    let names: Vec<&str> = found.children.iter().map(|(header, _)| header.name.as_str()).collect();
    assert_eq!(names, ["2023-12-31", "2024-01-01"]);
    let days = documents(&found);
    assert_eq!(days[0].document.title.as_deref(), Some("WhatsApp Chat - Trip, 2023-12-31"));
    assert_eq!(days[0].document.authors, ["Trip", "Ann Lee"]);
    assert_eq!(
        days[0].texts(),
        [
            "WhatsApp Chat - Trip",
            "2023-12-31",
            "Trip (18:00): Messages and calls are end-to-end encrypted. WhatsApp",
            "Ann Lee (18:00): Shall we go?\nIt is cold.",
        ]
    );
    let date = days[1].document.content_date.map(|date| date.to_string());
    assert_eq!(date.as_deref(), Some("2024-01-01T09:30:00Z"));
    assert_eq!(
        days[1].texts()[2..],
        ["Bob (09:30): image omitted", "Ann Lee (09:31): note: bring a coat"]
    );
    assert_eq!(days[0].document.metadata["thread_id"], days[1].document.metadata["thread_id"]);
}

#[test]
fn android_writes_notices_without_a_name() {
    let found = run(
        "WhatsApp Chat with Ann.txt",
        "12/31/23, 6:00\u{202f}PM - Messages and calls are end-to-end encrypted.\n\
         12/31/23, 6:01\u{202f}PM - Ann: hi\n12/31/23, 6:02\u{202f}PM - Bob: <Media omitted>\n"
            .as_bytes(),
    );
    let days = documents(&found);
    assert_eq!(days.len(), 1);
    assert_eq!(
        days[0].texts()[2..],
        [
            "(18:00): Messages and calls are end-to-end encrypted.",
            "Ann (18:01): hi",
            "Bob (18:02): <Media omitted>",
        ]
    );
    assert_eq!(days[0].document.authors, ["Ann", "Bob"]);
}

#[test]
fn logs_and_letters_are_no_chats() {
    for text in [
        "[31.12.23, 18:00:01] INFO: up\n[31.12.23, 18:00:02] INFO: x\n[31.12.23, 18:00:03] WARN: y\n",
        "Dear all,\n31.12.23, 18:00 - we meet.\n",
        "31.12.23, 18:00 - we meet at the station\n",
    ] {
        let found = run("x.txt", text.as_bytes());
        assert!(found.children.is_empty() && !found.blocks.is_empty(), "{text}");
    }
}

#[test]
fn a_long_day_goes_on_in_a_next_part() {
    let line = format!("31.12.23, 18:00 - Ann: {}\n", "word ".repeat(400));
    let found = run("chat.txt", line.repeat(1300).as_bytes());
    let names: Vec<&str> = found.children.iter().map(|(header, _)| header.name.as_str()).collect();
    assert_eq!(names, ["2023-12-31", "2023-12-31 part 2", "2023-12-31 part 3"]);
    assert!(found.children.iter().all(|(_, bytes)| bytes.len() < 2 << 20));
}

#[test]
fn a_copied_chat_without_days_is_one_document() {
    let text = "[10:32] Jane Doe\n    Shall we go?\n    It is cold.\n\n[10:33] Ray, Bob (Extern)\n    \
                Yes\n[10:35] Jane Doe\n    Good\n";
    let found = run("Trip.txt", text.as_bytes());
    assert!(!found.document.container && found.children.is_empty());
    assert_eq!(found.document.media_type, "text/x-chat");
    assert_eq!(found.document.authors, ["Jane Doe", "Ray, Bob (Extern)"]);
    assert_eq!(found.document.title.as_deref(), Some("Trip"));
    assert_eq!(
        found.texts(),
        [
            "Trip",
            "Jane Doe (10:32): Shall we go?\nIt is cold.",
            "Ray, Bob (Extern) (10:33): Yes",
            "Jane Doe (10:35): Good",
        ]
    );
}

#[test]
fn a_copied_chat_with_dates_becomes_a_document_for_each_day() {
    for text in [
        "[05.01.2024 10:32] Jane Doe: Hello\n[05.01.2024 10:33] Bob Ray: Hi\nthere\n\
         [13.01.2024 09:00] Jane Doe: Back\n",
        "Jane Doe  1/5/2024 10:32 AM\nHello\n\nBob Ray  1/5/2024 10:33 AM\nHi\nthere\n\n\
         Jane Doe  1/13/2024 9:00 AM\nBack\n",
    ] {
        let found = run("Chat.txt", text.as_bytes());
        assert!(found.document.container, "{text}");
        let names: Vec<&str> =
            found.children.iter().map(|(header, _)| header.name.as_str()).collect();
        assert_eq!(names, ["2024-01-05", "2024-01-13"], "{text}");
        let days = documents(&found);
        assert_eq!(
            days[0].texts()[2..],
            ["Jane Doe (10:32): Hello", "Bob Ray (10:33): Hi\nthere"],
            "{text}"
        );
    }
}
