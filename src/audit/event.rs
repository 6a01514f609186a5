//! What happened, before it has a place in a chain: event, occasion, record.
//!
//! Called by: `app`, which makes them; the stores, which chain them. Talks to: nothing.
//! Invariants: the text of a query leaves an event only where the tenant's policy keeps it; a
//! record holds no time finer than a store can give back.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::{Action, Outcome};
use super::chain::ChainKeys;
use super::detail::{Detail, Value};
use super::entry::{Entry, EntryHash, Party, Resource};

/// Something that was done or tried.
#[derive(Clone, Serialize, Deserialize)]
pub struct Event {
    action: Action,
    outcome: Outcome,
    resource: Option<Resource>,
    detail: Detail,
    /// What was searched or asked for. A record that is written down before it is chained goes
    /// without: the text would lie where no policy keeps it.
    #[serde(skip)]
    query: Option<String>,
}

impl Event {
    /// `action`, done.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            outcome: Outcome::Ok,
            resource: None,
            detail: Detail::default(),
            query: None,
        }
    }

    /// The same, on this resource.
    pub fn on(self, kind: &str, id: impl std::fmt::Display) -> Self {
        Self { resource: Some(Resource { kind: kind.to_owned(), id: id.to_string() }), ..self }
    }

    /// The same, ended otherwise.
    pub fn ended(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// The same with a fact.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.set(name, value);
        self
    }

    /// The same with a fact, where there is one.
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same about a query. Its text is recorded only where the policy says so; its length and
    /// a digest under the tenant's own key are recorded always.
    pub fn about(self, query: &str) -> Self {
        Self { query: Some(query.to_owned()), ..self }
    }

    /// What was done.
    pub fn action(&self) -> Action {
        self.action
    }
}

/// Where a request came from. Empty for Cairn's own work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub request_id: Option<String>,
    pub source: Option<IpAddr>,
}

/// When, who, and from where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Occasion {
    pub at: Timestamp,
    pub actor: Party,
    pub origin: Origin,
}

impl Occasion {
    /// The record of an event on this occasion.
    pub fn record(self, event: Event) -> Record {
        Record { occasion: self, event }
    }
}

/// An event with its occasion, ready to be chained.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    occasion: Occasion,
    event: Event,
}

impl Record {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        self.occasion.at
    }

    /// The entry that follows `previous`.
    pub(super) fn into_entry(
        self,
        keys: &ChainKeys,
        sequence: u64,
        previous: EntryHash,
        keeps_query_text: bool,
    ) -> Entry {
        let Self { occasion: Occasion { at, actor, origin }, event } = self;
        let mut detail = event.detail;
        if let Some(query) = event.query {
            detail.set("query_length", query.chars().count());
            detail.set("query_digest", keys.digest(&query));
            if keeps_query_text {
                detail.set("query", query);
            }
        }
        let mut entry = Entry {
            scope: keys.scope().to_owned(),
            sequence,
            at: Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at),
            actor,
            action: event.action.as_str().to_owned(),
            resource: event.resource,
            result: event.outcome.as_str().to_owned(),
            source: origin.source.map(|address| address.to_canonical().to_string()),
            request_id: origin.request_id,
            detail,
            previous,
            hash: previous,
        };
        entry.hash = entry.computed_hash();
        entry
    }
}
