//! Removing blobs that nothing names: what a crash left between storing a blob and naming it.
//!
//! Called by: `app::maintain`, when a tenant is put in order. Talks to: the catalogue, by way of
//! its caller; `blobs/`.
//! Invariants: a file goes only if the catalogue did not name it while the file was claimed, so
//! that an upload of the same bytes loses nothing.

use std::collections::HashSet;

use super::naming::Claim;
use super::{BlobError, Blobs, names_in};

impl Blobs {
    /// Removes every blob that is not among those `named` lists, by digest; returns how many went.
    /// `named` is asked again before anything is removed.
    ///
    /// # Errors
    /// When a file cannot be removed, or whatever `named` returns.
    pub async fn sweep<E: From<BlobError>, F>(&self, named: impl Fn() -> F) -> Result<usize, E>
    where
        F: Future<Output = Result<Vec<String>, E>>,
    {
        self.check()?;
        // Names cannot be turned back into digests, so files and digests meet as names. What is
        // stored after this listing is none of the sweep's.
        let root = self.0.root.clone();
        let present = tokio::task::spawn_blocking(move || names_in(&root))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|error| self.write_error(error))?;
        if present.is_empty() {
            return Ok(0);
        }
        let unnamed = self.without(present, named().await?).await?;
        let claims: Vec<Claim> =
            unnamed.iter().filter_map(|name| self.0.naming.claim(name)).collect();
        if claims.is_empty() {
            return Ok(0);
        }
        let claimed = claims.iter().map(|claim| claim.name().to_owned()).collect();
        let unnamed = self.without(claimed, named().await?).await?;
        for name in &unnamed {
            self.remove(name).await?;
        }
        Ok(unnamed.len())
    }

    /// Those of `names` that are the name of none of `digests`.
    async fn without(
        &self,
        names: Vec<String>,
        digests: Vec<String>,
    ) -> Result<Vec<String>, BlobError> {
        let blobs = self.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let mut names: HashSet<String> = names.into_iter().collect();
            for digest in digests {
                names.remove(&blobs.name(&digest)?);
            }
            Ok(names.into_iter().collect())
        });
        kept.await.unwrap_or_else(|error| Err(self.write_error(std::io::Error::other(error))))
    }
}
