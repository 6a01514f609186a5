//! `cairn tenant member`: who belongs to a tenant, as what.
//!
//! Called by: `cli::tenant`. Talks to: the API.
//! Invariants: none.

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::endpoint::api;
use super::error::CliError;
use super::output::Output;
use super::terminal::{count, printable, table};
use crate::types::Role;

/// What `tenant member` takes.
#[derive(Debug, Subcommand)]
pub enum MemberAction {
    /// Make a user a member, or change what they may do
    #[command(after_help = "Examples:
  cairn tenant member add demo ada --role editor
  cairn tenant member add demo bob --role reader --collection 01890a5d-ac96-774b-bcce-b302099a8057")]
    Add {
        /// Tenant, by name or id
        tenant: String,
        /// User, by name or id
        user: String,
        /// owner, editor, reader or auditor
        #[arg(long)]
        role: Role,
        /// Id of a collection the member is limited to; may be given more than once
        #[arg(long = "collection", value_name = "ID")]
        collections: Vec<String>,
    },
    /// List the members
    #[command(after_help = "Example:\n  cairn tenant member list demo")]
    List {
        /// Tenant, by name or id
        tenant: String,
    },
    /// End a membership
    #[command(after_help = "Example:\n  cairn tenant member remove demo ada")]
    Remove {
        /// Tenant, by name or id
        tenant: String,
        /// User, by name or id
        user: String,
    },
}

#[derive(Deserialize)]
struct Members {
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    user_name: String,
    user_id: String,
    role: Role,
    collections: Option<Vec<String>>,
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, action: &MemberAction) -> Result<(), CliError> {
    match action {
        MemberAction::Add { tenant, user, role, collections } => {
            let collections = if collections.is_empty() { None } else { Some(collections) };
            let body = json!({ "role": role, "collections": collections });
            let member: Value =
                client.put(&api(["tenants", tenant, "members", user]), &body).await?;
            if output.json() {
                return output.value(&member);
            }
            output.line(format!("{} is {role} of {}", printable(user), printable(tenant)))
        }
        MemberAction::List { tenant } => list(client, output, tenant).await,
        MemberAction::Remove { tenant, user } => {
            client.delete::<Value>(&api(["tenants", tenant, "members", user])).await?;
            if output.json() {
                return output.value(&json!({ "removed": user }));
            }
            output.line(format!("{} is no member any more", printable(user)))
        }
    }
}

async fn list(client: &Client, output: Output, tenant: &str) -> Result<(), CliError> {
    let endpoint = api(["tenants", tenant, "members"]);
    if output.json() {
        return output.value(&client.get::<Value>(&endpoint).await?);
    }
    let list: Members = client.get(&endpoint).await?;
    if list.members.is_empty() {
        return output.line(
            "no members yet; make one with `cairn tenant member add <tenant> <user> --role <role>`",
        );
    }
    let rows: Vec<Vec<String>> = list
        .members
        .into_iter()
        .map(|member| {
            let sight = match &member.collections {
                None => "everything".to_owned(),
                Some(some) => count(some.len() as u64, "collection"),
            };
            vec![printable(&member.user_name), member.role.to_string(), sight, member.user_id]
        })
        .collect();
    output.line(table(&["name", "role", "sees", "id"], &rows))
}
