//! Users: who they are, what they may do on the appliance, how they prove who they are.
//!
//! Called by: `auth`, `app`. Talks to: `system.db`.
//! Invariants: names are unique whatever their case; once an admin can sign in, one always can.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{System, SystemError, failed, parsed, sessions, taken, timestamp};
use crate::types::{ApplianceRole, SessionId, UserId};

/// A user as the appliance knows them; nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub name: String,
    pub appliance_role: Option<ApplianceRole>,
    pub disabled: bool,
    /// False until the user has chosen one.
    pub has_password: bool,
    pub totp_enabled: bool,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    pub last_sign_in_at: Option<Timestamp>,
}

/// What a user is asked to prove. No `Debug`: it holds secrets.
pub struct Credentials {
    pub user: User,
    /// Argon2id in PHC form.
    pub password: Option<String>,
    pub totp_secret: Option<Vec<u8>>,
    pub totp_offered: Option<Vec<u8>>,
}

/// What to change of a user; `None` leaves it.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserUpdate {
    pub appliance_role: Option<Option<ApplianceRole>>,
    pub disabled: Option<bool>,
}

const COLUMNS: &str = "id, name, appliance_role, disabled, password IS NOT NULL, \
     totp_secret IS NOT NULL, created_at, changed_at, last_sign_in_at";

impl System {
    /// Records a user, with a password where one is chosen already.
    ///
    /// # Errors
    /// `NameTaken`, or when the database cannot be written.
    pub fn add_user(&self, user: &User, password: Option<&str>) -> Result<(), SystemError> {
        insert(&self.connection(), user, password).map_err(taken("add user", &user.name))
    }

    /// The user with this id or name, whatever the name's case.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find_user(&self, id_or_name: &str) -> Result<Option<User>, SystemError> {
        self.connection()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM user WHERE id = ?1 OR name = ?1"))
            .and_then(|mut found| found.query_row([id_or_name], read_user).optional())
            .map_err(failed("find user"))
    }

    /// What the user with this id or name has to prove.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn credentials(&self, id_or_name: &str) -> Result<Option<Credentials>, SystemError> {
        self.connection()
            .prepare_cached(&format!(
                "SELECT {COLUMNS}, password, totp_secret, totp_offered FROM user \
                 WHERE id = ?1 OR name = ?1"
            ))
            .and_then(|mut found| {
                found
                    .query_row([id_or_name], |row| {
                        Ok(Credentials {
                            user: read_user(row)?,
                            password: row.get(9)?,
                            totp_secret: row.get(10)?,
                            totp_offered: row.get(11)?,
                        })
                    })
                    .optional()
            })
            .map_err(failed("find credentials"))
    }

    /// Users ordered by id after `cursor`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_users(
        &self,
        cursor: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>, SystemError> {
        let after = cursor.map(|id| id.to_string()).unwrap_or_default();
        self.connection()
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM user WHERE id > ?1 ORDER BY id LIMIT ?2"
            ))
            .and_then(|mut list| list.query_map(params![after, limit as i64], read_user)?.collect())
            .map_err(failed("list users"))
    }

    /// True where an admin can sign in.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn has_admin(&self) -> Result<bool, SystemError> {
        able_admins(&self.connection()).map(|count| count > 0).map_err(failed("count admins"))
    }

    /// Changes a user; one that is disabled loses every session. False where there is none.
    ///
    /// # Errors
    /// `LastAdmin`, or when the database cannot be written.
    pub fn change_user(
        &self,
        user: UserId,
        update: UserUpdate,
        now: Timestamp,
    ) -> Result<bool, SystemError> {
        self.keeping_an_admin("change user", |connection| {
            let id = user.to_string();
            if let Some(role) = update.appliance_role {
                connection.execute(
                    "UPDATE user SET appliance_role = ?2 WHERE id = ?1",
                    params![id, role.map(ApplianceRole::as_str)],
                )?;
            }
            if let Some(disabled) = update.disabled {
                connection.execute(
                    "UPDATE user SET disabled = ?2 WHERE id = ?1",
                    params![id, disabled],
                )?;
            }
            if update.disabled == Some(true) {
                sessions::end_all(connection, user, None)?;
            }
            let touched = connection.execute(
                "UPDATE user SET changed_at = ?2 WHERE id = ?1",
                params![id, now.as_microsecond()],
            )?;
            Ok(touched > 0)
        })
    }

    /// Forgets a user with memberships and sessions; false where there is none.
    ///
    /// # Errors
    /// `LastAdmin`, or when the database cannot be written.
    pub fn remove_user(&self, user: UserId) -> Result<bool, SystemError> {
        self.keeping_an_admin("remove user", |connection| {
            let rows = connection.execute("DELETE FROM user WHERE id = ?1", [user.to_string()])?;
            Ok(rows > 0)
        })
    }

    /// Sets a password and ends every session but `keep`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_password(
        &self,
        user: UserId,
        password: &str,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<(), SystemError> {
        self.transaction("set password", |transaction| {
            write_password(transaction, user, password, now)?;
            sessions::end_all(transaction, user, keep).map(drop)
        })
    }

    /// Runs a change that must leave an admin who can sign in, where there was one before.
    fn keeping_an_admin(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Connection) -> rusqlite::Result<bool>,
    ) -> Result<bool, SystemError> {
        self.together(|| {
            let connection = self.connection();
            let before = able_admins(&connection).map_err(failed(operation))?;
            let done = change(&connection).map_err(failed(operation))?;
            if before > 0 && able_admins(&connection).map_err(failed(operation))? == 0 {
                return Err(SystemError::LastAdmin);
            }
            Ok(done)
        })
    }
}

pub(super) fn insert(
    connection: &Connection,
    user: &User,
    password: Option<&str>,
) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO user (id, name, password, appliance_role, disabled, created_at, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                user.id.to_string(),
                user.name,
                password,
                user.appliance_role.map(ApplianceRole::as_str),
                user.disabled,
                user.created_at.as_microsecond(),
                user.changed_at.as_microsecond()
            ],
        )
        .map(drop)
}

pub(super) fn write_password(
    connection: &Connection,
    user: UserId,
    password: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .execute(
            "UPDATE user SET password = ?2, changed_at = ?3 WHERE id = ?1",
            params![user.to_string(), password, now.as_microsecond()],
        )
        .map(drop)
}

pub(super) fn able_admins(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT count(*) FROM user \
         WHERE appliance_role = 'admin' AND NOT disabled AND password IS NOT NULL",
        [],
        |row| row.get(0),
    )
}

pub(super) fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    let id: String = row.get(0)?;
    let role: Option<String> = row.get(2)?;
    let last_sign_in: Option<i64> = row.get(8)?;
    Ok(User {
        id: parsed(0, &id)?,
        name: row.get(1)?,
        appliance_role: role.map(|role| parsed(2, &role)).transpose()?,
        disabled: row.get(3)?,
        has_password: row.get(4)?,
        totp_enabled: row.get(5)?,
        created_at: timestamp(6, row.get(6)?)?,
        changed_at: timestamp(7, row.get(7)?)?,
        last_sign_in_at: last_sign_in.map(|at| timestamp(8, at)).transpose()?,
    })
}
