//! One-time links: the way in before there is a password, and when it is lost.
//!
//! Called by: `app`. Talks to: `system`.
//! Invariants: a link is used up only by what it is for, so a refused password leaves it alive;
//! one for the first admin is worth nothing where an admin can sign in; over the network a link
//! is no way around the second factor.

use jiff::{SignedDuration, Timestamp};

use super::authority::{AuthError, Authority};
use super::password::{self, PasswordProblem};
use super::session::{Peer, SignedIn};
use super::sign_in::{Recording, SignInError};
use crate::crypto::{Token, TokenDigest, hash_password};
use crate::system::{Link, SessionRecord, SystemError, ThrottleKey, User};
use crate::types::{ApplianceRole, LinkPurpose, UserId, is_user_name};

/// Why a link was not made or did not work, in words for its holder.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("this link was used already or has expired; `cairn link` makes a new one")]
    Dead,
    #[error("an admin can sign in already; name the user whose password is to be set")]
    AdminExists,
    #[error(
        "a user's name has 1 to 64 letters, digits, '-', '_', '.' or '@' and starts with a letter or digit"
    )]
    Name,
    #[error(transparent)]
    Password(#[from] PasswordProblem),
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

impl From<SystemError> for LinkError {
    fn from(error: SystemError) -> Self {
        AuthError::from(error).into()
    }
}

impl From<AuthError> for LinkError {
    fn from(error: AuthError) -> Self {
        Self::SignIn(error.into())
    }
}

/// A link that was just made.
#[derive(Debug)]
pub struct NewLink {
    pub token: Token,
    pub purpose: LinkPurpose,
    pub expires_at: Timestamp,
}

/// What the holder of a link sends. No `Debug`: it holds secrets.
pub struct Redemption<'a> {
    pub token: &'a str,
    /// Name of the first admin; otherwise the link knows whom it is for.
    pub name: Option<&'a str>,
    pub password: &'a str,
    pub code: Option<&'a str>,
}

impl Authority {
    /// Makes a link that dies after `lifetime`: for a user's password, or for the first admin.
    ///
    /// # Errors
    /// `AdminExists` for a link without a user; when there is no randomness or the appliance
    /// database cannot be written.
    pub fn make_link(
        &self,
        user: Option<UserId>,
        lifetime: SignedDuration,
    ) -> Result<NewLink, LinkError> {
        if user.is_none() && self.system.has_admin()? {
            return Err(LinkError::AdminExists);
        }
        let token = Token::generate("").map_err(AuthError::from)?;
        let now = self.clock.now();
        let expires_at = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        self.system.add_link(&token.digest(), user, now, expires_at)?;
        let purpose = user.map_or(LinkPurpose::FirstAdmin, |_| LinkPurpose::Reset);
        Ok(NewLink { token, purpose, expires_at })
    }

    /// What a link is for.
    ///
    /// # Errors
    /// `Dead`; when the appliance database cannot be read.
    pub fn inspect_link(&self, token: &str) -> Result<Link, LinkError> {
        let found = self.system.find_link(&TokenDigest::of(token), self.clock.now())?;
        let dead = match &found {
            Some(link) => link.purpose == LinkPurpose::FirstAdmin && self.system.has_admin()?,
            None => true,
        };
        found.filter(|_| !dead).ok_or(LinkError::Dead)
    }

    /// Uses a link and signs its holder in at `peer`, with what `recording` says of it on record; at
    /// the console, which is no peer, nobody is signed in and the second factor is not asked for.
    /// Blocks.
    ///
    /// # Errors
    /// Why not; the link lives on unless it was dead before.
    pub fn redeem_link(
        &self,
        given: &Redemption<'_>,
        peer: Option<&Peer>,
        recording: Recording<'_>,
    ) -> Result<Option<SignedIn>, LinkError> {
        let link = self.inspect_link(given.token)?;
        match link.user {
            None => self.make_first_admin(given, peer, recording),
            Some((user, name)) => self.reset_password(given, user, &name, peer, recording),
        }
    }

    fn make_first_admin(
        &self,
        given: &Redemption<'_>,
        peer: Option<&Peer>,
        recording: Recording<'_>,
    ) -> Result<Option<SignedIn>, LinkError> {
        let name = given.name.filter(|name| is_user_name(name)).ok_or(LinkError::Name)?;
        password::check(given.password, name)?;
        let hash = hash_password(given.password).map_err(AuthError::from)?;
        let admin = self.new_user(name, Some(ApplianceRole::Admin));
        let signed_in = peer.map(|peer| self.new_session(&admin, peer)).transpose()?;
        self.use_up(given, signed_in, recording, |link, session| {
            self.system.make_first_admin(link, &admin, &hash, session)
        })
    }

    /// Does what a link is for and records it, both or neither; gives the session that this opens.
    fn use_up(
        &self,
        given: &Redemption<'_>,
        opens: Option<(SignedIn, SessionRecord)>,
        recording: Recording<'_>,
        change: impl FnOnce(
            &TokenDigest,
            Option<(&SessionRecord, &TokenDigest)>,
        ) -> Result<bool, SystemError>,
    ) -> Result<Option<SignedIn>, LinkError> {
        let digest = opens.as_ref().map(|(signed_in, _)| signed_in.token.digest());
        let session = opens.as_ref().map(|(_, record)| record).zip(digest.as_ref());
        let signed_in = opens.as_ref().map(|(signed_in, _)| signed_in);
        self.system.together(|| {
            if !change(&TokenDigest::of(given.token), session)? {
                return Err(LinkError::Dead);
            }
            Ok(self.system.append_audit(recording(signed_in))?)
        })?;
        Ok(opens.map(|(signed_in, _)| signed_in))
    }

    fn reset_password(
        &self,
        given: &Redemption<'_>,
        user: UserId,
        name: &str,
        peer: Option<&Peer>,
        recording: Recording<'_>,
    ) -> Result<Option<SignedIn>, LinkError> {
        password::check(given.password, name)?;
        let hash = hash_password(given.password).map_err(AuthError::from)?;
        let found = self.system.credentials(&user.to_string())?.ok_or(LinkError::Dead)?;
        let mut by_recovery_code = false;
        // A link cannot be guessed, so failures of others do not keep its holder out; a code can.
        if let Some(peer) = peer.filter(|_| found.totp_secret.is_some()) {
            let attempt = self.begin(ThrottleKey::link(name), peer, false)?;
            by_recovery_code = self.second_factor(&found, given.code, &attempt)?;
            self.succeed(&attempt)?;
        }
        let mut signed_in = peer.map(|peer| self.new_session(&found.user, peer)).transpose()?;
        if let Some((signed_in, _)) = &mut signed_in {
            signed_in.by_recovery_code = by_recovery_code;
        }
        let signed_in = self.use_up(given, signed_in, recording, |link, session| {
            self.system.reset_password(link, user, &hash, session, self.clock.now())
        })?;
        self.system.forgive(&ThrottleKey::account(name))?;
        Ok(signed_in)
    }

    /// A user who cannot sign in yet, not stored.
    pub fn new_user(&self, name: &str, appliance_role: Option<ApplianceRole>) -> User {
        let now = self.clock.now();
        User {
            id: UserId::generate(),
            name: name.to_owned(),
            appliance_role,
            disabled: false,
            has_password: false,
            totp_enabled: false,
            created_at: now,
            changed_at: now,
            last_sign_in_at: None,
        }
    }

    /// Lets a user try again at once, whatever came before: the console's way out.
    ///
    /// # Errors
    /// When the appliance database cannot be written.
    pub fn forgive(&self, user_name: &str) -> Result<(), AuthError> {
        Ok(self.system.forgive(&ThrottleKey::account(user_name))?)
    }
}
