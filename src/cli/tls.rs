//! `cairn tls`: the server's certificate, and how to make browsers trust it.
//!
//! Called by: `cli`. Talks to: the API, the files named on the command line.
//! Invariants: a private key is read, sent and forgotten, and never printed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::client::Client;
use super::endpoint::api;
use super::error::{CliError, Exit};
use super::output::Output;
use super::terminal::printable;

/// What `tls` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cairn tls show")]
pub struct TlsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the certificate in use: names, fingerprint, last day
    #[command(after_help = "Example:\n  cairn tls show --json")]
    Show,
    /// Make a new certificate now, or read the configured one again
    #[command(after_help = "Example:\n  cairn tls renew")]
    Renew {
        /// Go back from the site's own certificate to Cairn's
        #[arg(long)]
        own: bool,
        /// Make a new authority too; everybody has to install it again
        #[arg(long)]
        new_authority: bool,
    },
    /// Use the site's own certificate; the server takes it without a restart
    #[command(after_help = "Example:
  cairn tls import --certificate chain.pem --key site.key
The certificate comes first in its file, then each issuer in turn.")]
    Import {
        /// The certificate and its chain, PEM
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// The private key, PEM, without a passphrase
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Print the authority's certificate, and how to install it
    #[command(after_help = "Example:\n  cairn tls ca > cairn-ca.crt")]
    Ca,
}

#[derive(Serialize)]
struct Renewal {
    own: bool,
    new_authority: bool,
}

#[derive(Serialize)]
struct NewCertificate<'a> {
    certificate: &'a str,
    private_key: &'a str,
}

#[derive(Deserialize)]
struct Shown {
    on: bool,
    origin: String,
    names: Vec<String>,
    source: Option<String>,
    certificate: Option<Facts>,
    authority: Option<Authority>,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Facts {
    subject: String,
    issuer: String,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    fingerprint_sha256: String,
}

#[derive(Deserialize)]
struct Authority {
    subject: String,
    not_after: String,
    fingerprint_sha256: String,
    pem: String,
}

/// One way to install the authority.
#[derive(Serialize)]
struct HowTo {
    system: &'static str,
    steps: &'static str,
}

const HOW_TO: [HowTo; 5] = [
    HowTo { system: "Windows", steps: "as administrator: certutil -addstore -f Root cairn-ca.crt" },
    HowTo {
        system: "macOS",
        steps: "sudo security add-trusted-cert -d -r trustRoot \
                -k /Library/Keychains/System.keychain cairn-ca.crt",
    },
    HowTo {
        system: "Debian, Ubuntu",
        steps: "sudo cp cairn-ca.crt /usr/local/share/ca-certificates/ && \
                sudo update-ca-certificates",
    },
    HowTo { system: "Fedora, RHEL, SUSE", steps: "sudo trust anchor cairn-ca.crt" },
    HowTo {
        system: "Firefox",
        steps: "Settings, Privacy & Security, View Certificates, Authorities, Import, \
                `Trust this CA to identify websites`",
    },
];

/// Runs the command.
///
/// # Errors
/// Those of the API; when a file cannot be read.
pub async fn run(client: &Client, output: Output, args: &TlsArgs) -> Result<Exit, CliError> {
    let value: Value = match &args.action {
        Action::Show => client.get(&api(["tls"])).await?,
        Action::Ca => return authority(client, output).await,
        Action::Renew { own, new_authority } => {
            let what = Renewal { own: *own, new_authority: *new_authority };
            client.post(&api(["tls", "renew"]), &what).await?
        }
        Action::Import { certificate, key } => {
            let (certificate, key) = (read(certificate)?, read(key)?);
            let new = NewCertificate { certificate: &certificate, private_key: &key };
            client.post(&api(["tls", "import"]), &new).await?
        }
    };
    if output.json() {
        output.value(&value)?;
    } else {
        print(output, &parse(value)?)?;
    }
    Ok(Exit::Done)
}

fn parse(value: Value) -> Result<Shown, CliError> {
    serde_json::from_value(value)
        .map_err(|error| CliError::because("the answer cannot be understood", &error))
}

fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::because(format!("{} cannot be read", path.display()), &error))?;
    Ok(Zeroizing::new(text))
}

fn print(output: Output, shown: &Shown) -> Result<(), CliError> {
    output.line(format!("address      {}", printable(&shown.origin)))?;
    output.line(format!("answers to   {}", printable(&shown.names.join(", "))))?;
    if !shown.on {
        return output.line("TLS          off in the configuration");
    }
    let Some(certificate) = &shown.certificate else {
        return output.line("certificate  none yet; see `cairn doctor`");
    };
    let source = match shown.source.as_deref() {
        Some("imported") => "the site's own, imported",
        Some("configured") => "the site's own, named in cairn.toml",
        _ => "of Cairn's own authority",
    };
    output.line(format!("certificate  {} ({source})", printable(&certificate.subject)))?;
    output.line(format!("  issuer     {}", printable(&certificate.issuer)))?;
    output.line(format!("  names      {}", printable(&certificate.names.join(", "))))?;
    output.line(format!("  valid      {} to {}", certificate.not_before, certificate.not_after))?;
    output.line(format!("  SHA-256    {}", certificate.fingerprint_sha256))?;
    if let Some(authority) = &shown.authority {
        output.line(format!("authority    {}", printable(&authority.subject)))?;
        output.line(format!("  valid      to {}", authority.not_after))?;
        output.line(format!("  SHA-256    {}", authority.fingerprint_sha256))?;
        output.line("Make browsers trust it: cairn tls ca")?;
    }
    for warning in &shown.warnings {
        output.line(format!("warning: {}", printable(warning)))?;
    }
    Ok(())
}

async fn authority(client: &Client, output: Output) -> Result<Exit, CliError> {
    let shown = parse(client.get(&api(["tls"])).await?)?;
    let Some(authority) = shown.authority else {
        let why = match shown.source {
            Some(_) => "the site's own certificate is in use: browsers trust it by its own issuer",
            None => "there is no authority: TLS is off or not ready",
        };
        return Err(CliError::not_found(why).hint("See `cairn tls show`."));
    };
    if output.json() {
        output.value(&serde_json::json!({
            "pem": authority.pem,
            "fingerprint_sha256": authority.fingerprint_sha256,
            "how_to": HOW_TO,
        }))?;
        return Ok(Exit::Done);
    }
    output.line(authority.pem.trim_end())?;
    // On standard error, so that `cairn tls ca > cairn-ca.crt` holds the certificate alone.
    let _ = io::stderr().write_all(how_to(&shown.origin, &authority).as_bytes());
    Ok(Exit::Done)
}

fn how_to(origin: &str, authority: &Authority) -> String {
    let mut text = format!(
        "\nThis certificate, saved as cairn-ca.crt, makes browsers trust {}.\n\
         People can fetch it from {}/ca.crt, too. Before they install it, they compare its\n\
         fingerprint with this one, told to them in another way than over the network:\n  {}\n\n",
        printable(origin),
        printable(origin),
        authority.fingerprint_sha256
    );
    let width = HOW_TO.iter().map(|way| way.system.len()).max().unwrap_or(0);
    for way in &HOW_TO {
        text.push_str(&format!("  {:<width$}  {}\n", way.system, way.steps));
    }
    text
}
