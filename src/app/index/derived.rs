//! What is found in a text besides its words: the dates it mentions, and what it is compared by.
//!
//! Called by: `app::index::fulltext`. Talks to: `dates`, `similarity`, catalogue.
//! Invariants: made anew whenever the text is indexed, so a rebuild brings what an earlier
//! release did not know; bounded per document.

use jiff::tz::TimeZone;

use crate::dates::{self, Context};
use crate::similarity::{self, Signature};
use crate::tenant::{CatalogError, CatalogWriter, FulltextSource, NewDateMention};
use crate::types::{ItemKey, Language};

/// Most dates kept of one document.
const MAX_DATES: usize = 2000;

/// What is kept of one item's text.
pub(super) struct Derived {
    item: ItemKey,
    dates: Vec<NewDateMention>,
    signature: Option<Signature>,
}

impl Derived {
    /// Reads an item whose own words are `text`.
    pub(super) fn of((source, text): (&FulltextSource, &str)) -> Self {
        let written = source.written.map(|time| time.to_zoned(TimeZone::UTC).date());
        let context = Context { written, day_first: source.language != Language::English.code() };
        let own = source.chunks.iter().filter(|chunk| !chunk.quoted);
        let dates = own.flat_map(|chunk| {
            dates::find(&chunk.text, context).into_iter().map(|found| NewDateMention {
                chunk: chunk.key,
                start: found.start,
                end: found.end,
                first: found.first,
                last: found.last,
                expression: found.expression,
            })
        });
        Self {
            item: source.item,
            dates: dates.take(MAX_DATES).collect(),
            signature: similarity::signature(text),
        }
    }

    pub(super) fn store(&self, catalog: &CatalogWriter<'_>) -> Result<(), CatalogError> {
        catalog.store_date_mentions(self.item, &self.dates)?;
        catalog.store_signature(self.item, self.signature.as_ref())
    }
}
