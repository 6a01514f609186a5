//! What a mail program noted about a mail: read, answered, flagged, labelled.
//!
//! Called by: `extract` for the file name, `mail` for header fields. Talks to: nothing.
//! Invariants: the same words whatever program wrote them; the file name comes first.

use mail_parser::Message;

use crate::extract::emit::Output;

/// Longest list of Maildir flags that is believed.
const MAX_FLAGS: usize = 16;

/// Records the flags that Maildir keeps in the name of a file (`…:2,RS`).
pub(in crate::extract) fn note(name: &str, out: &mut Output<'_>) {
    let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
    // Windows knows no colon in names, so programs there write another character.
    let info = [":2,", ";2,", "!2,"].iter().find_map(|mark| file.split_once(mark));
    let Some((_, letters)) = info.filter(|(_, letters)| letters.len() <= MAX_FLAGS) else {
        return;
    };
    let words = letters.chars().filter_map(|letter| match letter {
        'P' => Some("passed"),
        'R' => Some("replied"),
        'S' => Some("seen"),
        'T' => Some("deleted"),
        'D' => Some("draft"),
        'F' => Some("flagged"),
        _ => None,
    });
    out.fact("flags", &words.collect::<Vec<_>>().join(", "));
}

/// Records the flags and labels that mailboxes keep in header fields.
pub(super) fn note_headers(message: &Message<'_>, out: &mut Output<'_>) {
    let field = |name: &'static str| message.header_raw(name).unwrap_or_default().trim().to_owned();
    let mut words: Vec<&str> = Vec::new();
    for letter in field("Status").chars().chain(field("X-Status").chars()) {
        match letter {
            'R' => words.push("seen"),
            'A' => words.push("replied"),
            'F' => words.push("flagged"),
            'T' => words.push("draft"),
            'D' => words.push("deleted"),
            _ => {}
        }
    }
    let bits = u32::from_str_radix(&field("X-Mozilla-Status"), 16).unwrap_or(0);
    for (bit, word) in
        [(1, "seen"), (2, "replied"), (4, "flagged"), (8, "deleted"), (0x1000, "passed")]
    {
        if bits & bit != 0 {
            words.push(word);
        }
    }
    let mut seen = Vec::new();
    words.retain(|word| {
        !seen.contains(word) && {
            seen.push(*word);
            true
        }
    });
    out.fact("flags", &words.join(", "));
    // The mails of a conversation, where they name none of each other.
    out.fact("gmail_thread_id", &field("X-GM-THRID"));
    let labels = message.header("X-Gmail-Labels").and_then(|labels| labels.as_text());
    out.fact("labels", labels.unwrap_or_default());
}
