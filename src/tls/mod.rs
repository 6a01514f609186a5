//! Transport encryption: the certificate the server shows, where it comes from, and its renewal.
//!
//! Called by: `app`, `appliance`, `sources`. Talks to: `<home>/tls`, files that the configuration names.
//! Invariants: private keys lie sealed in the home, but for that of the door; a certificate is replaced in one step, for
//! new connections at once, or stays as it was; nothing here fails the start of an appliance,
//! only that of its listener.
//! Why: an air-gapped site has no public authority to ask, so Cairn brings one of its own; a site
//! that has an authority gives its own certificate instead, by import or by configuration.
//! The door is a certificate of its own, because the page that takes the passphrase is needed
//! before any sealed key can be read. Who steals its key from the disk can pose as this server to
//! people who trust the authority, as with any web server's key, but opens nothing that is sealed.

mod authority;
mod chain;
mod client;
mod error;
mod listener;
mod names;
mod show;
mod site;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::SharedClock;
use crate::config::{Home, ServerConfig, TlsMode};
use crate::crypto::{FileCipher, KeyPurpose, Keyring};
use crate::error::chain as error_chain;

pub use authority::{AUTHORITY_NOTICE, RENEWAL};
pub use client::{ClientStream, ClientTls};
pub use error::{SiteError, TlsError};
pub use listener::ListenerConfig;
pub use names::Names;
pub use show::CertificateFacts;

use chain::{Chain, PrivateKey};
use listener::Current;
use store::{Role, Store};

/// Where the certificate in use comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Signed by Cairn's own authority.
    Cairn,
    /// The site's own, taken in with `cairn tls import`.
    Imported,
    /// The site's own, named by the configuration.
    Configured,
}

/// The authority that people install.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Authority {
    #[serde(flatten)]
    pub facts: CertificateFacts,
    pub pem: String,
}

/// State of transport encryption.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Shown {
    /// False where the configuration switches TLS off.
    pub on: bool,
    /// Scheme, host and port of links.
    pub origin: String,
    /// Hosts the server answers to.
    pub names: Vec<String>,
    pub source: Option<Source>,
    /// The certificate in use; none while the appliance is sealed or TLS is off.
    pub certificate: Option<CertificateFacts>,
    /// The authority of that certificate, where it is Cairn's own.
    pub authority: Option<Authority>,
    pub warnings: Vec<String>,
}

/// What to make anew.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Renewal {
    /// Go back from the site's own certificate to one of Cairn's authority.
    pub own: bool,
    /// Make a new authority too; everybody has to install it again.
    pub new_authority: bool,
}

/// A certificate that was made, or taken from the configured files again.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What it is for.
    what: &'static str,
    fingerprint_sha256: String,
    not_after: Timestamp,
}

impl Issued {
    fn new(what: &'static str, chain: &Chain) -> Self {
        let facts = chain.first();
        Self {
            what,
            fingerprint_sha256: facts.fingerprint_sha256.clone(),
            not_after: facts.not_after,
        }
    }
}

impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} until {}", self.what, self.fingerprint_sha256, self.not_after)
    }
}

/// Certificates kept for whoever asks what was made; far more than one look at them makes.
const ISSUED: usize = 16;

struct InUse {
    source: Source,
    chain: Chain,
}

/// The certificate of one appliance. Methods that read or write files block.
pub struct Tls {
    on: bool,
    names: Names,
    configured: Option<(PathBuf, PathBuf)>,
    store: Store,
    clock: SharedClock,
    cipher: RwLock<Option<FileCipher>>,
    in_use: RwLock<Option<InUse>>,
    current: Arc<Current>,
    /// Held while a certificate is replaced.
    changing: Mutex<()>,
    /// What was made and nobody has asked for yet.
    issued: Mutex<Vec<Issued>>,
}

/// Prepares the certificate of an appliance: makes what is missing, renews what ends soon. Without
/// a key ring, while the appliance is sealed, it is the configured one or that of the door; what goes
/// wrong is logged and comes back from [`Tls::refresh`]. Blocks.
pub fn prepare(
    home: &Home,
    server: &ServerConfig,
    keyring: Option<Arc<Keyring>>,
    clock: SharedClock,
) -> Tls {
    let tls = Tls {
        on: server.tls == TlsMode::Auto,
        names: Names::of(server),
        configured: server.certificate.clone().zip(server.private_key.clone()),
        store: Store::new(home.tls_path()),
        clock,
        cipher: RwLock::new(keyring.map(cipher)),
        in_use: RwLock::new(None),
        current: Arc::default(),
        changing: Mutex::new(()),
        issued: Mutex::default(),
    };
    match tls.refresh() {
        Ok(()) | Err(TlsError::Sealed) => {}
        Err(error) => tracing::warn!("there is no certificate for TLS: {}", error_chain(&error)),
    }
    tls
}

fn cipher(keyring: Arc<Keyring>) -> FileCipher {
    FileCipher::new(keyring, KeyPurpose::System)
}

impl Tls {
    /// True unless the configuration switches TLS off.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// The hosts this server answers to.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// True where there is a certificate to serve with.
    pub fn has_certificate(&self) -> bool {
        self.in_use.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What the listener accepts connections with. While the appliance is sealed there may be no
    /// certificate, on the first start: handshakes are refused until [`Tls::adopt`] brings one.
    ///
    /// # Errors
    /// `Off`.
    pub fn listener(&self) -> Result<ListenerConfig, TlsError> {
        if self.on { listener::config(self.current.clone()) } else { Err(TlsError::Off) }
    }

    /// Takes a new key ring, after unsealing or for a new epoch, seals the private keys with it
    /// and looks after the certificate.
    ///
    /// # Errors
    /// When a key does not open with the new ring or a file cannot be written.
    pub fn adopt(&self, keyring: Arc<Keyring>) -> Result<(), TlsError> {
        let cipher = cipher(keyring);
        {
            let _held = self.hold();
            self.store.reseal(&cipher)?;
            *self.cipher.write().unwrap_or_else(PoisonError::into_inner) = Some(cipher);
        }
        self.refresh()
    }

    /// Forgets the keys of the appliance as it is sealed. The certificate in use stays, so that the
    /// page which opens the seal can still be reached.
    pub fn forget_keys(&self) {
        *self.cipher.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads the certificate again and renews it where it is due; called at start and every hour.
    ///
    /// # Errors
    /// Why there is no certificate to use, or none newer; one in use stays in use.
    pub fn refresh(&self) -> Result<(), TlsError> {
        if !self.on {
            return Ok(());
        }
        let _held = self.hold();
        let now = self.clock.now();
        if let Some((certificate, private_key)) = &self.configured {
            let (chain, key) = store::configured(certificate, private_key)?;
            return self.serve_configured(chain, &key, now);
        }
        let cipher = match self.cipher() {
            Err(TlsError::Sealed) if !self.has_certificate() => return self.serve_door(),
            cipher => cipher?,
        };
        if let Err(error) = self.look_after_door(&cipher, now) {
            tracing::warn!("sealed, this server is unreachable: {}", error_chain(&error));
        }
        if let Some(chain) = self.store.chain(Role::Site)? {
            let key = self.store.key(Role::Site, &chain, &cipher)?;
            // It was checked when it came; one that has ended since is still better than none.
            let certified = site::certify(&chain, &key)?;
            self.put(Source::Imported, chain, certified);
            return Ok(());
        }
        let (chain, key) = self.own(&cipher, now)?;
        let certified = site::certify(&chain, &key)?;
        self.put(Source::Cairn, chain, certified);
        Ok(())
    }

    /// What was made since this was asked last, for the audit trail.
    pub fn take_issued(&self) -> Vec<Issued> {
        std::mem::take(&mut *self.issued.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a new certificate now, or reads the configured one again.
    ///
    /// # Errors
    /// `SiteInUse` unless `own` is given; `AuthorityNotValid`; the operating system's.
    pub fn renew(&self, what: Renewal) -> Result<(), TlsError> {
        let own = what.own || what.new_authority;
        if !self.on {
            return Err(TlsError::Off);
        }
        if self.configured.is_some() {
            return if own { Err(TlsError::Configured) } else { self.refresh() };
        }
        {
            let _held = self.hold();
            let (cipher, now) = (self.cipher()?, self.clock.now());
            let site = self.store.chain(Role::Site)?.is_some();
            if site && !own {
                return Err(TlsError::SiteInUse);
            }
            let authority = match self.store.chain(Role::Authority)? {
                Some(authority) if !what.new_authority => authority,
                _ => self.make_authority(&cipher, now)?,
            };
            self.issue(&authority, &cipher, now)?;
            if site {
                self.store.remove(Role::Site)?;
            }
        }
        self.refresh()
    }

    /// Takes the site's own certificate, with its chain, and the private key that belongs to it.
    ///
    /// # Errors
    /// `Site` with the reason not to take it; `Configured`; the operating system's.
    pub fn import(&self, certificate: &str, private_key: &str) -> Result<(), TlsError> {
        if !self.on {
            return Err(TlsError::Off);
        }
        if self.configured.is_some() {
            return Err(TlsError::Configured);
        }
        let _held = self.hold();
        let chain = Chain::parse(certificate)?;
        let key = PrivateKey::parse(private_key)?;
        let certified = site::check(&chain, &key, self.clock.now())?;
        self.store.keep(Role::Site, &chain, &key, &self.cipher()?)?;
        self.put(Source::Imported, chain, certified);
        Ok(())
    }

    /// The state at present.
    ///
    /// # Errors
    /// When the authority's certificate cannot be read.
    pub fn show(&self) -> Result<Shown, TlsError> {
        let now = self.clock.now();
        let hosts = self.names.hosts();
        let mut shown = Shown {
            on: self.on,
            origin: self.names.origin(),
            names: hosts.iter().map(ToString::to_string).collect(),
            source: None,
            certificate: None,
            authority: None,
            warnings: Vec::new(),
        };
        if let Some(in_use) = &*self.in_use.read().unwrap_or_else(PoisonError::into_inner) {
            shown.source = Some(in_use.source);
            shown.certificate = Some(in_use.chain.first().clone());
            shown.warnings = site::warnings(&in_use.chain, &hosts, now);
        }
        if shown.source == Some(Source::Cairn)
            && let Some(chain) = self.store.chain(Role::Authority)?
        {
            let facts = chain.first().clone();
            if facts.time_left(now) < AUTHORITY_NOTICE {
                shown.warnings.push(format!(
                    "the authority ends on {}: `cairn tls renew --new-authority` makes the next \
                     one, which everybody has to install",
                    facts.not_after
                ));
            }
            shown.authority = Some(Authority { facts, pem: chain.pem().to_owned() });
        }
        Ok(shown)
    }

    /// The server's certificate, kept or made; the caller holds `changing`.
    fn own(&self, cipher: &FileCipher, now: Timestamp) -> Result<(Chain, PrivateKey), TlsError> {
        let authority = match self.store.chain(Role::Authority)? {
            Some(authority) => authority,
            None => self.make_authority(cipher, now)?,
        };
        let hosts = self.names.hosts();
        let Some(chain) = self.store.chain(Role::Server)? else {
            return self.issue(&authority, cipher, now);
        };
        if authority::is_due(authority.first(), chain.first(), &hosts, now) {
            return self.issue(&authority, cipher, now);
        }
        match self.store.key(Role::Server, &chain, cipher) {
            Ok(key) => Ok((chain, key)),
            Err(error) => {
                tracing::warn!("the certificate is made anew: {}", error_chain(&error));
                self.issue(&authority, cipher, now)
            }
        }
    }

    /// Serves with what needs no key ring.
    fn serve_door(&self) -> Result<(), TlsError> {
        let (chain, key) = self.store.door()?.ok_or(TlsError::Sealed)?;
        let certified = site::certify(&chain, &key)?;
        self.put(Source::Cairn, chain, certified);
        Ok(())
    }

    /// Makes or renews the door's certificate; the caller holds `changing`.
    fn look_after_door(&self, cipher: &FileCipher, now: Timestamp) -> Result<(), TlsError> {
        let authority = match self.store.chain(Role::Authority)? {
            Some(authority) => authority,
            None => self.make_authority(cipher, now)?,
        };
        let hosts = self.names.hosts();
        if let Ok(Some((chain, key))) = self.store.door()
            && !authority::is_due(authority.first(), chain.first(), &hosts, now)
            && site::certify(&chain, &key).is_ok()
        {
            return Ok(());
        }
        let authority_key = self.store.key(Role::Authority, &authority, cipher)?;
        let (chain, key) = authority::issue(&authority, &authority_key, &hosts, now)?;
        self.store.keep_door(&chain, &key)?;
        self.note(Issued::new("door", &chain));
        Ok(())
    }

    fn note(&self, made: Issued) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if issued.len() < ISSUED {
            issued.push(made);
        }
    }

    fn make_authority(&self, cipher: &FileCipher, now: Timestamp) -> Result<Chain, TlsError> {
        let hosts = self.names.hosts();
        let (chain, key) = authority::generate(&hosts[0], now)?;
        self.store.keep(Role::Authority, &chain, &key, cipher)?;
        self.note(Issued::new("authority", &chain));
        tracing::info!(
            fingerprint = chain.first().fingerprint_sha256,
            "made a certificate authority; `cairn tls ca` says how to install it"
        );
        Ok(chain)
    }

    fn issue(
        &self,
        authority: &Chain,
        cipher: &FileCipher,
        now: Timestamp,
    ) -> Result<(Chain, PrivateKey), TlsError> {
        let authority_key = self.store.key(Role::Authority, authority, cipher)?;
        let (chain, key) = authority::issue(authority, &authority_key, &self.names.hosts(), now)?;
        self.store.keep(Role::Server, &chain, &key, cipher)?;
        self.note(Issued::new("server", &chain));
        tracing::info!(
            fingerprint = chain.first().fingerprint_sha256,
            "made a certificate that lasts until {}",
            chain.first().not_after
        );
        Ok((chain, key))
    }

    /// At start a certificate with faults is better than none; later the one in use is better.
    fn serve_configured(
        &self,
        chain: Chain,
        key: &PrivateKey,
        now: Timestamp,
    ) -> Result<(), TlsError> {
        let certified = match site::check(&chain, key, now) {
            Ok(certified) => certified,
            Err(error) if self.has_certificate() => return Err(error.into()),
            Err(error) => {
                let certified = site::certify(&chain, key)?;
                tracing::warn!("the configured certificate is at fault: {}", error_chain(&error));
                certified
            }
        };
        if self.configured_in_use().is_some_and(|used| used != chain.first().fingerprint_sha256) {
            self.note(Issued::new("configured", &chain));
        }
        self.put(Source::Configured, chain, certified);
        Ok(())
    }

    /// Fingerprint of the configured certificate as it was read last.
    fn configured_in_use(&self) -> Option<String> {
        let in_use = self.in_use.read().unwrap_or_else(PoisonError::into_inner);
        let in_use = in_use.as_ref().filter(|in_use| in_use.source == Source::Configured)?;
        Some(in_use.chain.first().fingerprint_sha256.clone())
    }

    fn put(&self, source: Source, chain: Chain, certified: rustls::sign::CertifiedKey) {
        self.current.set(certified);
        *self.in_use.write().unwrap_or_else(PoisonError::into_inner) =
            Some(InUse { source, chain });
    }

    fn cipher(&self) -> Result<FileCipher, TlsError> {
        let cipher = self.cipher.read().unwrap_or_else(PoisonError::into_inner);
        cipher.clone().ok_or(TlsError::Sealed)
    }

    fn hold(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
