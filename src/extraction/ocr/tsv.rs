//! From the OCR program's table of words to paragraphs and a confidence.
//!
//! Called by: `extraction::ocr`. Talks to: nothing.
//! Invariants: a line that is no row of the table is passed over; the text is bounded; what the
//! program itself hardly believes, such as letters seen in a photograph, is left out.

use super::OcrPage;
use crate::extract::join_line;

/// The kind of row that holds a word.
const WORD: &str = "5";
const COLUMNS: usize = 12;
/// A paragraph is left out where its words are believed less than this, out of 100.
const DOUBTED: f64 = 35.0;
const MAX_WORD: usize = 400;
const MAX_TEXT: usize = 1 << 20;

/// Words between two borders that the program draws.
#[derive(Default)]
struct Paragraph {
    text: String,
    line: String,
    /// Sum of confidence times length, and of length.
    believed: f64,
    letters: f64,
}

impl Paragraph {
    fn word(&mut self, word: &str, confidence: f64) {
        if !self.line.is_empty() {
            self.line.push(' ');
        }
        self.line.push_str(word);
        let letters = word.chars().count() as f64;
        self.believed += confidence * letters;
        self.letters += letters;
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        join_line(&mut self.text, &line);
    }

    fn confidence(&self) -> f64 {
        if self.letters > 0.0 { self.believed / self.letters } else { 0.0 }
    }

    fn counts(&self) -> bool {
        self.text.chars().any(char::is_alphanumeric) && self.confidence() >= DOUBTED
    }
}

/// Reads the table of one page.
pub(super) fn page(tsv: &[u8]) -> OcrPage {
    let tsv = String::from_utf8_lossy(tsv);
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let (mut paragraph_at, mut line_at) = (None, None);
    let mut size = 0;
    for row in tsv.lines() {
        let fields: Vec<&str> = row.splitn(COLUMNS, '\t').collect();
        let [WORD, page, block, paragraph, line, _, _, _, _, _, confidence, word] = fields[..]
        else {
            continue;
        };
        let Ok(confidence) = confidence.parse::<f64>() else { continue };
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        let word = word.trim();
        let confident = (0.0..=100.0).contains(&confidence);
        if word.is_empty() || word.len() > MAX_WORD || !confident {
            continue;
        }
        size += word.len() + 1;
        if size > MAX_TEXT {
            break;
        }
        let here = Some((page, block, paragraph));
        if here != paragraph_at {
            paragraphs.push(Paragraph::default());
            (paragraph_at, line_at) = (here, Some(line));
        }
        let Some(current) = paragraphs.last_mut() else { continue };
        if line_at != Some(line) {
            current.end_line();
            line_at = Some(line);
        }
        current.word(word, confidence);
    }
    paragraphs.iter_mut().for_each(Paragraph::end_line);
    paragraphs.retain(Paragraph::counts);
    let letters: f64 = paragraphs.iter().map(|paragraph| paragraph.letters).sum();
    let believed: f64 = paragraphs.iter().map(|paragraph| paragraph.believed).sum();
    let texts: Vec<&str> = paragraphs.iter().map(|paragraph| paragraph.text.as_str()).collect();
    let confidence = if letters > 0.0 { (believed / letters).round() } else { 0.0 };
    OcrPage { text: texts.join("\n\n"), confidence: confidence.clamp(0.0, 100.0) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\t\
                        height\tconf\ttext\n";

    fn row(paragraph: u32, line: u32, confidence: &str, word: &str) -> String {
        format!("5\t1\t1\t{paragraph}\t{line}\t1\t0\t0\t9\t9\t{confidence}\t{word}\n")
    }

    #[test]
    fn words_become_lines_and_paragraphs_with_their_mean_confidence() {
        let mut tsv = HEAD.to_owned() + "4\t1\t1\t1\t1\t0\t0\t0\t9\t9\t-1\t\n";
        for (paragraph, line, confidence, word) in [
            (1, 1, "90", "The"),
            (1, 1, "90", "mea-"),
            (1, 2, "90", "dow."),
            (2, 1, "50.0", "Next"),
        ] {
            tsv.push_str(&row(paragraph, line, confidence, word));
        }
        let page = page(tsv.as_bytes());
        assert_eq!(page.text, "The meadow.\n\nNext");
        assert_eq!(page.confidence, 79);
    }

    #[test]
    fn what_is_hardly_believed_or_no_word_is_left_out() {
        let tsv = HEAD.to_owned()
            + &row(1, 1, "12", "wVx")
            + &row(2, 1, "95", "  ")
            + &row(3, 1, "95", "|")
            + &row(4, 1, "NaN", "not")
            + &row(4, 1, "1e9", "either");
        assert_eq!(page(tsv.as_bytes()), OcrPage::default());
    }

    #[test]
    fn bytes_that_are_no_table_are_no_text() {
        assert_eq!(
            page(b"\xff\xfe\0\t\t\t5\n5\t1\n\t\t\t\t\t\t\t\t\t\t\t\t\t"),
            OcrPage::default()
        );
        let long = row(1, 1, "95", &"a".repeat(MAX_WORD + 1));
        assert_eq!(page(long.as_bytes()), OcrPage::default());
        let endless = row(1, 1, "95", &"word".repeat(80)).repeat(10_000);
        assert!(page(endless.as_bytes()).text.len() <= MAX_TEXT);
    }
}
