//! A store that flips bits on the way to disk and back, to show that nothing takes another way.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use lance_io::object_store::{ObjectStore as LanceStore, ObjectStoreParams, ObjectStoreProvider};
use object_store::path::Path as StorePath;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result as StoreResult, UploadPart,
};
use url::Url;

use super::super::provider::{TenantStore, lance_store};

const VEIL: u8 = 0x5a;

fn veil(bytes: &Bytes) -> Bytes {
    bytes.iter().map(|byte| byte ^ VEIL).collect()
}

fn veil_payload(payload: &PutPayload) -> PutPayload {
    let mut veiled = Vec::with_capacity(payload.content_length());
    for part in payload.iter() {
        veiled.extend(part.iter().map(|byte| byte ^ VEIL));
    }
    PutPayload::from(veiled)
}

#[derive(Debug)]
pub(super) struct VeiledProvider {
    root: StorePath,
}

impl VeiledProvider {
    pub fn new(root: StorePath) -> Self {
        Self { root }
    }
}

#[async_trait]
impl ObjectStoreProvider for VeiledProvider {
    async fn new_store(
        &self,
        base_path: Url,
        params: &ObjectStoreParams,
    ) -> lance_core::Result<LanceStore> {
        let files = VeiledStore(TenantStore::new(self.root.clone()));
        Ok(lance_store(Arc::new(files), base_path, params))
    }

    fn calculate_object_store_prefix(
        &self,
        url: &Url,
        _storage_options: Option<&HashMap<String, String>>,
    ) -> lance_core::Result<String> {
        Ok(url.scheme().to_owned())
    }
}

#[derive(Debug)]
struct VeiledStore(TenantStore);

impl std::fmt::Display for VeiledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VeiledStore({})", self.0)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for VeiledStore {
    async fn put_opts(
        &self,
        location: &StorePath,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        self.0.put_opts(location, veil_payload(&payload), opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &StorePath,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        let upload = self.0.put_multipart_opts(location, opts).await?;
        Ok(Box::new(VeiledUpload(upload)))
    }

    async fn get_opts(&self, location: &StorePath, options: GetOptions) -> StoreResult<GetResult> {
        let head = options.head;
        let result = self.0.get_opts(location, options).await?;
        if head {
            return Ok(result);
        }
        let meta = result.meta.clone();
        let range = result.range.clone();
        let attributes = result.attributes.clone();
        let extensions = result.extensions.clone();
        let bytes = veil(&result.bytes().await?);
        Ok(GetResult {
            payload: GetResultPayload::Stream(
                futures::stream::once(async move { Ok(bytes) }).boxed(),
            ),
            meta,
            range,
            attributes,
            extensions,
        })
    }

    async fn get_ranges(
        &self,
        location: &StorePath,
        ranges: &[Range<u64>],
    ) -> StoreResult<Vec<Bytes>> {
        let read = self.0.get_ranges(location, ranges).await?;
        Ok(read.iter().map(veil).collect())
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<StorePath>>,
    ) -> BoxStream<'static, StoreResult<StorePath>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&StorePath>,
        offset: &StorePath,
    ) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> StoreResult<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> StoreResult<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: RenameOptions,
    ) -> StoreResult<()> {
        self.0.rename_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct VeiledUpload(Box<dyn MultipartUpload>);

#[async_trait]
impl MultipartUpload for VeiledUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.0.put_part(veil_payload(&data))
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        self.0.complete().await
    }

    async fn abort(&mut self) -> StoreResult<()> {
        self.0.abort().await
    }
}
