//! The store under LanceDB: sealed files that answer like plain ones.

use object_store::path::Path as StorePath;
use object_store::{
    GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
};

use futures::TryStreamExt;

use super::super::provider::{Root, TenantStore};
use super::*;

fn store(dir: &Path) -> (TenantStore, StorePath) {
    let root = Root::of(dir).expect("an address").path;
    let cipher = testing::cipher(KeyPurpose::Vectors);
    (TenantStore::new(root.clone(), cipher, Latch::default()), root)
}

/// Bytes that differ from place to place.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at / 32_768) as u8).collect()
}

#[tokio::test]
async fn a_location_outside_the_directory_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, root) = store(&dir.path().join("mine"));
    let other = StorePath::from_absolute_path(dir.path().join("mine-too/file")).expect("a path");
    let refused = store.put(&other, b"x".as_slice().into()).await.err();
    assert!(matches!(refused, Some(object_store::Error::PermissionDenied { .. })));
    assert!(store.get(&other).await.is_err());
    assert!(store.delete(&other).await.is_err());
    assert!(store.put(&root.clone().join("file"), b"x".as_slice().into()).await.is_ok());
}

#[tokio::test]
async fn ranges_and_sizes_are_those_of_the_content() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, root) = store(dir.path());
    let bytes = content(100_000);
    let file = root.clone().join("data").join("a.lance");
    store.put(&file, bytes.clone().into()).await.expect("put");
    store.put(&root.clone().join("empty"), Vec::new().into()).await.expect("put");

    let get = async |range: Option<GetRange>| {
        let options = GetOptions { range, ..GetOptions::default() };
        let found = store.get_opts(&file, options).await.expect("get");
        assert_eq!(found.meta.size, 100_000);
        let range = found.range.clone();
        (range, found.bytes().await.expect("bytes"))
    };
    let ranges = [
        (None, 0..100_000),
        (Some(GetRange::Bounded(10..20)), 10..20),
        (Some(GetRange::Bounded(32_000..70_000)), 32_000..70_000),
        (Some(GetRange::Bounded(99_990..200_000)), 99_990..100_000),
        (Some(GetRange::Offset(65_536)), 65_536..100_000),
        (Some(GetRange::Suffix(7)), 99_993..100_000),
        (Some(GetRange::Suffix(200_000)), 0..100_000),
    ];
    for (asked, expected) in ranges {
        let (range, found) = get(asked.clone()).await;
        assert_eq!(range, expected, "{asked:?}");
        assert_eq!(found, bytes[expected.start as usize..expected.end as usize], "{asked:?}");
    }
    for refused in [GetRange::Bounded(100_000..100_001), GetRange::Offset(100_000)] {
        let options = GetOptions { range: Some(refused), ..GetOptions::default() };
        assert!(store.get_opts(&file, options).await.is_err());
    }
    let several = store.get_ranges(&file, &[5..9, 40_000..90_000]).await.expect("ranges");
    assert_eq!(several, [&bytes[5..9], &bytes[40_000..90_000]]);
    assert!(store.get_ranges(&file, &[99_999..100_001]).await.is_err());

    assert_eq!(store.head(&file).await.expect("head").size, 100_000);
    let listed: Vec<_> = store.list(None).try_collect().await.expect("list");
    let sizes: BTreeSet<u64> = listed.iter().map(|meta| meta.size).collect();
    assert_eq!(sizes, BTreeSet::from([0, 100_000]));
    let after = store.list_with_offset(None, &root.clone().join("data").join("z"));
    let after: Vec<_> = after.try_collect().await.expect("list");
    assert_eq!(after.iter().map(|meta| meta.size).collect::<Vec<_>>(), [0]);
    let level = store.list_with_delimiter(Some(&root.clone().join("data"))).await.expect("list");
    assert_eq!(level.objects[0].size, 100_000);
}

#[tokio::test]
async fn a_file_that_is_there_is_not_created_again_and_conditions_are_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, root) = store(dir.path());
    let file = root.clone().join("1.manifest");
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let put = store.put_opts(&file, b"first".as_slice().into(), create()).await.expect("put");
    let again = store.put_opts(&file, b"second".as_slice().into(), create()).await.err();
    assert!(matches!(again, Some(object_store::Error::AlreadyExists { .. })));
    let found = store.get(&file).await.expect("get");
    assert_eq!(found.meta.e_tag, put.e_tag);
    assert_eq!(found.bytes().await.expect("bytes"), b"first".as_slice());
    let condition = |tag: &str| GetOptions { if_match: Some(tag.to_owned()), ..Default::default() };
    let tag = put.e_tag.expect("a tag");
    assert!(store.get_opts(&file, condition(&tag)).await.is_ok());
    let refused = store.get_opts(&file, condition("other")).await.err();
    assert!(matches!(refused, Some(object_store::Error::Precondition { .. })));
    assert!(matches!(
        store.get(&root.clone().join("none")).await.err(),
        Some(object_store::Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn parts_make_one_file_in_the_order_they_were_given() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, root) = store(dir.path());
    let file = root.clone().join("a.lance");
    let bytes = content(300_001);
    let mut upload = store.put_multipart(&file).await.expect("an upload");
    let parts: Vec<_> =
        bytes.chunks(70_000).map(|part| upload.put_part(part.to_vec().into())).collect();
    // The last one's turn comes first.
    for part in parts.into_iter().rev() {
        part.await.expect("a part");
    }
    assert!(store.get(&file).await.is_err(), "nothing is in place before the end");
    upload.complete().await.expect("complete");
    let found = store.get(&file).await.expect("get").bytes().await.expect("bytes");
    assert_eq!(found, bytes);
    assert_eq!(testing::files(dir.path()).len(), 1);

    let mut upload = store.put_multipart(&root.clone().join("b.lance")).await.expect("an upload");
    upload.put_part(content(100_000).into()).await.expect("a part");
    upload.abort().await.expect("abort");
    assert!(upload.complete().await.is_err());
    assert_eq!(testing::files(dir.path()).len(), 1, "an aborted upload leaves nothing");
}

#[tokio::test]
async fn a_changed_cut_or_foreign_file_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, root) = store(dir.path());
    let file = root.clone().join("a.lance");
    store.put(&file, content(100_000).into()).await.expect("put");
    let path = dir.path().join("a.lance");
    let whole = std::fs::read(&path).expect("a file");

    let cipher = FileCipher::new(testing::keyring("other tenant", 1), KeyPurpose::Vectors);
    let other = TenantStore::new(root.clone(), cipher, Latch::default());
    assert!(other.get(&file).await.is_err());

    let mut changed = whole.clone();
    changed[50_000] ^= 1;
    std::fs::write(&path, &changed).expect("a file");
    let read = async { store.get(&file).await?.bytes().await };
    assert!(read.await.is_err());
    assert!(store.get_range(&file, 0..10).await.is_ok());

    testing::truncate(&path, 1);
    assert!(store.get(&file).await.is_err());
    assert!(store.get_range(&file, 0..10).await.is_err());
    std::fs::write(&path, &whole[..32]).expect("a file");
    assert!(store.head(&file).await.is_err());
    assert!(store.list(None).try_collect::<Vec<_>>().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_table_lies_on_disk_in_the_clear() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = VectorSettings { exact_rows_limit: 500, allow_index: true, ..exact() };
    let marker = "marker-model-7c1f";
    let vectors = open_as(dir.path(), &model(marker), &settings).await.expect("the table opens");
    let mut corpus = Corpus::new(13);
    for group in 0..10 {
        let mut rows = corpus.rows(group * 100..group * 100 + 100);
        for row in &mut rows {
            row.source = Arc::from("marker-source-91d2/file.txt");
        }
        vectors.append(rows).await.expect("append");
    }
    vectors.remove_items(&[ItemKey(3)]).await.expect("remove");
    let done = vectors.maintain().await.expect("maintain");
    assert!(matches!(done.index, IndexChange::Built { .. }));
    let query = corpus.vector();
    let hits = vectors.nearest(&query, &SearchFilter::default(), None, 3).await;
    assert_eq!(hits.expect("search").len(), 3);
    // The last two are column and index names, which a plain table holds in every file.
    for marker in [marker, "marker-source-91d2", schema::VECTOR, "vector_ivf"] {
        assert_eq!(testing::shows(dir.path(), marker), None, "{marker}");
    }
    for path in testing::files(dir.path()) {
        let bytes = std::fs::read(&path).expect("a file");
        assert!(bytes.starts_with(b"CAIRNSF1"), "{}", path.display());
    }
}

#[tokio::test]
async fn a_closed_latch_stops_a_table_that_is_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let latch = Latch::default();
    let cipher = testing::cipher(KeyPurpose::Vectors);
    let vectors = Vectors::open(dir.path(), &model("test-model"), &exact(), cipher, latch.clone())
        .await
        .expect("the table opens");
    let rows = Corpus::new(14).rows(0..10);
    vectors.append(rows.clone()).await.expect("append");
    latch.close();
    assert!(vectors.append(rows).await.is_err());
    drop(vectors);
    assert_eq!(open(dir.path()).await.rows().await.expect("rows"), 10);
}
