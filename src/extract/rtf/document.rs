//! The blocks of a Rich Text file as its words describe them.
//!
//! Called by: `rtf`. Talks to: `emit`, `rows`.
//! Invariants: bold text is not a heading; only an outline level makes one.

use crate::extract::clean::one_line;
use crate::extract::emit::{Output, Stop};
use crate::extract::rows::RowGroups;
use crate::types::BlockKind;

#[derive(Default)]
pub(super) struct Document {
    text: String,
    heading: Option<u8>,
    /// Level of the list the paragraph is an item of.
    list: Option<u8>,
    in_list: bool,
    in_table: bool,
    row: Vec<String>,
    table: Option<RowGroups>,
}

impl Document {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn word(
        &mut self,
        word: &str,
        number: Option<i32>,
        out: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let level = || number.and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
        match word {
            "par" | "sect" | "page" => return self.end_paragraph(out),
            "line" | "softline" => self.text.push('\n'),
            "tab" => self.text.push('\t'),
            "emdash" => self.text.push('—'),
            "endash" => self.text.push('–'),
            "lquote" => self.text.push('‘'),
            "rquote" => self.text.push('’'),
            "ldblquote" => self.text.push('“'),
            "rdblquote" => self.text.push('”'),
            "bullet" => self.text.push('•'),
            "emspace" | "enspace" => self.text.push(' '),
            "pard" => {
                self.heading = None;
                self.list = None;
                self.in_list = false;
                self.in_table = false;
            }
            "outlinelevel" => self.heading = Some(level().saturating_add(1)).filter(|l| *l <= 9),
            "ls" => self.in_list = true,
            "ilvl" => self.list = Some(level().min(8)),
            "intbl" | "trowd" => self.in_table = true,
            "cell" | "nestcell" => {
                let cell = std::mem::take(&mut self.text);
                self.row.push(cell.trim().to_owned());
            }
            "row" | "nestrow" => {
                let row = std::mem::take(&mut self.row);
                let table = self.table.get_or_insert_with(|| RowGroups::new(false));
                table.push(row, out)?;
                self.in_table = false;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn finish(mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        self.in_table = false;
        self.end_paragraph(out)?;
        self.end_table(out)
    }

    fn end_table(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        self.table.take().map_or(Ok(()), |table| table.finish(out))
    }

    fn end_paragraph(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        // Paragraphs inside a cell only separate its lines.
        if self.in_table {
            self.text.push('\n');
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return Ok(());
        }
        self.end_table(out)?;
        match (self.heading, self.in_list) {
            (Some(level), _) => {
                let kind = BlockKind::Heading { level: level.min(6) };
                out.block(&kind, &one_line(&text), None)
            }
            (None, true) => {
                let depth = self.list.unwrap_or(0);
                out.block(&BlockKind::ListItem { depth, ordered: false }, &text, None)
            }
            (None, false) => out.paragraph(&text),
        }
    }
}
