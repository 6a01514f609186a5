//! Behaviour of a tenant's vectors through their own interface, on real files.

mod corpus;
mod index;
mod sealed;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use corpus::{Corpus, DIMENSION};

use super::*;
use crate::crypto::KeyPurpose;
use crate::tenant::testing;

/// Settings that keep every search exact.
fn exact() -> VectorSettings {
    VectorSettings {
        index_cache_bytes: 16 << 20,
        metadata_cache_bytes: 16 << 20,
        exact_rows_limit: 100_000,
        allow_index: false,
        scratch: None,
        resident: ResidentBudget::new(64 << 20),
    }
}

/// Groups of vectors near each other.
const CLUSTERS: usize = 40;

impl Corpus {
    fn new(seed: u64) -> Self {
        Self::with_clusters(seed, CLUSTERS)
    }

    /// Rows with these chunk keys, two to an item.
    fn rows(&mut self, chunks: Range<i64>) -> Vec<VectorRow> {
        chunks.map(|chunk| row(chunk, chunk / 2, &self.vector())).collect()
    }
}

pub(super) fn row(chunk: i64, item: i64, vector: &[f32]) -> VectorRow {
    VectorRow {
        chunk: ChunkKey(chunk),
        item: ItemKey(item),
        source: Arc::from("a/b.txt"),
        media_type: Arc::from("text/plain"),
        date_us: 0,
        vector: vector.to_vec(),
    }
}

fn model(id: &str) -> ModelInfo {
    ModelInfo {
        id: id.to_owned(),
        revision: "1".to_owned(),
        dimension: DIMENSION,
        max_tokens: 256,
        language: "English".to_owned(),
        licence: "Apache-2.0".to_owned(),
        sha256: String::new(),
    }
}

async fn open_as(
    dir: &Path,
    model: &ModelInfo,
    settings: &VectorSettings,
) -> Result<Vectors, VectorError> {
    let cipher = testing::cipher(KeyPurpose::Vectors);
    Vectors::open(dir, model, settings, cipher, Latch::default()).await
}

async fn open(dir: &Path) -> Vectors {
    open_as(dir, &model("test-model"), &exact()).await.expect("the table opens")
}

fn from_source(chunk: i64, source: &str, media_type: &str, vector: &[f32]) -> VectorRow {
    VectorRow {
        source: Arc::from(source),
        media_type: Arc::from(media_type),
        ..row(chunk, chunk, vector)
    }
}

async fn chunks(vectors: &Vectors, query: &[f32], filter: SearchFilter) -> BTreeSet<i64> {
    let hits = vectors.nearest(query, &filter, None, 100).await.expect("search");
    hits.iter().map(|hit| hit.chunk.0).collect()
}

#[tokio::test]
async fn an_appended_chunk_is_found_at_once_with_its_similarity() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let mut corpus = Corpus::new(1);
    let rows = corpus.rows(0..50);
    let query = rows[7].vector.clone();
    vectors.append(rows).await.expect("append");

    let hits = vectors.nearest(&query, &SearchFilter::default(), None, 5).await.expect("search");

    assert_eq!(hits.len(), 5);
    assert_eq!((hits[0].chunk, hits[0].item), (ChunkKey(7), ItemKey(3)));
    assert!((hits[0].similarity - 1.0).abs() < 1e-4);
    assert!(hits.windows(2).all(|pair| pair[0].similarity >= pair[1].similarity));
    assert_eq!(vectors.rows().await.expect("rows"), 50);
}

#[tokio::test]
async fn similarity_is_the_cosine_of_the_two_vectors() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let rows = Corpus::new(2).rows(0..2);
    let cosine: f32 = rows[0].vector.iter().zip(&rows[1].vector).map(|(a, b)| a * b).sum();
    let query = rows[0].vector.clone();
    vectors.append(rows).await.expect("append");

    let hits = vectors.nearest_exact(&query, &SearchFilter::default(), 2).await.expect("search");

    assert!((hits[1].similarity - cosine).abs() < 1e-4);
}

#[tokio::test]
async fn an_empty_table_finds_nothing_and_lists_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let query = Corpus::new(3).vector();
    assert!(chunks(&vectors, &query, SearchFilter::default()).await.is_empty());
    assert!(vectors.items().await.expect("items").is_empty());
    vectors.remove_items(&[ItemKey(1)]).await.expect("remove");
    vectors.clear().await.expect("clear");
}

#[tokio::test]
async fn removed_items_are_gone_and_others_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let rows = Corpus::new(4).rows(0..20);
    let query = rows[0].vector.clone();
    vectors.append(rows).await.expect("append");

    vectors.remove_items(&[ItemKey(0), ItemKey(5), ItemKey(999)]).await.expect("remove");

    let found = chunks(&vectors, &query, SearchFilter::default()).await;
    assert_eq!(found.len(), 16);
    assert!([0, 1, 10, 11].iter().all(|chunk| !found.contains(chunk)));
    let items = vectors.items().await.expect("items");
    assert_eq!(items.len(), 8);
    assert!(!items.contains(&ItemKey(5)));
}

#[tokio::test]
async fn rows_of_an_item_are_listed_and_go_one_by_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let rows = Corpus::new(4).rows(0..20);
    let query = rows[0].vector.clone();
    vectors.append(rows).await.expect("append");
    // Searched once, so that the rows are in memory as well.
    assert_eq!(chunks(&vectors, &query, SearchFilter::default()).await.len(), 20);
    vectors.remove_chunks(&[ChunkKey(11), ChunkKey(999)]).await.expect("remove");
    let found = chunks(&vectors, &query, SearchFilter::default()).await;
    assert!(found.len() == 19 && !found.contains(&11), "{found:?}");
    let mut listed = vectors.places_of(&[ItemKey(4), ItemKey(5)]).await.expect("rows");
    listed.sort_unstable_by_key(|place| place.chunk);
    let listed: Vec<_> =
        listed.iter().map(|place| (place.chunk.0, place.item.0, &*place.source)).collect();
    let source = row(0, 0, &query).source;
    assert_eq!(listed, [(8, 4, &*source), (9, 4, &*source), (10, 5, &*source)]);
}

#[tokio::test]
async fn removing_before_appending_makes_a_repeated_group_harmless() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    for _ in 0..3 {
        let rows = Corpus::new(5).rows(0..30);
        let items: BTreeSet<ItemKey> = rows.iter().map(|row| row.item).collect();
        let items: Vec<ItemKey> = items.into_iter().collect();
        vectors.remove_items(&items).await.expect("remove");
        vectors.append(rows).await.expect("append");
    }
    assert_eq!(vectors.rows().await.expect("rows"), 30);
}

#[tokio::test]
async fn a_source_prefix_is_compared_literally() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let query = Corpus::new(6).vector();
    let sources = [
        "it's/50%_off/a.txt",
        "it's/50xxoff/b.txt",
        "its/50%_off/c.txt",
        r"back\slash/d.txt",
        r#"say "yes"/e.txt"#,
        "back/slash/f.txt",
    ];
    let rows = (0..)
        .zip(sources)
        .map(|(chunk, source)| from_source(chunk, source, "text/plain", &query))
        .collect();
    vectors.append(rows).await.expect("append");

    let cases: [(&str, &[i64]); 8] = [
        ("it's/50%_", &[0]),
        ("it's/", &[0, 1]),
        ("%", &[]),
        ("_t", &[]),
        (r"back\", &[3]),
        (r#"say ""#, &[4]),
        ("' OR 1=1 --", &[]),
        ("", &[0, 1, 2, 3, 4, 5]),
    ];
    for (prefix, expected) in cases {
        let filter = SearchFilter { source: Some(prefix.to_owned()), ..SearchFilter::default() };
        let found = chunks(&vectors, &query, filter).await;
        let expected: BTreeSet<i64> = expected.iter().copied().collect();
        assert_eq!(found, expected, "prefix {prefix}");
    }
}

#[tokio::test]
async fn media_types_and_dates_narrow_a_search_before_it_ranks() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let mut corpus = Corpus::new(7);
    let query = corpus.vector();
    let far = corpus.vector();
    let mut rows: Vec<VectorRow> =
        (0..20).map(|chunk| from_source(chunk, "near", "text/plain", &query)).collect();
    rows.push(from_source(20, "far", "text/html", &far));
    rows.push(from_source(21, "far", "application/pdf", &far));
    for (day, row) in (0..).zip(&mut rows) {
        row.date_us = day * 86_400_000_000;
    }
    vectors.append(rows).await.expect("append");
    let only = |media_type: &str| SearchFilter {
        media_type: Some(media_type.to_owned()),
        ..SearchFilter::default()
    };

    // Twenty nearer chunks must not crowd out the one that the filter admits.
    let hits = vectors.nearest(&query, &only("application/pdf"), None, 1).await.expect("search");
    assert_eq!(hits[0].chunk, ChunkKey(21));
    assert_eq!(chunks(&vectors, &query, only("text/")).await.len(), 21);
    assert!(chunks(&vectors, &query, only("text")).await.is_empty());

    let week = SearchFilter {
        after: Some("1970-01-04T00:00:00Z".parse().expect("a date")),
        before: Some("1970-01-08T00:00:00Z".parse().expect("a date")),
        ..SearchFilter::default()
    };
    let found = chunks(&vectors, &query, week).await;
    assert_eq!(found, BTreeSet::from([3, 4, 5, 6]));
}

#[tokio::test]
async fn rows_survive_closing_and_reopening() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().join("not yet there/vectors");
    let rows = Corpus::new(8).rows(0..10);
    let query = rows[3].vector.clone();
    let vectors = open(&dir).await;
    vectors.append(rows).await.expect("append");
    drop(vectors);

    let vectors = open(&dir).await;

    assert_eq!(vectors.rows().await.expect("rows"), 10);
    let hits = vectors.nearest(&query, &SearchFilter::default(), None, 1).await.expect("search");
    assert_eq!(hits[0].chunk, ChunkKey(3));
}

#[tokio::test]
async fn another_model_gets_another_table_and_the_old_one_can_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let old = open(dir.path()).await;
    old.append(Corpus::new(9).rows(0..4)).await.expect("append");
    let new = open_as(dir.path(), &model("better-model"), &exact()).await.expect("the table opens");
    assert_eq!(new.rows().await.expect("rows"), 0);
    drop(old);

    assert_eq!(new.drop_other_models().await.expect("drop"), 1);

    assert_eq!(new.drop_other_models().await.expect("drop"), 0);
    assert_eq!(open(dir.path()).await.rows().await.expect("rows"), 0);
}

#[tokio::test]
async fn a_table_of_another_dimension_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()).await);
    let mut other = model("test-model");
    other.dimension = 16;
    let refused = open_as(dir.path(), &other, &exact()).await.err();
    assert!(matches!(refused, Some(VectorError::Mismatch { .. })));
}

#[tokio::test]
async fn vectors_that_do_not_fit_the_model_are_refused_as_a_group() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let mut rows = Corpus::new(10).rows(0..3);
    rows[2].vector.pop();
    let refused = vectors.append(rows).await.expect_err("too short");
    assert!(matches!(refused, VectorError::Dimension { chunk: 2, .. }));

    let mut rows = Corpus::new(10).rows(0..3);
    rows[1].vector[0] = f32::NAN;
    let refused = vectors.append(rows).await.expect_err("not a number");
    assert!(matches!(refused, VectorError::NotNormalised { chunk: 1 }));

    let refused =
        vectors.nearest(&[1.0], &SearchFilter::default(), None, 1).await.expect_err("too short");
    assert!(matches!(refused, VectorError::QueryDimension { .. }));
    assert_eq!(vectors.rows().await.expect("rows"), 0);
}

#[tokio::test]
async fn clearing_empties_the_table_and_it_fills_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    vectors.append(Corpus::new(11).rows(0..10)).await.expect("append");
    vectors.clear().await.expect("clear");
    assert_eq!(vectors.rows().await.expect("rows"), 0);
    vectors.append(Corpus::new(11).rows(0..5)).await.expect("append");
    assert_eq!(vectors.rows().await.expect("rows"), 5);
}

#[tokio::test]
async fn many_small_groups_are_merged_without_losing_a_row() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open(dir.path()).await;
    let mut corpus = Corpus::new(12);
    for group in 0..10 {
        let rows = corpus.rows(group * 10..group * 10 + 10);
        vectors.append(rows).await.expect("append");
    }
    vectors.remove_items(&[ItemKey(0)]).await.expect("remove");

    let done = vectors.maintain().await.expect("maintain");

    assert_eq!((done.groups_merged, done.groups_written), (10, 1));
    assert_eq!(done.index, IndexChange::None);
    assert_eq!(vectors.rows().await.expect("rows"), 98);
    assert_eq!(vectors.items().await.expect("items").len(), 49);
    let again = vectors.maintain().await.expect("maintain");
    assert_eq!(again.groups_merged, 0);
}

#[tokio::test]
async fn what_interrupted_uploads_left_is_removed_on_opening() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(open(dir.path()).await);
    let name = schema::table_name(&model("test-model"));
    let data = dir.path().join(format!("{name}.lance")).join("data");
    std::fs::create_dir_all(&data).expect("a directory");
    let left = data.join("abc.lance#12");
    let kept = data.join("abc#x.lance");
    std::fs::write(&left, b"half").expect("a file");
    std::fs::write(&kept, b"whole").expect("a file");

    drop(open(dir.path()).await);

    assert!(!left.exists());
    assert!(kept.exists());
}
