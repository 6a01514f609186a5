//! The approximate index: built, measured, extended, dropped.

use super::corpus::Corpus;
use super::*;

/// Settings under which a few thousand rows call for an index.
fn indexed() -> VectorSettings {
    VectorSettings { exact_rows_limit: 1000, allow_index: true, ..exact() }
}

async fn open_indexed(dir: &Path, settings: &VectorSettings) -> Vectors {
    open_as(dir, &model("test-model"), settings).await.expect("the table opens")
}

/// A table of 6,000 rows with an index, and the generator that made them.
async fn built(dir: &Path) -> (Vectors, Corpus) {
    let vectors = open_indexed(dir, &indexed()).await;
    let mut corpus = Corpus::new(20);
    for group in 0..3 {
        let rows = corpus.rows(group * 2000..group * 2000 + 2000);
        vectors.append(rows).await.expect("append");
    }
    let done = vectors.maintain().await.expect("maintain");
    assert!(matches!(done.index, IndexChange::Built { recall } if recall >= 0.95));
    (vectors, corpus)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_finds_nearly_all_of_what_a_full_comparison_finds() {
    let dir = tempfile::tempdir().expect("a directory");
    let (vectors, mut corpus) = built(dir.path()).await;
    assert_eq!(
        vectors.index_state(),
        IndexState { kind: IndexKind::Ivf, building: false, lacks_room: false }
    );

    let queries: Vec<Vec<f32>> = (0..40).map(|_| corpus.vector()).collect();
    let recall = vectors.recall(&queries, 10).await.expect("recall");

    assert!(recall >= 0.95, "recall is {recall}");
    let filter = SearchFilter::default();
    let near = vectors.nearest(&queries[0], &filter, None, 1).await;
    let exact = vectors.nearest_exact(&queries[0], &filter, 1).await;
    let difference = near.expect("search")[0].similarity - exact.expect("search")[0].similarity;
    assert!(difference.abs() < 1e-4, "similarities differ by {difference}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_appended_after_the_index_was_built_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let (vectors, mut corpus) = built(dir.path()).await;
    let late = corpus.rows(9000..9001);
    let query = late[0].vector.clone();
    vectors.append(late).await.expect("append");

    let hits = vectors.nearest(&query, &SearchFilter::default(), None, 3).await.expect("search");

    assert_eq!(hits[0].chunk, ChunkKey(9000));
    assert!((hits[0].similarity - 1.0).abs() < 1e-4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_rows_are_not_found_through_the_index() {
    let dir = tempfile::tempdir().expect("a directory");
    let (vectors, mut corpus) = built(dir.path()).await;
    let query = corpus.vector();
    let filter = SearchFilter::default();
    let first = vectors.nearest(&query, &filter, None, 1).await.expect("search")[0];
    vectors.remove_items(&[first.item]).await.expect("remove");
    let hits = vectors.nearest(&query, &filter, None, 10).await.expect("search");
    assert_eq!(hits.len(), 10);
    assert!(hits.iter().all(|hit| hit.item != first.item));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_filter_still_yields_every_row_it_admits() {
    let dir = tempfile::tempdir().expect("a directory");
    let (vectors, mut corpus) = built(dir.path()).await;
    let mut rows = corpus.rows(9000..9030);
    for row in &mut rows {
        row.source = Arc::from("rare/file.txt");
    }
    vectors.append(rows).await.expect("append");
    let rare = SearchFilter { source: Some("rare/".to_owned()), ..SearchFilter::default() };
    let hits = vectors.nearest(&corpus.vector(), &rare, None, 50).await;
    assert_eq!(hits.expect("search").len(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_rows_extend_the_index_and_it_is_still_known_after_reopening() {
    let dir = tempfile::tempdir().expect("a directory");
    let (vectors, mut corpus) = built(dir.path()).await;
    vectors.append(corpus.rows(9000..10_000)).await.expect("append");
    let done = vectors.maintain().await.expect("maintain");
    assert_eq!(done.index, IndexChange::Extended);
    drop(vectors);

    let vectors = open_indexed(dir.path(), &indexed()).await;

    assert_eq!(vectors.index_state().kind, IndexKind::Ivf);
    let queries: Vec<Vec<f32>> = (0..20).map(|_| corpus.vector()).collect();
    let recall = vectors.recall(&queries, 10).await.expect("recall");
    assert!(recall >= 0.95, "recall is {recall}");
    let done = vectors.maintain().await.expect("maintain");
    assert_eq!(done.index, IndexChange::None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_no_longer_allowed_is_dropped() {
    let dir = tempfile::tempdir().expect("a directory");
    let (vectors, mut corpus) = built(dir.path()).await;
    drop(vectors);
    let mut settings = indexed();
    settings.allow_index = false;
    let vectors = open_indexed(dir.path(), &settings).await;

    let done = vectors.maintain().await.expect("maintain");

    assert_eq!(done.index, IndexChange::Dropped);
    assert_eq!(vectors.index_state().kind, IndexKind::Exact);
    let recall = vectors.recall(&[corpus.vector()], 10).await;
    assert!((recall.expect("recall") - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_rows_get_no_index() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open_indexed(dir.path(), &indexed()).await;
    vectors.append(Corpus::new(21).rows(0..1000)).await.expect("append");
    let done = vectors.maintain().await.expect("maintain");
    assert_eq!(done.index, IndexChange::None);
    assert_eq!(vectors.index_state().kind, IndexKind::Exact);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_may_be_appended_and_removed_while_an_index_is_built() {
    let dir = tempfile::tempdir().expect("a directory");
    let vectors = open_indexed(dir.path(), &indexed()).await;
    let mut corpus = Corpus::new(22);
    vectors.append(corpus.rows(0..3000)).await.expect("append");
    let build = tokio::spawn({
        let vectors = vectors.clone();
        async move { vectors.maintain().await }
    });
    for group in 0..5 {
        let first = 10_000 + group * 20;
        vectors.append(corpus.rows(first..first + 20)).await.expect("append");
        vectors.remove_items(&[ItemKey(group)]).await.expect("remove");
    }
    build.await.expect("not cancelled").expect("maintain");
    assert_eq!(vectors.rows().await.expect("rows"), 3000 + 100 - 10);
    assert_eq!(vectors.items().await.expect("items").len(), 1500 + 50 - 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_to_spill_to_every_vector_is_compared_and_the_state_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    // No directory, no room.
    let scratch = Some(dir.path().join("none"));
    let settings = VectorSettings { scratch, ..indexed() };
    let vectors = open_indexed(dir.path(), &settings).await;
    let mut corpus = Corpus::new(23);
    vectors.append(corpus.rows(0..1500)).await.expect("append");

    let done = vectors.maintain().await.expect("maintain");

    assert_eq!(done.index, IndexChange::None);
    let state = vectors.index_state();
    assert_eq!(state, IndexState { kind: IndexKind::Exact, building: false, lacks_room: true });
    let recall = vectors.recall(&[corpus.vector()], 10).await;
    assert!((recall.expect("recall") - 1.0).abs() < f64::EPSILON);
}
