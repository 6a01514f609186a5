//! A tenant on its way in from an archive: nobody's until it is whole.
//!
//! Called by: `app::transfer`. Talks to: a new directory, `keys`, `system` as the very last step.
//! Invariants: a directory that is not a tenant yet carries a mark, and what is left of one goes
//! when the appliance starts next, its key first; one without the mark is never touched. What
//! came is looked at only once its archive was verified, and is clear text nowhere on the way.
//! Nothing arrives while the appliance is being sealed, and no key of what was arriving is kept.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Registry, RegistryError, remove_directory};
use crate::audit::{ChainEnd, Entry, Flaw, Record};
use crate::clock::SharedClock;
use crate::crypto::{FileCipher, KeyPurpose, Keyring, SealedStream, SealedWriter, SecretKey};
use crate::database::DatabaseError;
use crate::disk;
use crate::error::chain;
use crate::keys::KeyStore;
use crate::system::{System, SystemError, TenantRecord};
use crate::tenant::blobs::ArrivingBlobs;
use crate::tenant::catalog::{Amounts, Catalog, CatalogError};
use crate::types::TenantId;

/// The mark of a directory that is not a tenant yet.
const MARK: &str = "arriving";
/// The catalogue as it came.
const CATALOGUE: &str = "arriving.db";
/// The audit entries as they came, sealed.
const TRAIL: &str = "arriving.audit";
/// What SQLite may leave beside a file.
const SIDE_FILES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Space that has to be left on the volume.
const MARGIN_BYTES: u64 = 256 << 20;
/// Originals looked up at a time.
const PAGE: usize = 500;
/// How often closing looks whether those that arrive have given up.
const LOOK: Duration = Duration::from_millis(10);
/// Longest line of an audit entry. A query of the greatest length takes a fraction of it.
const MAX_LINE_BYTES: u64 = 4 << 20;

/// A tenant could not come in. Nothing of it is left then.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalError {
    #[error("the archive holds no catalogue")]
    NoCatalogue,
    #[error("the archive holds more than one catalogue")]
    Catalogues,
    #[error("the catalogue in the archive has format {found}, which this release does not read")]
    Format { found: u32 },
    #[error("the catalogue in the archive is damaged, or not one that Cairn wrote")]
    Catalogue(#[source] CatalogError),
    #[error("an original in the archive is not what its name says")]
    Original,
    #[error("the archive lacks originals that its catalogue names, or holds others")]
    Originals,
    #[error("an entry of the audit trail in the archive cannot be read")]
    Entry,
    #[error("the audit trail in the archive is not sound: {flaw}")]
    Trail { flaw: Flaw },
    #[error("the archive is damaged, cut short or cannot be read")]
    Read(#[source] io::Error),
    #[error("write what arrives below {dir}")]
    Write { dir: PathBuf, source: io::Error },
    #[error("write the catalogue")]
    Store(#[from] CatalogError),
    #[error("appliance database")]
    System(#[from] SystemError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl ArrivalError {
    /// True where it is the archive that cannot be taken in, whatever is done here.
    pub fn is_of_the_archive(&self) -> bool {
        !matches!(self, Self::Write { .. } | Self::Store(_) | Self::System(_) | Self::Registry(_))
            && !self.is_storage_full()
    }

    /// True where the disk is full.
    pub fn is_storage_full(&self) -> bool {
        match self {
            Self::Catalogue(source) | Self::Store(source) => source.is_storage_full(),
            other => crate::error::is_storage_full(other),
        }
    }
}

/// Whether tenants may arrive. Those that do have a share in it.
#[derive(Default)]
pub(super) struct Arrivals {
    closed: Mutex<bool>,
}

impl Arrivals {
    fn state(&self) -> MutexGuard<'_, bool> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stays open for as long as the result is held.
    fn held_open(&self) -> Result<MutexGuard<'_, bool>, RegistryError> {
        let closed = self.state();
        if *closed { Err(RegistryError::Sealed) } else { Ok(closed) }
    }

    /// Fails every arrival at its next step, and waits up to `patience` until none is left.
    pub(super) fn close(self: &Arc<Self>, patience: Duration) {
        *self.state() = true;
        let start = Instant::now();
        while Arc::strong_count(self) > 1 {
            if start.elapsed() > patience {
                tracing::warn!("an archive is still being taken in");
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// A tenant that is arriving. Dropping it takes everything back.
pub struct Arrival {
    /// `None` only while it is opened anew.
    catalog: Option<Catalog>,
    originals: ArrivingBlobs,
    trail: Option<SealedWriter<File>>,
    /// Seals what waits to be looked at.
    cipher: FileCipher,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    system: Arc<System>,
    place: Place,
    /// The last to go: nothing of it is left then.
    arrivals: Arc<Arrivals>,
}

/// Content of an archive that remembers whether it could be read, so that its faults are told
/// from those of the disk.
struct Watched<'a> {
    content: &'a mut dyn Read,
    broke: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(out);
        self.broke |= read.is_err();
        read
    }
}

/// The directory and key of a tenant that is not one yet.
struct Place {
    id: TenantId,
    /// That holds the tenants' directories.
    above: PathBuf,
    keys: Arc<KeyStore>,
    settled: bool,
}

impl Place {
    fn root(&self) -> PathBuf {
        self.above.join(self.id.to_string())
    }

    fn written(&self) -> impl FnOnce(io::Error) -> ArrivalError {
        let dir = self.root();
        move |source| ArrivalError::Write { dir, source }
    }

    /// Takes content to the disk by way of `take`.
    fn taken<T>(
        &self,
        content: &mut dyn Read,
        take: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T, ArrivalError> {
        let mut watched = Watched { content, broke: false };
        take(&mut watched).map_err(|error| match watched.broke {
            true => ArrivalError::Read(error),
            false => self.written()(error),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.settled {
            undo(&self.keys, &self.above, self.id);
        }
    }
}

/// Takes back what there is of a tenant that never became one, its key first.
fn undo(keys: &KeyStore, above: &Path, id: TenantId) {
    let undone = keys.destroy_keyring(&id.to_string()).map_err(|error| chain(&error));
    let removed = remove_directory(above, id).map_err(|error| error.to_string());
    if let Err(error) = undone.and(removed) {
        tracing::error!("what is left of an archive cannot be removed yet: {error}");
    }
}

impl Registry {
    /// Makes room for a tenant that is to come out of an archive. Blocks.
    ///
    /// # Errors
    /// A directory, key or database that cannot be written; `Sealed`.
    pub fn arrive(&self) -> Result<Arrival, ArrivalError> {
        let arrivals = self.arrivals.clone();
        drop(arrivals.held_open()?);
        let id = TenantId::generate();
        let keys = self.context.keys.clone();
        let place = Place { id, above: self.root.clone(), keys, settled: false };
        let root = place.root();
        disk::create_private_dir(&root)
            .and_then(|()| disk::write_new(&root.join(MARK), b""))
            .and_then(|()| disk::sync_dir(&self.root))
            .map_err(place.written())?;
        let keyring =
            place.keys.create_keyring(&id.to_string()).map_err(RegistryError::keys(id))?;
        self.make_directories(id)?;
        let cipher = |purpose| FileCipher::new(Arc::<Keyring>::clone(&keyring), purpose);
        let catalog = Catalog::open(&root.join("tenant.db"), &keyring)?;
        let names = catalog.blob_names(self.context.clock.now())?;
        let originals = ArrivingBlobs::open(root.join("blobs"), cipher(KeyPurpose::Blobs), names)
            .map_err(place.written())?;
        Ok(Arrival {
            catalog: Some(catalog),
            originals,
            trail: None,
            cipher: cipher(KeyPurpose::Export),
            keyring,
            clock: self.context.clock.clone(),
            system: self.system.clone(),
            place,
            arrivals,
        })
    }

    /// True where nothing may arrive any more, so that nobody need wait for what is to come.
    pub fn is_closing(&self) -> bool {
        *self.arrivals.state()
    }

    /// Ends what a crash left of a tenant that was arriving. Blocks.
    pub(super) fn settle_arrival(&self, dir: &Path) {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Ok(id) = name.parse::<TenantId>() else { return };
        if !dir.join(MARK).exists() {
            return;
        }
        match self.system.find_tenant(name) {
            Ok(Some(_)) => clear(dir),
            Ok(None) => undo(&self.context.keys, &self.root, id),
            Err(error) => tracing::error!(tenant = %id, "still arriving: {}", chain(&error)),
        }
    }
}

/// Takes away what a tenant no longer needs that has arrived, the mark last.
fn clear(dir: &Path) {
    let left = SIDE_FILES.map(|end| format!("{CATALOGUE}{end}"));
    for name in left.iter().map(String::as_str).chain([TRAIL, MARK]) {
        match std::fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("a file of an archive cannot be removed yet: {error}");
                return;
            }
            _ => {}
        }
    }
}

impl Arrival {
    /// The tenant it is going to be.
    pub fn id(&self) -> TenantId {
        self.place.id
    }

    /// Takes the copy of a catalogue of `length` bytes, and looks at nothing of it yet. Blocks.
    ///
    /// # Errors
    /// `Catalogues`; when either side fails.
    pub fn catalogue(&mut self, length: u64, content: &mut dyn Read) -> Result<(), ArrivalError> {
        self.make_room(length)?;
        let mut file = match File::create_new(self.place.root().join(CATALOGUE)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(ArrivalError::Catalogues);
            }
            made => made.map_err(self.place.written())?,
        };
        self.place.taken(content, |content| io::copy(content, &mut file)).map(drop)
    }

    /// Takes the next part of the audit trail. Blocks.
    ///
    /// # Errors
    /// When either side fails.
    pub fn trail(&mut self, length: u64, content: &mut dyn Read) -> Result<(), ArrivalError> {
        self.make_room(length)?;
        let path = self.place.root().join(TRAIL);
        let trail = match self.trail.take() {
            Some(trail) => trail,
            None => File::create_new(path)
                .and_then(|file| self.cipher.writer(file))
                .map_err(self.place.written())?,
        };
        let trail = self.trail.insert(trail);
        self.place.taken(content, |content| io::copy(content, trail)).map(drop)
    }

    /// Takes an original of `length` bytes. Blocks.
    ///
    /// # Errors
    /// `Original` where it is another one; when either side fails.
    pub fn original(
        &mut self,
        digest: &str,
        length: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArrivalError> {
        self.make_room(length)?;
        let originals = &mut self.originals;
        match self.place.taken(content, |content| originals.take(digest, length, content))? {
            true => Ok(()),
            false => Err(ArrivalError::Original),
        }
    }

    /// Fails before a write that would leave others without space.
    fn make_room(&self, length: u64) -> Result<(), ArrivalError> {
        drop(self.arrivals.held_open()?);
        let free = disk::free_bytes(&self.place.above).map_err(self.place.written())?;
        match free.checked_sub(length) {
            Some(left) if left >= MARGIN_BYTES => Ok(()),
            _ => Err((self.place.written())(io::ErrorKind::StorageFull.into())),
        }
    }

    /// Makes the tenant's stores of what came; the archive was verified by now. `key` opens the
    /// copy of the catalogue, `chain` and `end` are what its audit trail is said to be. Blocks.
    ///
    /// # Errors
    /// Whatever is wrong with what came; when a store cannot be written.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method by its name is for one lifetime of the snapshot only"
    )]
    pub fn build(
        &mut self,
        key: &SecretKey,
        chain: &str,
        end: &ChainEnd,
    ) -> Result<Amounts, ArrivalError> {
        drop(self.arrivals.held_open()?);
        let (root, now) = (self.place.root(), self.clock.now());
        let copy = root.join(CATALOGUE);
        if !copy.exists() {
            return Err(ArrivalError::NoCatalogue);
        }
        let fresh = self.catalog.take();
        fresh.iter().try_for_each(|catalog| catalog.take_copy(&copy, key, chain)).map_err(unfit)?;
        // Opened anew, it goes on with the chain of that name.
        drop(fresh);
        let catalog = Catalog::open(&root.join("tenant.db"), &self.keyring)?;
        self.check_originals(&catalog)?;
        self.originals.sync().map_err(self.place.written())?;
        let mut lines = self.lines()?;
        let flaw = catalog.take_trail(now, end, || lines.next_entry())?;
        match flaw {
            // One that was not sound where it comes from stays so for every check to come.
            Some(flaw) if end.altered_at.is_none() => return Err(ArrivalError::Trail { flaw }),
            _ => {}
        }
        let amounts = catalog.read(|catalog| catalog.amounts())?;
        self.catalog = Some(catalog);
        Ok(amounts)
    }

    /// Every original that the catalogue names has come, and no other one.
    fn check_originals(&self, catalog: &Catalog) -> Result<(), ArrivalError> {
        let (mut named, mut after) = (0, String::new());
        loop {
            let page = catalog.read(|catalog| catalog.originals(&after, PAGE))?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.digest);
            for original in &page {
                let size = original.size_bytes.ok_or(ArrivalError::Originals)?;
                let there = self.originals.holds(&original.digest, size);
                if !there.map_err(self.place.written())? {
                    return Err(ArrivalError::Originals);
                }
            }
            named += page.len() as u64;
        }
        if named == self.originals.count() { Ok(()) } else { Err(ArrivalError::Originals) }
    }

    /// The audit entries that came.
    fn lines(&mut self) -> Result<Lines, ArrivalError> {
        let Some(trail) = self.trail.take() else { return Ok(Lines(None)) };
        trail
            .finish()
            .and_then(|_| File::open(self.place.root().join(TRAIL)))
            .and_then(|file| self.cipher.reader(file))
            .map(|file| Lines(Some(file.into_stream())))
            .map_err(self.place.written())
    }

    /// Makes it a tenant, which is the last step, with an entry in its audit trail that says so.
    /// Blocks.
    ///
    /// # Errors
    /// `System` for a name that was taken meanwhile; when a database cannot be written.
    pub fn settle(mut self, record: &TenantRecord, entry: Record) -> Result<(), ArrivalError> {
        let catalog = self.catalog.take().ok_or(ArrivalError::NoCatalogue)?;
        catalog.write(self.clock.now(), |catalog| {
            catalog.rebuild_all()?;
            catalog.record([entry])
        })?;
        // Closed, and with its log in it, before anybody else opens it.
        drop(catalog);
        disk::sync_dir(&self.place.root()).map_err(self.place.written())?;
        // Whoever seals the appliance waits for this step, or it is not done.
        let open = self.arrivals.held_open()?;
        self.system.add_tenant(record)?;
        self.place.settled = true;
        clear(&self.place.root());
        self.place.keys.forget_keyring(&self.place.id.to_string());
        drop(open);
        Ok(())
    }
}

/// A copy that cannot be taken is the archive's fault, unless it is the disk's.
fn unfit(error: CatalogError) -> ArrivalError {
    match error {
        CatalogError::Format { found, .. } => ArrivalError::Format { found },
        CatalogError::Database(DatabaseError::Io { .. }) => ArrivalError::Store(error),
        _ => ArrivalError::Catalogue(error),
    }
}

/// Audit entries, one a line.
struct Lines(Option<SealedStream>);

impl Lines {
    fn next_entry(&mut self) -> Result<Option<Entry>, ArrivalError> {
        let Some(lines) = &mut self.0 else { return Ok(None) };
        let mut line = Vec::new();
        let mut rest = lines.take(MAX_LINE_BYTES);
        if rest.read_until(b'\n', &mut line).map_err(ArrivalError::Read)? == 0 {
            return Ok(None);
        }
        // One that is longer than any breaks off, and is no JSON then.
        serde_json::from_slice(&line).map(Some).map_err(|_| ArrivalError::Entry)
    }
}
