//! PDFs against the texts that another program expects of them.
//!
//! Called by: cargo test. Talks to: the command line; no home and no server are needed.
//! Invariants: the measure is twice the common words over the words of both texts, in lower case and without
//! ligatures; in order (the longest common subsequence) where the expected text follows the reading order,
//! regardless of order where it shows two columns side by side. Of the eleven expected texts of the set six
//! belong to a PDF in it: one is the bytes of a picture, the PDFs of the others are not there.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::formats::{data, extracted, similarity, words};
use crate::harness::fixture;

const LEAST: f64 = 0.95;

/// The words of one page.
fn page(document: &Value, number: u64) -> Vec<String> {
    let blocks = document["blocks"].as_array().expect("blocks").iter();
    let blocks = blocks.filter(|block| block["page"] == number);
    let texts: Vec<&str> = blocks.filter_map(|block| block["text"].as_str()).collect();
    words(&plain(&texts.join("\n")))
}

fn plain(text: &str) -> String {
    text.replace('ﬁ', "fi").replace('ﬂ', "fl").replace('ﬀ', "ff").replace('ﬃ', "ffi")
}

fn expected(path: &Path) -> Vec<String> {
    words(&plain(&fs::read_to_string(path).expect("an expected text")))
}

/// Twice the common words over the words of both, whatever their order.
fn overlap(a: &[String], b: &[String]) -> f64 {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in a {
        *left.entry(word).or_default() += 1;
    }
    let common = b.iter().filter(|word| match left.get_mut(word.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    2.0 * common.count() as f64 / (a.len() + b.len()) as f64
}

#[test]
fn texts_of_pdfs_are_as_another_program_expects_them() {
    for (pdf, text) in [
        ("crazyones.pdf", "crazyones.txt"),
        ("crazyones.pdf", "crazyones_layout_vertical_space.txt"),
        ("crazyones.pdf", "crazyones_layout_vertical_space_font_height_weight.txt"),
        ("toy.pdf", "toy.layout.txt"),
        ("pdflatex-forms.pdf", "010-pdflatex-forms.txt"),
    ] {
        let found = page(&extracted(&fixture("pdf/pypdf").join(pdf)), 1);
        let like = similarity(&found, &expected(&fixture("pdf/pypdf").join(text)));
        eprintln!("{text:60} {like:.3}");
        assert!(like >= LEAST, "{text}: {like:.3}");
    }
}

#[test]
fn columns_are_read_one_after_the_other() {
    let Some(data) = data() else {
        return;
    };
    let pdf = data.join("docs/pypdf-samples/026-latex-multicolumn/multicolumn.pdf");
    let found = page(&extracted(&pdf), 1);
    let expected = expected(&data.join("docs/pypdf/multicolumn-lorem-ipsum.txt"));
    let like = overlap(&found, &expected);
    eprintln!("multicolumn-lorem-ipsum.txt {like:.3}");
    assert!(like >= LEAST, "{like:.3}");
    // The last sentence of the left column is not torn apart by the right one.
    assert!(similarity(&found, &expected) < LEAST, "the columns are read across");
}
