//! Clustered unit vectors from a seeded generator: the same numbers on every run.
//!
//! Called by: the tests of `tenant::vectors`, and `bench`, which takes this file by its path. Talks
//! to: nothing.
//! Invariants: nothing of the crate is named here, so that it stands on both sides of its surface.

pub(super) const DIMENSION: usize = 384;
/// Length of the noise around a cluster's centre of length one.
const SPREAD: f32 = 0.7;

pub(super) struct Corpus {
    state: u64,
    centres: Vec<Vec<f32>>,
}

impl Corpus {
    pub(super) fn with_clusters(seed: u64, clusters: usize) -> Self {
        let mut corpus = Self { state: seed, centres: Vec::new() };
        for _ in 0..clusters {
            let centre = corpus.direction();
            corpus.centres.push(centre);
        }
        corpus
    }

    /// A unit vector near one of the centres.
    pub(super) fn vector(&mut self) -> Vec<f32> {
        let cluster = self.next() as usize % self.centres.len();
        let noise = self.direction();
        let centre = &self.centres[cluster];
        normalised(
            centre.iter().zip(noise).map(|(centre, noise)| centre + SPREAD * noise).collect(),
        )
    }

    /// A unit vector in a random direction.
    fn direction(&mut self) -> Vec<f32> {
        normalised((0..DIMENSION).map(|_| self.bell()).collect())
    }

    /// Roughly normally distributed around zero.
    fn bell(&mut self) -> f32 {
        (0..6).map(|_| (self.next() >> 40) as f32 / (1_u32 << 24) as f32 - 0.5).sum()
    }

    /// Splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    for value in &mut vector {
        *value /= length;
    }
    vector
}
