//! `cairn user`: who has an account on this appliance.
//!
//! Called by: `cli`. Talks to: the API.
//! Invariants: a password is never an argument, where others see it: it comes from standard input
//! or is chosen by its owner through a one-time link.

use std::io::{self, BufRead};
use std::str::FromStr;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::link::{Link, print_link};
use super::output::Output;
use super::pages::whole_list;
use super::terminal::{printable, table};
use crate::types::ApplianceRole;

/// What `user` takes.
#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a user and a one-time link with which they choose a password
    #[command(after_help = "Examples:\n  cairn user add ada\n  cairn user add root --role admin")]
    Add {
        /// Name, unique on this appliance whatever its case
        name: String,
        /// Role on the appliance: admin or operator; what they may do in a tenant is its own
        #[arg(long)]
        role: Option<ApplianceRole>,
        /// Read the password from standard input instead of making a link
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all users
    #[command(after_help = "Example:\n  cairn user list --json")]
    List,
    /// Show one user
    #[command(after_help = "Example:\n  cairn user show ada")]
    Show {
        /// User, by name or id
        user: String,
    },
    /// Keep a user out and end their sessions
    #[command(after_help = "Example:\n  cairn user disable ada")]
    Disable {
        /// User, by name or id
        user: String,
    },
    /// Let a user in again, at once, whatever attempts failed before
    #[command(after_help = "Example:\n  cairn user enable ada")]
    Enable {
        /// User, by name or id
        user: String,
    },
    /// Delete a user with their memberships and sessions
    #[command(after_help = "Example:\n  cairn user delete ada")]
    Delete {
        /// User, by name or id
        user: String,
    },
    /// Make a one-time link with which a user chooses a new password
    #[command(after_help = "Example:\n  cairn user reset-password ada")]
    ResetPassword {
        /// User, by name or id
        user: String,
        /// Read the password from standard input instead of making a link
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take away a lost second factor
    #[command(after_help = "Example:\n  cairn user reset-totp ada")]
    ResetTotp {
        /// User, by name or id
        user: String,
    },
    /// Give a user a role on the appliance, or take it away
    #[command(after_help = "Examples:\n  cairn user role ada operator\n  cairn user role ada none")]
    Role {
        /// User, by name or id
        user: String,
        /// admin, operator or none
        role: RoleOrNone,
    },
}

/// A role on the appliance, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RoleOrNone(Option<ApplianceRole>);

impl FromStr for RoleOrNone {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "none" => Ok(Self(None)),
            word => {
                word.parse().map(|role| Self(Some(role))).map_err(|error| format!("{error}, none"))
            }
        }
    }
}

#[derive(Deserialize)]
struct User {
    id: String,
    name: String,
    appliance_role: Option<ApplianceRole>,
    disabled: bool,
    has_password: bool,
    totp_enabled: bool,
    created_at: String,
    last_sign_in_at: Option<String>,
}

impl User {
    fn state(&self) -> &'static str {
        match (self.disabled, self.has_password) {
            (true, _) => "disabled",
            (false, true) => "active",
            (false, false) => "no password yet",
        }
    }

    fn role(&self) -> String {
        self.appliance_role.map_or_else(|| "-".to_owned(), |role| role.to_string())
    }
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, args: &UserArgs) -> Result<Exit, CliError> {
    match &args.action {
        Action::Add { name, role, password_stdin } => {
            add(client, output, name, *role, *password_stdin).await?;
        }
        Action::List => list(client, output).await?,
        Action::Show { user } => show(client, output, user).await?,
        Action::Disable { user } => {
            change(client, output, user, &json!({ "disabled": true }), "disabled").await?;
        }
        Action::Enable { user } => {
            change(client, output, user, &json!({ "disabled": false }), "enabled").await?;
        }
        Action::Delete { user } => {
            client.delete::<Value>(&api(["users", user])).await?;
            done(output, user, "deleted")?;
        }
        Action::ResetPassword { user, password_stdin } => {
            let password = if *password_stdin { Some(read_password()?) } else { None };
            let link: Link = client.post(&api(["users", user, "link"]), &json!({})).await?;
            settle(client, output, &link, password.as_deref()).await?;
        }
        Action::ResetTotp { user } => {
            client.delete::<Value>(&api(["users", user, "totp"])).await?;
            done(output, user, "second factor removed from")?;
        }
        Action::Role { user, role } => {
            change(client, output, user, &json!({ "appliance_role": role.0 }), "changed").await?;
        }
    }
    Ok(Exit::Done)
}

fn done(output: Output, user: &str, what: &str) -> Result<(), CliError> {
    if output.json() {
        return output.value(&json!({ "user": user, "done": what }));
    }
    output.line(format!("{what} user {}", printable(user)))
}

async fn add(
    client: &Client,
    output: Output,
    name: &str,
    role: Option<ApplianceRole>,
    password_stdin: bool,
) -> Result<(), CliError> {
    let password = if password_stdin { Some(read_password()?) } else { None };
    let user: Value =
        client.post(&api(["users"]), &json!({ "name": name, "appliance_role": role })).await?;
    let id = user.get("id").and_then(Value::as_str).unwrap_or_default();
    let link: Link = client.post(&api(["users", id, "link"]), &json!({})).await?;
    if !output.json() {
        output.line(format!("made user {}", printable(name)))?;
    }
    let settled = settle(client, output, &link, password.as_deref()).await;
    if settled.is_err() {
        // The password was refused: without one there is nothing to keep.
        client.delete::<Value>(&api(["users", id])).await?;
    }
    settled
}

/// Sets a password where there is one, else shows the link.
async fn settle(
    client: &Client,
    output: Output,
    link: &Link,
    password: Option<&str>,
) -> Result<(), CliError> {
    let Some(password) = password else {
        return print_link(client, output, link);
    };
    let token = link.link.rsplit('/').next().unwrap_or_default();
    let body = json!({ "token": token, "password": password });
    client.post::<Value>(&api(["setup"]), &body).await?;
    if output.json() {
        return output.value(&json!({ "user": link.name, "done": "password set" }));
    }
    output.line("the password is set")
}

/// The first line of standard input.
fn read_password() -> Result<String, CliError> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| CliError::because("the password could not be read", &error))?;
    let password = line.trim_end_matches(['\n', '\r']).to_owned();
    if password.is_empty() {
        return Err(CliError::usage("no password came on standard input"));
    }
    Ok(password)
}

async fn change(
    client: &Client,
    output: Output,
    user: &str,
    body: &Value,
    what: &str,
) -> Result<(), CliError> {
    let changed: Value = client.patch(&api(["users", user]), body).await?;
    if output.json() {
        return output.value(&changed);
    }
    output.line(format!("{what} user {}", printable(user)))
}

async fn list(client: &Client, output: Output) -> Result<(), CliError> {
    let whole = whole_list(client, &api(["users"]), "users").await?;
    if output.json() {
        return output.value(&whole);
    }
    let users: Vec<User> = serde_json::from_value(whole.get("users").cloned().unwrap_or_default())
        .map_err(|error| CliError::because("the answer cannot be understood", &error))?;
    if users.is_empty() {
        return output.line("no users yet; `cairn link` makes the link for the first admin");
    }
    let rows: Vec<Vec<String>> = users
        .into_iter()
        .map(|user| {
            let seen = user.last_sign_in_at.clone().unwrap_or_else(|| "never".to_owned());
            let second = if user.totp_enabled { "yes" } else { "no" }.to_owned();
            let state = user.state().to_owned();
            vec![printable(&user.name), user.role(), state, second, seen]
        })
        .collect();
    output.line(table(&["name", "role", "state", "second factor", "last sign-in"], &rows))
}

async fn show(client: &Client, output: Output, user: &str) -> Result<(), CliError> {
    let endpoint = api(["users", user]);
    if output.json() {
        return output.value(&client.get::<Value>(&endpoint).await?);
    }
    let user: User = client.get(&endpoint).await?;
    let rows = [
        ("user", format!("{} ({})", printable(&user.name), user.id)),
        ("role", user.role()),
        ("state", user.state().to_owned()),
        ("2nd factor", if user.totp_enabled { "yes" } else { "no" }.to_owned()),
        ("created", user.created_at.clone()),
        ("last seen", user.last_sign_in_at.clone().unwrap_or_else(|| "never".to_owned())),
    ];
    for (name, value) in rows {
        output.line(format!("{name:<12} {value}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_given_or_taken_by_its_word() {
        assert_eq!("admin".parse(), Ok(RoleOrNone(Some(ApplianceRole::Admin))));
        assert_eq!("none".parse(), Ok(RoleOrNone(None)));
        let error = "owner".parse::<RoleOrNone>().unwrap_err();
        assert!(error.contains("admin, operator, none"), "{error}");
    }
}
