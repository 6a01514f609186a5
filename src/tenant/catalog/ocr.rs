//! Pages whose text is in pictures: which they are, what OCR read on them, what is left to do.
//!
//! Called by: `app::index`, `app::maintain`, `stage`, `lifecycle`. Talks to: `ocr_page`, `item`,
//! `job`.
//! Invariants: a page that was read is not read again, whatever ends the process; what was read
//! becomes part of a text only when the file is extracted again, so there is one way in which
//! texts are made; an item says in its ledger entry what of it is from OCR and what is missing.

use rusqlite::params;

use super::queue::{ClaimedJob, JobKind};
use super::stage::ExtractionRecord;
use super::{CatalogError, CatalogReader, CatalogWriter};
use crate::types::{ItemKey, ItemState};

/// What is to be installed so that pages in pictures are read.
pub const OCR_REMEDY: &str = "To have them read, install tesseract-ocr with its language packs \
     (apt-get install tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu), then `cairn retry`.";

/// Pages of an item as extraction found them.
#[derive(Clone, Debug, Default)]
pub struct OcrPlan {
    /// All pages whose text is in pictures.
    pub pages: Vec<u32>,
    /// Those whose text is from OCR already.
    pub used: Vec<u32>,
    /// True where the rest is to be read.
    pub queue: bool,
}

/// What OCR made of one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcrResult {
    pub page: u32,
    pub text: String,
    /// How sure it is, 0 to 100.
    pub confidence: u8,
    /// Why there is no text: a reason and a sentence.
    pub problem: Option<(String, String)>,
}

/// The pages of an item, counted.
struct OcrSummary {
    pages: u64,
    unread: u64,
    used: u64,
    failed: u64,
    confidence: f64,
    queued: bool,
    /// True where some of the text is the file's own.
    own_text: bool,
}

impl CatalogReader<'_> {
    /// What was read of an item so far, in the order of its pages.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn ocr_results(&self, item: ItemKey) -> Result<Vec<OcrResult>, CatalogError> {
        self.all(
            "read what OCR found",
            "SELECT page, body, confidence, problem, detail FROM ocr_page \
             WHERE item = ?1 AND (body IS NOT NULL OR problem IS NOT NULL) ORDER BY page",
            [item.0],
            |row| {
                let problem: Option<String> = row.get(3)?;
                let detail: Option<String> = row.get(4)?;
                Ok(OcrResult {
                    page: row.get(0)?,
                    text: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                    confidence: row.get::<_, Option<u8>>(2)?.unwrap_or(0),
                    problem: problem.map(|reason| (reason, detail.unwrap_or_default())),
                })
            },
        )
    }

    /// Up to `limit` pages of an item that were not read yet, in order.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn ocr_unread(&self, item: ItemKey, limit: usize) -> Result<Vec<u32>, CatalogError> {
        self.all(
            "list pages for OCR",
            "SELECT page FROM ocr_page WHERE item = ?1 AND body IS NULL AND problem IS NULL \
             ORDER BY page LIMIT ?2",
            params![item.0, limit as i64],
            |row| row.get(0),
        )
    }

    /// True where extraction found an item to be a PDF, whose pages have to be drawn.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn is_pdf(&self, item: ItemKey) -> Result<bool, CatalogError> {
        let found = self.one(
            "look whether an item is a PDF",
            "SELECT 1 FROM item WHERE key = ?1 AND media_type = 'application/pdf'",
            [item.0],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// True where the pages of an item are drawn before the OCR program can read them.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn is_drawn_for_ocr(&self, item: ItemKey) -> Result<bool, CatalogError> {
        let found = self.one(
            "look whether an item is drawn for OCR",
            "SELECT 1 FROM item WHERE key = ?1 \
             AND media_type IN ('application/pdf', 'image/jp2')",
            [item.0],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    fn ocr_summary(&self, item: ItemKey) -> Result<Option<OcrSummary>, CatalogError> {
        let summary = self.one(
            "count pages for OCR",
            "SELECT count(*), coalesce(sum(body IS NULL AND problem IS NULL), 0), \
             coalesce(sum(used), 0), coalesce(sum(problem IS NOT NULL), 0), \
             coalesce(sum(used * confidence * length(body)) * 1.0 \
                      / nullif(sum(used * length(body)), 0), 0.0), \
             EXISTS (SELECT 1 FROM job WHERE kind = 'ocr' AND item = ?1), \
             EXISTS (SELECT 1 FROM chunk c WHERE c.item = ?1 AND NOT EXISTS \
                     (SELECT 1 FROM ocr_page o \
                      WHERE o.item = c.item AND o.page = c.page AND o.used = 1)) \
             FROM ocr_page WHERE item = ?1",
            [item.0],
            |row| {
                let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
                Ok(OcrSummary {
                    pages: count(0)?,
                    unread: count(1)?,
                    used: count(2)?,
                    failed: count(3)?,
                    confidence: row.get(4)?,
                    queued: row.get(5)?,
                    own_text: row.get(6)?,
                })
            },
        )?;
        Ok(summary.filter(|summary| summary.pages > 0))
    }
}

impl CatalogWriter<'_> {
    /// Notes which pages of an item have their text in pictures, and queues those not read yet.
    pub(super) fn plan_ocr(&self, item: ItemKey, plan: &OcrPlan) -> Result<(), CatalogError> {
        if plan.pages.is_empty() {
            return Ok(());
        }
        self.execute(
            "forget which pages are from OCR",
            "UPDATE ocr_page SET used = 0 WHERE item = ?1",
            [item.0],
        )?;
        for page in &plan.pages {
            self.execute(
                "note a page for OCR",
                "INSERT INTO ocr_page (item, page, used) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (item, page) DO UPDATE SET used = excluded.used",
                params![item.0, page, plan.used.contains(page)],
            )?;
        }
        if plan.queue {
            self.enqueue(JobKind::Ocr, item)?;
        }
        Ok(())
    }

    /// Records a file all of whose text is still in pictures; false where the lease was lost.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn await_ocr(
        &self,
        job: &ClaimedJob,
        record: &ExtractionRecord,
    ) -> Result<bool, CatalogError> {
        if !self.finish_job(job)? {
            return Ok(false);
        }
        self.execute(
            "note what a picture is",
            "UPDATE item SET media_type = ?2, title = ?3, metadata = ?4 WHERE key = ?1",
            params![
                job.item.0,
                record.media_type,
                record.title,
                super::rows::to_json(&record.metadata)?
            ],
        )?;
        self.remove_vanished_children(job.item)?;
        self.plan_ocr(job.item, &record.ocr)?;
        self.mark_waiting(job.item, "needs_ocr", "Waiting for its text to be read by OCR.")?;
        Ok(true)
    }

    /// Keeps what OCR made of a page; false where the lease was lost.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn store_ocr(
        &self,
        job: &ClaimedJob,
        result: &OcrResult,
        lease_for: jiff::SignedDuration,
    ) -> Result<bool, CatalogError> {
        if self.renew_jobs(std::slice::from_ref(job), lease_for)? == 0 {
            return Ok(false);
        }
        let (problem, detail) = result.problem.clone().unzip();
        self.execute(
            "keep what OCR found",
            "UPDATE ocr_page SET body = ?3, confidence = ?4, problem = ?5, detail = ?6 \
             WHERE item = ?1 AND page = ?2",
            params![job.item.0, result.page, result.text, result.confidence, problem, detail],
        )?;
        Ok(true)
    }

    /// Ends the OCR of an item, which is then extracted again with what was read.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn finish_ocr(&self, job: &ClaimedJob) -> Result<bool, CatalogError> {
        if !self.finish_job(job)? {
            return Ok(false);
        }
        self.read_again(job.item)?;
        Ok(true)
    }

    /// Gives up what OCR has not read of an item; what it has read is used.
    pub(super) fn give_up_on_ocr(&self, job: &ClaimedJob, cause: &str) -> Result<(), CatalogError> {
        self.execute(
            "give up pages for OCR",
            "UPDATE ocr_page SET problem = 'gave_up', detail = ?2 \
             WHERE item = ?1 AND body IS NULL AND problem IS NULL",
            params![job.item.0, format!("Gave up after {} attempts: {cause}", job.attempts)],
        )?;
        self.finish_ocr(job).map(drop)
    }

    /// Queues every item again whose pages could not be read for want of an OCR program, now that
    /// there is one; returns how many.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn take_up_ocr(&self) -> Result<u64, CatalogError> {
        let items = self.items(
            "SELECT i.key FROM item i \
             JOIN document d ON d.key = i.document AND d.current_item = i.key \
             WHERE i.key IN (SELECT key FROM item WHERE state = 'unsupported' UNION \
                             SELECT item FROM ocr_page WHERE body IS NULL AND problem IS NULL) \
             AND i.reason = 'needs_ocr' AND i.state IN ('unsupported', 'indexed') \
             AND d.deleted_at IS NULL",
        )?;
        items.iter().try_for_each(|item| self.read_again(*item))?;
        Ok(items.len() as u64)
    }

    /// Lets every item that waits for OCR settle without, since the program is gone; returns how
    /// many.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub fn do_without_ocr(&self) -> Result<u64, CatalogError> {
        let items = self.items("SELECT item FROM job WHERE kind = 'ocr'")?;
        self.execute("drop jobs of OCR", "DELETE FROM job WHERE kind = 'ocr'", [])?;
        items.iter().try_for_each(|item| self.read_again(*item))?;
        Ok(items.len() as u64)
    }

    fn items(&self, sql: &str) -> Result<Vec<ItemKey>, CatalogError> {
        self.all("list items for OCR", sql, [], |row| Ok(ItemKey(row.get(0)?)))
    }

    fn read_again(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.mark_waiting(item, "indexing", "Waiting to be indexed with what OCR has read.")?;
        self.enqueue(JobKind::Extract, item).map(drop)
    }

    /// Settles an item that both projections show, and says what OCR has to do with it.
    pub(super) fn settle_indexed(&self, item: ItemKey) -> Result<(), CatalogError> {
        let Some(summary) = self.ocr_summary(item)? else {
            return self.settle(item, ItemState::Indexed, None, None);
        };
        let said = summary.said();
        let reason = said.as_ref().map(|(reason, _)| *reason);
        self.settle(item, ItemState::Indexed, reason, said.as_ref().map(|(_, text)| text.as_str()))
    }

    /// Forgets pages that OCR failed on, so that they are tried again.
    pub(super) fn forget_ocr_problems(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.execute(
            "forget failures of OCR",
            "UPDATE ocr_page SET problem = NULL, detail = NULL, body = NULL \
             WHERE item = ?1 AND problem IS NOT NULL",
            [item.0],
        )?;
        Ok(())
    }

    /// Removes what is known of the pages of an item.
    pub(super) fn clear_ocr(&self, item: ItemKey) -> Result<(), CatalogError> {
        self.execute("remove pages of OCR", "DELETE FROM ocr_page WHERE item = ?1", [item.0])?;
        Ok(())
    }
}

impl OcrSummary {
    /// Reason and sentence of an indexed item.
    fn said(&self) -> Option<(&'static str, String)> {
        let confidence = self.confidence.round();
        if self.unread > 0 && self.queued {
            let sentence = format!("Indexed; {} to be read by OCR.", pages(self.unread, "wait"));
            return Some(("ocr_pending", sentence));
        }
        if self.unread > 0 {
            let sentence = format!(
                "Indexed, but {} text in pictures. {OCR_REMEDY}",
                pages(self.unread, "hold")
            );
            return Some(("needs_ocr", sentence));
        }
        let mut sentence = match self.used {
            0 if self.failed == 0 => return None,
            0 => "Indexed".to_owned(),
            _ if !self.own_text => format!("Indexed, text read by OCR (confidence {confidence})"),
            used => format!(
                "Indexed, text of {used} {} read by OCR (confidence {confidence})",
                if used == 1 { "page" } else { "pages" }
            ),
        };
        if self.failed > 0 {
            sentence.push_str(&format!("; OCR failed on {}", pages(self.failed, "")));
        }
        sentence.push('.');
        Some(("ocr", sentence))
    }
}

/// `1 page waits`, `2 pages wait`.
fn pages(count: u64, verb: &str) -> String {
    let text = if count == 1 {
        format!("1 page {verb}{}", if verb.is_empty() { "" } else { "s" })
    } else {
        format!("{count} pages {verb}")
    };
    text.trim_end().to_owned()
}
