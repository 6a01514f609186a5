//! The tenant's own file store under LanceDB: where every byte of a vector table passes.
//!
//! Called by: `tenant::vectors`. Talks to: the file system, through `object_store`; `sealed` for
//! what is in the files.
//! Invariants: no path outside the tenant's vector directory is read or written; every file is
//! sealed, and every length Lance sees is that of the content; when a write returns, the file and
//! every directory entry that leads to it are on stable storage; `PutMode::Create` reaches the
//! file system untouched, because Lance commits with it; nothing is read or written once the
//! tenant was closed.
//! Why: the scheme is `file-object-store` because `file` makes Lance open files behind the
//! store's back, and an unknown scheme gives it a commit handler that loses updates.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use lance_io::object_store::{ObjectStore as LanceStore, ObjectStoreParams, ObjectStoreProvider};
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result as StoreResult,
};
use url::Url;

use super::error::VectorError;
use super::sealed::{self, SealedUpload};
use crate::crypto::FileCipher;
use crate::tenant::latch::Latch;

/// The one scheme a tenant's registry knows.
pub(super) const SCHEME: &str = "file-object-store";

/// Gap below which two reads of one file become one.
const BLOCK_BYTES: usize = 64 * 1024;
/// Reads in flight for one scan.
const PARALLEL_READS: usize = 8;
/// A local read that fails is not helped by asking again more often.
const READ_RETRIES: usize = 1;

/// A directory in the two spellings Lance uses: address and store path.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub url: Url,
    pub path: StorePath,
}

impl Root {
    /// The address of `dir`, which need not exist.
    ///
    /// # Errors
    /// [`VectorError::Directory`] when the path cannot be written as an address.
    pub fn of(dir: &Path) -> Result<Self, VectorError> {
        let refused = || VectorError::Directory { path: dir.to_owned() };
        let absolute = std::path::absolute(dir).map_err(|_| refused())?;
        let file = Url::from_directory_path(absolute).map_err(|()| refused())?;
        let address = format!("{SCHEME}://{}", file.path().trim_end_matches('/'));
        let url = Url::parse(&address).map_err(|_| refused())?;
        let path = StorePath::from_url_path(url.path()).map_err(|_| refused())?;
        Ok(Self { url, path })
    }
}

/// Gives Lance the tenant's store, whatever it asks for.
#[derive(Debug)]
pub(super) struct TenantProvider {
    root: StorePath,
    cipher: FileCipher,
    latch: Latch,
}

impl TenantProvider {
    pub fn new(root: StorePath, cipher: FileCipher, latch: Latch) -> Self {
        Self { root, cipher, latch }
    }
}

#[async_trait]
impl ObjectStoreProvider for TenantProvider {
    async fn new_store(
        &self,
        base_path: Url,
        params: &ObjectStoreParams,
    ) -> lance_core::Result<LanceStore> {
        let (cipher, latch) = (self.cipher.clone(), self.latch.clone());
        let files = Arc::new(TenantStore::new(self.root.clone(), cipher, latch));
        Ok(lance_store(files, base_path, params))
    }

    fn calculate_object_store_prefix(
        &self,
        url: &Url,
        _storage_options: Option<&HashMap<String, String>>,
    ) -> lance_core::Result<String> {
        Ok(url.scheme().to_owned())
    }
}

/// Dresses a store the way Lance wants it.
fn lance_store(
    files: Arc<dyn ObjectStore>,
    base_path: Url,
    params: &ObjectStoreParams,
) -> LanceStore {
    LanceStore::new(
        files,
        base_path,
        params.block_size.or(Some(BLOCK_BYTES)),
        None,
        false,
        false,
        PARALLEL_READS,
        READ_RETRIES,
        params.storage_options(),
    )
}

/// The files of one tenant's vector directory, sealed and written durably.
#[derive(Debug)]
pub(super) struct TenantStore {
    files: LocalFileSystem,
    root: StorePath,
    cipher: FileCipher,
    latch: Latch,
}

impl TenantStore {
    pub fn new(root: StorePath, cipher: FileCipher, latch: Latch) -> Self {
        Self {
            // With fsync on, put, multipart completion, copy and rename sync the file and the
            // directories they touch, new parent directories included, before they return.
            files: LocalFileSystem::new().with_fsync(true),
            root,
            cipher,
            latch,
        }
    }

    /// Refuses a location that is not the tenant's, and every location once it was closed.
    fn admit(&self, location: &StorePath) -> StoreResult<()> {
        self.latch.check().map_err(|locked| sealed::generic(locked.into()))?;
        confine(&self.root, location)
    }
}

/// Refuses a location that is not under `root`.
fn confine(root: &StorePath, location: &StorePath) -> StoreResult<()> {
    if location.prefix_matches(root) {
        return Ok(());
    }
    Err(object_store::Error::PermissionDenied {
        path: location.to_string(),
        source: "outside the tenant's vector directory".into(),
    })
}

impl std::fmt::Display for TenantStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantStore({})", self.root)
    }
}

// A method left to its default body would bypass whatever this store does with content.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for TenantStore {
    async fn put_opts(
        &self,
        location: &StorePath,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        self.admit(location)?;
        let sealed = sealed::payload(&self.cipher, payload).await?;
        self.files.put_opts(location, sealed, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &StorePath,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.admit(location)?;
        let upload = self.files.put_multipart_opts(location, opts).await?;
        Ok(Box::new(SealedUpload::begin(&self.cipher, upload, self.latch.clone())?))
    }

    async fn get_opts(&self, location: &StorePath, options: GetOptions) -> StoreResult<GetResult> {
        self.admit(location)?;
        sealed::get(&self.files, &self.cipher, location, options).await
    }

    async fn get_ranges(
        &self,
        location: &StorePath,
        ranges: &[Range<u64>],
    ) -> StoreResult<Vec<Bytes>> {
        self.admit(location)?;
        sealed::get_ranges(&self.files, &self.cipher, location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<StorePath>>,
    ) -> BoxStream<'static, StoreResult<StorePath>> {
        let (root, latch) = (self.root.clone(), self.latch.clone());
        let confined = locations.map(move |location| -> StoreResult<StorePath> {
            let location = location?;
            latch.check().map_err(|locked| sealed::generic(locked.into()))?;
            confine(&root, &location)?;
            Ok(location)
        });
        self.files.delete_stream(confined.boxed())
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        sealed::listing(self.files.list(Some(prefix.unwrap_or(&self.root))))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&StorePath>,
        offset: &StorePath,
    ) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        let listed = self.files.list_with_offset(Some(prefix.unwrap_or(&self.root)), offset);
        sealed::listing(listed)
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> StoreResult<ListResult> {
        let prefix = prefix.unwrap_or(&self.root);
        let mut listed = self.files.list_with_delimiter(Some(prefix)).await?;
        listed.objects.iter_mut().try_for_each(sealed::content_size)?;
        Ok(listed)
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> StoreResult<()> {
        self.admit(from)?;
        self.admit(to)?;
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: RenameOptions,
    ) -> StoreResult<()> {
        self.admit(from)?;
        self.admit(to)?;
        self.files.rename_opts(from, to, options).await
    }
}

/// Removes what interrupted uploads left under `table_dir`: files named `<name>#<digits>`, which
/// the store writes to before it renames and never lists. Returns how many were removed.
///
/// Blocks; nothing may be writing to the table.
pub(super) fn remove_interrupted_uploads(table_dir: &Path) -> io::Result<u64> {
    let mut removed = 0;
    let mut pending: Vec<PathBuf> = vec![table_dir.to_owned()];
    while let Some(dir) = pending.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            } else if is_staged(&entry.file_name().to_string_lossy()) {
                std::fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn is_staged(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
