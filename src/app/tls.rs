//! Showing, renewing and replacing the certificate of the server.
//!
//! Called by: `http`, `appliance`, `app::doctor`. Talks to: `tls`.
//! Invariants: nothing here tells who may do it; private keys go in and never come out.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::audit::{self, Action, Event};
use super::{App, Error, blocking};
use crate::auth::Actor;

pub use crate::tls::{Authority, CertificateFacts, Names, Renewal, Shown, Source, Tls};

/// The state of transport encryption.
///
/// # Errors
/// When a stored certificate cannot be read.
pub async fn show(app: &Arc<App>) -> Result<Shown, Error> {
    let app = app.clone();
    blocking(move || Ok(app.tls.show()?)).await
}

/// Makes a new certificate, or reads the configured one again.
///
/// # Errors
/// When it cannot be done at present, with what to do instead.
pub async fn renew(app: &Arc<App>, actor: &Actor, what: Renewal) -> Result<Shown, Error> {
    let shared = app.clone();
    let renewed = blocking(move || {
        shared.tls.renew(what)?;
        Ok(shared.tls.show()?)
    });
    let renewed = renewed.await;
    let event = audit::certificates(&app.tls.take_issued())
        .unwrap_or_else(|| Event::new(Action::ApplianceCertificate))
        .with("by", "renewal");
    audit::concluded_for_appliance(app, actor, event, renewed).await
}

/// Takes the site's own certificate, PEM with its chain, and its private key.
///
/// # Errors
/// Why it is not taken.
pub async fn import(
    app: &Arc<App>,
    actor: &Actor,
    certificate: String,
    private_key: Zeroizing<String>,
) -> Result<Shown, Error> {
    let shared = app.clone();
    let imported = blocking(move || {
        shared.tls.import(&certificate, &private_key)?;
        Ok(shared.tls.show()?)
    });
    let event = Event::new(Action::ApplianceCertificate).with("by", "import");
    audit::concluded_for_appliance(app, actor, event, imported.await).await
}

/// The authority that people install, as PEM.
///
/// # Errors
/// `NotFound` where the certificate in use is not signed by Cairn's own authority.
pub async fn authority(app: &Arc<App>) -> Result<String, Error> {
    show(app).await?.authority.map(|authority| authority.pem).ok_or(Error::NotFound)
}
