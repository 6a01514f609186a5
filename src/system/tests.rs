//! The appliance database by itself: formats, keys, and what must hold in its tables.

use jiff::SignedDuration;
use rusqlite::params;

use super::*;
use crate::crypto::{SecretKey, TokenDigest};
use crate::types::{
    ApiKeyId, ApplianceRole, CollectionId, CollectionScope, Role, TenantId, TenantState, Tier,
    UserId,
};

fn keyring(byte: u8) -> Keyring {
    Keyring::new("system", 1, [(1, SecretKey::from_bytes([byte; 32]))])
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub(super) struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("system.db")
    }

    fn open(&self) -> System {
        System::open(&self.path(), &keyring(1)).unwrap()
    }
}

fn user(name: &str, role: Option<ApplianceRole>) -> User {
    User {
        id: UserId::generate(),
        name: name.to_owned(),
        appliance_role: role,
        disabled: false,
        has_password: false,
        totp_enabled: false,
        created_at: at(0),
        changed_at: at(0),
        last_sign_in_at: None,
    }
}

fn tenant(name: &str) -> TenantRecord {
    TenantRecord {
        id: TenantId::generate(),
        name: name.to_owned(),
        tier: Tier::Pro,
        state: TenantState::Active,
        locked: false,
        limits: serde_json::Map::new(),
        created_at: at(0),
    }
}

const FORMAT_1: &str = "
    CREATE TABLE tenant (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL) STRICT;
    CREATE TABLE api_key (id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL REFERENCES tenant (id) ON DELETE CASCADE, name TEXT NOT NULL,
        created_at INTEGER NOT NULL, last_used_at INTEGER) STRICT;
    CREATE TABLE link (digest TEXT PRIMARY KEY, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT;
    CREATE TABLE session (digest TEXT PRIMARY KEY, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT;
    PRAGMA user_version = 1;";

#[test]
fn a_home_of_format_1_is_encrypted_and_keeps_tenants_and_keys() {
    let home = Home::new();
    let (tenant, key) = (TenantId::generate(), ApiKeyId::generate());
    let plain = Connection::open(home.path()).unwrap();
    plain.execute_batch(FORMAT_1).unwrap();
    let now = at(0).as_microsecond();
    plain
        .execute(
            "INSERT INTO tenant VALUES (?1, 'marker-name', ?2)",
            params![tenant.to_string(), now],
        )
        .unwrap();
    let digest = TokenDigest::of("old key");
    plain
        .execute(
            "INSERT INTO api_key VALUES (?1, ?2, ?3, 'importer', ?4, NULL)",
            params![key.to_string(), digest.as_str(), tenant.to_string(), now],
        )
        .unwrap();
    plain.execute("INSERT INTO session VALUES ('d', ?1, ?1)", [now]).unwrap();
    drop(plain);

    for _ in 0..2 {
        let system = home.open();
        let found = system.find_tenant("marker-name").unwrap().unwrap();
        assert_eq!(
            (found.id, found.tier, found.state),
            (tenant, Tier::Enterprise, TenantState::Active)
        );
        let holder = system.use_api_key(&digest, at(1)).unwrap().unwrap();
        assert_eq!((holder.id, holder.tenant, holder.role), (key, tenant, Role::Editor));
        assert_eq!(system.list_api_keys(tenant).unwrap()[0].name, "importer");
    }
    let bytes = std::fs::read(home.path()).unwrap();
    assert!(!bytes.windows(11).any(|window| window == b"marker-name"));
    // What refers to a tenant still goes with it.
    assert!(home.open().remove_tenant(tenant).unwrap());
    assert_eq!(home.open().use_api_key(&digest, at(1)).unwrap(), None);
}

#[test]
fn codes_taken_by_a_release_that_kept_the_last_one_only_do_not_count_again() {
    let home = Home::new();
    let (ada, ben) = (user("ada", None), user("ben", None));
    let before = home.open();
    for person in [&ada, &ben] {
        before.add_user(person, None).unwrap();
        before.offer_totp(person.id, b"a secret of the user").unwrap();
    }
    before.enable_totp(ada.id, 5000, &[], at(0)).unwrap();
    before.connection().execute_batch("DROP TABLE totp_spent").unwrap();
    drop(before);
    for _ in 0..2 {
        let system = home.open();
        for step in [5000, 4990, 1] {
            assert!(!system.take_totp_step(ada.id, step).unwrap(), "{step}");
        }
    }
    assert!(home.open().take_totp_step(ada.id, 5001).unwrap());
    // Whoever has the second factor since begins at its beginning.
    home.open().enable_totp(ben.id, 9000, &[], at(0)).unwrap();
    assert!(home.open().take_totp_step(ben.id, 8000).unwrap());
}

#[test]
fn another_key_is_refused_and_a_newer_format_is_named() {
    let home = Home::new();
    home.open().add_tenant(&tenant("t")).unwrap();
    let refused = System::open(&home.path(), &keyring(2)).err().unwrap();
    let wrong = matches!(refused, SystemError::Database(DatabaseError::WrongKey { .. }));
    assert!(wrong, "{refused}");
    home.open().connection().pragma_update(None, "user_version", 99).unwrap();
    let refused = System::open(&home.path(), &keyring(1)).err().unwrap().to_string();
    assert!(refused.contains("99") && refused.contains("format 2"), "{refused}");
}

#[test]
fn a_new_epoch_of_the_key_takes_the_database_along() {
    let home = Home::new();
    home.open().add_tenant(&tenant("t")).unwrap();
    let keys = [(1, SecretKey::from_bytes([1; 32])), (2, SecretKey::from_bytes([2; 32]))];
    let both = Keyring::new("system", 2, keys);
    assert!(System::open(&home.path(), &both).unwrap().find_tenant("t").unwrap().is_some());
    let newest = Keyring::new("system", 2, [(2, SecretKey::from_bytes([2; 32]))]);
    assert!(System::open(&home.path(), &newest).unwrap().find_tenant("t").unwrap().is_some());
    assert!(System::open(&home.path(), &keyring(1)).is_err());
}

#[test]
fn names_of_users_are_unique_whatever_their_case() {
    let home = Home::new();
    let system = home.open();
    let ada = user("Ada", None);
    system.add_user(&ada, None).unwrap();
    let taken = system.add_user(&user("aDA", None), None).unwrap_err();
    assert!(matches!(taken, SystemError::NameTaken { name } if name == "aDA"));
    assert_eq!(system.find_user("ADA").unwrap().unwrap(), ada);
    assert_eq!(system.find_user(&ada.id.to_string()).unwrap().unwrap(), ada);
}

#[test]
fn the_only_admin_who_can_sign_in_stays_one() {
    let home = Home::new();
    let system = home.open();
    let (first, second) =
        (user("first", Some(ApplianceRole::Admin)), user("second", Some(ApplianceRole::Admin)));
    system.add_user(&first, Some("hash")).unwrap();
    // Without a password the second one cannot sign in yet.
    system.add_user(&second, None).unwrap();
    let demoted = UserUpdate { appliance_role: Some(None), ..UserUpdate::default() };
    let disabled = UserUpdate { disabled: Some(true), ..UserUpdate::default() };
    for update in [demoted, disabled] {
        let refused = system.change_user(first.id, update, at(1)).unwrap_err();
        assert!(matches!(refused, SystemError::LastAdmin), "{refused}");
    }
    assert!(matches!(system.remove_user(first.id).unwrap_err(), SystemError::LastAdmin));
    assert_eq!(system.find_user("first").unwrap().unwrap().appliance_role, first.appliance_role);

    system.set_password(second.id, "hash", None, at(1)).unwrap();
    assert!(system.change_user(first.id, disabled, at(1)).unwrap());
    assert!(system.find_user("first").unwrap().unwrap().disabled);
    assert!(!system.remove_user(UserId::generate()).unwrap());
}

#[test]
fn memberships_go_with_the_user_and_with_the_tenant() {
    let home = Home::new();
    let system = home.open();
    let (ada, bob) = (user("ada", None), user("bob", None));
    let (one, two) = (tenant("one"), tenant("two"));
    for user in [&ada, &bob] {
        system.add_user(user, None).unwrap();
    }
    for tenant in [&one, &two] {
        system.add_tenant(tenant).unwrap();
        for user in [&ada, &bob] {
            let all = CollectionScope::All;
            system.set_membership(tenant.id, user.id, Role::Editor, &all, at(0)).unwrap();
        }
    }
    let some = CollectionScope::Only([CollectionId::generate()].into());
    system.set_membership(one.id, ada.id, Role::Reader, &some, at(5)).unwrap();
    let found = system.find_membership(one.id, ada.id).unwrap().unwrap();
    assert_eq!((found.role, found.collections, found.created_at), (Role::Reader, some, at(0)));

    system.remove_user(bob.id).unwrap();
    let names: Vec<String> =
        system.list_members(one.id).unwrap().into_iter().map(|member| member.user_name).collect();
    assert_eq!(names, ["ada"]);
    system.remove_tenant(one.id).unwrap();
    let left = system.list_memberships(ada.id).unwrap();
    assert_eq!(left.iter().map(|one| one.tenant_name.as_str()).collect::<Vec<_>>(), ["two"]);
}

#[test]
fn a_key_stops_working_when_it_expires() {
    let home = Home::new();
    let system = home.open();
    let tenant = tenant("t");
    system.add_tenant(&tenant).unwrap();
    let digest = TokenDigest::of("key");
    let key = ApiKey {
        id: ApiKeyId::generate(),
        name: "k".to_owned(),
        role: Role::Reader,
        created_by: Some("ada".to_owned()),
        created_at: at(0),
        expires_at: Some(at(100)),
        last_used_at: None,
        rests: false,
    };
    system.add_api_key(tenant.id, &key, &digest, None).unwrap();
    assert!(system.use_api_key(&digest, at(99)).unwrap().is_some());
    assert_eq!(system.use_api_key(&digest, at(100)).unwrap(), None);
    let listed = system.list_api_keys(tenant.id).unwrap().remove(0);
    assert_eq!(listed, ApiKey { last_used_at: Some(at(99)), ..key });
}

fn try_in(system: &System, account: &str, source: &str, seconds: i64) -> Option<i64> {
    let (account, source) = (ThrottleKey::account(account), ThrottleKey::source(source));
    match system.begin_attempt(&account, &source, false, at(seconds)).unwrap() {
        Attempt::Allowed => None,
        Attempt::Refused { retry_after } => Some(retry_after.as_secs()),
    }
}

#[test]
fn waits_grow_to_a_quarter_of_an_hour_and_end_by_themselves() {
    let home = Home::new();
    let mut now = 0;
    let mut waits = Vec::new();
    for failure in 0..20 {
        // Opened anew each time: the count outlives the process.
        let system = home.open();
        assert_eq!(try_in(&system, "Ada", &format!("10.0.0.{failure}"), now), None, "{failure}");
        if let Some(wait) = try_in(&system, "ada", "10.9.9.9", now) {
            waits.push(wait);
            now += wait;
        }
    }
    assert_eq!(waits[..5], [1, 2, 4, 8, 16]);
    assert_eq!(waits.iter().max(), Some(&900));
    assert_eq!(try_in(&home.open(), "ada", "10.9.9.9", now), None, "a wait ends by itself");
}

#[test]
fn an_address_is_slowed_down_over_all_accounts_and_a_wait_counts_no_failure() {
    let home = Home::new();
    let system = home.open();
    for attempt in 0..21 {
        assert_eq!(try_in(&system, &format!("user{attempt}"), "10.0.0.1", 0), None, "{attempt}");
    }
    for _ in 0..50 {
        assert_eq!(try_in(&system, "somebody", "10.0.0.1", 0), Some(1));
    }
    assert_eq!(try_in(&system, "somebody", "10.0.0.2", 0), None, "others are not slowed down");
    assert_eq!(try_in(&system, "somebody", "10.0.0.1", 1), None);
}

#[test]
fn one_failure_is_forgotten_every_quarter_of_an_hour() {
    let home = Home::new();
    let system = home.open();
    for hour in 0..100 {
        assert_eq!(try_in(&system, "ada", "10.0.0.1", hour * 3600), None, "hour {hour}");
    }
}

#[test]
fn a_clock_that_was_put_back_blocks_nobody() {
    let home = Home::new();
    let system = home.open();
    let year = 365 * 86_400;
    while try_in(&system, "ada", "10.0.0.1", year).is_none() {}
    assert_eq!(try_in(&system, "ada", "10.0.0.1", 0), None);
}

#[test]
fn what_was_no_failure_is_taken_back_and_success_forgives() {
    let home = Home::new();
    let system = home.open();
    let (account, source) = (ThrottleKey::account("ada"), ThrottleKey::source("10.0.0.1"));
    for _ in 0..50 {
        assert_eq!(try_in(&system, "ada", "10.0.0.1", 0), None);
        system.excuse_attempt(&account).unwrap();
        system.excuse_attempt(&source).unwrap();
    }
    while try_in(&system, "ada", "10.0.0.2", 0).is_none() {}
    system.forgive(&account).unwrap();
    assert_eq!(try_in(&system, "ada", "10.0.0.2", 0), None);
}

#[test]
fn an_ipv6_network_counts_as_one_source() {
    assert_eq!(ThrottleKey::source("2001:db8::1"), ThrottleKey::source("2001:db8::ffff:1"));
    assert_ne!(ThrottleKey::source("2001:db8::1"), ThrottleKey::source("2001:db8:0:1::1"));
    assert_eq!(ThrottleKey::source("::ffff:10.0.0.1"), ThrottleKey::source("10.0.0.1"));
    assert_ne!(ThrottleKey::source("10.0.0.1"), ThrottleKey::source("10.0.0.2"));
}

#[test]
fn limits_and_state_of_a_tenant_change_one_by_one() {
    let home = Home::new();
    let system = home.open();
    let (one, two) = (tenant("one"), tenant("two"));
    system.add_tenant(&one).unwrap();
    system.add_tenant(&two).unwrap();
    let limits = serde_json::json!({ "documents": 5 }).as_object().cloned();
    let update = TenantUpdate { limits: limits.clone(), ..TenantUpdate::default() };
    assert!(system.change_tenant(one.id, &update).unwrap());
    let update = TenantUpdate { state: Some(TenantState::Suspended), ..TenantUpdate::default() };
    assert!(system.change_tenant(one.id, &update).unwrap());
    let found = system.find_tenant("one").unwrap().unwrap();
    let wanted =
        TenantRecord { state: TenantState::Suspended, limits: limits.unwrap(), ..one.clone() };
    assert_eq!(found, wanted);
    for name in ["two", "TWO"] {
        let update = TenantUpdate { name: Some(name.to_owned()), ..TenantUpdate::default() };
        let taken = system.change_tenant(one.id, &update).unwrap_err();
        assert!(matches!(taken, SystemError::NameTaken { name: found } if found == name));
        let taken = system.add_tenant(&tenant(name)).unwrap_err();
        assert!(matches!(taken, SystemError::NameTaken { .. }), "{name}");
    }
    let update = TenantUpdate { name: Some("One".to_owned()), ..TenantUpdate::default() };
    assert!(system.change_tenant(one.id, &update).unwrap(), "its own name in another case");
    assert!(!system.change_tenant(TenantId::generate(), &update).unwrap());
}

#[test]
fn sessions_that_lay_idle_or_came_of_age_are_no_sessions() {
    let home = Home::new();
    let system = home.open();
    let ada = user("ada", None);
    system.add_user(&ada, Some("hash")).unwrap();
    let idle = SignedDuration::from_mins(30);
    let digest = TokenDigest::of("token");
    let record = SessionRecord {
        id: crate::types::SessionId::generate(),
        user: ada.id,
        source: "10.0.0.1".to_owned(),
        agent: "browser".to_owned(),
        created_at: at(0),
        last_seen_at: at(0),
        expires_at: at(7200),
    };
    system.add_session(&record, &digest).unwrap();
    assert_eq!(system.find_user("ada").unwrap().unwrap().last_sign_in_at, Some(at(0)));
    let last_seen = |now| system.list_sessions(ada.id, at(now), idle).unwrap()[0].last_seen_at;
    // Within a minute nothing is written; after it, use keeps the session alive.
    assert!(system.use_session(&digest, at(59), idle, true).unwrap().is_some());
    assert_eq!(last_seen(59), at(0));
    for now in (61..7200).step_by(1700) {
        assert!(system.use_session(&digest, at(now), idle, true).unwrap().is_some(), "{now}");
        assert_eq!(last_seen(now), at(now));
    }
    assert!(system.use_session(&digest, at(7100), idle, true).unwrap().is_some());
    assert_eq!(system.use_session(&digest, at(7200), idle, true).unwrap(), None, "of age");

    let other = SessionRecord {
        expires_at: at(100_000),
        created_at: at(7300),
        last_seen_at: at(7300),
        id: crate::types::SessionId::generate(),
        ..record
    };
    system.add_session(&other, &TokenDigest::of("other")).unwrap();
    assert_eq!(
        system.list_sessions(ada.id, at(7300), idle).unwrap().len(),
        1,
        "the old one is gone"
    );
    assert!(
        system
            .use_session(&TokenDigest::of("other"), at(7300 + 1799), idle, true)
            .unwrap()
            .is_some()
    );
    assert_eq!(
        system.use_session(&TokenDigest::of("other"), at(9099 + 1801), idle, true).unwrap(),
        None,
        "idle"
    );
}

fn key(name: &str) -> ApiKey {
    ApiKey {
        id: ApiKeyId::generate(),
        name: name.to_owned(),
        role: Role::Owner,
        created_by: None,
        created_at: at(0),
        expires_at: None,
        last_used_at: None,
        rests: false,
    }
}

#[test]
fn a_key_rests_while_its_maker_is_disabled_and_ends_with_their_right_to_make_it() {
    let home = Home::new();
    let system = home.open();
    let (here, there) = (tenant("here"), tenant("there"));
    let ada = user("ada", None);
    system.add_user(&ada, None).unwrap();
    let makes = |tenant: &TenantRecord, name: &str, maker: Option<UserId>| {
        let (key, digest) = (key(name), TokenDigest::of(name));
        system.add_api_key(tenant.id, &key, &digest, maker).unwrap();
        key.id
    };
    let becomes = |tenant: &TenantRecord, role: Role| {
        system.set_membership(tenant.id, ada.id, role, &CollectionScope::All, at(0)).unwrap();
    };
    for tenant in [&here, &there] {
        system.add_tenant(tenant).unwrap();
        becomes(tenant, Role::Owner);
    }
    let one = makes(&here, "hers", Some(ada.id));
    makes(&there, "hers too", Some(ada.id));
    makes(&here, "the console's", None);
    let opens = |name: &str| system.use_api_key(&TokenDigest::of(name), at(1)).unwrap().is_some();
    let turn = |disabled| {
        let update = UserUpdate { disabled: Some(disabled), ..UserUpdate::default() };
        assert!(system.change_user(ada.id, update, at(1)).unwrap());
    };
    turn(true);
    assert!(!opens("hers") && !opens("hers too") && opens("the console's"));
    assert!(!system.api_key_counts(here.id, one, at(1)).unwrap());
    let shown: Vec<bool> =
        system.list_api_keys(here.id).unwrap().iter().map(|key| key.rests).collect();
    assert_eq!(shown, [true, false]);
    turn(false);
    assert!(opens("hers") && system.api_key_counts(here.id, one, at(1)).unwrap());
    becomes(&here, Role::Editor);
    assert!(!opens("hers") && opens("hers too"), "an editor makes no keys");
    becomes(&here, Role::Owner);
    let revoked = system.remove_api_keys_of(ada.id, Some(here.id)).unwrap();
    assert_eq!(revoked.iter().map(|key| key.id).collect::<Vec<_>>(), [one]);
    assert!(!opens("hers") && opens("hers too") && opens("the console's"));
    assert_eq!(system.remove_api_keys_of(ada.id, None).unwrap().len(), 1);
    assert!(!opens("hers too") && opens("the console's"));
}

#[test]
fn changes_made_together_last_together_or_not_at_all() {
    let home = Home::new();
    let system = home.open();
    let exists = |name: &str| system.find_user(name).unwrap().is_some();
    let together = |names: &[&str], ends_well: bool| {
        system.together(|| {
            for name in names {
                system.add_user(&user(name, None), None)?;
            }
            match ends_well {
                true => Ok(()),
                false => Err(SystemError::LastAdmin),
            }
        })
    };
    together(&["ada", "ben"], true).unwrap();
    assert!(exists("ada") && exists("ben"));
    assert!(together(&["carl", "dora"], false).is_err());
    assert!(together(&["carl", "ada"], true).is_err(), "the second is taken");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        system.together::<(), SystemError>(|| {
            system.add_user(&user("carl", None), None)?;
            panic!("half way")
        })
    }));
    assert!(panicked.is_err() && !exists("carl") && !exists("dora"));
    // An inner change that fails may be borne.
    let outer = system.together(|| {
        system.add_user(&user("eve", None), None)?;
        assert!(system.add_user(&user("ADA", None), None).is_err());
        assert!(together(&["carl", "ada"], true).is_err());
        system.add_user(&user("finn", None), None)
    });
    outer.unwrap();
    drop(system);
    let system = home.open();
    let found = |name: &str| system.find_user(name).unwrap().is_some();
    assert!(found("eve") && found("finn") && !found("carl"));
}
