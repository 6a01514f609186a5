//! Conversations: the mails that belong together.
//!
//! Called by: `app::documents`. Talks to: `item`, `document`.
//! Invariants: only live documents are listed, oldest first; how many is bounded. Mails are linked
//! by the messages they name; a reply that names none is linked by its subject, and then only to
//! mails between the same people.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Params, Row, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::rows::{id, json, optional_time};
use super::{CatalogError, CatalogReader};
use crate::types::{DocumentId, ItemKey};

/// Most mails of one conversation.
const MAX_MAILS: usize = 200;
/// Steps along messages that name others of the conversation.
const MAX_STEPS: usize = 4;
/// People that mails linked by nothing but their subject must have in common.
const SAME_PEOPLE: usize = 2;

/// One mail of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadMail {
    #[schema(value_type = String)]
    pub document_id: DocumentId,
    pub source: String,
    pub title: Option<String>,
    pub from: Option<String>,
    #[schema(value_type = Option<String>)]
    pub date: Option<Timestamp>,
}

/// A mail with what links it.
struct Mail {
    item: i64,
    shown: ThreadMail,
    facts: BTreeMap<String, String>,
}

const SELECT: &str = "SELECT i.key, d.id, d.source, i.title, i.content_date, i.metadata \
     FROM item i JOIN document d ON d.key = i.document AND d.current_item = i.key \
     WHERE d.deleted_at IS NULL";

fn read(row: &Row<'_>) -> rusqlite::Result<Mail> {
    let facts: BTreeMap<String, String> = json(row, 5)?;
    let from = facts.get("from_name").or_else(|| facts.get("from_address")).cloned();
    Ok(Mail {
        item: row.get(0)?,
        shown: ThreadMail {
            document_id: id(row, 1)?,
            source: row.get(2)?,
            title: row.get(3)?,
            from,
            date: optional_time(row, 4)?,
        },
        facts,
    })
}

impl Mail {
    fn fact(&self, key: &str) -> &str {
        self.facts.get(key).map(String::as_str).unwrap_or_default()
    }

    /// The messages that stand for the conversation.
    fn names(&self) -> impl Iterator<Item = String> {
        ["thread_id", "message_id"].map(|key| self.fact(key).to_owned()).into_iter()
    }

    /// A reply, by its subject, that does not say to what.
    fn is_loose(&self) -> bool {
        let names_others = ["in_reply_to", "references"].iter().any(|k| !self.fact(k).is_empty());
        let title = self.shown.title.as_deref().unwrap_or_default();
        !names_others && title.to_lowercase() != self.fact("thread_subject")
    }

    fn people(&self) -> BTreeSet<&str> {
        ["from_address", "to_addresses", "cc_addresses"]
            .into_iter()
            .flat_map(|key| self.fact(key).split(", "))
            .filter(|address| !address.is_empty())
            .collect()
    }
}

impl CatalogReader<'_> {
    /// The conversation that an item is part of, itself included; empty where it is no mail or the
    /// only one.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn thread(&self, item: ItemKey) -> Result<Vec<ThreadMail>, CatalogError> {
        let own = self.mails("read a mail", "i.key = ?1", [item.0])?;
        let Some(own) = own.into_iter().next().filter(|mail| {
            !mail.fact("thread_id").is_empty() || !mail.fact("thread_subject").is_empty()
        }) else {
            return Ok(Vec::new());
        };
        let mut found: BTreeMap<i64, Mail> =
            self.by_subject(&own)?.into_iter().map(|mail| (mail.item, mail)).collect();
        found.insert(own.item, own);
        let mut asked = BTreeSet::new();
        for _ in 0..MAX_STEPS {
            let names: BTreeSet<String> = found.values().flat_map(Mail::names).collect();
            let new: Vec<String> = names
                .into_iter()
                .filter(|name| !name.is_empty() && asked.insert(name.clone()))
                .collect();
            if new.is_empty() {
                break;
            }
            for name in new {
                if found.len() >= MAX_MAILS {
                    break;
                }
                for fact in ["thread_id", "message_id"] {
                    let condition = format!("json_extract(i.metadata, '$.{fact}') = ?1");
                    let mails = self.mails("list the mails of a thread", &condition, [&name])?;
                    found.extend(mails.into_iter().map(|mail| (mail.item, mail)));
                }
            }
        }
        if found.len() < 2 {
            return Ok(Vec::new());
        }
        let mut mails: Vec<ThreadMail> = found.into_values().map(|mail| mail.shown).collect();
        mails.sort_by(|a, b| (a.date, &a.source).cmp(&(b.date, &b.source)));
        mails.truncate(MAX_MAILS);
        Ok(mails)
    }

    /// Mails of the same subject between the same people, where one of the two is loose: mails of
    /// a subject that comes back every month are no conversation.
    fn by_subject(&self, own: &Mail) -> Result<Vec<Mail>, CatalogError> {
        let subject = own.fact("thread_subject");
        if subject.is_empty() {
            return Ok(Vec::new());
        }
        let mut mails = self.mails(
            "list the mails of a subject",
            "json_extract(i.metadata, '$.thread_subject') = ?1",
            params![subject],
        )?;
        let people = own.people();
        mails.retain(|mail| {
            let common = mail.people().intersection(&people).count();
            (own.is_loose() || mail.is_loose()) && common >= SAME_PEOPLE
        });
        Ok(mails)
    }

    fn mails(
        &self,
        operation: &'static str,
        condition: &str,
        params: impl Params,
    ) -> Result<Vec<Mail>, CatalogError> {
        let sql = format!("{SELECT} AND {condition} ORDER BY i.key LIMIT {MAX_MAILS}");
        self.all(operation, &sql, params, read)
    }
}
