//! What was written onto the pages of a PDF: comments, and the fields of forms.
//!
//! Called by: `pdf`. Talks to: `pdfium-render`.
//! Invariants: a field comes once with each of its values, a password never; at most `MAX_ON_PAGE`
//! notes of a page are looked at.

use std::collections::HashSet;

use pdfium_render::prelude::{
    PdfFormField, PdfFormFieldCommon, PdfPage, PdfPageAnnotation, PdfPageAnnotationCommon,
    PdfPageAnnotationType,
};

use super::super::clean::one_line;

const MAX_ON_PAGE: usize = 1000;
/// Longest name of a field that is shown.
const MAX_NAME: usize = 200;

/// What the pages so far had.
#[derive(Default)]
pub(super) struct Notes {
    /// Fields shown, with their values.
    fields: HashSet<String>,
    /// Pages with files pinned to them, by index.
    pub(super) with_files: Vec<i32>,
}

impl Notes {
    /// The notes of a page, in its own order.
    pub(super) fn of_page(&mut self, page: &PdfPage<'_>, index: i32) -> Vec<String> {
        let mut texts = Vec::new();
        let notes = page.annotations();
        for at in notes.as_range().take(MAX_ON_PAGE) {
            let Ok(note) = notes.get(at) else { continue };
            let kind = note.annotation_type();
            if kind == PdfPageAnnotationType::FileAttachment
                && self.with_files.last() != Some(&index)
            {
                self.with_files.push(index);
            }
            let text = match kind {
                PdfPageAnnotationType::Widget | PdfPageAnnotationType::XfaWidget => {
                    note.as_form_field().and_then(field)
                }
                kind if is_comment(kind) => comment(&note),
                _ => None,
            };
            let Some(text) = text else { continue };
            if is_comment(kind) || self.fields.insert(text.clone()) {
                texts.push(text);
            }
        }
        texts
    }
}

/// True for the text of a comment.
pub fn is_note(text: &str) -> bool {
    text.starts_with("Comment by ") || text.starts_with("Comment: ")
}

/// False for links, for windows that repeat the comment they belong to, and for what is no text.
fn is_comment(kind: PdfPageAnnotationType) -> bool {
    use PdfPageAnnotationType as Kind;
    !matches!(
        kind,
        Kind::Unknown
            | Kind::Link
            | Kind::Popup
            | Kind::Widget
            | Kind::XfaWidget
            | Kind::Screen
            | Kind::PrinterMark
            | Kind::TrapNet
            | Kind::Watermark
            | Kind::Redacted
    )
}

fn comment(note: &PdfPageAnnotation<'_>) -> Option<String> {
    let text = note.contents().filter(|text| !text.trim().is_empty())?;
    if note.is_hidden() {
        return None;
    }
    let author = one_line(&note.creator().unwrap_or_default());
    let by = if author.is_empty() { "Comment".to_owned() } else { format!("Comment by {author}") };
    Some(format!("{by}: {}", text.trim()))
}

/// The name and value of a field that is filled in.
fn field(field: &PdfFormField<'_>) -> Option<String> {
    let (name, value) = match field {
        PdfFormField::Text(text) if text.is_password() => return None,
        PdfFormField::Text(text) => (text.name(), without_tags(&text.value()?)),
        PdfFormField::ComboBox(choice) => (choice.name(), choice.value()?),
        PdfFormField::ListBox(choice) => (choice.name(), choice.value()?),
        PdfFormField::Checkbox(tick) => {
            let state = tick.appearance_stream();
            let is_set = match &state {
                Some(state) => is_on(state),
                None => tick.is_checked().unwrap_or(false),
            };
            (tick.name(), if is_set { "☒".to_owned() } else { return None })
        }
        PdfFormField::RadioButton(tick) => {
            let state = tick.appearance_stream().filter(|state| is_on(state))?;
            (tick.name(), tick.group_value().filter(|value| !value.is_empty()).unwrap_or(state))
        }
        PdfFormField::PushButton(_) | PdfFormField::Signature(_) | PdfFormField::Unknown(_) => {
            return None;
        }
    };
    let value = value.trim();
    if value.is_empty() {
        return None;
    }
    let name = label(&name.unwrap_or_default());
    Some(if name.is_empty() { value.to_owned() } else { format!("{name}: {value}") })
}

fn is_on(state: &str) -> bool {
    let state = state.trim_start_matches('/');
    !state.is_empty() && !state.eq_ignore_ascii_case("off")
}

/// The part of a field's name that people chose: `form[0].Page1[0].Street[0]` is `Street`.
fn label(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let last = match last.split_once('[') {
        Some((last, number))
            if number.trim_end_matches(']').bytes().all(|b| b.is_ascii_digit()) =>
        {
            last
        }
        _ => last,
    };
    let chosen = if last.chars().any(char::is_alphabetic) { last } else { name };
    one_line(chosen).chars().take(MAX_NAME).collect()
}

/// The words of a value that is written as a small web page.
fn without_tags(value: &str) -> String {
    let value = value.trim();
    if !(value.starts_with("<?xml") || value.starts_with("<body")) {
        return value.to_owned();
    }
    let mut words = String::with_capacity(value.len());
    let mut inside = false;
    for c in value.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                words.push(' ');
            }
            c if !inside => words.push(c),
            _ => {}
        }
    }
    one_line(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_goes_by_the_name_that_people_chose() {
        assert_eq!(label("topmostSubform[0].Page1[0].Street[0]"), "Street");
        assert_eq!(label("Name"), "Name");
        assert_eq!(label("order.3"), "order.3");
        assert_eq!(label("Total [EUR]"), "Total [EUR]");
    }

    #[test]
    fn rich_values_are_their_words() {
        assert_eq!(without_tags("<body><p>two <b>words</b></p></body>"), "two words");
        assert_eq!(without_tags("a < b"), "a < b");
        assert!(is_note("Comment by Eva: x") && is_note("Comment: x") && !is_note("Comments: x"));
        assert!(is_on("/1") && !is_on("/Off") && !is_on(""));
    }
}
