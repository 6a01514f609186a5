//! The support archive: what somebody elsewhere needs to find a fault, and nothing of anybody's
//! content, to be looked at and carried out by hand.
//!
//! Called by: `http`, `cli`. Talks to: the log, `system`, catalogues (counts only), `/proc`.
//! Invariants: no content, no query, no name of a tenant, person, file or machine; tenants are
//! numbers in the order they were made; every text passes the redactor before it is archived.

mod facts;
mod redact;

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{App, Error, blocking, doctor, status, tenants};
use crate::auth::{Actor, SystemActor};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Home};
use crate::error::chain;
use crate::inference::Embedder;
use crate::system::HOME_FORMAT;
use crate::types::TenantId;

use redact::Redactor;

/// Lines of the log that are taken along unless somebody asks for more or fewer.
pub const LOG_LINES: usize = 2_000;

/// Most of a log that is looked at, in bytes.
const LOG_BYTES: u64 = 8 << 20;

/// Users read at a time.
const USERS: usize = 256;

/// Longest reason of an item that is one of ours.
const REASON_BYTES: usize = 40;

const README: &str = "\
This archive was made by `cairn support-archive` to be sent to support.

It holds versions, settings, checks, numbers about the machine and about each
tenant's ledger, and the last lines of the server's log. It holds no documents,
no queries, no file names, and no names of tenants, people or machines: tenants
are numbers, and in texts everything quoted, every path, address and id was
masked. The file names of this archive say what is in each part; all of it is
text, so look at it before you hand it out.
";

/// One file of the archive.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// One file of the archive, as listed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Listed {
    pub name: String,
    pub size_bytes: u64,
    /// What is in it.
    pub about: String,
}

impl From<&Entry> for Listed {
    fn from(entry: &Entry) -> Self {
        Self {
            name: entry.name.to_owned(),
            size_bytes: entry.bytes.len() as u64,
            about: about(entry.name).to_owned(),
        }
    }
}

/// What a file of the archive holds.
pub fn about(name: &str) -> &'static str {
    match name {
        "README.txt" => "what this archive is",
        "versions.json" => "versions of Cairn, its model and the operating system",
        "configuration.json" => "the settings in force, texts masked",
        "checks.json" => "what `cairn doctor` finds",
        "health.json" => "state of the model, memory, disk and load",
        "tenants.json" => "for each tenant by number: tier, state, items by reason, sizes",
        "cairn.log" => "the last lines of the server's log, masked",
        "problem.txt" => "why the home could not be opened",
        _ => "",
    }
}

/// Collects the parts of the archive.
///
/// # Errors
/// When the appliance database cannot be read. A tenant that cannot be opened is listed with that
/// fact.
pub async fn collect(app: &Arc<App>, actor: Actor, log_lines: usize) -> Result<Vec<Entry>, Error> {
    let all = tenants::all(app).await?;
    let names = names(app, all.clone()).await?;
    let mut redactor = Redactor::new(&app.home.path.display().to_string(), &all, names);
    let checks = doctor::examine(app).await?;
    let present = status::status(app, &actor).await?;
    let mut listed = Vec::with_capacity(all.len());
    for (at, tenant) in all.iter().enumerate() {
        listed.push(tenant_facts(app, at + 1, *tenant).await);
    }
    let versions = versions(app);
    let shared = app.clone();
    let (machine, log) =
        blocking(move || Ok((facts::resources(&shared.home.path), read_log(&shared.home)))).await?;
    let parts = [
        ("versions.json", versions),
        ("configuration.json", app.settings.clone()),
        ("checks.json", json!(checks)),
        ("health.json", json!({ "status": present, "machine": machine })),
        ("tenants.json", json!({ "tenants": listed })),
    ];
    let mut entries = vec![readme()];
    entries.extend(parts.into_iter().map(|(name, value)| masked(&mut redactor, name, value)));
    entries.push(Entry { name: "cairn.log", bytes: redactor.log(&log, log_lines).into_bytes() });
    Ok(entries)
}

/// An archive of what can be had while the home cannot be opened, and why it cannot. Blocks.
///
/// # Errors
/// Never in memory; the format's.
pub fn closed_archive(config: &Config, problem: &str, log_lines: usize) -> io::Result<Vec<u8>> {
    let home = &config.home;
    // Without the appliance database no name is known; the log is masked by its form alone.
    let mut redactor = Redactor::new(&home.path.display().to_string(), &[], Vec::new());
    let log = redactor.log(&read_log(home), log_lines);
    let versions = json!({ "cairn": env!("CARGO_PKG_VERSION"), "system": facts::system() });
    let parts = [
        ("versions.json", versions),
        ("configuration.json", config.shown()),
        ("health.json", json!({ "machine": facts::resources(&home.path) })),
    ];
    let mut entries = vec![readme()];
    let problem = redactor.text(problem) + "\n";
    entries.push(Entry { name: "problem.txt", bytes: problem.into_bytes() });
    entries.extend(parts.into_iter().map(|(name, value)| masked(&mut redactor, name, value)));
    entries.push(Entry { name: "cairn.log", bytes: log.into_bytes() });
    archive(&entries, SystemClock.now())
}

/// The archive itself.
///
/// # Errors
/// Never in memory; the format's.
pub fn archive(entries: &[Entry], at: Timestamp) -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(at.as_second().unsigned_abs());
        builder.append_data(&mut header, entry.name, entry.bytes.as_slice())?;
    }
    builder.into_inner()
}

/// What an archive holds, read from itself.
#[derive(Clone, Debug)]
pub struct Contents {
    pub made_at: Timestamp,
    pub entries: Vec<Listed>,
}

/// Reads what an archive holds.
///
/// # Errors
/// When it is none of ours.
pub fn contents(archive: &[u8]) -> io::Result<Contents> {
    let mut archive = tar::Archive::new(archive);
    let mut contents = Contents { made_at: Timestamp::UNIX_EPOCH, entries: Vec::new() };
    for entry in archive.entries()? {
        let entry = entry?;
        let seconds = i64::try_from(entry.header().mtime()?).unwrap_or(0);
        contents.made_at = Timestamp::from_second(seconds).map_err(io::Error::other)?;
        let name = entry.path()?.display().to_string();
        let about = about(&name).to_owned();
        contents.entries.push(Listed { size_bytes: entry.size(), about, name });
    }
    Ok(contents)
}

fn readme() -> Entry {
    Entry { name: "README.txt", bytes: README.as_bytes().to_vec() }
}

fn masked(redactor: &mut Redactor, name: &'static str, mut value: Value) -> Entry {
    redactor.value(&mut value);
    let text = serde_json::to_string_pretty(&value).unwrap_or_default() + "\n";
    Entry { name, bytes: text.into_bytes() }
}

/// Every name that must not leave.
async fn names(app: &Arc<App>, tenants: Vec<TenantId>) -> Result<Vec<String>, Error> {
    let app = app.clone();
    blocking(move || {
        let mut names = Vec::from_iter(app.system.appliance_name()?);
        for tenant in tenants {
            names.extend(app.system.find_tenant(&tenant.to_string())?.map(|found| found.name));
            names.extend(app.system.list_api_keys(tenant)?.into_iter().map(|key| key.name));
        }
        let mut cursor = None;
        loop {
            let users = app.system.list_users(cursor, USERS)?;
            let Some(last) = users.last() else { return Ok(names) };
            cursor = Some(last.id);
            names.extend(users.into_iter().map(|user| user.name));
        }
    })
    .await
}

fn versions(app: &App) -> Value {
    let runtime = app.inference.embedder().ok().map(Embedder::runtime);
    json!({
        "cairn": env!("CARGO_PKG_VERSION"),
        "home_format": HOME_FORMAT,
        "started_at": app.started_at,
        "model": app.inference.model().map(|model| json!({
            "id": model.id, "dimension": model.dimension,
        })),
        "onnx_runtime": runtime.map(|runtime| runtime.version.clone()),
        "system": facts::system(),
    })
}

async fn tenant_facts(app: &Arc<App>, number: usize, tenant: TenantId) -> Value {
    let found = async {
        let standing = app.standing(tenant).await?;
        let policy = standing.policy();
        if policy.locked {
            return Ok(json!({ "tier": policy.tier, "state": policy.state }));
        }
        let handle = app.open_for_work(tenant, SystemActor::Worker).await?;
        let (reasons, jobs) =
            handle.read(|catalog| Ok((catalog.reasons()?, catalog.jobs_pending()?))).await?;
        let amounts = standing.count(&handle).await?;
        let detail = tenants::detail(app, &handle).await?;
        let items: Vec<Value> = reasons
            .into_iter()
            .map(|(state, reason, count)| {
                json!({ "state": state, "reason": reason.map(ours), "count": count })
            })
            .collect();
        Ok::<Value, Error>(json!({
            "tier": policy.tier,
            "state": policy.state,
            "limits": policy.limits,
            "stored_bytes": amounts.stored_bytes,
            "documents": amounts.documents,
            "items": items,
            "jobs": jobs,
            "bytes": {
                "blobs": detail.bytes.blobs,
                "catalogue": detail.bytes.catalogue,
                "fulltext": detail.bytes.fulltext,
                "vectors": detail.bytes.vectors,
            },
            "vectors": detail.vectors.map(|state| json!({
                "rows": state.rows,
                "indexed": state.indexed,
                "index_building": state.index_building,
            })),
        }))
    };
    let mut facts = found.await.unwrap_or_else(|error| json!({ "problem": chain(&error) }));
    facts["tenant"] = number.into();
    facts
}

/// A reason, if it is a word of ours.
fn ours(reason: String) -> String {
    let plain = reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain && reason.len() <= REASON_BYTES { reason } else { "other".to_owned() }
}

/// The end of the log, with that of the file before where the present one has just begun.
fn read_log(home: &Home) -> String {
    let current = home.log_path();
    let mut older = current.clone().into_os_string();
    older.push(".1");
    let mut text = tail(&current).unwrap_or_default();
    if (text.len() as u64) < LOG_BYTES / 4 {
        text.insert_str(0, &tail(Path::new(&older)).unwrap_or_default());
    }
    text
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_lists_what_was_put_into_it() {
        let entries = [readme(), Entry { name: "cairn.log", bytes: b"a\nb\n".to_vec() }];
        let bytes = archive(&entries, Timestamp::UNIX_EPOCH).unwrap();
        let Contents { made_at, entries: listed } = contents(&bytes).unwrap();
        assert_eq!(made_at, Timestamp::UNIX_EPOCH);
        let names: Vec<&str> = listed.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["README.txt", "cairn.log"]);
        assert_eq!(listed[1].size_bytes, 4);
        assert!(listed.iter().all(|entry| !entry.about.is_empty()));
    }

    #[test]
    fn a_reason_that_is_no_word_of_ours_is_not_told() {
        assert_eq!(ours("same_content".to_owned()), "same_content");
        assert_eq!(ours("Quetzalcoatl.txt".to_owned()), "other");
    }
}
