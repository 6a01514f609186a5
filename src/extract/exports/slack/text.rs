//! The text of a Slack message as people read it.
//!
//! Called by: `exports::slack`. Talks to: nothing.
//! Invariants: linear in the length of the text; what is not understood stays as it is written.

use std::collections::HashMap;

use serde_json::Value;

use crate::extract::exports::elements::{first_text, list, text};

/// Names by id, of people and channels.
#[derive(Default)]
pub(super) struct Names {
    pub(super) people: HashMap<String, Person>,
    pub(super) channels: HashMap<String, String>,
}

/// Someone who writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) address: String,
}

impl Person {
    /// As authors of mail are written.
    pub(super) fn shown(&self) -> String {
        if self.address.is_empty() {
            self.name.clone()
        } else {
            format!("{} <{}>", self.name, self.address)
        }
    }
}

impl Names {
    /// Mentions, channels and links in words; the three escaped characters as they are.
    pub(super) fn readable(&self, raw: &str) -> String {
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find('<') {
            out.push_str(&rest[..at]);
            let inner = &rest[at + 1..];
            match inner.find(['>', '<', '\n']) {
                Some(end) if inner[end..].starts_with('>') => {
                    self.reference(&inner[..end], &mut out);
                    rest = &inner[end + 1..];
                }
                _ => {
                    out.push('<');
                    rest = inner;
                }
            }
        }
        out.push_str(rest);
        if out.contains('&') {
            out = out.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        }
        out
    }

    fn reference(&self, inner: &str, out: &mut String) {
        let (target, label) = match inner.split_once('|') {
            Some((target, label)) => (target, label.trim()),
            None => (inner, ""),
        };
        if let Some(id) = target.strip_prefix('@') {
            out.push('@');
            let known = self.people.get(id).map(|person| person.name.as_str());
            out.push_str(known.unwrap_or(if label.is_empty() { id } else { label }));
        } else if let Some(id) = target.strip_prefix('#') {
            out.push('#');
            let known = self.channels.get(id).map(String::as_str);
            out.push_str(if label.is_empty() { known.unwrap_or(id) } else { label });
        } else if let Some(command) = target.strip_prefix('!') {
            match (label, command) {
                ("", command) => {
                    out.push('@');
                    out.push_str(command.split('^').next().unwrap_or(command));
                }
                (label, _) => out.push_str(label),
            }
        } else {
            let address = target.strip_prefix("mailto:").unwrap_or(target);
            match label {
                "" => out.push_str(address),
                label if address.ends_with(label) => out.push_str(address),
                label => out.push_str(&format!("{label} ({address})")),
            }
        }
    }

    /// Everything a message says: its text, what it unfolds, and the files it carries.
    pub(super) fn body(&self, message: &Value) -> String {
        let mut body = self.readable(text(message, "text"));
        let mut add = |line: String| {
            if !line.trim().is_empty() && !body.contains(line.trim()) {
                if !body.is_empty() {
                    body.push('\n');
                }
                body.push_str(line.trim());
            }
        };
        for attachment in list(message, "attachments") {
            self.attachment(attachment, &mut add);
        }
        let comment = message.get("initial_comment").or_else(|| message.get("comment"));
        if let Some(comment) = comment {
            add(self.readable(text(comment, "comment")));
        }
        for file in list(message, "files").chain(message.get("file")) {
            let (title, name) = (text(file, "title"), text(file, "name"));
            add(match (title, name) {
                ("", "") => String::new(),
                (title, name) if title == name || name.is_empty() => format!("[File: {title}]"),
                ("", name) => format!("[File: {name}]"),
                (title, name) => format!("[File: {title} ({name})]"),
            });
            add(self.readable(text(file, "preview_plain_text")));
        }
        if body.trim().is_empty() {
            body = self.readable(&words_of(message.get("blocks")));
        }
        body
    }

    fn attachment(&self, attachment: &Value, add: &mut impl FnMut(String)) {
        add(self.readable(text(attachment, "pretext")));
        let (title, link) = (text(attachment, "title"), text(attachment, "title_link"));
        let title = self.readable(title);
        add(match link {
            "" => title,
            link if title.trim().is_empty() => link.to_owned(),
            link => format!("{title} ({link})"),
        });
        add(self.readable(text(attachment, "text")));
        for field in list(attachment, "fields") {
            let (title, value) = (text(field, "title"), self.readable(text(field, "value")));
            add(if title.is_empty() { value } else { format!("{title}: {value}") });
        }
        if first_text(attachment, &["pretext", "title", "text"]).is_empty() {
            add(self.readable(text(attachment, "fallback")));
        }
    }
}

/// The words of a message that is written in blocks only.
fn words_of(blocks: Option<&Value>) -> String {
    let mut words = String::new();
    let mut open: Vec<&Value> = blocks.into_iter().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values.iter().rev()),
            Value::Object(fields) => {
                if let Some(Value::String(text)) = fields.get("text") {
                    words.push_str(text);
                    words.push(' ');
                }
                let inside = fields.values().filter(|v| v.is_array() || v.is_object());
                open.extend(inside.collect::<Vec<_>>().into_iter().rev());
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        let ann = Person { name: "Ann Lee".to_owned(), address: String::new() };
        names.people.insert("U1".to_owned(), ann);
        names.channels.insert("C1".to_owned(), "general".to_owned());
        names
    }

    #[test]
    fn references_become_words() {
        for (raw, shown) in [
            ("<@U1>: hi", "@Ann Lee: hi"),
            ("<@U9|bob> <@U9>", "@bob @U9"),
            ("see <#C1> and <#C9|ops>", "see #general and #ops"),
            ("<!here> <!subteam^S1|@team> <!date^1^{date}|today>", "@here @team today"),
            ("<https://a.b/c|the page> <https://a.b>", "the page (https://a.b/c) https://a.b"),
            ("<mailto:a@b.c|a@b.c> <http://a.b|a.b>", "a@b.c http://a.b"),
            ("1 &lt; 2 &amp;&amp; x <- y\nz>", "1 < 2 && x <- y\nz>"),
            ("<unclosed", "<unclosed"),
        ] {
            assert_eq!(names().readable(raw), shown, "{raw}");
        }
    }

    #[test]
    fn unfolded_links_files_and_blocks_are_part_of_a_message() {
        let message = serde_json::json!({
            "text": "look: <https://a.b>",
            "attachments": [{"title": "A page", "title_link": "https://a.b", "text": "About <@U1>",
                             "fallback": "A page"}],
            "files": [{"title": "Plan", "name": "plan.pdf"}, {"name": "x.png", "title": "x.png"}],
        });
        assert_eq!(
            names().body(&message),
            "look: https://a.b\nA page (https://a.b)\nAbout @Ann Lee\n[File: Plan (plan.pdf)]\n\
             [File: x.png]"
        );
        let message = serde_json::json!({"text": "", "blocks": [{"type": "rich_text", "elements":
            [{"elements": [{"type": "text", "text": "in"}, {"type": "text", "text": "blocks"}]}]}]});
        assert_eq!(names().body(&message).trim(), "in blocks");
    }
}
