//! How fast files become text: through the worker processes of the product, before embedding.
//!
//! Called by: `bench`. Talks to: the extraction pool and its child processes.
//! Invariants: what is counted was read: a file that fails or gives no text ends the benchmark;
//! "per core" is one worker at a time.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cairn::extract::{ExtractLimits, ExtractRequest, Passwords};
use cairn::extraction::{ChildSink, ExtractionConfig, ExtractionPool};
use cairn::types::{ChildHeader, ExtractedDocument, TenantId};
use futures::stream::{self, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::harness::fixture;
use crate::report::Report;

/// Mails in the mailbox that is read.
const MAILS: usize = 3000;
/// How long PDFs are read over and over.
const PDF_TIME: Duration = Duration::from_secs(10);
/// What producers of documents wrote, none of it scanned.
const PDFS: [&str; 7] = [
    "documents/docling/multi_page.pdf",
    "documents/markitdown/RECEIPT-2024-TXN-98765_retail_purchase.pdf",
    "documents/markitdown/SPARSE-2024-INV-1234_borderless_table.pdf",
    "documents/markitdown/movie-theater-booking-2024.pdf",
    "pdf/pypdf/crazyones.pdf",
    "pdf/pypdf/pdflatex-outline.pdf",
    "pdf/pypdf/two-different-pages.pdf",
];

/// A file in memory under its name.
type Named = (String, Vec<u8>);

/// Keeps what is found inside.
#[derive(Default)]
struct Kept(Vec<Named>);

#[async_trait]
impl ChildSink for Kept {
    async fn child(
        &mut self,
        header: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).await?;
        self.0.push((header.name, bytes));
        Ok(())
    }
}

/// Measures texts, PDFs and mails.
pub fn measure(report: &mut Report) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        texts(report).await;
        pdfs(report).await;
        mails(report).await;
    });
}

fn pool(children: usize) -> ExtractionPool {
    ExtractionPool::new(ExtractionConfig {
        worker_exe: env!("CARGO_BIN_EXE_cairn").into(),
        children,
        time_limit: Duration::from_secs(60),
        memory_limit_bytes: 2 << 30,
        limits: ExtractLimits::default(),
        documents_per_child: 500,
    })
}

async fn read(
    pool: &ExtractionPool,
    tenant: TenantId,
    (name, bytes): &Named,
) -> (ExtractedDocument, Vec<Named>) {
    let request = ExtractRequest {
        name: name.clone(),
        media_type: None,
        format: None,
        passwords: Passwords::default(),
        limits: ExtractLimits::default(),
    };
    let (mut source, mut inside) = (std::io::Cursor::new(bytes), Kept::default());
    let read = pool.extract(tenant, request, &mut source, &mut inside).await;
    let document = read.unwrap().unwrap_or_else(|failure| panic!("{name}: {failure}"));
    (document, inside.0)
}

/// Starts the workers, which is no part of what is measured.
async fn warm(pool: &ExtractionPool, tenant: TenantId) {
    let file = ("warm.txt".to_owned(), b"Warming up.".to_vec());
    let all = (0..pool.concurrency()).map(|_| read(pool, tenant, &file));
    futures::future::join_all(all).await;
}

/// Titles and texts of the corpus.
fn corpus() -> Vec<(String, String)> {
    let lines = std::fs::read_to_string(fixture("scifact/corpus.jsonl")).unwrap();
    let lines = lines.lines().map(|line| {
        let document: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        (field("title"), field("text"))
    });
    lines.collect()
}

async fn texts(report: &mut Report) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (pool, tenant) = (pool(cores), TenantId::generate());
    warm(&pool, tenant).await;
    let files: Vec<Named> = corpus()
        .into_iter()
        .enumerate()
        .map(|(number, (title, text))| match number % 3 {
            0 => (format!("{number}.txt"), format!("{title}\n\n{text}\n").into_bytes()),
            1 => (format!("{number}.md"), format!("# {title}\n\n{text}\n").into_bytes()),
            _ => (
                format!("{number}.html"),
                format!("<title>{title}</title><h1>{title}</h1><p>{text}</p>").into_bytes(),
            ),
        })
        .collect();
    let started = Instant::now();
    let reading = stream::iter(&files).map(|file| read(&pool, tenant, file));
    let blocks: usize = reading
        .buffer_unordered(2 * cores)
        .map(|(document, _)| document.blocks.len())
        .fold(0, |sum, blocks| async move { sum + blocks })
        .await;
    let seconds = started.elapsed().as_secs_f64();
    assert!(blocks >= files.len());
    report.row(
        "extraction: text files/s, all cores (200 wanted)",
        format!("{:.0} ({} files, {cores} workers)", files.len() as f64 / seconds, files.len()),
    );
}

async fn pdfs(report: &mut Report) {
    let (pool, tenant) = (pool(1), TenantId::generate());
    warm(&pool, tenant).await;
    let files: Vec<Named> = PDFS
        .iter()
        .map(|name| ((*name).to_owned(), std::fs::read(fixture(name)).unwrap()))
        .collect();
    let (started, mut pages) = (Instant::now(), 0);
    while started.elapsed() < PDF_TIME {
        for file in &files {
            let (document, _) = read(&pool, tenant, file).await;
            assert!(!document.blocks.is_empty(), "{} has no text", file.0);
            pages += document.metadata["pages"].parse::<u32>().unwrap();
        }
    }
    report.row(
        "extraction: pages/s of born-digital PDF per core (25 wanted)",
        format!("{:.0} ({pages} pages)", f64::from(pages) / started.elapsed().as_secs_f64()),
    );
}

/// A mailbox is taken apart, and every mail of it is read.
async fn mails(report: &mut Report) {
    let (pool, tenant) = (pool(1), TenantId::generate());
    warm(&pool, tenant).await;
    let mailbox = ("archive.mbox".to_owned(), mailbox(MAILS).into_bytes());
    let started = Instant::now();
    let (_, mails) = read(&pool, tenant, &mailbox).await;
    let apart = started.elapsed().as_secs_f64();
    assert_eq!(mails.len(), MAILS);
    for mail in &mails {
        let (document, _) = read(&pool, tenant, mail).await;
        assert!(!document.blocks.is_empty(), "{} has no text", mail.0);
    }
    let seconds = started.elapsed().as_secs_f64();
    report.row(
        "extraction: mbox messages/s per core (1000 wanted)",
        format!(
            "{:.0} taken apart and read, {:.0} taken apart",
            MAILS as f64 / seconds,
            MAILS as f64 / apart
        ),
    );
}

/// Mails as people send them: an answer with a quote, as text and as HTML.
fn mailbox(count: usize) -> String {
    let corpus = corpus();
    let mut mailbox = String::new();
    for (number, (title, text)) in corpus.iter().cycle().take(count).enumerate() {
        let quoted = &corpus[(number + 1) % corpus.len()].0;
        // Writing to a string does not fail.
        let _ = write!(
            mailbox,
            "From sender{number}@example.org Thu Jan  1 00:00:00 2026\n\
             From: Sender {number} <sender{number}@example.org>\nTo: team@example.org\n\
             Subject: {title}\nDate: Thu, 1 Jan 2026 10:00:00 +0000\n\
             Message-ID: <{number}@example.org>\nMIME-Version: 1.0\n\
             Content-Type: multipart/alternative; boundary=\"b\"\n\n\
             --b\nContent-Type: text/plain; charset=utf-8\n\n{text}\n\n\
             On Wed, Dec 31, 2025, a person wrote:\n> {quoted}\n\n-- \nSender\n\
             --b\nContent-Type: text/html; charset=utf-8\n\n<p>{text}</p>\n--b--\n\n"
        );
    }
    mailbox
}
