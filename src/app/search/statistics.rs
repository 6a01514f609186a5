//! How similar unrelated text of a tenant is to a query: the yardstick for cosine similarities.
//!
//! Called by: `app::search`. Talks to: catalogue.
//! Invariants: the sample is fixed by content (the embeddings with the smallest digests), so the
//! same tenant gives the same scores; it holds nothing that the caller may not see; memory is
//! bounded in samples and vectors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::app::Error;
use crate::auth::CanRead;
use crate::tenant::TenantHandle;
use crate::types::{CollectionScope, TenantId};

/// Vectors in a sample: the mean and deviation of a thousand similarities are known to about 3 %.
const SAMPLE: usize = 1000;

/// A sample is read again after this long.
const FRESH: Duration = Duration::from_secs(30);

/// Samples kept, one for each tenant and each limit of sight in it.
const SAMPLES: usize = 64;

/// Mean and deviation of the similarity of unrelated English texts under the shipped model, and
/// how many observations that knowledge is worth. It steadies tenants of a few documents.
const PRIOR_MEAN: f64 = 0.05;
const PRIOR_DEVIATION: f64 = 0.10;
const PRIOR_WEIGHT: f64 = 50.0;

/// Mean and standard deviation of the similarity of a tenant's chunks to one query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Background {
    pub mean: f64,
    pub deviation: f64,
}

impl Background {
    /// Over a sample of normalised vectors.
    fn of(sample: &[Vec<f32>], query: &[f32]) -> Self {
        let (mut count, mut sum, mut squares) = (
            PRIOR_WEIGHT,
            PRIOR_WEIGHT * PRIOR_MEAN,
            PRIOR_WEIGHT * (PRIOR_DEVIATION.powi(2) + PRIOR_MEAN.powi(2)),
        );
        for vector in sample {
            let similarity: f32 = vector.iter().zip(query).map(|(a, b)| a * b).sum();
            let similarity = f64::from(similarity);
            count += 1.0;
            sum += similarity;
            squares += similarity * similarity;
        }
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(1e-6).sqrt();
        Self { mean, deviation }
    }
}

/// Samples of the tenants searched lately.
#[derive(Default)]
pub struct StatisticsCache {
    samples: Mutex<HashMap<Whose, Sample>>,
}

/// A tenant, and what of it is in sight.
type Whose = (TenantId, CollectionScope);

#[derive(Clone)]
struct Sample {
    read_at: Instant,
    vectors: Arc<Vec<Vec<f32>>>,
}

impl StatisticsCache {
    pub(super) async fn background<A: CanRead>(
        &self,
        tenant: &TenantHandle<A>,
        model: &str,
        query: &[f32],
    ) -> Result<Background, Error> {
        let whose = (tenant.id(), tenant.collections().clone());
        let known = self.lock().get(&whose).cloned();
        let vectors = match known.filter(|sample| sample.read_at.elapsed() < FRESH) {
            Some(sample) => sample.vectors,
            None => {
                let model = model.to_owned();
                let read =
                    tenant.read(move |catalog| catalog.embedding_sample(&model, SAMPLE)).await?;
                let vectors = Arc::new(read);
                self.keep(whose, vectors.clone());
                vectors
            }
        };
        Ok(Background::of(&vectors, query))
    }

    /// Drops what is known of a tenant.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.lock().retain(|(of, _), _| *of != tenant);
    }

    fn keep(&self, whose: Whose, vectors: Arc<Vec<Vec<f32>>>) {
        let mut samples = self.lock();
        if samples.len() >= SAMPLES
            && let Some(oldest) =
                samples.iter().min_by_key(|(_, sample)| sample.read_at).map(|(of, _)| of.clone())
        {
            samples.remove(&oldest);
        }
        samples.insert(whose, Sample { read_at: Instant::now(), vectors });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Whose, Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
