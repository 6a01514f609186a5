//! Certificates in `<home>/tls`, in the clear, with their private keys, sealed but for one.
//!
//! Called by: `tls`. Talks to: the directory.
//! Invariants: a certificate never lies there without the key that belongs to it. The key's file
//! carries the fingerprint of its certificate in its name and is written first; the certificate
//! replaces the one before it in one step; then keys of no certificate go. The key of the door
//! lies in the clear for its owner only: it has to serve before anything can be unsealed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::chain::{Chain, PrivateKey};
use super::{SiteError, TlsError};
use crate::crypto::FileCipher;
use crate::disk;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Signs the server's certificate.
    Authority,
    /// The server's, signed by the authority.
    Server,
    /// The site's own, taken in by the admin.
    Site,
    /// Served while the appliance is sealed, signed by the authority.
    Door,
}

impl Role {
    /// Those whose keys are sealed.
    const SEALED: [Self; 3] = [Self::Authority, Self::Server, Self::Site];

    fn stem(self) -> &'static str {
        match self {
            Self::Authority => "ca",
            Self::Server => "server",
            Self::Site => "site",
            Self::Door => "door",
        }
    }
}

/// The directory.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The certificate of a role; `None` where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn chain(&self, role: Role) -> Result<Option<Chain>, TlsError> {
        let path = self.certificate_path(role);
        match fs::read_to_string(&path) {
            Ok(text) => {
                Chain::parse(&text).map(Some).map_err(|source| TlsError::Damaged { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TlsError::Io { what: "read", path, source }),
        }
    }

    /// The private key that belongs to a certificate.
    ///
    /// # Errors
    /// When it cannot be read or does not open with the key ring.
    pub(super) fn key(
        &self,
        role: Role,
        chain: &Chain,
        cipher: &FileCipher,
    ) -> Result<PrivateKey, TlsError> {
        let path = self.key_path(role, chain);
        let sealed = read(&path)?;
        match cipher.open(&sealed) {
            Ok(der) => Ok(PrivateKey::from_der(der)),
            Err(source) => Err(TlsError::OpenKey { path, source }),
        }
    }

    /// Stores a certificate with its key in place of the one before it.
    ///
    /// # Errors
    /// The operating system's; the one before it is still there then.
    pub(super) fn keep(
        &self,
        role: Role,
        chain: &Chain,
        key: &PrivateKey,
        cipher: &FileCipher,
    ) -> Result<(), TlsError> {
        self.put(role, chain, |path| seal(path, key, cipher))
    }

    /// The door's certificate with its key, which needs no key ring; `None` where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn door(&self) -> Result<Option<(Chain, PrivateKey)>, TlsError> {
        let Some(chain) = self.chain(Role::Door)? else { return Ok(None) };
        let key = PrivateKey::from_der(read(&self.key_path(Role::Door, &chain))?);
        Ok(Some((chain, key)))
    }

    /// Stores the door's certificate, its key in the clear.
    ///
    /// # Errors
    /// The operating system's; the one before it is still there then.
    pub(super) fn keep_door(&self, chain: &Chain, key: &PrivateKey) -> Result<(), TlsError> {
        self.put(Role::Door, chain, |path| write(path, key.expose()))
    }

    fn put(
        &self,
        role: Role,
        chain: &Chain,
        write_key: impl FnOnce(&Path) -> Result<(), TlsError>,
    ) -> Result<(), TlsError> {
        disk::create_private_dir(&self.dir).map_err(|source| TlsError::Io {
            what: "create",
            path: self.dir.clone(),
            source,
        })?;
        let key_path = self.key_path(role, chain);
        write_key(&key_path)?;
        write(&self.certificate_path(role), chain.pem().as_bytes())?;
        self.sweep(role, Some(&key_path));
        Ok(())
    }

    /// Removes a certificate and its key.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn remove(&self, role: Role) -> Result<(), TlsError> {
        let path = self.certificate_path(role);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(TlsError::Io { what: "remove", path, source: error });
            }
            _ => self.sweep(role, None),
        }
        disk::sync_dir(&self.dir).map_err(|source| TlsError::Io {
            what: "write",
            path: self.dir.clone(),
            source,
        })
    }

    /// Seals every key again with the newest key of the ring.
    ///
    /// # Errors
    /// The first key that cannot be opened or written; repeating is harmless.
    pub(super) fn reseal(&self, cipher: &FileCipher) -> Result<(), TlsError> {
        for role in Role::SEALED {
            if let Some(chain) = self.chain(role)? {
                let key = self.key(role, &chain, cipher)?;
                seal(&self.key_path(role, &chain), &key, cipher)?;
            }
        }
        Ok(())
    }

    fn certificate_path(&self, role: Role) -> PathBuf {
        self.dir.join(format!("{}.crt", role.stem()))
    }

    fn key_path(&self, role: Role, chain: &Chain) -> PathBuf {
        self.dir.join(format!("{}-{}.key", role.stem(), chain.first().file_stem()))
    }

    /// Removes the keys of a role but one. A leftover goes with the next change.
    fn sweep(&self, role: Role, kept: Option<&Path>) {
        let prefix = format!("{}-", role.stem());
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let ours = entry.file_name().to_string_lossy().starts_with(&prefix);
            if ours && kept != Some(path.as_path()) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The certificate and key that the configuration names.
///
/// # Errors
/// When a file cannot be read or holds something else.
pub(super) fn configured(
    certificate: &Path,
    private_key: &Path,
) -> Result<(Chain, PrivateKey), TlsError> {
    let text = |path: &Path| {
        let bytes = zeroize::Zeroizing::new(read(path)?);
        Ok::<_, TlsError>(zeroize::Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
    };
    let damaged =
        |path: &Path, source: SiteError| TlsError::Damaged { path: path.to_owned(), source };
    let chain = Chain::parse(&text(certificate)?).map_err(|source| damaged(certificate, source))?;
    let key =
        PrivateKey::parse(&text(private_key)?).map_err(|source| damaged(private_key, source))?;
    Ok((chain, key))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Io { what: "read", path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TlsError> {
    disk::write_atomic(path, bytes).map_err(|source| TlsError::Io {
        what: "write",
        path: path.to_owned(),
        source,
    })
}

fn seal(path: &Path, key: &PrivateKey, cipher: &FileCipher) -> Result<(), TlsError> {
    let sealed = cipher.seal(key.expose()).map_err(|source| TlsError::Io {
        what: "seal",
        path: path.to_owned(),
        source,
    })?;
    write(path, &sealed)
}
