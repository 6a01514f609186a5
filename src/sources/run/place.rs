//! Documents follow the name of their source when it changes.
//!
//! Called by: `sources::run`. Talks to: catalogue.
//! Invariants: the newest things are moved first, so that the oldest tells whether all were, however
//! a run ended; nothing is read or embedded again; a document whose new name is taken keeps its own.

use super::{Cut, Run};
use crate::app::audit::{self, Action, Event};
use crate::app::ingest::clean_source;

/// Documents moved at a time.
const BATCH: u32 = 256;

impl Run<'_> {
    /// Where something at the source is listed here.
    pub(super) fn place_of(&self, path: &str) -> String {
        let place = format!("{}/{path}", self.source.name);
        // What cannot be taken in under its name is refused there.
        clean_source(&place).unwrap_or(place)
    }

    /// Moves documents below the name that the source has now.
    pub(super) async fn put_in_place(&mut self) -> Result<(), Cut> {
        let key = self.source.key;
        let oldest = self.tenant.read(move |catalog| catalog.oldest_placed_item(key)).await?;
        if oldest.is_none_or(|item| item.lies_at == self.place_of(&item.path)) {
            return Ok(());
        }
        let mut before = i64::MAX;
        loop {
            self.go_on().await?;
            let name = self.source.name.clone();
            let found = self
                .tenant
                .read(move |catalog| catalog.misplaced_items(key, &name, before, BATCH))
                .await?;
            let Some(last) = found.last() else { return Ok(()) };
            before = last.key;
            let moves: Vec<_> = found
                .into_iter()
                .map(|item| (item.document, self.place_of(&item.path), item.lies_at))
                .filter(|(_, to, lies_at)| to != lies_at)
                .collect();
            let (occasion, id) = (audit::occasion(self.tenant), self.source.id);
            let moved = self
                .tenant
                .write(move |catalog| {
                    let mut moved = 0_u64;
                    for (document, to, _) in moves {
                        moved += u64::from(catalog.move_document(document, &to)?);
                    }
                    if moved > 0 {
                        let event =
                            Event::new(Action::SourceChange).on("source", id).with("moved", moved);
                        catalog.record([occasion.record(event)])?;
                    }
                    Ok(moved)
                })
                .await?;
            self.counts.moved += moved;
            self.progress();
            self.tenant.announce(Vec::new());
            self.app.schedule.wake(self.tenant.id());
        }
    }
}
