//! Beside the stages: pages whose text is in pictures are read, one after the other.
//!
//! Called by: `app::index`, `app::index::extract` (to put what was read in its place). Talks to:
//! the OCR program, the extraction pool (which draws pages of a PDF), blobs, catalogue.
//! Invariants: each page read is kept at once, so a process that ends loses one page; what was read
//! reaches the text when the file is extracted again, and not before its last page was looked at;
//! the program runs at the lowest priority, so that nothing else waits for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::extract::{limits, outcome};
use super::{HEARTBEAT, LEASE, Progress, claim, give_back, put_back};
use crate::app::{App, Error};
use crate::auth::Write;
use crate::extract::{ExtractRequest, is_note};
use crate::extraction::{ChildSink, OcrEngine, OcrPage};
use crate::tenant::{ClaimedJob, ExtractInput, JobKind, OcrResult, TenantHandle};
use crate::types::{
    Block, BlockKind, ChildHeader, ExtractFailure, ExtractFailureCode, ExtractedDocument,
    FormatHint,
};

/// Pages of a PDF drawn at once: each takes about 9 MB until it is read.
const BATCH: usize = 4;
/// Largest picture of a page.
const MAX_PICTURE: u64 = 32 << 20;
/// A page's own text layer gives way where OCR finds this many times its letters.
const RICHER: usize = 2;

/// What reading a picture gives: its text, or its own fault.
type Reading = Result<OcrPage, ExtractFailure>;

pub(super) async fn run(app: &Arc<App>, tenant: &TenantHandle<Write>) -> Result<Progress, Error> {
    let Ok(engine) = app.ocr.engine().await else {
        let now = tenant.now();
        if tenant.read(move |catalog| catalog.has_ready_job(JobKind::Ocr, now)).await? {
            tenant.write(|catalog| catalog.do_without_ocr().map(drop)).await?;
            return Ok(Progress::Busy);
        }
        return Ok(Progress::Idle);
    };
    let jobs = claim(tenant, JobKind::Ocr, 1).await?;
    let Some(job) = jobs.first() else { return Ok(Progress::Idle) };
    if app.ocr.concurrency() > 1 {
        // There may be more: another worker of the lane can take it at once.
        app.schedule.wake_for(JobKind::Ocr, tenant.id());
    }
    if let Err(error) = read_item(app, tenant, &engine, job).await {
        give_back(app, tenant, JobKind::Ocr, jobs, &error).await?;
    }
    Ok(Progress::Busy)
}

/// Reads the pages of one item, or as many of them as others leave time for.
async fn read_item(
    app: &Arc<App>,
    tenant: &TenantHandle<Write>,
    engine: &OcrEngine,
    job: &ClaimedJob,
) -> Result<(), Error> {
    let (began, item) = (Instant::now(), job.item);
    let input = tenant.read(move |catalog| catalog.extract_input(item)).await?;
    let Some(input) = input.filter(|input| input.is_current) else { return Ok(()) };
    loop {
        let pages = tenant.read(move |catalog| catalog.ocr_unread(item, BATCH)).await?;
        if pages.is_empty() {
            let finished = job.clone();
            tenant.write(move |catalog| catalog.finish_ocr(&finished)).await?;
            tenant.announce(vec![item]);
            app.schedule.wake_for(JobKind::Extract, tenant.id());
            return Ok(());
        }
        let task = Task { app, tenant, engine, job, input: &input };
        if !task.read_pages(&pages).await? {
            // Removed or replaced while it was being read.
            return Ok(());
        }
        if app.schedule.should_yield(JobKind::Ocr, tenant.id(), began) {
            return put_back(tenant, vec![job.clone()]).await;
        }
    }
}

/// The pages of one item, on their way.
struct Task<'a> {
    app: &'a Arc<App>,
    tenant: &'a TenantHandle<Write>,
    engine: &'a OcrEngine,
    job: &'a ClaimedJob,
    input: &'a ExtractInput,
}

impl Task<'_> {
    /// Reads pages and keeps what they say; false where the job is no longer ours.
    async fn read_pages(&self, pages: &[u32]) -> Result<bool, Error> {
        let pages = run_of(pages);
        let item = self.job.item;
        if !self.tenant.read(move |catalog| catalog.is_drawn_for_ocr(item)).await? {
            for page in pages {
                let mut source = self.tenant.blobs()?.read(&self.input.blob).await?;
                let reading = self.read_picture(Some(*page), &mut source).await?;
                if !self.keep(*page, reading).await? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let drawn = match self.draw(pages).await? {
            Ok(drawn) => drawn,
            Err(failure) => {
                for page in pages {
                    if !self.keep(*page, Err(failure.clone())).await? {
                        return Ok(false);
                    }
                }
                return Ok(true);
            }
        };
        for page in pages {
            let picture = drawn.iter().find(|(number, _)| number == page);
            let reading = match picture {
                Some((_, picture)) => self.read_picture(None, &mut picture.as_slice()).await?,
                None => Err(ExtractFailure {
                    code: ExtractFailureCode::Malformed,
                    message: format!("Page {page} cannot be drawn"),
                    media_type: None,
                }),
            };
            if !self.keep(*page, reading).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Has pages of a PDF, or a picture that the OCR program cannot open, drawn by a worker.
    async fn draw(
        &self,
        pages: &[u32],
    ) -> Result<Result<Vec<(u32, Vec<u8>)>, ExtractFailure>, Error> {
        let first = pages.first().copied().unwrap_or(1);
        let request = ExtractRequest {
            name: self.input.source.clone(),
            media_type: None,
            format: Some(FormatHint::PdfPages { first, count: pages.len() as u32 }),
            passwords: self.input.nesting.passwords.clone().into(),
            limits: limits(self.app),
        };
        let mut source = self.tenant.blobs()?.read(&self.input.blob).await?;
        let mut drawn = Pictures::default();
        let drawing =
            self.app.extraction.extract(self.tenant.id(), request, &mut source, &mut drawn);
        let answer = self.holding(drawing).await??;
        Ok(answer.map(|_| drawn.pages))
    }

    async fn read_picture(
        &self,
        page: Option<u32>,
        picture: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Reading, Error> {
        let reading = self.app.ocr.read(self.engine, page, picture);
        Ok(self.holding(reading).await??)
    }

    /// Waits for `work` and keeps the job's lease meanwhile.
    async fn holding<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(HEARTBEAT, &mut work).await {
                return Ok(done);
            }
            let job = self.job.clone();
            self.tenant.write(move |catalog| catalog.renew_jobs(&[job], LEASE).map(drop)).await?;
        }
    }

    async fn keep(&self, page: u32, reading: Reading) -> Result<bool, Error> {
        let result = match reading {
            Ok(read) => {
                OcrResult { page, text: read.text, confidence: read.confidence, problem: None }
            }
            Err(failure) => {
                let problem = Some((outcome(failure.code).1.to_owned(), failure.message));
                OcrResult { page, text: String::new(), confidence: 0, problem }
            }
        };
        let job = self.job.clone();
        Ok(self.tenant.write(move |catalog| catalog.store_ocr(&job, &result, LEASE)).await?)
    }
}

/// The pages at the start that follow each other without a gap.
fn run_of(pages: &[u32]) -> &[u32] {
    let length = pages.windows(2).take_while(|pair| pair[0] + 1 == pair[1]).count() + 1;
    &pages[..length.min(pages.len())]
}

/// Pages that were drawn.
#[derive(Default)]
struct Pictures {
    pages: Vec<(u32, Vec<u8>)>,
}

#[async_trait]
impl ChildSink for Pictures {
    async fn child(
        &mut self,
        header: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<(), std::io::Error> {
        let number = header.name.strip_prefix("page-").and_then(|name| name.strip_suffix(".pgm"));
        let number = number.and_then(|number| number.parse().ok());
        let mut picture = Vec::new();
        let read = body.take(MAX_PICTURE).read_to_end(&mut picture).await?;
        match number {
            Some(number) if self.pages.len() < BATCH && (read as u64) < MAX_PICTURE => {
                self.pages.push((number, picture));
                Ok(())
            }
            _ => Err(std::io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Puts what was read in the place of its pages; the pages whose text is from OCR now. A page's
/// own layer stays where OCR finds hardly more than it: it has no errors of reading. Bookmarks and
/// comments stay beside either, for no picture shows them.
pub(super) fn merge(document: &mut ExtractedDocument, read: &[OcrResult]) -> Vec<u32> {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
    let mut own: HashMap<u32, usize> = document.ocr_pages.iter().map(|page| (*page, 0)).collect();
    let is_beside =
        |block: &Block| matches!(block.kind, BlockKind::Heading { .. }) || is_note(&block.text);
    for block in document.blocks.iter().filter(|block| !is_beside(block)) {
        if let Some(own) = block.page.and_then(|page| own.get_mut(&page)) {
            *own += letters(&block.text);
        }
    }
    let richer = |result: &&OcrResult| {
        own.get(&result.page).is_some_and(|own| letters(&result.text) > own * RICHER)
    };
    let better: Vec<&OcrResult> = read.iter().filter(richer).collect();
    let used: Vec<u32> = better.iter().map(|result| result.page).collect();
    let replaced: HashSet<u32> = used.iter().copied().collect();
    document.blocks.retain(|block| {
        is_beside(block) || !block.page.is_some_and(|page| replaced.contains(&page))
    });
    let (mut sum, mut weight) = (0, 0);
    for result in better {
        let paragraphs = result.text.split("\n\n").filter(|text| !text.trim().is_empty());
        document.blocks.extend(paragraphs.map(|text| Block {
            page: Some(result.page),
            ..Block::new(BlockKind::Paragraph, text)
        }));
        sum += usize::from(result.confidence) * letters(&result.text);
        weight += letters(&result.text);
    }
    if let Some(confidence) = sum.checked_div(weight) {
        // Stable, so that the blocks of a page keep their order.
        document.blocks.sort_by_key(|block| block.page);
        let facts = &mut document.metadata;
        facts.insert("ocr".to_owned(), "true".to_owned());
        facts.insert("ocr_pages".to_owned(), used.len().to_string());
        facts.insert("ocr_confidence".to_owned(), confidence.to_string());
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(page: u32, text: &str) -> Block {
        Block { page: Some(page), ..Block::new(BlockKind::Paragraph, text) }
    }

    fn read(page: u32, text: &str, confidence: u8) -> OcrResult {
        OcrResult { page, text: text.to_owned(), confidence, problem: None }
    }

    #[test]
    fn what_was_read_stands_where_its_page_stands() {
        let mut document = ExtractedDocument {
            blocks: vec![block(1, "First page."), block(2, "Stamp"), block(4, "Last page.")],
            ocr_pages: vec![2, 3],
            ..ExtractedDocument::default()
        };
        let results = [
            read(2, "Stamp and much more.\n\nSecond.", 90),
            read(3, "Third.", 60),
            read(9, "x", 1),
        ];
        assert_eq!(merge(&mut document, &results), [2, 3]);
        let texts: Vec<&str> = document.blocks.iter().map(|block| block.text.as_str()).collect();
        let expected = ["First page.", "Stamp and much more.", "Second.", "Third.", "Last page."];
        assert_eq!(texts, expected);
        assert_eq!(document.metadata["ocr_confidence"], "84");
    }

    #[test]
    fn a_layer_of_the_pages_own_is_kept_where_ocr_finds_no_more() {
        let mut document = ExtractedDocument {
            blocks: vec![block(1, "Quarterly report")],
            ocr_pages: vec![1],
            ..ExtractedDocument::default()
        };
        let before = document.clone();
        assert_eq!(merge(&mut document, &[read(1, "Quarter1y rep0rt", 80)]), Vec::<u32>::new());
        assert_eq!(document, before);
    }

    #[test]
    fn bookmarks_and_comments_of_a_scan_stay() {
        let heading = Block { kind: BlockKind::Heading { level: 1 }, ..block(1, "The contract") };
        let mut document = ExtractedDocument {
            blocks: vec![heading, block(1, "Stamp"), block(1, "Comment by Eva: Is it signed?")],
            ocr_pages: vec![1],
            ..ExtractedDocument::default()
        };
        assert_eq!(merge(&mut document, &[read(1, "Between the parties it is agreed.", 90)]), [1]);
        let texts: Vec<&str> = document.blocks.iter().map(|block| block.text.as_str()).collect();
        let expected =
            ["The contract", "Comment by Eva: Is it signed?", "Between the parties it is agreed."];
        assert_eq!(texts, expected);
    }

    #[test]
    fn pages_are_drawn_in_runs() {
        assert_eq!(run_of(&[3, 4, 6]), [3, 4]);
        assert_eq!(run_of(&[3]), [3]);
        assert_eq!(run_of(&[]), [0; 0]);
    }
}
