//! Signing in with name, password and second factor.
//!
//! Called by: `app`. Talks to: `system`.
//! Invariants: an unknown name costs the time of a known one and gets the same answer; every
//! attempt is counted before it is tried; the second factor is asked for only after the right
//! password, and a code is taken once.

use jiff::{SignedDuration, Timestamp};

use super::authority::{AuthError, Authority};
use super::session::{ActiveSession, Peer, SignedIn};
use super::totp::{self, RecoveryCodes, TotpOffer, Verdict};
use super::{PasswordProblem, password};
use crate::audit::Record;
use crate::crypto::{hash_password, verify_password};
use crate::system::{Attempt, Credentials, SystemError, ThrottleKey};
use crate::types::UserId;

/// Says what goes on record when somebody gets in: with the session that was opened, or without one
/// at the console. It is called in the unit of the change.
pub type Recording<'a> = &'a dyn Fn(Option<&SignedIn>) -> Vec<Record>;

/// Why somebody is not signed in, in words for them.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("the name or the password is wrong")]
    BadCredentials,
    #[error("this is not your present password")]
    WrongPassword,
    #[error("the code of the second factor is needed")]
    CodeRequired,
    #[error("this code is wrong")]
    CodeWrong,
    #[error(
        "this code is wrong, and so seems the appliance's clock: it says {now:.0}, which is before \
         what is on record here; have it set, or use a recovery code"
    )]
    CodeOrClockWrong { now: Timestamp },
    #[error("this code was used already; wait for the next one")]
    CodeUsed,
    #[error(
        "this code is of another time: the clock of the authenticator is {} the appliance's by about {} seconds; set the one that is wrong",
        if *seconds > 0 { "ahead of" } else { "behind" }, seconds.abs()
    )]
    CodeSkewed { seconds: i64 },
    #[error("too many attempts; wait {} seconds", retry_after.as_secs().max(1))]
    TooManyAttempts { retry_after: SignedDuration },
    #[error(transparent)]
    Password(#[from] PasswordProblem),
    #[error("no second factor was offered; begin again")]
    NothingOffered,
    #[error("there is a second factor already; take it away first, with your password")]
    SecondFactorSet,
    #[error("sign-in")]
    Auth(#[from] AuthError),
}

impl From<SystemError> for SignInError {
    fn from(error: SystemError) -> Self {
        Self::Auth(error.into())
    }
}

/// Verified where there is no such user, so that the answer takes as long. Cost and lengths are
/// those of `hash_password`; no password has this hash.
const NOBODYS_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$\
     AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Authority {
    /// Opens a session for the user of this name, with what `recording` says of it on record. Takes
    /// tens of milliseconds; blocks.
    ///
    /// # Errors
    /// Why not; `CodeRequired` asks for another try with a code.
    pub fn sign_in(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
        peer: &Peer,
        recording: Recording<'_>,
    ) -> Result<SignedIn, SignInError> {
        // Ids name users elsewhere; here one would be a second count of failures.
        let found = self.system.credentials(name)?;
        let found = found.filter(|found| found.user.name.eq_ignore_ascii_case(name));
        let trusted = match &found {
            Some(found) => self.is_signed_in_from(found.user.id, &peer.address)?,
            None => false,
        };
        let account = match trusted {
            true => ThrottleKey::account_at(name, &peer.address),
            false => ThrottleKey::account(name),
        };
        let attempt = self.begin(account, peer, trusted)?;
        let Some(found) = right_password(found, password) else {
            return Err(SignInError::BadCredentials);
        };
        let by_recovery_code = self.second_factor(&found, code, &attempt)?;
        self.succeed(&attempt)?;
        // Whoever has the password is not kept out for what others tried.
        self.system.forgive(&ThrottleKey::account(name))?;
        let (mut signed_in, record) = self.new_session(&found.user, peer)?;
        signed_in.by_recovery_code = by_recovery_code;
        self.system.together(|| {
            self.system.add_session(&record, &signed_in.token.digest())?;
            self.system.append_audit(recording(Some(&signed_in)))
        })?;
        Ok(signed_in)
    }

    /// Sets another password for a signed-in user, with `record` in the trail, and ends their other
    /// sessions. Blocks.
    ///
    /// # Errors
    /// `WrongPassword` where `old` is not the present one; rules that `new` breaks.
    pub fn change_password(
        &self,
        session: &ActiveSession,
        old: &str,
        new: &str,
        peer: &Peer,
        record: Record,
    ) -> Result<(), SignInError> {
        let user = session.user;
        let found = self.prove_again(user, old, peer)?;
        password::check(new, &found.user.name)?;
        let hash = hash_password(new).map_err(AuthError::Hash)?;
        Ok(self.system.together(|| {
            self.system.set_password(user, &hash, Some(session.id), self.clock.now())?;
            self.system.append_audit(vec![record])
        })?)
    }

    /// Makes a secret for a second factor, which counts once a code of it was shown. It takes the
    /// password, and one that is set is not replaced: whoever found a session open could lock its
    /// owner out with a factor of their own. Blocks.
    ///
    /// # Errors
    /// `SecondFactorSet`; `WrongPassword`; when there is no such user or randomness, or the appliance
    /// database cannot be written.
    pub fn offer_totp(
        &self,
        user: UserId,
        password: &str,
        peer: &Peer,
    ) -> Result<TotpOffer, SignInError> {
        if self.known(user)?.totp_secret.is_some() {
            return Err(SignInError::SecondFactorSet);
        }
        let found = self.prove_again(user, password, peer)?;
        let secret = totp::new_secret().map_err(AuthError::Random)?;
        self.system.offer_totp(user, &secret)?;
        Ok(totp::offer(&secret, &found.user.name))
    }

    /// Makes the offered secret the second factor, proved by a code, with `record` in the trail, and
    /// gives recovery codes.
    ///
    /// # Errors
    /// `NothingOffered`; a wrong code.
    pub fn confirm_totp(
        &self,
        user: UserId,
        code: &str,
        record: Record,
    ) -> Result<RecoveryCodes, SignInError> {
        let found = self.known(user)?;
        let secret = found.totp_offered.ok_or(SignInError::NothingOffered)?;
        let now = self.clock.now();
        let step = match totp::check(&secret, code.trim(), now.as_second()) {
            Verdict::Step(step) => step,
            Verdict::Skewed { seconds } => return Err(SignInError::CodeSkewed { seconds }),
            Verdict::Wrong => return Err(SignInError::CodeWrong),
        };
        let codes = RecoveryCodes::generate().map_err(AuthError::Random)?;
        self.system.together(|| {
            self.system.enable_totp(user, step, &codes.digests(), now)?;
            self.system.append_audit(vec![record])
        })?;
        Ok(codes)
    }

    /// Does without a second factor from now on, with `record` in the trail. Blocks.
    ///
    /// # Errors
    /// `WrongPassword`.
    pub fn remove_totp(
        &self,
        user: UserId,
        password: &str,
        peer: &Peer,
        record: Record,
    ) -> Result<(), SignInError> {
        self.prove_again(user, password, peer)?;
        Ok(self.system.together(|| {
            self.system.clear_totp(user, self.clock.now())?;
            self.system.append_audit(vec![record])
        })?)
    }

    /// Demands the password of somebody who is signed in already.
    fn prove_again(
        &self,
        user: UserId,
        password: &str,
        peer: &Peer,
    ) -> Result<Credentials, SignInError> {
        let found = self.known(user)?;
        let attempt = self.begin(ThrottleKey::account(&found.user.name), peer, false)?;
        let found = right_password(Some(found), password).ok_or(SignInError::WrongPassword)?;
        self.succeed(&attempt)?;
        Ok(found)
    }

    fn known(&self, user: UserId) -> Result<Credentials, SignInError> {
        self.system.credentials(&user.to_string())?.ok_or(SignInError::BadCredentials)
    }

    /// Demands the second factor of a user who has one; true where a recovery code was used up.
    pub(in crate::auth) fn second_factor(
        &self,
        found: &Credentials,
        code: Option<&str>,
        attempt: &Counted,
    ) -> Result<bool, SignInError> {
        let Some(secret) = &found.totp_secret else {
            return Ok(false);
        };
        let Some(code) = code.map(str::trim).filter(|code| !code.is_empty()) else {
            self.excuse(attempt)?;
            return Err(SignInError::CodeRequired);
        };
        let user = found.user.id;
        if !totp::is_time_code(code) {
            let used = self.system.use_recovery_code(user, &totp::recovery_digest(code))?;
            return if used { Ok(true) } else { Err(SignInError::CodeWrong) };
        }
        match totp::check(secret, code, self.clock.now().as_second()) {
            Verdict::Step(step) if self.system.take_totp_step(user, step)? => Ok(false),
            Verdict::Step(_) => Err(SignInError::CodeUsed),
            Verdict::Skewed { seconds } => Err(SignInError::CodeSkewed { seconds }),
            Verdict::Wrong => Err(SignInError::CodeWrong),
        }
    }

    pub(in crate::auth) fn begin(
        &self,
        account: ThrottleKey,
        peer: &Peer,
        trusted: bool,
    ) -> Result<Counted, SignInError> {
        let source = ThrottleKey::source(&peer.address);
        match self.system.begin_attempt(&account, &source, trusted, self.clock.now())? {
            Attempt::Allowed => Ok(Counted { account, source }),
            Attempt::Refused { retry_after } => Err(SignInError::TooManyAttempts { retry_after }),
        }
    }

    /// An attempt that succeeded: the account's failures are forgotten. Those of the address stay,
    /// since anybody with an account could else wipe out what they do to others.
    pub(in crate::auth) fn succeed(&self, attempt: &Counted) -> Result<(), SignInError> {
        self.system.forgive(&attempt.account)?;
        Ok(self.system.excuse_attempt(&attempt.source)?)
    }

    fn excuse(&self, attempt: &Counted) -> Result<(), SignInError> {
        self.system.excuse_attempt(&attempt.account)?;
        Ok(self.system.excuse_attempt(&attempt.source)?)
    }
}

/// An attempt that is counted as a failure until it has succeeded.
pub(in crate::auth) struct Counted {
    account: ThrottleKey,
    source: ThrottleKey,
}

/// The user, if there is one who may sign in and the password is theirs. Takes the same time in
/// every case.
fn right_password(found: Option<Credentials>, password: &str) -> Option<Credentials> {
    let able = found.filter(|found| !found.user.disabled);
    let stored = able.as_ref().and_then(|found| found.password.as_deref());
    let right = verify_password(password, stored.unwrap_or(NOBODYS_PASSWORD));
    able.filter(|found| right && found.password.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_costs_the_hash_of_a_known_one() {
        let real = hash_password("four words make sense").unwrap();
        let shape = |phc: &str| -> Vec<usize> { phc.split('$').map(str::len).collect() };
        assert_eq!(shape(NOBODYS_PASSWORD), shape(&real));
        let cost = |phc: &str| phc.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(cost(NOBODYS_PASSWORD), cost(&real));
        assert!(!verify_password("", NOBODYS_PASSWORD));
    }

    #[test]
    fn a_skewed_code_says_which_clock_is_behind() {
        let ahead = SignInError::CodeSkewed { seconds: 120 }.to_string();
        assert!(ahead.contains("ahead of the appliance's by about 120 seconds"), "{ahead}");
        let behind = SignInError::CodeSkewed { seconds: -60 }.to_string();
        assert!(behind.contains("behind the appliance's by about 60 seconds"), "{behind}");
    }
}
