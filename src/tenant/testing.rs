//! What tests of several stores need: keys, and a look at the bytes on disk.
//!
//! Called by: unit tests of `tenant`. Talks to: files under temporary directories.
//! Invariants: keys are the same on every run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::{Actor, Administer, Authority, Grant, SessionLimits};
use crate::clock::SystemClock;
use crate::crypto::{FileCipher, KeyPurpose, Keyring, SecretKey};
use crate::system::System;
use crate::types::TenantId;

/// The keys of a scope, with one data key per epoch up to `epochs`.
pub(in crate::tenant) fn keyring(scope: &str, epochs: u32) -> Arc<Keyring> {
    let key = |epoch: u32| (epoch, SecretKey::from_bytes([epoch as u8; 32]));
    Arc::new(Keyring::new(scope, epochs, (1..=epochs).map(key)))
}

/// A cipher of a tenant in its first epoch.
pub(in crate::tenant) fn cipher(purpose: KeyPurpose) -> FileCipher {
    FileCipher::new(keyring("tenant", 1), purpose)
}

/// The appliance database at `path`.
pub(in crate::tenant) fn system(path: &Path) -> Arc<System> {
    Arc::new(System::open(path, &keyring("system", 1)).expect("a database"))
}

/// The operator's permission to remove a tenant.
pub(in crate::tenant) fn removal(system: &Arc<System>, tenant: TenantId) -> Grant<Administer> {
    let hour = jiff::SignedDuration::from_hours(1);
    let limits = SessionLimits { idle: hour, absolute: hour };
    Authority::new(system.clone(), Arc::new(SystemClock), limits)
        .authorise(&Actor::Console, &tenant.to_string())
        .expect("a database that answers")
        .expect("a tenant that is there")
}

/// Every file below `dir`.
pub(in crate::tenant) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).expect("a readable directory").flatten() {
            let path = entry.path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The first file below `dir` whose content, or whose path from there, holds `marker` in the
/// clear.
pub(in crate::tenant) fn shows(dir: &Path, marker: &str) -> Option<PathBuf> {
    let marker = marker.as_bytes();
    let holds = |bytes: &[u8]| bytes.windows(marker.len()).any(|window| window == marker);
    files(dir).into_iter().find(|path| {
        let bytes = std::fs::read(path).expect("a readable file");
        let name = path.strip_prefix(dir).expect("a path below");
        holds(name.as_os_str().as_encoded_bytes()) || holds(&bytes)
    })
}

/// Cuts a file short.
pub(in crate::tenant) fn truncate(path: &Path, by: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("a file");
    let len = file.metadata().expect("its length").len();
    file.set_len(len.saturating_sub(by)).expect("a shorter file");
}
