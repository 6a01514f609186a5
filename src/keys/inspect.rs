//! What can be told of a keys folder without any key.
//!
//! Called by: `app`, `cli`. Talks to: `<home>/keys/`.
//! Invariants: nothing is changed and nothing secret is read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::kek::KekId;
use super::scope_file::{ScopeFile, path_of, scopes};
use super::{KeyError, rotation};

/// The state of a keys folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyReport {
    /// Scopes that have keys, `system` among them.
    pub scopes: usize,
    /// The KEKs that the keys are wrapped by: one, or two while the KEK is being changed.
    pub keks: BTreeSet<KekId>,
    /// Scopes whose data key is being changed.
    pub rotating: Vec<String>,
    /// The change of the KEK that is under way, from and to.
    pub kek_rotation: Option<(KekId, KekId)>,
    /// Files that cannot be read.
    pub damaged: Vec<PathBuf>,
}

impl KeyReport {
    /// True where this KEK opens every key, if need be after a change is ended.
    pub fn opens_with(&self, kek: KekId) -> bool {
        match self.kek_rotation {
            Some((_, new)) if new == kek => true,
            _ => self.keks.iter().all(|found| *found == kek),
        }
    }

    /// The KEK that is wanted: the new one while it is being changed; `None` before the first key.
    pub fn wanted(&self) -> Option<KekId> {
        self.kek_rotation.map(|(_, new)| new).or_else(|| self.keks.first().copied())
    }
}

/// Looks at a keys folder; one that is not there holds nothing.
///
/// # Errors
/// When the folder cannot be listed.
pub fn inspect(dir: &Path) -> Result<KeyReport, KeyError> {
    let mut report = KeyReport::default();
    if !dir.exists() {
        return Ok(report);
    }
    match rotation::load(dir) {
        Ok(found) => report.kek_rotation = found.map(|rotation| (rotation.old, rotation.new)),
        Err(KeyError::Damaged { path }) => report.damaged.push(path),
        Err(error) => return Err(error),
    }
    for scope in scopes(dir)? {
        report.scopes += 1;
        let Ok(file) = ScopeFile::read(dir, &scope) else {
            report.damaged.push(path_of(dir, &scope)?);
            continue;
        };
        report.keks.insert(file.kek);
        if file.is_rotating() {
            report.rotating.push(scope);
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Kek, KeyStore};

    #[test]
    fn a_report_counts_scopes_and_names_what_is_damaged_or_under_way() {
        let dir = tempfile::tempdir().unwrap();
        let (kek, next) = (Kek::generate().unwrap(), Kek::generate().unwrap());
        let store = KeyStore::create(dir.path(), &kek).unwrap();
        for empty in [dir.path(), &dir.path().join("absent")] {
            assert_eq!(inspect(empty).unwrap(), KeyReport::default());
        }
        for scope in ["system", "a", "b"] {
            store.create_keyring(scope).unwrap();
        }
        store.begin_rotation("a").unwrap();
        std::fs::write(dir.path().join("b.json"), "{").unwrap();
        let report = inspect(dir.path()).unwrap();
        assert_eq!(report.scopes, 3);
        assert_eq!(report.keks, BTreeSet::from([kek.id()]));
        assert_eq!(report.rotating, ["a"]);
        assert_eq!(report.damaged, [dir.path().join("b.json")]);
        assert!(report.opens_with(kek.id()) && !report.opens_with(next.id()));
        assert_eq!(report.wanted(), Some(kek.id()));

        rotation::begin(dir.path(), &kek, &next).unwrap();
        let report = inspect(dir.path()).unwrap();
        assert_eq!(report.kek_rotation, Some((kek.id(), next.id())));
        assert!(report.opens_with(kek.id()) && report.opens_with(next.id()));
        assert_eq!(report.wanted(), Some(next.id()));
    }
}
