//! What is found in a text besides its words: the dates it mentions, and what it is compared by.
//!
//! Called by: `app::index::fulltext`. Talks to: `dates`, `similarity`, catalogue.
//! Invariants: made anew whenever the text is indexed, so a rebuild brings what an earlier
//! release did not know; bounded per document.

use jiff::tz::{Offset, TimeZone};

use crate::dates::{self, Context};
use crate::similarity::{self, Signature};
use crate::tenant::{CatalogError, CatalogWriter, FulltextSource, NewDateMention};
use crate::types::{ItemKey, Language, Voice};

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
        // The writer's day, which need not be that of UTC.
        let offset = source.utc_offset.as_deref().and_then(offset).unwrap_or(Offset::UTC);
        let written = source.written.map(|time| time.to_zoned(TimeZone::fixed(offset)).date());
        let context = Context { written, day_first: day_first(source, text, offset) };
        let own = source.chunks.iter().filter(|chunk| chunk.voice == Voice::Own);
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

/// True where `3/4/2024` is most likely a day of April: as the text's own dates show, else as
/// people write where it comes from, else as they write in its language.
fn day_first(source: &FulltextSource, text: &str, offset: Offset) -> bool {
    let is_english = source.language == Language::English.code();
    // English is written east of Greenwich, from Lagos to Auckland, with the day first.
    let by_place = (is_english && offset.seconds() > 0).then_some(true);
    dates::day_first_in(text)
        .or_else(|| source.lang.as_deref().and_then(dates::day_first_by_tag))
        .or_else(|| source.from_address.as_deref().and_then(dates::day_first_by_address))
        .or(by_place)
        .unwrap_or(!is_english)
}

/// The offset that extraction noted: `+11:00`.
fn offset(noted: &str) -> Option<Offset> {
    let (hours, minutes) = noted.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<i32>().ok()?.checked_mul(60)?.checked_add(minutes.parse().ok()?)?;
    let seconds = seconds.checked_mul(60)?;
    match noted.get(..1)? {
        "+" => Offset::from_seconds(seconds).ok(),
        "-" => Offset::from_seconds(-seconds).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::tenant::FulltextChunk;
    use crate::types::ChunkKey;

    fn source(language: Language, written: &str, text: &str) -> FulltextSource {
        let time: Timestamp = written.parse().expect("a time");
        FulltextSource {
            item: ItemKey(1),
            title: String::new(),
            language: language.code().to_owned(),
            headings: String::new(),
            text_zstd: Vec::new(),
            source: "a.eml".to_owned(),
            media_type: "message/rfc822".to_owned(),
            date: time,
            written: Some(time),
            utc_offset: None,
            lang: None,
            from_address: None,
            authors: Vec::new(),
            recipients: Vec::new(),
            chunks: vec![FulltextChunk {
                key: ChunkKey(1),
                text: text.to_owned(),
                voice: Voice::Own,
            }],
        }
    }

    fn days(source: &FulltextSource) -> Vec<String> {
        let text = source.chunks[0].text.clone();
        Derived::of((source, text.as_str()))
            .dates
            .iter()
            .map(|date| date.first.to_string())
            .collect()
    }

    #[test]
    fn yesterday_is_that_of_the_writer() {
        let text = "Signed yesterday. Today is a good day. It ships next Tuesday.";
        let mut mail = source(Language::English, "2024-03-11T21:00:00Z", text);
        assert_eq!(days(&mail), ["2024-03-10", "2024-03-11", "2024-03-12"]);
        mail.utc_offset = Some("+11:00".to_owned());
        assert_eq!(days(&mail), ["2024-03-11", "2024-03-12", "2024-03-19"]);
        for nonsense in ["", "+", "11:00", "+99:00", "+1:2:3", "\u{fc}1:00"] {
            mail.utc_offset = Some(nonsense.to_owned());
            assert_eq!(days(&mail)[1], "2024-03-11", "{nonsense}");
        }
    }

    #[test]
    fn day_and_month_are_told_apart_by_what_is_known_of_the_writer() {
        let text = "on 03/04/2024";
        let mut mail = source(Language::English, "2024-03-12T10:00:00Z", text);
        assert_eq!(days(&mail), ["2024-03-04"]);
        mail.from_address = Some("j@example.co.uk".to_owned());
        assert_eq!(days(&mail), ["2024-04-03"]);
        mail.lang = Some("en-US".to_owned());
        assert_eq!(days(&mail), ["2024-03-04"]);
        mail.chunks[0].text = "on 03/04/2024 and 31/12/2024".to_owned();
        assert_eq!(days(&mail), ["2024-04-03", "2024-12-31"]);
        assert_eq!(days(&source(Language::German, "2024-03-12T10:00:00Z", text)), ["2024-04-03"]);
    }
}
