//! What somebody finds who may see some documents only.
//!
//! Called by: the test runner. Talks to: the index by way of `Rig`.
//! Invariants: none of its own.

use super::*;

/// An item of one chunk and nothing else.
fn bare(item: i64, body: &'static str) -> FulltextEntry<'static> {
    FulltextEntry {
        item: ItemKey(item),
        language: EN,
        title: "",
        headings: "",
        body,
        aside: Vec::new(),
        source: "notes.txt",
        media_type: "text/plain",
        authors: &[],
        recipients: &[],
        date: Timestamp::UNIX_EPOCH,
        chunks: vec![(ChunkKey(item), body)],
    }
}

#[test]
fn what_is_out_of_sight_changes_neither_order_nor_score() {
    let texts = [
        (1, "the heron stands in the reeds and waits for frogs"),
        (2, "a heron and a heron"),
        (3, "reeds, reeds, and more reeds by the water where the frogs are"),
    ];
    // In these, what is rare in sight is common, and every text is long.
    let hidden = "heron heron heron ".repeat(200) + "frogs";
    let shown: Vec<_> = texts.iter().map(|(item, body)| bare(*item, body)).collect();
    let alone = Rig::with(&shown);
    let among = Rig::with(&shown);
    let hidden: &'static str = hidden.leak();
    for item in 100..160 {
        among.index.write_group(&[bare(item, hidden)], &[]).unwrap();
    }
    let visible: VisibleItems = Arc::new(texts.iter().map(|(item, _)| ItemKey(*item)).collect());
    let items: Vec<ItemKey> = visible.iter().copied().collect();
    for text in ["heron frogs", "reeds heron", "\"heron stands\" frogs", "-water heron reeds"] {
        let query = Query::parse(text).query;
        let search = |rig: &Rig| {
            let (filter, sight) = (SearchFilter::default(), Some(&visible));
            rig.index.search_documents(&query, &filter, sight, &[EN], 2).unwrap()
        };
        let (lone, found) = (search(&alone), search(&among));
        assert!(!lone.hits.is_empty(), "{text}");
        assert_eq!(lone.hits, found.hits, "{text}");
        assert_eq!((lone.documents, lone.matched), (found.documents, found.matched), "{text}");
        assert!((lone.score_sum - found.score_sum).abs() < 1e-6, "{text}");
        let passages = |rig: &Rig| {
            rig.index.search_passages(&query, Some(&visible), &[EN], &items, 3).unwrap()
        };
        assert_eq!(passages(&alone), passages(&among), "{text}");
    }
    // Without the limit the others would have the say: this test can fail.
    let query = Query::parse("heron frogs").query;
    let all = among.index.search_documents(&query, &SearchFilter::default(), None, &[EN], 2);
    assert!(all.unwrap().hits.iter().all(|hit| hit.item.0 >= 100));
}

#[test]
fn what_is_known_of_a_sight_ends_with_the_list_and_with_the_state_of_the_index() {
    let rig = Rig::with(&[bare(1, "A heron in the reeds."), bare(3, "A heron out of sight.")]);
    let query = Query::parse("heron").query;
    let found = |visible: &VisibleItems| {
        let filter = SearchFilter::default();
        let found = rig.index.search_documents(&query, &filter, Some(visible), &[EN], 9).unwrap();
        let mut items: Vec<i64> = found.hits.iter().map(|hit| hit.item.0).collect();
        items.sort_unstable();
        (items, found.documents)
    };
    let two: VisibleItems = Arc::new([1, 2].map(ItemKey).into());
    for _ in 0..2 {
        assert_eq!(found(&two), (vec![1], 1));
    }
    rig.index.write_group(&[bare(2, "A heron on the dam.")], &[]).unwrap();
    for _ in 0..2 {
        assert_eq!(found(&two), (vec![1, 2], 2));
    }
    let one: VisibleItems = Arc::new([2].map(ItemKey).into());
    assert_eq!(found(&one), (vec![2], 1));
    assert_eq!(found(&two), (vec![1, 2], 2));
    rig.index.write_group(&[], &[ItemKey(1)]).unwrap();
    assert_eq!(found(&two), (vec![2], 1));
}
