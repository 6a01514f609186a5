//! Examining the installation: what works, and what to do about what does not.
//!
//! Called by: `http`. Talks to: inference, extraction, the home volume.
//! Invariants: a check that fails names its remedy.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncRead;
use utoipa::ToSchema;

use super::{App, Error, Inference, blocking, status};
use crate::crypto::PASS_THROUGH;
use crate::disk;
use crate::error::chain;
use crate::extract::{ExtractRequest, Passwords};
use crate::extraction::{ChildSink, OcrAbsence};
use crate::tenant::OCR_REMEDY;
use crate::types::{ChildHeader, TenantId};

/// One finding.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    pub detail: String,
    pub hint: Option<String>,
}

impl Check {
    fn passed(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), ok: true, detail: detail.into(), hint: None }
    }

    /// Works, and still something that people should know and may want to change: the hint says
    /// what.
    fn warned(name: &str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::passed(name, detail) }
    }

    fn failed(name: &str, detail: impl Into<String>, hint: &str) -> Self {
        Self {
            name: name.to_owned(),
            ok: false,
            detail: detail.into(),
            hint: Some(hint.to_owned()),
        }
    }
}

/// The probe document holds no other file.
struct NoChildren;

#[async_trait]
impl ChildSink for NoChildren {
    async fn child(
        &mut self,
        _header: ChildHeader,
        _body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> std::io::Result<()> {
        Ok(())
    }
}

/// A PDF of one page that says "Cairn".
const PROBE_PDF: &[u8] = include_bytes!("doctor/probe.pdf");

/// Runs every check.
///
/// # Errors
/// When a check could not be run at all.
pub async fn examine(app: &Arc<App>) -> Result<Vec<Check>, Error> {
    let mut checks = vec![Check::passed("version", env!("CARGO_PKG_VERSION"))];
    checks.extend(inference(app).await?);
    checks.push(reading(app).await);
    checks.extend(confinement(app));
    checks.push(ocr(app).await);
    checks.push(space(app).await?);
    checks.push(certificate(app).await?);
    checks.extend(theft(app).await?);
    checks.push(clock(app).await?);
    if PASS_THROUGH {
        checks.push(Check::failed(
            "encryption",
            "this build encrypts nothing",
            "It is for benchmarks only: keep no documents in it, and install a release.",
        ));
    }
    Ok(checks)
}

async fn inference(app: &Arc<App>) -> Result<Vec<Check>, Error> {
    let embedder = match &app.inference {
        Inference::Ready(embedder) => embedder.clone(),
        Inference::Missing(detail) => {
            return Ok(vec![Check::failed(
                "model",
                detail.clone(),
                "Install the complete bundle again; until then search works by keyword.",
            )]);
        }
        Inference::Failed(detail) => {
            return Ok(vec![Check::failed(
                "model",
                detail.clone(),
                "Compare SHA256SUMS of the bundle, and check that the CPU has AVX2.",
            )]);
        }
    };
    let runtime = embedder.runtime();
    let info = embedder.info();
    let mut checks = vec![
        Check::passed("onnx_runtime", format!("version {}", runtime.version)),
        Check::passed("cpu_features", runtime.cpu_features.join(" ")),
        Check::passed(
            "model",
            format!("{} ({} dimensions). {}.", info.id, info.dimension, info.language),
        ),
    ];
    let tested = blocking(move || Ok(embedder.self_test()?)).await;
    checks.push(match tested {
        Ok(test) if test.ok => Check::passed(
            "golden_vectors",
            format!(
                "{} texts, lowest cosine {:.4} (at least {:.4} wanted)",
                test.texts, test.min_cosine, test.tolerance
            ),
        ),
        Ok(test) => Check::failed(
            "golden_vectors",
            format!("lowest cosine {:.4}, {:.4} wanted", test.min_cosine, test.tolerance),
            "Vectors made on this machine would not fit stored ones: report the CPU model.",
        ),
        Err(error) => Check::failed("golden_vectors", chain(&error), "Install the bundle again."),
    });
    Ok(checks)
}

async fn reading(app: &App) -> Check {
    let request = ExtractRequest {
        name: "probe.pdf".to_owned(),
        media_type: None,
        format: None,
        passwords: Passwords::default(),
        limits: super::index::limits(app),
    };
    let mut source = std::io::Cursor::new(PROBE_PDF);
    let read =
        app.extraction.extract(TenantId::generate(), request, &mut source, &mut NoChildren).await;
    match read {
        Ok(Ok(document)) if document.blocks.iter().any(|block| block.text.contains("Cairn")) => {
            Check::passed("extraction", "the reading process works; PDF is read by pdfium")
        }
        Ok(Err(failure)) => {
            Check::failed("extraction", failure.message, "Install the complete bundle again.")
        }
        Ok(Ok(_)) => Check::failed(
            "extraction",
            "the probe document was read without its text",
            "Install the complete bundle again.",
        ),
        Err(error) => Check::failed(
            "extraction",
            chain(&error),
            "Check that the binary may start itself again and that memory is not limited below 1 GiB.",
        ),
    }
}

/// Which layers the kernel gives; known once a reading process was started.
fn confinement(app: &App) -> Vec<Check> {
    let Some(layers) = app.extraction.confinement() else {
        return Vec::new();
    };
    let landlock = match layers.landlock_abi {
        Some(abi) => Check::passed(
            "landlock",
            format!("version {abi}; the reading process has no right to any file"),
        ),
        None => Check::failed(
            "landlock",
            "this kernel does not have it or has it turned off",
            "Use Linux 5.13 or newer with `landlock` among the `lsm=` modules it is started with.",
        ),
    };
    let seccomp = if layers.seccomp {
        Check::passed("seccomp", "the reading process can make no system call but listed ones")
    } else {
        Check::failed(
            "seccomp",
            "this kernel refuses system call filters",
            "Use a kernel with CONFIG_SECCOMP_FILTER, as every distribution's is.",
        )
    };
    vec![landlock, seccomp]
}

/// The OCR program, which an installation may do without.
async fn ocr(app: &App) -> Check {
    const NAME: &str = "ocr";
    match app.ocr.engine().await {
        Ok(engine) => {
            let (version, languages) = (&engine.version, engine.languages.join(", "));
            let installed = engine.installed.join(", ");
            Check::passed(
                NAME,
                format!(
                    "tesseract {version} reads pictures in {languages} (installed: {installed})"
                ),
            )
        }
        Err(OcrAbsence::Broken(why)) => Check::failed(
            NAME,
            format!("the OCR program does not work: {why}"),
            "Install tesseract-ocr again, or turn OCR off: `enabled = false` under `[ocr]`.",
        ),
        Err(absence) => Check::warned(
            NAME,
            format!("{absence} Pictures and scanned pages are listed as needs_ocr."),
            OCR_REMEDY,
        ),
    }
}

/// The certificate and, because it can be told by it, the clock.
async fn certificate(app: &Arc<App>) -> Result<Check, Error> {
    const NAME: &str = "certificate";
    let shared = app.clone();
    let refreshed =
        blocking(move || Ok(shared.tls.refresh().map_err(|error| chain(&error)))).await?;
    let shown = super::tls::show(app).await?;
    let now = app.clock.now();
    if !shown.on {
        return Ok(Check::passed(NAME, format!("TLS is off: {} is plain HTTP", shown.origin)));
    }
    let Some(certificate) = shown.certificate else {
        let why = refreshed.err().unwrap_or_else(|| "there is none".to_owned());
        return Ok(Check::failed(
            NAME,
            why,
            "Unseal the appliance; or put what is named right and run `cairn tls renew`.",
        ));
    };
    if now < certificate.not_before {
        return Ok(Check::failed(
            NAME,
            format!("it is valid from {} on, the clock says {now}", certificate.not_before),
            "Set this machine's clock. If it is right now, `cairn tls renew --new-authority`.",
        ));
    }
    if let Err(why) = refreshed {
        return Ok(Check::failed(NAME, why, "See `cairn tls show`."));
    }
    if shown.warnings.is_empty() {
        let detail = format!("{}, valid until {}", certificate.subject, certificate.not_after);
        return Ok(Check::passed(NAME, detail));
    }
    Ok(Check::failed(
        NAME,
        shown.warnings.join("; "),
        "`cairn tls import` takes a better one; `names` in cairn.toml are those it is checked for.",
    ))
}

/// What somebody could read who takes the disk of this machine.
async fn theft(app: &Arc<App>) -> Result<Vec<Check>, Error> {
    let (home, key_file) = (app.home.path.clone(), app.key_file.clone());
    blocking(move || {
        let mut checks = Vec::new();
        if let Some(key) = key_file {
            let place = key.display();
            checks.push(match disk::on_one_disk(&key, &home) {
                false => Check::passed("key_place", format!("{place} lies on another disk")),
                true => Check::warned(
                    "key_place",
                    format!("{place} and the home share one disk: whoever takes it has both"),
                    "Put the key on another medium, or set keys.source to \"passphrase\" or \
                     \"credential\" in cairn.toml.",
                ),
            });
        }
        let swap = disk::clear_swap_areas();
        checks.push(match swap.is_empty() {
            true => Check::passed("swap", "none that could be read from a disk"),
            false => Check::warned(
                "swap",
                format!(
                    "{} is not encrypted: text that is read and keys may end up there in the clear",
                    swap.join(", ")
                ),
                "Encrypt it with a random key (crypttab: swap), use zram, or turn it off (swapoff -a).",
            ),
        });
        Ok(checks)
    })
    .await
}

/// The clock, by the latest time that was put on record here.
async fn clock(app: &Arc<App>) -> Result<Check, Error> {
    Ok(match super::status::clock_behind(app).await? {
        None => Check::passed("clock", app.clock.now().to_string()),
        Some(behind) => Check::failed(
            "clock",
            behind,
            "Set this machine's clock; where the record is wrong, it will be right once that time \
             has passed.",
        ),
    })
}

async fn space(app: &Arc<App>) -> Result<Check, Error> {
    let shared = app.clone();
    let free = blocking(move || Ok(status::free_bytes(&shared))).await?;
    let detail = format!("{:.1} GiB free on the home volume", free as f64 / f64::from(1 << 30));
    Ok(if free > 1 << 30 {
        Check::passed("disk_space", detail)
    } else {
        Check::failed("disk_space", detail, "Free space, or move the home to a larger volume.")
    })
}
