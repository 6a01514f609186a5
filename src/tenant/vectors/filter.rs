//! A search filter as the expressions the engine evaluates before it compares vectors.
//!
//! Called by: `tenant::vectors`. Talks to: nothing.
//! Invariants: nothing a user typed is ever parsed: filters are built as expression trees, and a
//! prefix is compared literally, so quotes, `%`, `_` and `\` in a path mean themselves.
//! Why: SQL text with LIKE would need two layers of escaping, each with its own rules.

use std::fmt::Write as _;

use lancedb::datafusion::functions::string::expr_fn::starts_with;
use lancedb::expr::{DfExpr, col, lit};

use super::schema::{CHUNK, DATE, ITEM, MEDIA_TYPE, SOURCE};
use crate::types::{ChunkKey, ItemKey, SearchFilter, VisibleItems};

/// The condition a row must meet; none where everything is admitted and everything is visible.
pub(super) fn condition(filter: &SearchFilter, visible: Option<&VisibleItems>) -> Option<DfExpr> {
    let mut parts = Vec::new();
    if let Some(visible) = visible {
        // In order, so that the same sight makes the same plan.
        let mut items: Vec<i64> = visible.iter().map(|item| item.0).collect();
        items.sort_unstable();
        parts.push(col(ITEM).in_list(items.into_iter().map(lit).collect(), false));
    }
    if let Some(prefix) = &filter.source {
        parts.push(starts_with(col(SOURCE), lit(prefix.as_str())));
    }
    if let Some(media_type) = &filter.media_type {
        let wanted = lit(media_type.as_str());
        parts.push(if media_type.ends_with('/') {
            starts_with(col(MEDIA_TYPE), wanted)
        } else {
            col(MEDIA_TYPE).eq(wanted)
        });
    }
    if let Some(after) = filter.after {
        parts.push(col(DATE).gt_eq(lit(after.as_microsecond())));
    }
    if let Some(before) = filter.before {
        parts.push(col(DATE).lt(lit(before.as_microsecond())));
    }
    parts.into_iter().reduce(DfExpr::and)
}

/// SQL that selects the rows of `items`, which must not be empty. Made of integers only.
pub(super) fn rows_of(items: &[ItemKey]) -> String {
    listed(ITEM, items.iter().map(|item| item.0))
}

/// The same for `chunks`.
pub(super) fn rows_with(chunks: &[ChunkKey]) -> String {
    listed(CHUNK, chunks.iter().map(|chunk| chunk.0))
}

fn listed(column: &str, keys: impl Iterator<Item = i64>) -> String {
    let mut sql = format!("{column} IN (");
    for (index, key) in keys.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(sql, "{comma}{key}").expect("invariant: writing to a String does not fail");
    }
    sql.push(')');
    sql
}
