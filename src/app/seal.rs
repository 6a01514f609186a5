//! Sealing and unsealing the appliance, as the edges may ask for it.
//!
//! Called by: `http`; `appliance` implements it. Talks to: nothing.
//! Invariants: a sealed appliance holds no key and no open store, so nothing here takes an `App`.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::Error;
use super::audit::{Action, Event, Party};

/// Whether the appliance holds its keys.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SealStatus {
    pub sealed: bool,
    /// Where the key comes from: `file`, `passphrase` or `credential`.
    pub source: String,
    /// Why it is sealed, where somebody did not just ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What opens a sealed appliance.
pub enum Unseal {
    /// The configured key file or credential, read again.
    Source,
    /// The passphrase, where the key is kept under one.
    Passphrase(Zeroizing<String>),
    /// Recovery shares, as many as were agreed on.
    Shares(Vec<Zeroizing<String>>),
}

impl Unseal {
    /// The word for it in the audit trail.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Passphrase(_) => "passphrase",
            Self::Shares(_) => "shares",
        }
    }
}

/// What was done with the key at this machine's console, where the server has no part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyEvent {
    /// Recovery shares were made.
    Shares { shares: u8, threshold: u8 },
    /// The key was made again from recovery shares.
    Recovered {},
}

impl KeyEvent {
    /// How the audit trail has it.
    pub fn event(self) -> Event {
        match self {
            Self::Shares { shares, threshold } => Event::new(Action::ApplianceShares)
                .with("shares", u32::from(shares))
                .with("threshold", u32::from(threshold)),
            Self::Recovered {} => Event::new(Action::ApplianceRecover),
        }
    }
}

/// The control over an appliance's keys. Whoever asks for a change is said in the audit trail.
#[async_trait]
pub trait SealControl: Send + Sync + 'static {
    /// The present state.
    fn status(&self) -> SealStatus;

    /// Closes every store and forgets every key. Sealing twice is no error.
    async fn seal(&self, by: Party) -> Result<(), Error>;

    /// Takes the key in and opens the stores. An open appliance stays as it is.
    ///
    /// # Errors
    /// `WrongKey`, or why the key or the stores cannot be opened; it stays sealed then.
    async fn unseal(&self, by: Party, with: Unseal) -> Result<(), Error>;

    /// Puts on record what was done with the key beside the server; while sealed, once there is a
    /// trail to write to.
    async fn record(&self, by: Party, event: KeyEvent);

    /// Wraps every data key anew under a fresh key-encryption key. `passphrase` is the new one
    /// where the key is kept under a passphrase. Returns new recovery shares; old ones are void.
    ///
    /// # Errors
    /// `Sealed`, or that the new key cannot be written.
    async fn rotate_kek(
        &self,
        by: Party,
        passphrase: Option<Zeroizing<String>>,
    ) -> Result<Vec<String>, Error>;
}
