//! What the files of a Notion export say by their names, and how its Markdown begins.
//!
//! Called by: `extract`, `exports::plan`, `exports::pages`. Talks to: nothing.
//! Invariants: a name counts only where it ends in the 32 hexadecimal digits that Notion gives
//! each page; facts never change what is said otherwise.
//!
//! Why names are left as they are in the ledger: they are unique and the same in every export, so
//! that a page which changed is a new version and not another document.

use jiff::Timestamp;

use crate::extract::date::{parse_date, parse_written};
use crate::extract::emit::Output;

const ID_LENGTH: usize = 32;
/// Longest name of a property.
const MAX_KEY: usize = 60;
/// How much of a page is looked at for its properties.
const START: usize = 16 << 10;
/// Facts that mean something of their own.
const RESERVED: [&str; 8] = [
    "thread_id",
    "message_id",
    "in_reply_to",
    "references",
    "thread_subject",
    "path",
    "export",
    "notion_id",
];

/// A name without the id behind it, and the id.
pub(super) fn without_id(stem: &str) -> Option<(&str, &str)> {
    let at = stem.len().checked_sub(ID_LENGTH)?;
    let (name, id) = (stem.get(..at)?, stem.get(at..)?);
    let is_id = id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| (name.trim(), id)).filter(|(name, _)| !name.is_empty())
}

/// True for a path that ends in a name as Notion gives them.
pub(super) fn is_page_or_database(path: &str) -> bool {
    page_of(path).is_some()
}

/// The name and id of the page or database that a path belongs to.
fn page_of(path: &str) -> Option<(&str, &str)> {
    let file = path.rsplit(['/', '\\']).next()?;
    let (stem, extension) = file.rsplit_once('.')?;
    if !matches!(extension, "html" | "md" | "csv") {
        return None;
    }
    without_id(stem.strip_suffix("_all").unwrap_or(stem))
}

/// Records what the name of a page tells: its title, and the pages it lies under.
pub(in crate::extract) fn note_name(path: &str, out: &mut Output<'_>) {
    let Some((name, id)) = page_of(path) else { return };
    out.title(name);
    out.fact("export", "notion");
    out.fact("notion_id", id);
    let above: Vec<&str> = path
        .rsplit(['/', '\\'])
        .skip(1)
        .map_while(|step| without_id(step).map(|(name, _)| name))
        .collect();
    let above: Vec<&str> = above.into_iter().rev().collect();
    out.fact("path", &above.join(" / "));
}

/// Records the properties that a page of Markdown begins with.
pub(in crate::extract) fn note_start(path: &str, head: &[u8], out: &mut Output<'_>) {
    if !path.ends_with(".md") || page_of(path).is_none() {
        return;
    }
    let start = String::from_utf8_lossy(&head[..head.len().min(START)]);
    let mut lines = start.trim_start_matches('\u{feff}').lines();
    if !lines.next().is_some_and(|line| line.starts_with("# ")) {
        return;
    }
    let mut lines = lines.skip_while(|line| line.trim().is_empty());
    let mut properties = Properties::default();
    for line in lines.by_ref().take_while(|line| !line.trim().is_empty()) {
        let Some((key, value)) = line.split_once(": ").filter(|(key, _)| key.len() <= MAX_KEY)
        else {
            return;
        };
        properties.add(key, value, kind_of(key));
    }
    properties.record(out);
}

/// What a property is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Edited,
    Created,
    Date,
    Author,
    Other,
}

/// What a property is for, where only its name tells.
fn kind_of(key: &str) -> Kind {
    let key = key.trim().to_lowercase();
    match key.as_str() {
        "created by" | "author" | "authors" => Kind::Author,
        "created" | "created time" | "created at" | "date created" => Kind::Created,
        _ if key.ends_with(" by") => Kind::Other,
        _ if key.contains("edited") || key.contains("updated") || key.contains("modified") => {
            Kind::Edited
        }
        _ if key.contains("date") => Kind::Date,
        _ => Kind::Other,
    }
}

/// The properties of a page.
#[derive(Default)]
pub(super) struct Properties {
    facts: Vec<(String, String)>,
    authors: Vec<String>,
    edited: Option<Timestamp>,
    created: Option<Timestamp>,
    dated: Option<Timestamp>,
}

impl Properties {
    pub(super) fn add(&mut self, key: &str, value: &str, kind: Kind) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        // A span of days is written with an arrow.
        let first = value.split('→').next().unwrap_or(value).trim().trim_start_matches('@');
        let slot = match kind {
            Kind::Edited => Some(&mut self.edited),
            Kind::Created => Some(&mut self.created),
            Kind::Date => Some(&mut self.dated),
            Kind::Author | Kind::Other => None,
        };
        if let Some(slot) = slot {
            *slot = slot.or_else(|| parse_date(first).or_else(|| parse_written(first)));
        }
        if kind == Kind::Author {
            self.authors.extend(value.split(',').map(|name| name.trim().to_owned()));
        }
        let mut key = key.trim().to_lowercase().replace(' ', "_");
        if RESERVED.contains(&key.as_str()) {
            key.insert_str(0, "notion_");
        }
        self.facts.push((key, value.to_owned()));
    }

    pub(super) fn record(self, out: &mut Output<'_>) {
        self.authors.iter().for_each(|author| out.author(author));
        let date = self.edited.or(self.created).or(self.dated);
        out.document.content_date = out.document.content_date.or(date);
        for (key, value) in &self.facts {
            out.fact(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;

    const ID: &str = "152bb52ee2b5804da922efa8c3194444";

    #[test]
    fn the_name_of_a_page_tells_title_and_path() {
        let found = run(
            &format!("x.zip/Export-1/Home {ID}/Plans {ID}/Trip {ID}.md"),
            b"# The trip\n\nCreated: March 1, 2024 6:31 AM\nCreated by: Ann Lee, Bob\n\
              Status: Done\n\nText: more\n",
        );
        assert_eq!(found.document.title.as_deref(), Some("The trip"));
        assert_eq!(found.document.metadata["path"], "Home / Plans");
        assert_eq!(found.document.metadata["status"], "Done");
        assert_eq!(found.document.metadata["notion_id"], ID);
        assert!(!found.document.metadata.contains_key("text"));
        assert_eq!(found.document.authors, ["Ann Lee", "Bob"]);
        let date = found.document.content_date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2024-03-01T06:31:00Z"));
        let found = run(&format!("Tasks {ID}_all.csv"), b"Name,Done\na,b\nc,d\n");
        assert_eq!(found.document.title.as_deref(), Some("Tasks"));
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in ["a.md", "Home 152bb52.md", "Home 152BB52EE2B5804DA922EFA8C3194444.md"] {
            let found = run(name, b"# T\n\nStatus: Done\n");
            assert!(!found.document.metadata.contains_key("status"), "{name}");
            assert!(!found.document.metadata.contains_key("export"), "{name}");
        }
    }
}
