//! Recovery shares: the KEK in parts, any few of which give it back, on paper.
//!
//! Called by: `app`, `cli`. Talks to: nothing.
//! Invariants: fewer shares than the threshold tell nothing about the key; a share that was
//! mistyped, or belongs to another key, is named before anything is made of it; what is combined
//! is the key that the shares say they are of, or an error.
//! Why: 47 bytes are 76 characters, 19 groups of four: version, threshold, index, id of the key,
//! the value, and a checksum that finds a slip and in most cases the group it is in.

use std::collections::BTreeMap;
use std::fmt;

use blahaj::Sharks;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::crockford;
use super::kek::{Kek, KekId};
use crate::crypto::SecretKey;

const VERSION: u8 = 1;
const VALUE_BYTES: usize = SecretKey::LEN;
const CHECKED_BYTES: usize = 3 + 8 + VALUE_BYTES;
const CHECKSUM_BYTES: usize = 4;
/// Symbols of a share.
const SYMBOLS: usize = ((CHECKED_BYTES + CHECKSUM_BYTES) * 8).div_ceil(5);
/// Symbols people copy at a time.
const GROUP: usize = 4;
/// One share alone must not be the key.
const MIN_THRESHOLD: u8 = 2;
/// More than anyone hands out.
const MAX_SHARES: u8 = 32;

/// A share could not be used. Groups and positions count from one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    #[error("{character:?} occurs in no share; look at group {group}")]
    Character { character: char, group: usize },
    #[error("a share has {SYMBOLS} characters, this one has {found}; is a group missing?")]
    Length { found: usize },
    #[error("the share is mistyped; look at {}", place(*.group))]
    Mistyped { group: Option<usize> },
    #[error("the share was printed by a newer release; use that one")]
    Version,
    #[error("share {position}: {problem}")]
    Unreadable { position: usize, problem: Box<ShareError> },
    #[error("share {position} belongs to another key ({found}); {expected} is wanted")]
    Foreign { position: usize, found: KekId, expected: KekId },
    #[error("{given} different shares are not enough; {wanted} are needed")]
    NotEnough { given: usize, wanted: usize },
    #[error("these shares are not of one printing; use shares that were printed together")]
    Mixed,
    #[error(
        "from {MIN_THRESHOLD} to {MAX_SHARES} shares can be made, and at least {MIN_THRESHOLD} \
         of them, at most all, be asked for"
    )]
    Counts,
}

/// One part of a KEK. Its `Debug` shows no value.
#[derive(Clone)]
pub struct Share {
    threshold: u8,
    index: u8,
    kek: KekId,
    value: Zeroizing<[u8; VALUE_BYTES]>,
}

impl Share {
    /// Reads a share as people type it: any case, any spaces and hyphens.
    ///
    /// # Errors
    /// `Character`, `Length`, `Mistyped`, `Version`.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        let values = symbols(text)?;
        let Some(bytes) = checked(&values) else {
            return Err(ShareError::Mistyped { group: suspect_group(&values) });
        };
        let [version, threshold, index] = [bytes[0], bytes[1], bytes[2]];
        if version != VERSION {
            return Err(ShareError::Version);
        }
        if threshold < MIN_THRESHOLD || index == 0 {
            return Err(ShareError::Mistyped { group: None });
        }
        let (mut kek, mut value) = ([0; 8], Zeroizing::new([0; VALUE_BYTES]));
        kek.copy_from_slice(&bytes[3..11]);
        value.copy_from_slice(&bytes[11..CHECKED_BYTES]);
        Ok(Self { threshold, index, kek: KekId::from_bytes(kek), value })
    }

    /// The share as it is printed.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(CHECKED_BYTES + CHECKSUM_BYTES));
        bytes.extend([VERSION, self.threshold, self.index]);
        bytes.extend(self.kek.bytes());
        bytes.extend_from_slice(&self.value[..]);
        let checksum = checksum(&bytes);
        bytes.extend(checksum);
        let symbols = crockford::encode(&bytes);
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS * (GROUP + 1) / GROUP));
        for (at, symbol) in symbols.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(symbol);
        }
        text
    }

    /// The number of the share, from one.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// How many different shares give the key back.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The key it is a part of.
    pub fn kek_id(&self) -> KekId {
        self.kek
    }

    fn point(&self) -> Zeroizing<Vec<u8>> {
        let mut point = Zeroizing::new(Vec::with_capacity(1 + VALUE_BYTES));
        point.push(self.index);
        point.extend_from_slice(&self.value[..]);
        point
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of {}, {} needed)", self.index, self.kek, self.threshold)
    }
}

/// Says whether so many shares can be made and asked for.
///
/// # Errors
/// `Counts`.
pub fn check_counts(threshold: u8, total: u8) -> Result<(), ShareError> {
    if threshold < MIN_THRESHOLD || total < threshold || total > MAX_SHARES {
        return Err(ShareError::Counts);
    }
    Ok(())
}

/// Splits a KEK into `total` shares, any `threshold` of which give it back.
///
/// # Errors
/// `Counts`.
pub fn split(kek: &Kek, threshold: u8, total: u8) -> Result<Vec<String>, ShareError> {
    check_counts(threshold, total)?;
    let dealer = Sharks(threshold).dealer(kek.key().expose());
    Ok(dealer
        .take(usize::from(total))
        .map(|share| {
            let point = Zeroizing::new(Vec::from(&share));
            let mut value = Zeroizing::new([0; VALUE_BYTES]);
            value.copy_from_slice(&point[1..]);
            Share { threshold, index: point[0], kek: kek.id(), value }.to_text().to_string()
        })
        .collect())
}

/// The KEK that shares are of. The same share twice counts once; more than are needed do no harm.
///
/// # Errors
/// `Unreadable`, `Foreign`, `NotEnough`, `Mixed`.
pub fn combine<S: AsRef<str>>(shares: &[S]) -> Result<Kek, ShareError> {
    let mut parsed = Vec::with_capacity(shares.len());
    for (at, text) in shares.iter().enumerate() {
        parsed.push(Share::parse(text.as_ref()).map_err(|problem| ShareError::Unreadable {
            position: at + 1,
            problem: Box::new(problem),
        })?);
    }
    let Some(kek) = most_common_key(&parsed) else {
        return Err(ShareError::NotEnough { given: 0, wanted: usize::from(MIN_THRESHOLD) });
    };
    let mut points = BTreeMap::new();
    let threshold = parsed[0].threshold;
    for (at, share) in parsed.iter().enumerate() {
        if share.kek != kek {
            let (position, found) = (at + 1, share.kek);
            return Err(ShareError::Foreign { position, found, expected: kek });
        }
        let before = points.insert(share.index, share);
        if share.threshold != threshold || before.is_some_and(|same| same.value != share.value) {
            return Err(ShareError::Mixed);
        }
    }
    let (given, wanted) = (points.len(), usize::from(threshold));
    if given < wanted {
        return Err(ShareError::NotEnough { given, wanted });
    }
    let points: Result<Vec<blahaj::Share>, _> =
        points.values().map(|share| blahaj::Share::try_from(share.point().as_slice())).collect();
    let points = points.map_err(|_| ShareError::Mixed)?;
    let secret = Zeroizing::new(Sharks(threshold).recover(&points).map_err(|_| ShareError::Mixed)?);
    SecretKey::from_slice(&secret)
        .map(Kek::from_key)
        .filter(|found| found.id() == kek)
        .ok_or(ShareError::Mixed)
}

fn place(group: Option<usize>) -> String {
    group.map_or_else(|| "every group".to_owned(), |group| format!("group {group}"))
}

/// The key that most of the shares belong to, so that the odd one out is named.
fn most_common_key(shares: &[Share]) -> Option<KekId> {
    let mut counts: BTreeMap<KekId, usize> = BTreeMap::new();
    for share in shares {
        *counts.entry(share.kek).or_default() += 1;
    }
    let most = counts.values().max()?;
    shares.iter().map(Share::kek_id).find(|kek| counts[kek] == *most)
}

fn symbols(text: &str) -> Result<Zeroizing<Vec<u8>>, ShareError> {
    let mut values = Zeroizing::new(Vec::with_capacity(SYMBOLS));
    let mut found = 0;
    for character in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let group = found / GROUP + 1;
        let value =
            crockford::value(character).ok_or(ShareError::Character { character, group })?;
        found += 1;
        if found <= SYMBOLS {
            values.push(value);
        }
    }
    if found == SYMBOLS { Ok(values) } else { Err(ShareError::Length { found }) }
}

/// The bytes of a share whose checksum fits.
fn checked(values: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = crockford::decode(values)?;
    let (checked, sum) = bytes.split_at(CHECKED_BYTES);
    (checksum(checked) == sum).then_some(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update(b"cairn share 1").chain_update(bytes).finalize();
    std::array::from_fn(|at| digest[at])
}

/// The group where one wrong character, or two neighbours exchanged, would explain it all.
fn suspect_group(values: &[u8]) -> Option<usize> {
    let mut tried = Zeroizing::new(values.to_vec());
    for at in 0..tried.len() {
        let typed = tried[at];
        for value in 0..32 {
            tried[at] = value;
            if checked(&tried).is_some() {
                return Some(at / GROUP + 1);
            }
        }
        tried[at] = typed;
    }
    for at in 1..tried.len() {
        tried.swap(at - 1, at);
        if checked(&tried).is_some() {
            return Some((at - 1) / GROUP + 1);
        }
        tried.swap(at - 1, at);
    }
    None
}

#[cfg(test)]
mod tests;
