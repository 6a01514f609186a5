//! Tests of the chats of Teams and Skype.

use crate::extract::ExtractLimits;
use crate::extract::testing::{documents, limits, run, try_run_file};

const EXPORT: &str = r#"{"userId":"8:live:me","exportDate":"2024-02-01T10:00","conversations":[
  {"id":"8:live:bob","displayName":"Bob Moore","version":1,"properties":{"conversationblocked":false},
   "threadProperties":null,"MessageList":[
     {"id":"3","displayName":null,"originalarrivaltime":"2024-01-06T09:00:00.000Z","messagetype":"RichText",
      "version":3,"content":"Fine &amp; good","conversationid":"8:live:bob","from":"8:live:me"},
     {"id":"2","displayName":"Bob Moore","originalarrivaltime":"2024-01-05T10:05:00.000Z",
      "messagetype":"RichText","content":"<b>Tomorrow</b>?","from":"8:live:bob"},
     {"id":"1","displayName":null,"originalarrivaltime":"2024-01-05T10:00:00.000Z","messagetype":"Text",
      "content":"When?","from":"8:live:me","properties":null}]},
  {"id":"19:abc@thread.skype","displayName":null,"threadProperties":{"membercount":2,"topic":"The trip"},
   "MessageList":[
     {"id":"5","displayName":null,"originalarrivaltime":"2024-01-05T12:00:00.000Z",
      "messagetype":"RichText","content":"By train","from":"8:live:bob"},
     {"id":"4","originalarrivaltime":"2024-01-05T11:00:00.000Z","messagetype":"ThreadActivity/AddMember",
      "content":"<addmember><target>8:live:bob</target></addmember>","from":"19:abc@thread.skype"}]},
  {"id":"19:empty@thread.skype","displayName":"Nobody","MessageList":[]}]}"#;

#[test]
fn each_day_of_a_conversation_is_a_document() {
    let found = run("8_live_me_export/messages.json", EXPORT.as_bytes());
    assert!(found.document.container);
    assert_eq!(found.document.metadata["conversations"], "2");
    assert_eq!(found.document.metadata["messages"], "4");
    let names: Vec<&str> = found.children.iter().map(|(header, _)| header.name.as_str()).collect();
    assert_eq!(
        names,
        ["8-live-bob/2024-01-05", "8-live-bob/2024-01-06", "19-abc@thread.skype/2024-01-05"]
    );
    let days = documents(&found);
    assert_eq!(days[0].document.title.as_deref(), Some("Bob Moore, 2024-01-05"));
    assert_eq!(days[0].document.authors, ["live:me", "Bob Moore"]);
    assert_eq!(days[0].texts()[2..], ["live:me (10:00): When?", "Bob Moore (10:05): Tomorrow?"]);
    let date = days[0].document.content_date.map(|date| date.to_string());
    assert_eq!(date.as_deref(), Some("2024-01-05T10:00:00Z"));
    assert_eq!(days[1].texts()[2..], ["live:me (09:00): Fine & good"]);
    assert_eq!(days[0].document.metadata["thread_id"], "teams_or_skype:8:live:bob");
    // Names are known across conversations; who came and went is not told.
    assert_eq!(days[2].document.title.as_deref(), Some("The trip, 2024-01-05"));
    assert_eq!(days[2].texts()[2..], ["Bob Moore (12:00): By train"]);
}

#[test]
fn what_stands_before_the_damage_is_read() {
    let cut = EXPORT.find("{\"id\":\"19:abc").expect("a second conversation");
    let found = run("messages.json", &EXPORT.as_bytes()[..cut + 40]);
    assert_eq!(found.children.len(), 2);
    assert!(found.document.warnings[0].contains("damaged"), "{:?}", found.document.warnings);
}

#[test]
fn chats_too_large_to_be_held_are_read_conversation_by_conversation() {
    let name = "8_live_me_export/messages.json";
    let whole = run(name, EXPORT.as_bytes());
    let small = ExtractLimits { max_parse_bytes: 900, ..limits() };
    let found = try_run_file(name, small, EXPORT.into()).expect("readable");
    assert_eq!(found.children, whole.children);
    // The first conversation no longer fits.
    let small = ExtractLimits { max_parse_bytes: 600, ..limits() };
    let found = try_run_file(name, small, EXPORT.into()).expect("readable");
    assert_eq!(found.document.metadata["conversations"], "1");
    assert!(found.document.warnings[0].contains("left out"), "{:?}", found.document.warnings);
}
