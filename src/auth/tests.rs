//! Signing in, second factors, sessions, links and grants over a real appliance database.

mod links;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::audit::{Action, Event, Occasion, Origin, Party, Record};
use crate::clock::{Clock, ManualClock};
use crate::crypto::{Keyring, SecretKey};
use crate::system::{System, TenantRecord, TenantUpdate, User, UserUpdate};
use crate::types::{
    ApiKeyId, ApplianceRole, CollectionId, CollectionScope, Role, SessionId, TenantId, TenantState,
    Tier,
};

const PASSWORD: &str = "four words make sense";

/// What most tests need not have on record.
const UNRECORDED: Recording<'static> = &|_| Vec::new();

fn record() -> Record {
    let actor = Party::anonymous();
    let occasion = Occasion { at: Timestamp::UNIX_EPOCH, actor, origin: Origin::default() };
    occasion.record(Event::new(Action::UserPassword))
}

struct Site {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    system: Arc<System>,
    authority: Authority,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
        Self::of(tempfile::tempdir().unwrap(), clock)
    }

    fn of(dir: tempfile::TempDir, clock: Arc<ManualClock>) -> Self {
        let keyring = Keyring::new("system", 1, [(1, SecretKey::from_bytes([1; 32]))]);
        let system = Arc::new(System::open(&dir.path().join("system.db"), &keyring).unwrap());
        let limits = SessionLimits {
            idle: SignedDuration::from_mins(30),
            absolute: SignedDuration::from_hours(12),
        };
        let authority = Authority::new(system.clone(), clock.clone(), limits);
        Self { dir, clock, system, authority }
    }

    /// The same site in another process.
    fn restarted(self) -> Self {
        let Self { dir, clock, system, authority } = self;
        drop((system, authority));
        Self::of(dir, clock)
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    fn user(&self, name: &str, role: Option<ApplianceRole>) -> User {
        let user = self.authority.new_user(name, role);
        // Cheap to check, since the cost is read from the string.
        let hash =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        self.system.add_user(&user, Some(hash)).unwrap();
        user
    }

    /// A user whose password is `PASSWORD`.
    fn person(&self, name: &str) -> User {
        let user = self.user(name, None);
        let hash = crate::crypto::hash_password(PASSWORD).unwrap();
        self.system.set_password(user.id, &hash, None, self.clock.now()).unwrap();
        user
    }

    fn tenant(&self, name: &str) -> TenantId {
        let record = TenantRecord {
            id: TenantId::generate(),
            name: name.to_owned(),
            tier: Tier::Pro,
            state: TenantState::Active,
            locked: false,
            limits: serde_json::Map::new(),
            created_at: self.clock.now(),
        };
        self.system.add_tenant(&record).unwrap();
        record.id
    }

    fn sign_in(
        &self,
        name: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<SignedIn, SignInError> {
        self.authority.sign_in(name, password, code, &peer("10.0.0.1"), UNRECORDED)
    }

    fn session(&self, token: &str) -> Result<Option<ActiveSession>, AuthError> {
        self.authority.session(token, UseBy::Person)
    }

    fn code(&self, secret: &str) -> String {
        self.code_at(secret, 0)
    }

    fn code_at(&self, secret: &str, offset: i64) -> String {
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
        totp.generate((self.clock.now().as_second() + offset) as u64).to_string()
    }

    /// Gives a user a second factor: its secret and recovery codes.
    fn second_factor(&self, user: &User) -> (String, Vec<String>) {
        let offer = self.authority.offer_totp(user.id, PASSWORD, &peer("10.0.0.1")).unwrap();
        let secret = offer.secret.to_string();
        let codes = self.authority.confirm_totp(user.id, &self.code(&secret), record()).unwrap();
        self.pass(30);
        (secret, codes.reveal().to_vec())
    }
}

fn peer(address: &str) -> Peer {
    Peer::new(address.to_owned(), "test browser")
}

fn actor(user: &User) -> Actor {
    Actor::User {
        id: user.id,
        name: user.name.clone(),
        appliance: user.appliance_role,
        session: SessionId::generate(),
    }
}

/// The levels that an actor gets on a tenant.
fn levels(site: &Site, actor: &Actor, tenant: &str) -> Vec<Level> {
    fn has<A: Access>(site: &Site, actor: &Actor, tenant: &str) -> Option<Level> {
        site.authority.authorise::<A>(actor, tenant).unwrap().map(|_| A::LEVEL)
    }
    [
        has::<Read>(site, actor, tenant),
        has::<Write>(site, actor, tenant),
        has::<Manage>(site, actor, tenant),
        has::<Audit>(site, actor, tenant),
        has::<Administer>(site, actor, tenant),
        has::<Operate>(site, actor, tenant),
        has::<Admit>(site, actor, tenant),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_actor_gets_the_levels_of_the_table_and_no_other() {
    let site = Site::new();
    let tenant = site.tenant("t");
    let member = |role: Role| {
        let user = site.user(role.as_str(), None);
        let all = CollectionScope::All;
        site.system.set_membership(tenant, user.id, role, &all, site.clock.now()).unwrap();
        actor(&user)
    };
    let key =
        |tenant, role| Actor::ApiKey { id: ApiKeyId::generate(), tenant, name: "k".into(), role };
    let admin = actor(&site.user("boss", Some(ApplianceRole::Admin)));
    let operator = actor(&site.user("watch", Some(ApplianceRole::Operator)));
    use Level::{Administer, Admit, Audit, Manage, Operate, Read, Write};
    let everything = vec![Read, Write, Manage, Audit, Administer, Operate, Admit];
    for (actor, wanted) in [
        (Actor::Console, everything),
        (member(Role::Owner), vec![Read, Write, Manage, Audit, Admit]),
        (member(Role::Editor), vec![Read, Write]),
        (member(Role::Reader), vec![Read]),
        (member(Role::Auditor), vec![Audit]),
        (admin, vec![Administer, Operate, Admit]),
        (operator, vec![Operate]),
        (actor(&site.user("outsider", None)), vec![]),
        (key(tenant, Role::Owner), vec![Read, Write, Manage, Audit]),
        (key(tenant, Role::Editor), vec![Read, Write]),
        (key(tenant, Role::Reader), vec![Read]),
        (key(tenant, Role::Auditor), vec![Audit]),
        (key(site.tenant("other"), Role::Owner), vec![]),
        (Actor::System(SystemActor::Worker), vec![]),
    ] {
        assert_eq!(levels(&site, &actor, "t"), wanted, "{actor:?}");
        assert_eq!(levels(&site, &actor, &tenant.to_string()), wanted, "{actor:?} by id");
        assert_eq!(levels(&site, &actor, "absent"), [], "{actor:?} on an absent tenant");
    }
}

#[test]
fn a_grant_extends_to_the_members_collections() {
    let site = Site::new();
    let tenant = site.tenant("t");
    let user = site.user("ada", None);
    let some = CollectionScope::Only([CollectionId::generate()].into());
    site.system.set_membership(tenant, user.id, Role::Reader, &some, site.clock.now()).unwrap();
    let grant = site.authority.authorise::<Read>(&actor(&user), "t").unwrap().unwrap();
    assert_eq!((grant.collections(), grant.tenant()), (&some, tenant));
    let console = site.authority.authorise::<Read>(&Actor::Console, "t").unwrap().unwrap();
    assert_eq!(console.collections(), &CollectionScope::All);
}

#[test]
fn only_who_could_open_a_tenant_learns_that_it_is_closed() {
    let site = Site::new();
    let tenant = site.tenant("t");
    let (reader, outsider) = (site.user("reader", None), site.user("outsider", None));
    let admin = site.user("boss", Some(ApplianceRole::Admin));
    let all = CollectionScope::All;
    site.system.set_membership(tenant, reader.id, Role::Reader, &all, site.clock.now()).unwrap();
    let set = |state| {
        let update = TenantUpdate { state: Some(state), ..TenantUpdate::default() };
        site.system.change_tenant(tenant, &update).unwrap();
    };
    let read =
        |actor: &Actor| site.authority.authorise::<Read>(actor, "t").map(|grant| grant.is_some());
    let write =
        |actor: &Actor| site.authority.authorise::<Write>(actor, "t").map(|grant| grant.is_some());

    set(TenantState::Suspended);
    assert!(matches!(read(&actor(&reader)), Err(AuthError::TenantSuspended)));
    assert!(matches!(write(&actor(&reader)), Ok(false)), "it could not write anyway");
    assert!(matches!(read(&actor(&outsider)), Ok(false)));
    assert!(matches!(read(&Actor::Console), Ok(true)));
    assert_eq!(levels(&site, &actor(&admin), "t").len(), 3);

    set(TenantState::Locked);
    assert!(matches!(read(&actor(&reader)), Err(AuthError::TenantLocked)));
    assert!(matches!(read(&actor(&outsider)), Ok(false)));
    assert!(matches!(read(&Actor::Console), Err(AuthError::TenantLocked)));
    assert_eq!(levels(&site, &actor(&admin), "t").len(), 3);
}

#[test]
fn a_password_signs_in_and_nothing_else_tells_names_apart() {
    let site = Site::new();
    let ada = site.person("ada");
    let signed_in = site.sign_in("ADA", PASSWORD, None).unwrap();
    let session = site.session(signed_in.token.reveal()).unwrap().unwrap();
    assert_eq!((session.user, session.id), (ada.id, signed_in.session.id));
    assert_eq!(session.actor, signed_in.session.actor);
    let wrong = site.sign_in("ada", "three words do not", None).unwrap_err().to_string();
    let unknown = site.sign_in("nobody", PASSWORD, None).unwrap_err().to_string();
    assert_eq!(wrong, unknown);
    let by_id = site.sign_in(&ada.id.to_string(), PASSWORD, None).unwrap_err();
    assert!(matches!(by_id, SignInError::BadCredentials));
    let disabled = UserUpdate { disabled: Some(true), ..UserUpdate::default() };
    site.system.change_user(ada.id, disabled, site.clock.now()).unwrap();
    assert!(matches!(site.sign_in("ada", PASSWORD, None), Err(SignInError::BadCredentials)));
    assert_eq!(site.session(signed_in.token.reveal()).unwrap(), None);
}

#[test]
fn a_code_signs_in_once_and_an_older_one_never_again() {
    let site = Site::new();
    let ada = site.person("ada");
    let (secret, _) = site.second_factor(&ada);
    assert!(matches!(site.sign_in("ada", PASSWORD, None), Err(SignInError::CodeRequired)));
    assert!(matches!(site.sign_in("ada", PASSWORD, Some(" ")), Err(SignInError::CodeRequired)));
    let code = site.code(&secret);
    assert!(matches!(
        site.sign_in("ada", "wrong password", Some(&code)),
        Err(SignInError::BadCredentials)
    ));
    site.sign_in("ada", PASSWORD, Some(&code)).unwrap();
    for used in [code, site.code_at(&secret, -30)] {
        assert!(matches!(site.sign_in("ada", PASSWORD, Some(&used)), Err(SignInError::CodeUsed)));
    }
    // The next one is taken although its time has not quite come.
    site.sign_in("ada", PASSWORD, Some(&site.code_at(&secret, 30))).unwrap();
}

#[test]
fn a_used_code_never_counts_again_however_far_the_clock_is_set_back() {
    let mut site = Site::new();
    let ada = site.person("ada");
    let (secret, _) = site.second_factor(&ada);
    let hours = [0, 3, 100, 20_000];
    let used: Vec<String> = hours
        .iter()
        .map(|hour| {
            site.pass(hour * 3600);
            let code = site.code(&secret);
            site.sign_in("ada", PASSWORD, Some(&code)).unwrap();
            code
        })
        .collect();
    for (hour, code) in hours.iter().zip(&used).rev() {
        let again = |site: &Site| site.sign_in("ada", PASSWORD, Some(code)).unwrap_err();
        assert!(matches!(again(&site), SignInError::CodeUsed), "{hour} hours");
        site = site.restarted();
        assert!(matches!(again(&site), SignInError::CodeUsed), "{hour} hours, restarted");
        // Nobody is kept out: the next code is one that was never used.
        site.pass(60);
        site.sign_in("ada", PASSWORD, Some(&site.code(&secret))).unwrap();
        site.pass(-60 - hour * 3600);
    }
}

#[test]
fn a_clock_that_was_years_ahead_keeps_nobody_out_and_makes_no_code_good_again() {
    let years = 10 * 365 * 24 * 3600;
    let site = Site::new();
    let (ada, ben) = (site.person("ada"), site.person("ben"));
    let (adas, _) = site.second_factor(&ada);
    let before = site.code(&adas);
    site.sign_in("ada", PASSWORD, Some(&before)).unwrap();
    site.pass(years);
    let ahead = site.code(&adas);
    site.sign_in("ada", PASSWORD, Some(&ahead)).unwrap();
    let (bens, _) = site.second_factor(&ben);
    site.sign_in("ben", PASSWORD, Some(&site.code(&bens))).unwrap();
    // Put right.
    site.pass(-years);
    let refused = site.sign_in("ada", PASSWORD, Some(&before)).unwrap_err();
    assert!(matches!(refused, SignInError::CodeUsed), "{refused}");
    site.pass(30);
    site.sign_in("ada", PASSWORD, Some(&site.code(&adas))).unwrap();
    site.sign_in("ben", PASSWORD, Some(&site.code(&bens))).unwrap();
    // When that time does come.
    site.pass(years - 60);
    let refused = site.sign_in("ada", PASSWORD, Some(&ahead)).unwrap_err();
    assert!(matches!(refused, SignInError::CodeUsed), "{refused}");
}

#[test]
fn another_secret_begins_with_no_code_used() {
    let site = Site::new();
    let ada = site.person("ada");
    let (first, _) = site.second_factor(&ada);
    let last_of_first = site.code(&first);
    site.sign_in("ada", PASSWORD, Some(&last_of_first)).unwrap();
    site.pass(-24 * 3600);
    // A day before, by the clock, the first secret was not there yet.
    site.authority.remove_totp(ada.id, PASSWORD, &peer("10.0.0.1"), record()).unwrap();
    let offer = site.authority.offer_totp(ada.id, PASSWORD, &peer("10.0.0.1")).unwrap();
    let proof = site.code(&offer.secret);
    site.authority.confirm_totp(ada.id, &proof, record()).unwrap();
    let refused = site.sign_in("ada", PASSWORD, Some(&proof)).unwrap_err();
    assert!(matches!(refused, SignInError::CodeUsed), "{refused}");
    site.pass(24 * 3600);
    site.sign_in("ada", PASSWORD, Some(&site.code(&offer.secret))).unwrap();
    let refused = site.sign_in("ada", PASSWORD, Some(&last_of_first)).unwrap_err();
    assert!(matches!(refused, SignInError::CodeWrong), "{refused}");
}

#[test]
fn a_clock_that_is_off_is_told_and_still_keeps_the_code_out() {
    let site = Site::new();
    let ada = site.person("ada");
    let (secret, _) = site.second_factor(&ada);
    let late = site.sign_in("ada", PASSWORD, Some(&site.code_at(&secret, -150))).unwrap_err();
    assert!(matches!(late, SignInError::CodeSkewed { seconds: -150 }), "{late}");
    let wrong = site.sign_in("ada", PASSWORD, Some(&site.code_at(&secret, 86_400))).unwrap_err();
    assert!(matches!(wrong, SignInError::CodeWrong), "{wrong}");
}

#[test]
fn a_recovery_code_replaces_the_authenticator_once() {
    let site = Site::new();
    let ada = site.person("ada");
    let (_, codes) = site.second_factor(&ada);
    let signed_in = site.sign_in("ada", PASSWORD, Some(&codes[3].to_uppercase())).unwrap();
    assert!(signed_in.by_recovery_code);
    assert!(matches!(site.sign_in("ada", PASSWORD, Some(&codes[3])), Err(SignInError::CodeWrong)));
    site.sign_in("ada", PASSWORD, Some(&codes[4])).unwrap();
    // An open session alone does not replace it.
    let refused = site.authority.offer_totp(ada.id, PASSWORD, &peer("10.0.0.1")).err().unwrap();
    assert!(matches!(refused, SignInError::SecondFactorSet), "{refused}");
    site.authority.remove_totp(ada.id, PASSWORD, &peer("10.0.0.1"), record()).unwrap();
    site.sign_in("ada", PASSWORD, None).unwrap();
    // A new second factor makes the old codes worthless.
    site.second_factor(&ada);
    assert!(matches!(site.sign_in("ada", PASSWORD, Some(&codes[5])), Err(SignInError::CodeWrong)));
}

#[test]
fn many_failures_slow_an_account_down_but_not_for_who_is_signed_in_there() {
    let site = Site::new();
    site.person("ada");
    let home = peer("10.0.0.5");
    site.authority.sign_in("ada", PASSWORD, None, &home, UNRECORDED).unwrap();
    let attack = |site: &Site| {
        for host in 0..10 {
            let _ = site.authority.sign_in(
                "ada",
                "guess",
                None,
                &peer(&format!("10.1.1.{host}")),
                UNRECORDED,
            );
        }
    };
    attack(&site);
    let refused = site.sign_in("ada", PASSWORD, None).unwrap_err();
    let SignInError::TooManyAttempts { retry_after } = refused else { panic!("{refused}") };
    assert!(retry_after <= SignedDuration::from_mins(15));
    // From where the account is in use it gets in, and that forgives what others did.
    site.authority.sign_in("ada", PASSWORD, None, &home, UNRECORDED).unwrap();
    site.sign_in("ada", PASSWORD, None).unwrap();

    // Somebody else at that address has their own count there, and soon has to wait.
    let guess = || site.authority.sign_in("ada", "guess", None, &home, UNRECORDED).unwrap_err();
    let refused = (0..8).filter(|_| matches!(guess(), SignInError::TooManyAttempts { .. })).count();
    assert_eq!(refused, 3, "four are free and the fifth counts");
    site.pass(15 * 60);

    attack(&site);
    site.authority.forgive("Ada").unwrap();
    site.sign_in("ada", PASSWORD, None).unwrap();

    attack(&site);
    site.pass(15 * 60);
    site.sign_in("ada", PASSWORD, None).unwrap();
}

#[test]
fn an_open_page_alone_puts_no_second_factor_on_an_account() {
    let site = Site::new();
    let ada = site.person("ada");
    let from = peer("10.0.0.1");
    let refused = site.authority.offer_totp(ada.id, "a guess of theirs", &from).err().unwrap();
    assert!(matches!(refused, SignInError::WrongPassword), "{refused}");
    let nothing = site.authority.confirm_totp(ada.id, "123456", record()).err().unwrap();
    assert!(matches!(nothing, SignInError::NothingOffered), "{nothing}");
}

#[test]
fn an_actor_is_live_as_long_as_their_very_session_is() {
    let site = Site::new();
    let ada = site.person("ada");
    let here = site.sign_in("ada", PASSWORD, None).unwrap().session;
    let there = site.sign_in("ada", PASSWORD, None).unwrap().session;
    let live = |session: &ActiveSession| site.authority.is_live(&session.actor).unwrap();
    assert!(live(&here) && live(&there));
    site.system.revoke_session(ada.id, there.id).unwrap();
    assert!(live(&here) && !live(&there), "one of two was ended");
}

#[test]
fn who_gets_in_and_its_entry_are_one_change() {
    let site = Site::new();
    site.person("ada");
    let recording = |signed_in: Option<&SignedIn>| {
        assert!(signed_in.is_some());
        vec![record()]
    };
    let from = peer("10.0.0.1");
    let before = site.system.verify_audit().unwrap().entries;
    site.authority.sign_in("ada", PASSWORD, None, &from, &recording).unwrap();
    assert_eq!(site.system.verify_audit().unwrap().entries, before + 1);
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let dies = |_: Option<&SignedIn>| -> Vec<Record> { panic!("before it is on record") };
        site.authority.sign_in("ada", PASSWORD, None, &from, &dies)
    }));
    assert!(died.is_err());
    let ada = site.system.find_user("ada").unwrap().unwrap();
    assert_eq!(site.authority.sessions(ada.id).unwrap().len(), 1, "no session without an entry");
    site.sign_in("ada", PASSWORD, None).unwrap();
}

#[test]
fn an_own_account_does_not_wipe_out_failures_of_an_address() {
    let site = Site::new();
    site.person("mallory");
    let from = peer("10.0.0.9");
    let mut refused = false;
    for guess in 0..40 {
        let guessed =
            site.authority.sign_in(&format!("user{guess}"), "guess", None, &from, UNRECORDED);
        refused |= matches!(guessed, Err(SignInError::TooManyAttempts { .. }));
        // Signs in for a moment, so that the address is never one of a live session.
        if let Ok(signed_in) = site.authority.sign_in("mallory", PASSWORD, None, &from, UNRECORDED)
        {
            site.authority.sign_out(signed_in.token.reveal()).unwrap();
        }
    }
    assert!(refused);
}

#[test]
fn another_password_ends_the_other_sessions_and_needs_the_old_one() {
    let site = Site::new();
    site.person("ada");
    let here = site.sign_in("ada", PASSWORD, None).unwrap();
    let there = site.sign_in("ada", PASSWORD, None).unwrap();
    let change = |old: &str, new: &str| {
        site.authority.change_password(&here.session, old, new, &peer("10.0.0.1"), record())
    };
    let new = "five other words make sense";
    assert!(matches!(change("not this one", new), Err(SignInError::WrongPassword)));
    let weak = change(PASSWORD, "password1234").unwrap_err();
    assert!(matches!(weak, SignInError::Password(PasswordProblem::Breached)), "{weak}");
    change(PASSWORD, new).unwrap();
    assert!(site.session(here.token.reveal()).unwrap().is_some());
    assert_eq!(site.session(there.token.reveal()).unwrap(), None);
    assert!(matches!(site.sign_in("ada", PASSWORD, None), Err(SignInError::BadCredentials)));
    site.sign_in("ada", new, None).unwrap();
}

#[test]
fn a_page_that_nobody_uses_does_not_keep_its_session_alive() {
    let site = Site::new();
    site.person("ada");
    let signed_in = site.sign_in("ada", PASSWORD, None).unwrap();
    let token = signed_in.token.reveal();
    for _ in 0..29 {
        site.pass(60);
        assert!(site.authority.session(token, UseBy::Page).unwrap().is_some());
    }
    site.pass(60);
    assert_eq!(site.authority.session(token, UseBy::Page).unwrap(), None);
}

#[test]
fn the_token_of_a_page_is_not_the_one_of_its_session() {
    let csrf = csrf_token("session token");
    assert_ne!(csrf, csrf_token("session tokem"));
    assert_ne!(csrf, crate::crypto::TokenDigest::of("session token").as_str());
    assert_eq!(csrf.len(), 64);
}
