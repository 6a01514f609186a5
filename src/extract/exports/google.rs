//! What Google Takeout holds: messages of Chat, notes of Keep, and facts about photos.
//!
//! Called by: `extract::exports`. Talks to: `conversation`, `elements`.
//! Invariants: messages are read one at a time; which topics are threads is known before the
//! first message is delivered, from a count that is bounded.
//!
//! Mail and calendars of Takeout are plain mbox and iCalendar files and need nothing here.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;
use serde_json::Value;

use super::Outlet;
use super::conversation::{Channel, Gatherer, Message};
use super::elements::{Lists, first_text, list, number, text};
use crate::extract::clean::one_line;
use crate::extract::date::{parse_date, parse_written};
use crate::extract::emit::{Output, Stop};
use crate::extract::text as plain;
use crate::types::BlockKind;

/// Topics counted; messages of further ones go to their days.
const MAX_TOPICS: usize = 1_000_000;

/// True for the messages of a conversation of Google Chat.
pub(super) fn looks_like_chat(head: &str) -> bool {
    head.starts_with('{')
        && head.contains("\"messages\"")
        && head.contains("\"creator\"")
        && head.contains("\"created_date\"")
}

/// True for a note of Keep.
pub(super) fn looks_like_note(head: &str) -> bool {
    head.starts_with('{')
        && head.contains("\"isTrashed\"")
        && head.contains("\"isArchived\"")
        && (head.contains("\"userEditedTimestampUsec\"") || head.contains("\"textContent\""))
}

/// True for what Takeout keeps beside a photo.
pub(super) fn looks_like_photo_facts(head: &str) -> bool {
    head.starts_with('{')
        && head.contains("\"photoTakenTime\"")
        && head.contains("\"title\"")
        && head.contains("\"url\"")
}

/// The name of a conversation, from the file that lies beside its messages.
pub(super) fn group_name(json: &[u8]) -> Option<String> {
    let group: Value = serde_json::from_slice(json).ok()?;
    let name = one_line(text(&group, "name"));
    if !name.is_empty() {
        return Some(name);
    }
    let people: Vec<String> = list(&group, "members").map(|m| one_line(text(m, "name"))).collect();
    (!people.is_empty()).then(|| people.join(", "))
}

/// Reads the messages of a conversation. `path` names its file, `title` the conversation where
/// that is known.
pub(super) fn read_chat(
    lists: &Lists,
    path: &str,
    title: Option<String>,
    folder: &str,
    outlet: &mut dyn Outlet,
) -> Result<u64, Stop> {
    let hasher = RandomState::new();
    let mut topics: HashMap<u64, u32> = HashMap::new();
    let (mut people, mut messages): (Vec<String>, u64) = (Vec::new(), 0);
    lists.each("messages", &mut |message: Value| {
        let topic = hasher.hash_one(text(&message, "topic_id"));
        if topics.len() < MAX_TOPICS || topics.contains_key(&topic) {
            *topics.entry(topic).or_default() += 1;
        }
        let name = creator(&message).0;
        if people.len() < 4 && !people.contains(&name) {
            people.push(name);
        }
        messages += 1;
        Ok(())
    })?;
    // With one topic only there is nothing to tell apart.
    let threaded = topics.len() > 1;
    let place = path.rsplit(['/', '\\']).nth(1).unwrap_or_default();
    let title = title.unwrap_or_else(|| format!("Chat of {}", people.join(", ")));
    let channel = Channel { export: "google_chat", title, id: place.to_owned() };
    let mut gatherer = Gatherer::new(channel, folder);
    let walked = lists.each("messages", &mut |message: Value| {
        let (author, person) = creator(&message);
        let at = parse_written(text(&message, "created_date"));
        let words = body(&message);
        let message_of = Message { author: &author, person: &person, at, clock: "", text: &words };
        let topic = text(&message, "topic_id");
        let several = topics.get(&hasher.hash_one(topic)).is_some_and(|count| *count > 1);
        if threaded && several && !topic.is_empty() {
            gatherer.reply(topic, &message_of, outlet)
        } else {
            gatherer.say(&message_of, outlet)
        }
    })?;
    lists.tell(walked, outlet);
    gatherer.finish(outlet)?;
    Ok(messages)
}

/// Name, and name with address.
fn creator(message: &Value) -> (String, String) {
    let creator = message.get("creator").unwrap_or(&Value::Null);
    let (name, address) = (one_line(text(creator, "name")), text(creator, "email").to_lowercase());
    match (name.is_empty(), address.is_empty()) {
        (true, _) => (address.clone(), address),
        (false, true) => (name.clone(), name),
        (false, false) => {
            let person = format!("{name} <{address}>");
            (name, person)
        }
    }
}

fn body(message: &Value) -> String {
    let mut body = text(message, "text").to_owned();
    let mut add = |line: String| {
        if !body.is_empty() {
            body.push('\n');
        }
        body.push_str(&line);
    };
    let quoted = message.get("quoted_message_metadata").map(|quoted| text(quoted, "text"));
    if let Some(words) = quoted.filter(|words| !words.trim().is_empty()) {
        add(format!("[In answer to: {}]", one_line(words)));
    }
    for file in list(message, "attached_files") {
        let name = first_text(file, &["original_name", "export_name"]);
        if !name.is_empty() {
            add(format!("[File: {name}]"));
        }
    }
    body
}

/// Reads a note of Keep.
pub(super) fn read_note(json: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let note: Value = serde_json::from_slice(json)
        .map_err(|error| Stop::malformed(format!("The note is damaged: {error}")))?;
    let title = one_line(text(&note, "title"));
    out.title(&title);
    let edited = micros(&note, "userEditedTimestampUsec");
    let created = micros(&note, "createdTimestampUsec");
    out.document.content_date = edited.or(created);
    if let Some(created) = created {
        out.fact("created", &created.to_string());
    }
    out.fact("export", "google_keep");
    let labels: Vec<String> =
        list(&note, "labels").map(|label| one_line(text(label, "name"))).collect();
    out.fact("labels", &labels.join(", "));
    let flags = [("isTrashed", "deleted"), ("isArchived", "archived"), ("isPinned", "pinned")];
    let set = flags.iter().filter(|(key, _)| note.get(*key).and_then(Value::as_bool) == Some(true));
    out.fact("flags", &set.map(|(_, word)| *word).collect::<Vec<_>>().join(", "));
    for person in list(&note, "sharees").map(|sharee| text(sharee, "email")) {
        out.author(person);
    }
    out.block(&BlockKind::Heading { level: 1 }, &title, None)?;
    plain::paragraphs(text(&note, "textContent"), out)?;
    for item in list(&note, "listContent") {
        let done = item.get("isChecked").and_then(Value::as_bool) == Some(true);
        let line = format!("[{}] {}", if done { "x" } else { " " }, text(item, "text"));
        out.block(&BlockKind::ListItem { depth: 0, ordered: false }, &line, None)?;
    }
    for link in list(&note, "annotations") {
        let (title, address) = (one_line(text(link, "title")), text(link, "url"));
        if !address.is_empty() {
            out.paragraph(format!("{title} ({address})").trim_start())?;
        }
    }
    for file in list(&note, "attachments") {
        let name = text(file, "filePath");
        if !name.is_empty() {
            out.paragraph(&format!("[File: {name}]"))?;
        }
    }
    Ok(())
}

fn micros(note: &Value, key: &str) -> Option<Timestamp> {
    Timestamp::from_microsecond(number(note, key).filter(|micros| *micros > 0)?).ok()
}

/// Reads what is noted about a photo: a document where somebody described it.
pub(super) fn read_photo_facts(json: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let photo: Value = serde_json::from_slice(json)
        .map_err(|error| Stop::malformed(format!("The facts are damaged: {error}")))?;
    let title = one_line(text(&photo, "title"));
    let people: Vec<String> =
        list(&photo, "people").map(|person| one_line(text(person, "name"))).collect();
    let description = text(&photo, "description").trim();
    if description.is_empty() && people.is_empty() {
        return Err(super::part_of_another(&format!("Technical facts about the photo {title}")));
    }
    out.title(&title);
    let taken = photo.get("photoTakenTime").unwrap_or(&Value::Null);
    let taken = number(taken, "timestamp").and_then(|at| Timestamp::from_second(at).ok());
    out.document.content_date = taken.or_else(|| parse_date(text(&photo, "creationTime")));
    out.fact("export", "google_photos");
    out.paragraph(description)?;
    out.paragraph(&people.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::{run, run_as, try_run};
    use crate::types::ExtractFailureCode;

    const CHAT: &str = r#"{"messages":[
      {"creator":{"name":"Ann Lee","email":"Ann@x.org","user_type":"Human"},
       "created_date":"Thursday, March 2, 2023 at 10:11:12 AM UTC","text":"Who comes?",
       "topic_id":"t1","message_id":"s/t1/1"},
      {"creator":{"name":"Bob","email":"bob@x.org"},
       "created_date":"Friday, March 3, 2023 at 1:00:00\u202fPM UTC","text":"I do.",
       "attached_files":[{"original_name":"map.pdf","export_name":"File-map.pdf"}],
       "topic_id":"t1","message_id":"s/t1/2"},
      {"creator":{"name":"Bob","email":"bob@x.org"},
       "created_date":"Friday, March 3, 2023 at 2:00:00 PM UTC","text":"Rain.","topic_id":"t2"}]}"#;

    #[test]
    fn a_topic_with_answers_is_a_document_and_single_messages_go_to_their_day() {
        let found = run("Takeout/Google Chat/Groups/Space AAA/messages.json", CHAT.as_bytes());
        assert!(found.document.container);
        let names: Vec<&str> =
            found.children.iter().map(|(header, _)| header.name.as_str()).collect();
        assert_eq!(names, ["2023-03-03", "thread-t1"]);
        let (header, bytes) = &found.children[1];
        let thread = run_as(&header.name, header.format.expect("a format"), bytes);
        assert_eq!(thread.document.title.as_deref(), Some("Chat of Ann Lee, Bob: Who comes?"));
        assert_eq!(thread.document.authors, ["Ann Lee <ann@x.org>", "Bob <bob@x.org>"]);
        assert_eq!(
            thread.texts(),
            [
                "Chat of Ann Lee, Bob",
                "2023-03-02",
                "Ann Lee (10:11): Who comes?",
                "2023-03-03",
                "Bob (13:00): I do.\n[File: map.pdf]",
            ]
        );
        assert_eq!(thread.document.metadata["thread_id"], "google_chat:Space AAA/t1");
    }

    #[test]
    fn a_note_has_its_list_labels_and_date() {
        let found = run(
            "Keep/x.json",
            br#"{"color":"DEFAULT","isTrashed":false,"isPinned":true,"isArchived":false,
                "title":"Shopping","listContent":[{"text":"milk","isChecked":true},{"text":"tea",
                "isChecked":false}],"labels":[{"name":"home"}],
                "userEditedTimestampUsec":1633945736112000,"createdTimestampUsec":1633945465191000}"#,
        );
        assert_eq!(found.texts(), ["Shopping", "[x] milk", "[ ] tea"]);
        assert_eq!(found.document.metadata["labels"], "home");
        assert_eq!(found.document.metadata["flags"], "pinned");
        let date = found.document.content_date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2021-10-11T09:48:56.112Z"));
    }

    #[test]
    fn facts_about_a_photo_are_a_document_only_where_somebody_described_it() {
        let plain = r#"{"title":"a.jpg","description":"","url":"https://x",
                        "photoTakenTime":{"timestamp":"1452845865"}}"#;
        let failure = try_run("a.jpg.json", plain.as_bytes()).expect_err("nothing to say");
        assert_eq!(failure.code, ExtractFailureCode::PartOfAnother);
        let told = plain.replace("\"description\":\"\"", "\"description\":\"The harbour\"");
        let found = run("a.jpg.json", told.as_bytes());
        assert_eq!(found.texts(), ["The harbour"]);
    }
}
