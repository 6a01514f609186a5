//! The text inside one paragraph of a Word document, and what hangs on it.
//!
//! Called by: `docx`. Talks to: `math` for equations.
//! Invariants: recursion is bounded by the depth of the tree; nothing is emitted here.

use crate::extract::office::math;
use crate::extract::xml::Element;

/// What a paragraph holds.
#[derive(Default)]
pub(super) struct Inline<'x> {
    pub(super) text: String,
    /// Text boxes anchored here; they are blocks of their own.
    pub(super) boxes: Vec<Element<'x>>,
    /// Relations of charts anchored here.
    pub(super) charts: Vec<&'x str>,
    /// What pictures show, in the author's words.
    pub(super) descriptions: Vec<&'x str>,
}

impl<'x> Inline<'x> {
    pub(super) fn of(paragraph: Element<'x>) -> Self {
        let mut inline = Self::default();
        inline.walk(paragraph);
        inline
    }

    fn walk(&mut self, element: Element<'x>) {
        for child in element.children() {
            match child.name() {
                "oMath" | "oMathPara" if math::is_math(child) => self.equation(child),
                "t" => self.text.push_str(&child.text()),
                "tab" | "ptab" => self.text.push('\t'),
                "br" | "cr" => self.text.push('\n'),
                "noBreakHyphen" => self.text.push('-'),
                "sym" => self.text.push_str(symbol(child)),
                "footnoteReference" => self.note("", child),
                "endnoteReference" => self.note("e", child),
                "AlternateContent" => {
                    if let Some(choice) = alternative(child) {
                        self.walk(choice);
                    }
                }
                "txbxContent" => self.boxes.push(child),
                "docPr" => self.describe(child.attr("descr")),
                "imagedata" => self.describe(child.attr("title")),
                "chart" => self.charts.extend(child.prefixed("id")),
                name if is_unseen(name) => {}
                _ => self.walk(child),
            }
        }
    }

    fn equation(&mut self, equation: Element<'x>) {
        if !self.text.is_empty() && !self.text.ends_with(char::is_whitespace) {
            self.text.push(' ');
        }
        math::write(equation, &mut self.text);
        self.text.push(' ');
    }

    fn note(&mut self, kind: &str, reference: Element<'x>) {
        self.text.push_str(&format!("[^{kind}{}]", reference.attr("id").unwrap_or_default()));
    }

    fn describe(&mut self, text: Option<&'x str>) {
        self.descriptions.extend(text.filter(|text| !text.trim().is_empty()));
    }
}

/// Properties, deleted text, field codes, and what only guides a reader aloud.
pub(super) fn is_unseen(name: &str) -> bool {
    matches!(
        name,
        "pPr"
            | "rPr"
            | "sdtPr"
            | "sdtEndPr"
            | "del"
            | "moveFrom"
            | "delText"
            | "instrText"
            | "delInstrText"
            | "rt"
            | "rubyPr"
            | "sectPr"
            | "tblPr"
            | "ffData"
    )
}

/// The rendering to read of several of the same thing.
pub(super) fn alternative(element: Element<'_>) -> Option<Element<'_>> {
    element.child("Choice").or_else(|| element.child("Fallback"))
}

/// A character of a symbol font: boxes and arrows where they are known, else a bullet.
fn symbol(element: Element<'_>) -> &'static str {
    let code = element.attr("char").unwrap_or_default();
    let code = u32::from_str_radix(code, 16).unwrap_or(0) & 0xff;
    match code {
        0xfe | 0x52 | 0x53 | 0x54 => "☒",
        0xa8 | 0x6f | 0xa3 | 0x71 => "☐",
        0xe0 => "→",
        0xdf => "←",
        0xfc => "✓",
        _ => "•",
    }
}
