//! Tenants from outside: opened, closed, locked, rotated, removed; and what of them lies on disk.
//!
//! Called by: the test runner. Talks to: the module above, a home in a temporary directory.
//! Invariants: none of its own.

use std::path::Path;

use jiff::Timestamp;
use tokio::io::AsyncReadExt;

use super::*;
use crate::audit::{Action, Event, Occasion, Origin, Party, Record, Value};
use crate::auth::{SystemActor, Write, system_grant};
use crate::clock::SystemClock;
use crate::keys::Kek;
use crate::system::TrailQuery;
use crate::tenant::{
    AuditReader, BlobError, FulltextEntry, FulltextError, NewDrop, Query, VectorError, VectorRow,
    testing,
};
use crate::types::{ChunkKey, ItemKey, Language, SearchFilter};

const MARKER: &str = "markerword";

struct Home {
    dir: tempfile::TempDir,
    keys: Arc<KeyStore>,
    kek: Kek,
    registry: Registry,
}

impl Home {
    fn new() -> Self {
        let kek = Kek::generate().unwrap();
        Self::over(tempfile::tempdir().unwrap(), kek)
    }

    fn over(dir: tempfile::TempDir, kek: Kek) -> Self {
        let keys = Arc::new(KeyStore::create(&dir.path().join("keys"), &kek).unwrap());
        let registry = registry(dir.path(), &keys);
        Self { dir, keys, kek, registry }
    }

    /// The same home in another process.
    fn restarted(self) -> Self {
        let Self { dir, kek, registry, .. } = self;
        drop(registry);
        Self::over(dir, kek)
    }

    fn create_tenant(&self, name: &str) -> Result<TenantRecord, RegistryError> {
        self.registry.create(name, Tier::Pro, |_| Ok(()))
    }

    fn create(&self, name: &str) -> TenantId {
        self.create_tenant(name).unwrap().id
    }

    fn open(&self, tenant: TenantId) -> Result<TenantHandle<Write>, RegistryError> {
        self.registry.open(&grant(tenant))
    }

    fn root(&self, tenant: TenantId) -> PathBuf {
        self.dir.path().join("tenants").join(tenant.to_string())
    }
}

fn registry(home: &Path, keys: &Arc<KeyStore>) -> Registry {
    std::fs::create_dir_all(home.join("tenants")).unwrap();
    let settings = VectorSettings {
        index_cache_bytes: 1 << 20,
        metadata_cache_bytes: 1 << 20,
        exact_rows_limit: 300,
        allow_index: true,
        scratch: None,
        resident: crate::tenant::ResidentBudget::new(64 << 20),
    };
    Registry::new(
        home.join("tenants"),
        testing::system(&home.join("system.db")),
        keys.clone(),
        Arc::new(SystemClock),
        FaultPlan::default(),
        Some(model()),
        settings,
    )
}

fn model() -> ModelInfo {
    ModelInfo {
        id: format!("model-{MARKER}"),
        revision: "1".to_owned(),
        dimension: 8,
        max_tokens: 256,
        language: "English".to_owned(),
        licence: "Apache-2.0".to_owned(),
        sha256: String::new(),
    }
}

fn grant(tenant: TenantId) -> Grant<Write> {
    system_grant(tenant, SystemActor::Worker)
}

fn row(chunk: i64) -> VectorRow {
    let mut vector: Vec<f32> = (0..8).map(|at| ((chunk * 7 + at * 13) % 17) as f32 + 1.0).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    VectorRow {
        chunk: ChunkKey(chunk),
        item: ItemKey(chunk),
        source: format!("{MARKER}/{chunk}.txt").into(),
        media_type: "text/plain".into(),
        date_us: 0,
        vector,
    }
}

/// Puts the marker into every store, and has an index built over the vectors.
async fn plant(tenant: &TenantHandle<Write>) -> String {
    let mut writer = tenant.blobs().unwrap().begin().unwrap();
    writer.write(format!("original with {MARKER}").as_bytes()).await.unwrap();
    let blob = writer.finish().await.unwrap();
    let new = NewDrop {
        collection: format!("collection {MARKER}"),
        source: format!("folder {MARKER}/file.txt"),
        blob: blob.digest.clone(),
        size_bytes: blob.size_bytes,
        file_date: None,
        declared_type: None,
        format: None,
        parent: None,
    };
    tenant.write(move |catalog| catalog.accept(&new).map(drop)).await.unwrap();
    let fulltext = tenant.fulltext().unwrap();
    let entry = FulltextEntry {
        item: ItemKey(1),
        language: Language::English,
        title: MARKER,
        headings: "",
        body: MARKER,
        aside: vec![MARKER],
        source: MARKER,
        media_type: "text/plain",
        authors: &[],
        recipients: &[],
        date: Timestamp::UNIX_EPOCH,
        chunks: vec![(ChunkKey(1), MARKER)],
    };
    fulltext.write_group(&[entry], &[]).unwrap();
    let vectors = tenant.vectors().await.unwrap().unwrap();
    vectors.append((0..600).map(row).collect()).await.unwrap();
    vectors.maintain().await.unwrap();
    assert_eq!(vectors.index_state().kind, crate::tenant::IndexKind::Ivf);
    blob.digest.clone()
}

/// Everything `plant` put in is still there.
/// What goes on record when an earlier data key is destroyed.
fn ended(epoch: u32) -> Record {
    let actor = Party::anonymous();
    let occasion = Occasion { at: Timestamp::UNIX_EPOCH, actor, origin: Origin::default() };
    occasion.record(Event::new(Action::TenantRetireKey).with("epoch", u64::from(epoch)))
}

/// The epochs that replaced others, as the trail tells them.
async fn recorded_ends(tenant: &TenantHandle<Write>) -> Vec<Value> {
    let wanted = TrailQuery {
        action: Some(Action::TenantRetireKey.as_str().to_owned()),
        limit: 9,
        ..TrailQuery::default()
    };
    let page = tenant.read(move |catalog| AuditReader::new(catalog).page(&wanted)).await.unwrap();
    page.iter().map(|entry| entry.detail.get("epoch").unwrap().clone()).collect()
}

async fn assert_planted(tenant: &TenantHandle<Write>, digest: &str) {
    let mut content = String::new();
    let mut reader = tenant.blobs().unwrap().read(digest).await.unwrap();
    reader.read_to_string(&mut content).await.unwrap();
    assert!(content.contains(MARKER));
    let wanted = digest.to_owned();
    assert!(tenant.read(move |catalog| catalog.blob_is_named(&wanted)).await.unwrap());
    let query = Query::parse(MARKER).query;
    let found = tenant.fulltext().unwrap().search_documents(
        &query,
        &SearchFilter::default(),
        None,
        &[Language::English],
        3,
    );
    assert_eq!(found.unwrap().hits.len(), 1);
    let vectors = tenant.vectors().await.unwrap().unwrap();
    assert_eq!(vectors.rows().await.unwrap(), 600);
    let hits = vectors.nearest(&row(5).vector, &SearchFilter::default(), None, 1).await.unwrap();
    assert!(hits[0].similarity > 0.99);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_tenant_lies_on_disk_in_the_clear() {
    let home = Home::new();
    let tenant = home.create("plain");
    let handle = home.open(tenant).unwrap();
    let digest = plant(&handle).await;
    assert_eq!(testing::shows(home.dir.path(), MARKER), None, "while it is open");
    assert_eq!(testing::shows(home.dir.path(), &digest), None, "not even what it would match");
    drop(handle);
    let home = home.restarted();
    assert_eq!(testing::shows(home.dir.path(), MARKER), None, "after it was closed");
    assert_planted(&home.open(tenant).unwrap(), &digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_another_tenant_are_refused() {
    let home = Home::new();
    let (own, other) = (home.create("own"), home.create("other"));
    for tenant in [own, other] {
        plant(&home.open(tenant).unwrap()).await;
    }
    let home = home.restarted();
    let swap = |dir: &str| {
        std::fs::remove_dir_all(home.root(own).join(dir)).unwrap();
        let from = home.root(other).join(dir);
        let status =
            std::process::Command::new("cp").arg("-a").arg(from).arg(home.root(own)).status();
        assert!(status.unwrap().success());
    };
    swap("fulltext");
    swap("vectors");
    let handle = home.open(own).unwrap();
    assert!(matches!(handle.fulltext(), Err(FulltextError::Open { .. })));
    assert!(handle.vectors().await.is_err());
    drop(handle);
    let home = home.restarted();
    std::fs::copy(home.root(other).join("tenant.db"), home.root(own).join("tenant.db")).unwrap();
    let refused = home.open(own).err();
    assert!(matches!(
        refused,
        Some(RegistryError::Catalog { source: CatalogError::WrongKey { .. }, .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_tenant_fails_old_handles_and_makes_no_new_ones_until_it_is_unlocked() {
    let home = Home::new();
    let tenant = home.create("locked");
    let handle = home.open(tenant).unwrap();
    let digest = plant(&handle).await;
    let vectors = handle.vectors().await.unwrap().unwrap();
    let mut events = handle.subscribe();
    let locked = home.registry.lock(tenant);
    assert!(matches!(locked, Err(RegistryError::InUse { .. })), "vectors are still held");

    assert!(matches!(home.open(tenant), Err(RegistryError::Locked { .. })));
    assert!(home.registry.if_open(&grant(tenant)).is_none());
    assert!(matches!(handle.read(|_| Ok(())).await, Err(CatalogError::Locked(_))));
    assert!(matches!(handle.write(|_| Ok(())).await, Err(CatalogError::Locked(_))));
    assert!(matches!(handle.blobs(), Err(BlobError::Locked(_))));
    assert!(matches!(handle.fulltext(), Err(FulltextError::Locked(_))));
    assert!(matches!(handle.vectors().await, Err(VectorError::Locked(_))));
    assert!(matches!(handle.clear_fulltext(), Err(FulltextError::Locked(_))));
    assert!(matches!(handle.clear_vectors().await, Err(VectorError::Locked(_))));
    assert!(vectors.append(vec![row(1)]).await.is_err(), "also what was taken out before");
    assert!(events.recv().await.is_err(), "watchers are told");
    drop((handle, vectors));

    home.registry.unlock(tenant);
    assert_planted(&home.open(tenant).unwrap(), &digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_tenant_is_closed_and_one_in_use_is_not() {
    let home = Home::new();
    let (idle, used) = (home.create("idle"), home.create("used"));
    let digest = plant(&home.open(idle).unwrap()).await;
    let handle = home.open(used).unwrap();
    assert_eq!(home.registry.open_tenants().len(), 2);
    assert_eq!(home.registry.close_idle(Duration::from_secs(600)), 0, "not for long enough");
    assert_eq!(home.registry.close_idle(Duration::ZERO), 1);
    assert_eq!(home.registry.open_tenants(), [used]);
    assert!(!home.registry.close_if_idle(used));
    let vectors = handle.vectors().await.unwrap().unwrap();
    drop(handle);
    assert!(!home.registry.close_if_idle(used), "somebody still has its vectors");
    drop(vectors);
    assert!(home.registry.close_if_idle(used));
    assert!(home.registry.if_open(&grant(used)).is_none());
    assert_planted(&home.open(idle).unwrap(), &digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_data_key_seals_everything_anew_and_the_old_one_opens_nothing() {
    let home = Home::new();
    let tenant = home.create("rotated");
    let digest = plant(&home.open(tenant).unwrap()).await;
    let held = home.open(tenant).unwrap();
    let scope = tenant.to_string();
    let old = home.keys.keyring(&scope).unwrap();

    let handle = home.registry.rotate(&grant(tenant)).unwrap();
    assert!(held.read(|_| Ok(())).await.is_err(), "it was closed meanwhile");
    assert!(handle.is_rotating());
    assert_planted(&handle, &digest).await;
    drop((held, handle));

    // The process dies before the originals are through.
    let home = home.restarted();
    let handle = home.open(tenant).unwrap();
    assert!(handle.is_rotating());
    assert!(!home.registry.close_if_idle(tenant), "it has something to do");
    assert_eq!(recorded_ends(&handle).await, [], "not yet");
    assert!(handle.finish_rotation(ended).unwrap());
    assert!(!handle.is_rotating());
    assert!(handle.finish_rotation(ended).unwrap(), "nothing is left to do");
    assert_eq!(recorded_ends(&handle).await, [Value::Number(2)]);
    let new = home.keys.keyring(&scope).unwrap();
    assert_eq!((old.epochs(), new.epochs()), (vec![1], vec![2]));
    assert_planted(&handle, &digest).await;
    drop(handle);
    let home = home.restarted();
    for path in testing::files(&home.root(tenant)) {
        let file = std::fs::File::open(&path).unwrap();
        if let Ok(epoch) = crate::crypto::FileCipher::epoch_of(&file) {
            assert_eq!(epoch, 2, "{}", path.display());
        }
    }
    let handle = home.open(tenant).unwrap();
    assert_planted(&handle, &digest).await;
    assert!(!handle.is_rotating());
    assert_eq!(testing::shows(home.dir.path(), MARKER), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_end_a_crash_kept_from_the_trail_is_put_on_record_later_and_once() {
    let home = Home::new();
    let tenant = home.create("rotated");
    let scope = tenant.to_string();
    let digest = plant(&home.open(tenant).unwrap()).await;
    drop(home.registry.rotate(&grant(tenant)).unwrap());
    // All is sealed anew and the old key is destroyed; the process dies before it is recorded.
    let handle = home.open(tenant).unwrap();
    let dies =
        tokio::task::spawn_blocking(move || handle.finish_rotation(|_| panic!("the power fails")));
    assert!(dies.await.is_err());
    let home = home.restarted();
    assert_eq!(home.keys.keyring(&scope).unwrap().epochs(), [2]);
    let handle = home.open(tenant).unwrap();
    assert!(handle.is_rotating(), "its end is not on record");
    assert_eq!(recorded_ends(&handle).await, []);
    assert!(handle.finish_rotation(ended).unwrap());
    assert!(!handle.is_rotating());
    drop(handle);
    let home = home.restarted();
    let handle = home.open(tenant).unwrap();
    assert!(!handle.is_rotating());
    assert!(handle.finish_rotation(ended).unwrap());
    assert_eq!(recorded_ends(&handle).await, [Value::Number(2)]);
    assert_planted(&handle, &digest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_tenant_takes_its_key_with_it() {
    let home = Home::new();
    let tenant = home.create("removed");
    let handle = home.open(tenant).unwrap();
    plant(&handle).await;
    home.registry.remove(&testing::removal(&home.registry.system, tenant)).unwrap();
    assert!(!home.keys.has_keyring(&tenant.to_string()));
    assert!(!home.root(tenant).exists());
    assert!(handle.read(|_| Ok(())).await.is_err());
    assert!(matches!(home.open(tenant), Err(RegistryError::Absent { .. })));
}

#[test]
fn a_name_that_is_taken_leaves_neither_key_nor_directory() {
    let home = Home::new();
    home.create("twice");
    assert!(home.create_tenant("twice").is_err());
    assert!(home.create_tenant("no/name").is_err());
    assert_eq!(std::fs::read_dir(home.dir.path().join("tenants")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(home.dir.path().join("keys")).unwrap().count(), 1);
}

#[test]
fn a_sealed_appliance_opens_no_tenant_and_a_lost_key_is_said_to_be_lost() {
    let home = Home::new();
    let (tenant, other) = (home.create("sealed"), home.create("lost"));
    let handle = home.open(tenant).unwrap();
    drop(home.open(other).unwrap());
    assert!(home.registry.close_all().is_empty());
    home.keys.seal();
    assert!(handle.blobs().is_err());
    assert!(matches!(home.open(tenant), Err(RegistryError::Sealed)));
    assert!(matches!(home.create_tenant("new"), Err(RegistryError::Sealed)));
    home.keys.unseal(home.kek.clone()).unwrap();
    home.open(tenant).unwrap();
    home.keys.destroy_keyring(&other.to_string()).unwrap();
    assert!(matches!(
        home.open(other),
        Err(RegistryError::Keys { source: KeyError::Missing { .. }, .. })
    ));
}

#[test]
fn tenants_are_opened_beside_each_other() {
    let home = Home::new();
    let (slow, quick) = (home.create("slow"), home.create("quick"));
    let slot = home.registry.slot(slow);
    // Somebody is opening the slow one.
    let opening = slot.state();
    home.open(quick).unwrap();
    assert_eq!(home.registry.open_tenants(), [quick]);
    drop(opening);
    home.open(slow).unwrap();
}

/// What there is of tenants and keys in a home.
fn left(home: &Home) -> (usize, usize) {
    let count = |dir: &str| std::fs::read_dir(home.dir.path().join(dir)).unwrap().count();
    (count("tenants"), count("keys"))
}

#[test]
fn what_was_arriving_when_the_process_ended_goes_and_nothing_else() {
    let home = Home::new();
    let tenant = home.create("kept");
    // Its mark was not removed before the end.
    std::fs::write(home.root(tenant).join("arriving"), "").unwrap();
    let unmarked = home.root(TenantId::generate());
    std::fs::create_dir(&unmarked).unwrap();
    let before = left(&home);
    let mut arrival = home.registry.arrive().unwrap();
    arrival.catalogue(4, &mut &b"half"[..]).unwrap();
    arrival.trail(4, &mut &b"half"[..]).unwrap();
    let arriving = home.root(arrival.id());
    assert!(arriving.join("arriving").exists());
    std::mem::forget(arrival);
    assert_eq!(left(&home), (before.0 + 1, before.1 + 1));
    home.registry.sweep();
    assert_eq!(left(&home), before);
    assert!(!arriving.exists() && unmarked.exists());
    assert!(!home.root(tenant).join("arriving").exists());
    home.open(tenant).unwrap();
}

/// Content that cannot be read.
struct Broken;

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[test]
fn an_arrival_that_is_given_up_leaves_nothing() {
    let home = Home::new();
    let before = left(&home);
    let mut arrival = home.registry.arrive().unwrap();
    arrival.catalogue(5, &mut &b"bytes"[..]).unwrap();
    assert!(matches!(arrival.catalogue(1, &mut &b"2"[..]), Err(ArrivalError::Catalogues)));
    let digest = "a".repeat(64);
    let refused = arrival.original(&digest, 1, &mut &b"x"[..]);
    assert!(matches!(refused, Err(ArrivalError::Original)));
    let refused = arrival.original(&digest, 1, &mut Broken);
    assert!(matches!(refused, Err(ArrivalError::Read(_))), "not the disk's fault");
    assert_eq!(left(&home), (before.0 + 1, before.1 + 1));
    drop(arrival);
    assert_eq!(left(&home), before);
}

#[test]
fn sealing_ends_what_is_arriving_and_waits_until_it_is_gone() {
    let home = Home::new();
    let before = left(&home);
    let mut arrival = home.registry.arrive().unwrap();
    std::thread::scope(|scope| {
        let registry = &home.registry;
        let arriving = scope.spawn(move || {
            while arrival.trail(1, &mut &b"x"[..]).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let sealed = arrival.trail(1, &mut &b"x"[..]);
            assert!(matches!(sealed, Err(ArrivalError::Registry(RegistryError::Sealed))));
            assert!(registry.is_closing());
        });
        assert!(registry.close_all().is_empty());
        assert_eq!(left(&home), before, "key and directory are gone");
        arriving.join().unwrap();
    });
    assert!(home.registry.arrive().is_err());
    assert_eq!(left(&home), before);
}

#[test]
fn every_start_signs_archives_with_the_same_key() {
    let home = Home::new();
    home.keys.create_keyring(SYSTEM_SCOPE).unwrap();
    let before = home.registry.signing_key().unwrap().fingerprint();
    let home = home.restarted();
    assert_eq!(home.registry.signing_key().unwrap().fingerprint(), before);
    home.keys.seal();
    assert!(matches!(home.registry.signing_key(), Err(KeyError::Sealed)));
}
