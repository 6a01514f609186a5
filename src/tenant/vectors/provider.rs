//! The tenant's own file store under LanceDB: where every byte of a vector table passes.
//!
//! Called by: `tenant::vectors`. Talks to: the file system, through `object_store`.
//! Invariants: no path outside the tenant's vector directory is read or written; when a write
//! returns, the file and every directory entry that leads to it are on stable storage;
//! `PutMode::Create` reaches the file system untouched, because Lance commits with it.
//! Why: the scheme is `file-object-store` because `file` makes Lance open files behind the
//! store's back, and an unknown scheme gives it a commit handler that loses updates. A cipher
//! belongs in [`TenantStore`] and nowhere else: `put_opts` and the parts of
//! `put_multipart_opts` carry content in, `get_opts` and `get_ranges` carry it out, and the sizes
//! in every `ObjectMeta` are those of the content.

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
}

impl TenantProvider {
    pub fn new(root: StorePath) -> Self {
        Self { root }
    }
}

#[async_trait]
impl ObjectStoreProvider for TenantProvider {
    async fn new_store(
        &self,
        base_path: Url,
        params: &ObjectStoreParams,
    ) -> lance_core::Result<LanceStore> {
        let files: Arc<dyn ObjectStore> = Arc::new(TenantStore::new(self.root.clone()));
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
pub(super) fn lance_store(
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

/// The files of one tenant's vector directory, written durably.
#[derive(Debug)]
pub(super) struct TenantStore {
    files: LocalFileSystem,
    root: StorePath,
}

impl TenantStore {
    pub fn new(root: StorePath) -> Self {
        Self {
            // With fsync on, put, multipart completion, copy and rename sync the file and the
            // directories they touch, new parent directories included, before they return.
            files: LocalFileSystem::new().with_fsync(true),
            root,
        }
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
        confine(&self.root, location)?;
        self.files.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &StorePath,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        confine(&self.root, location)?;
        self.files.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &StorePath, options: GetOptions) -> StoreResult<GetResult> {
        confine(&self.root, location)?;
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &StorePath,
        ranges: &[Range<u64>],
    ) -> StoreResult<Vec<Bytes>> {
        confine(&self.root, location)?;
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<StorePath>>,
    ) -> BoxStream<'static, StoreResult<StorePath>> {
        let root = self.root.clone();
        let confined = locations.map(move |location| -> StoreResult<StorePath> {
            let location = location?;
            confine(&root, &location)?;
            Ok(location)
        });
        self.files.delete_stream(confined.boxed())
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.files.list(Some(prefix.unwrap_or(&self.root)))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&StorePath>,
        offset: &StorePath,
    ) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.files.list_with_offset(Some(prefix.unwrap_or(&self.root)), offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> StoreResult<ListResult> {
        self.files.list_with_delimiter(Some(prefix.unwrap_or(&self.root))).await
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> StoreResult<()> {
        confine(&self.root, from)?;
        confine(&self.root, to)?;
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: RenameOptions,
    ) -> StoreResult<()> {
        confine(&self.root, from)?;
        confine(&self.root, to)?;
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
