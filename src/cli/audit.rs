//! `cairn audit`: list, export and check audit trails.
//!
//! Called by: `cli`. Talks to: the API; for a file, nothing but the file.
//! Invariants: an exported file is checked line by line and never held as a whole; what a file
//! cannot prove is said.

mod certificate;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::Client;
use super::endpoint::{Endpoint, api};
use super::error::{CliError, Exit};
use super::output::Output;
use super::pages::{Page, each_page, whole_list};
use super::terminal::{printable, table};
use crate::app::transfer::Fingerprint;
use crate::audit::{Entry, HeadCheck, Verifier};

/// What `audit` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn audit list demo --action document
  cairn audit verify
  cairn audit export demo --out demo-audit.jsonl
  cairn audit verify --file demo-audit.jsonl")]
pub struct AuditArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what was done, newest first
    #[command(after_help = "Examples:
  cairn audit list demo
  cairn audit list demo --actor ann --after 2026-01-01")]
    List(ListArgs),
    /// Check that no entry was changed, removed or moved; exit code 1 where one was
    #[command(after_help = "Examples:
  cairn audit verify
  cairn audit verify demo
  cairn audit verify --file demo-audit.jsonl
  cairn audit verify --certificate deletion.json --signer 4f5c…")]
    Verify {
        /// Tenant, by name or id; without it the appliance's own trail and those of all tenants
        tenant: Option<String>,
        /// Check an exported file instead, wherever it is; needs no home
        #[arg(long, value_name = "FILE", conflicts_with_all = ["tenant", "certificate"])]
        file: Option<PathBuf>,
        /// Check the certificate of a deletion instead, wherever it is; needs no home
        #[arg(long, value_name = "FILE", conflicts_with = "tenant")]
        certificate: Option<PathBuf>,
        /// Fingerprint of the appliance that must have signed it
        #[arg(long, value_name = "FINGERPRINT", requires = "certificate")]
        signer: Option<Fingerprint>,
    },
    /// Write a whole trail with its chain as JSON Lines, oldest entry first
    #[command(after_help = "Example:\n  cairn audit export demo --out demo-audit.jsonl")]
    Export {
        /// Tenant, by name or id; without it the appliance's own trail
        tenant: Option<String>,
        /// File to write; standard output where absent
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Tenant, by name or id; without it the appliance's own trail
    tenant: Option<String>,
    /// Only this action (document.read), or all of a kind (document)
    #[arg(long)]
    action: Option<String>,
    /// Only by this actor: name, id or kind (user, api_key, console, system)
    #[arg(long)]
    actor: Option<String>,
    /// Nothing before this day or time
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Nothing from this day or time on
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Show at most this many entries (--json prints all)
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Show all entries
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl AuditArgs {
    /// The file to check, where that is all that is asked for.
    pub fn file(&self) -> Option<ToCheck<'_>> {
        let Action::Verify { file, certificate, signer, .. } = &self.action else { return None };
        let trail = file.as_deref().map(ToCheck::Trail);
        trail.or_else(|| Some(ToCheck::Certificate(certificate.as_deref()?, *signer)))
    }
}

/// A file that is checked without a home.
pub enum ToCheck<'a> {
    /// An exported trail.
    Trail(&'a Path),
    /// The certificate of a deletion, and who must have signed it.
    Certificate(&'a Path, Option<Fingerprint>),
}

/// What the API says of a trail, and what is said of a file.
#[derive(Debug, Deserialize, Serialize)]
struct Verdict {
    /// The tenant by name, or `system`.
    #[serde(default)]
    trail: String,
    ok: bool,
    entries: u64,
    first_bad: Option<u64>,
    reason: Option<String>,
    /// True where it could not be looked at, since the tenant is locked.
    #[serde(default)]
    locked: bool,
}

/// Entries read from an export at a time.
const PART: usize = 5000;

/// The trail of a tenant, or the appliance's own.
fn trail<const N: usize>(tenant: Option<&str>, rest: [&str; N]) -> Endpoint {
    let base = match tenant {
        Some(tenant) => api(["tenants", tenant, "audit"]),
        None => api(["audit"]),
    };
    base.below(rest)
}

/// Runs the command.
///
/// # Errors
/// Those of the API.
pub async fn run(client: &Client, output: Output, args: &AuditArgs) -> Result<Exit, CliError> {
    match &args.action {
        Action::List(args) => list(client, output, args).await,
        Action::Verify { tenant: Some(tenant), .. } => {
            let verdict = verify(client, Some(tenant), tenant).await?;
            conclude(output, &[verdict])
        }
        Action::Verify { .. } => conclude(output, &verify_all(client).await?),
        Action::Export { tenant, out: Some(path) } => {
            let written = export_to_file(client, tenant.as_deref(), path).await?;
            if output.json() {
                output.value(&json!({ "entries": written, "file": path }))?;
            } else {
                output.line(format!("{} written to {}", entries(written), path.display()))?;
            }
            Ok(Exit::Done)
        }
        Action::Export { .. } if output.json() => {
            Err(CliError::usage("an export is JSON Lines, not one JSON value")
                .hint("Leave out --json, or name a file with --out."))
        }
        Action::Export { tenant, .. } => {
            export(client, tenant.as_deref(), &mut io::stdout().lock()).await?;
            Ok(Exit::Done)
        }
    }
}

#[derive(Deserialize)]
struct AuditPage {
    entries: Vec<Entry>,
    next_cursor: Option<String>,
}

impl Page for AuditPage {
    fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }
}

async fn list(client: &Client, output: Output, args: &ListArgs) -> Result<Exit, CliError> {
    let endpoint = trail(args.tenant.as_deref(), [])
        .with_some("action", args.action.as_deref())
        .with_some("actor", args.actor.as_deref())
        .with_some("after", args.after.as_deref())
        .with_some("before", args.before.as_deref());
    if output.json() {
        output.value(&whole_list(client, &endpoint, "entries").await?)?;
        return Ok(Exit::Done);
    }
    let limit = if args.all { usize::MAX } else { args.limit };
    let mut entries: Vec<Entry> = Vec::new();
    let mut more = false;
    each_page(client, &endpoint, |page: AuditPage| {
        entries.extend(page.entries);
        more = entries.len() > limit || page.next_cursor.is_some();
        Ok(if entries.len() >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .await?;
    entries.truncate(limit);
    if entries.is_empty() {
        output.line("no entries")?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    output.line(table(&["entry", "time", "who", "from", "action", "result", "on"], &rows))?;
    if more {
        output.line("… and older ones; see them with --all")?;
    }
    Ok(Exit::Done)
}

fn row(entry: &Entry) -> Vec<String> {
    let who = match &entry.actor.name {
        Some(name) => format!("{} {}", entry.actor.kind, printable(name)),
        None => entry.actor.kind.clone(),
    };
    let on = entry.resource.as_ref();
    vec![
        entry.sequence.to_string(),
        format!("{:.0}", entry.at),
        who,
        entry.source.clone().unwrap_or_default(),
        printable(&entry.action),
        printable(&entry.result),
        on.map(|on| format!("{} {}", printable(&on.kind), printable(&on.id))).unwrap_or_default(),
    ]
}

async fn verify(client: &Client, tenant: Option<&str>, name: &str) -> Result<Verdict, CliError> {
    let verdict: Verdict = client.get(&trail(tenant, ["verify"])).await?;
    Ok(Verdict { trail: name.to_owned(), ..verdict })
}

#[derive(Deserialize)]
struct TenantPage {
    tenants: Vec<TenantName>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct TenantName {
    id: String,
    name: String,
}

impl Page for TenantPage {
    fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }
}

/// The appliance's trail and every tenant's. One that cannot be looked at counts as not sound.
async fn verify_all(client: &Client) -> Result<Vec<Verdict>, CliError> {
    let mut tenants: Vec<TenantName> = Vec::new();
    each_page(client, &api(["tenants"]), |page: TenantPage| {
        tenants.extend(page.tenants);
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let mut verdicts = vec![verify(client, None, "system").await?];
    for TenantName { id, name } in tenants {
        verdicts.push(match verify(client, Some(&id), &name).await {
            Ok(verdict) => verdict,
            Err(error) => Verdict {
                trail: name,
                ok: false,
                entries: 0,
                first_bad: None,
                reason: Some(format!("it cannot be checked: {}", error.message)),
                locked: error.exit == Exit::Locked,
            },
        });
    }
    Ok(verdicts)
}

/// Says what was found; exit code 1 where not all is well, 4 where all is that could be looked at.
fn conclude(output: Output, verdicts: &[Verdict]) -> Result<Exit, CliError> {
    let ok = verdicts.iter().all(|verdict| verdict.ok);
    if output.json() {
        output.value(&json!({ "ok": ok, "trails": verdicts }))?;
    } else {
        for verdict in verdicts {
            output.line(sentence(verdict))?;
        }
    }
    Ok(if ok {
        Exit::Done
    } else if verdicts.iter().all(|verdict| verdict.ok || verdict.locked) {
        Exit::Locked
    } else {
        Exit::Failed
    })
}

fn sentence(verdict: &Verdict) -> String {
    let name = printable(&verdict.trail);
    match &verdict.reason {
        None => format!("ok      {name}: {} sound", entries(verdict.entries)),
        Some(reason) if verdict.locked => format!("skipped {name}: {}", printable(reason)),
        Some(reason) => format!("FAILED  {name}: {}", printable(reason)),
    }
}

fn entries(number: u64) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

/// Writes the trail to a file that appears when it is complete.
async fn export_to_file(
    client: &Client,
    tenant: Option<&str>,
    path: &Path,
) -> Result<u64, CliError> {
    let failed = |error: io::Error| CliError::because(path.display().to_string(), &error);
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    let written = export(client, tenant, file.as_file_mut()).await?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(written)
}

/// Writes the trail part by part; returns how many entries there were.
async fn export(
    client: &Client,
    tenant: Option<&str>,
    to: &mut impl Write,
) -> Result<u64, CliError> {
    let mut written = 0;
    loop {
        let endpoint = trail(tenant, ["export"])
            .with("first", (written + 1).to_string())
            .with("limit", PART.to_string());
        let part = client.get_bytes(&endpoint).await?;
        to.write_all(&part).map_err(|error| CliError::output(&error))?;
        let lines = part.iter().filter(|byte| **byte == b'\n').count();
        written += lines as u64;
        if lines < PART {
            to.flush().map_err(|error| CliError::output(&error))?;
            return Ok(written);
        }
    }
}

/// Checks an exported file, which needs neither home nor key.
///
/// # Errors
/// When the file cannot be read.
pub fn verify_file(output: Output, file: &ToCheck<'_>) -> Result<Exit, CliError> {
    match file {
        ToCheck::Trail(path) => verify_trail(output, path),
        ToCheck::Certificate(path, signer) => certificate::verify(output, path, *signer),
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> CliError + '_ {
    |error| {
        let failed = CliError::because(path.display().to_string(), &error);
        let missing = error.kind() == io::ErrorKind::NotFound;
        if missing { CliError { exit: Exit::NotFound, ..failed } } else { failed }
    }
}

fn verify_trail(output: Output, path: &Path) -> Result<Exit, CliError> {
    let file = File::open(path).map_err(unreadable(path))?;
    let verdict = check_lines(BufReader::new(file))
        .map_err(|error| CliError::because(path.display().to_string(), &error))?;
    let exit = conclude(output, &[verdict])?;
    if !output.json() {
        // On standard error, as it is advice and no finding.
        let note = "note: a file cannot show whether entries are missing at its end; \
                    `cairn audit verify` on the appliance can.";
        let _ = writeln!(io::stderr(), "{note}");
    }
    Ok(exit)
}

fn check_lines(mut file: impl BufRead) -> io::Result<Verdict> {
    let mut verifier: Option<Verifier> = None;
    let mut scope = String::new();
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        let entry: Option<Entry> = serde_json::from_slice(&line).ok();
        if let (None, Some(entry)) = (&verifier, &entry) {
            scope.clone_from(&entry.scope);
        }
        let verifier = verifier.get_or_insert_with(|| Verifier::new(&scope));
        let sound = match entry {
            Some(entry) => verifier.check(&entry),
            None => {
                verifier.unreadable();
                false
            }
        };
        if !sound {
            break;
        }
        line.clear();
    }
    let Some(verifier) = verifier else {
        return Ok(Verdict {
            trail: scope,
            ok: false,
            entries: 0,
            first_bad: Some(1),
            reason: Some("the file holds no entry".to_owned()),
            locked: false,
        });
    };
    let found = verifier.finish(HeadCheck::Unknown);
    Ok(Verdict {
        trail: scope,
        ok: found.flaw.is_none(),
        entries: found.entries,
        first_bad: found.flaw.as_ref().map(|flaw| flaw.sequence),
        reason: found.flaw.map(|flaw| flaw.to_string()),
        locked: false,
    })
}
