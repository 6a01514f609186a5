//! Equations of Office documents as a line of text: `x^2`, `(a)/(b)`, `√(x)`, `∑_(n=1)^(∞)`.
//!
//! Called by: `docx`, `pptx`. Talks to: `xml`.
//! Invariants: every character of an equation appears once; recursion is bounded by the depth
//! of the tree.

use crate::extract::xml::Element;

/// True for an element of the equation name space.
pub(super) fn is_math(element: Element<'_>) -> bool {
    element.space().ends_with("/math") || element.space() == "m"
}

/// Appends an equation.
pub(super) fn write(element: Element<'_>, text: &mut String) {
    match element.name() {
        "t" => text.push_str(&element.text()),
        "sSup" => scripts(element, &[("sup", '^')], text),
        "sSub" => scripts(element, &[("sub", '_')], text),
        "sSubSup" => scripts(element, &[("sub", '_'), ("sup", '^')], text),
        "sPre" => scripts(element, &[("sub", '_'), ("sup", '^')], text),
        "f" => {
            argument(element, "num", text);
            text.push('/');
            argument(element, "den", text);
        }
        "rad" => {
            if let Some(degree) = element.child("deg").map(inner).filter(|d| !d.is_empty()) {
                text.push_str(&degree);
            }
            text.push('√');
            argument(element, "e", text);
        }
        "nary" => {
            let sign = property(element, "naryPr", "chr");
            text.push_str(sign.unwrap_or("∫"));
            scripts(element, &[("sub", '_'), ("sup", '^')], text);
        }
        "d" => delimited(element, text),
        "func" => {
            text.push_str(&element.child("fName").map(inner).unwrap_or_default());
            text.push(' ');
            text.push_str(&element.child("e").map(inner).unwrap_or_default());
        }
        "limLow" => scripts(element, &[("lim", '_')], text),
        "limUpp" => scripts(element, &[("lim", '^')], text),
        "mr" => {
            let cells: Vec<String> = element.children().map(inner).collect();
            text.push_str(&cells.join(" "));
            text.push_str("; ");
        }
        "eqArr" => {
            let rows: Vec<String> =
                element.children().filter(|child| child.is("e")).map(inner).collect();
            text.push_str(&rows.join("; "));
        }
        name if name.ends_with("Pr") => {}
        _ => element.children().for_each(|child| write(child, text)),
    }
}

fn inner(element: Element<'_>) -> String {
    let mut text = String::new();
    element.children().for_each(|child| write(child, &mut text));
    text
}

/// The base, then each script in brackets where it is longer than a character.
fn scripts(element: Element<'_>, marks: &[(&str, char)], text: &mut String) {
    let base = element.child("e").map(inner).unwrap_or_default();
    let of_sign = element.is("nary");
    if !of_sign {
        text.push_str(&base);
    }
    for (name, mark) in marks {
        let script = element.child(name).map(inner).unwrap_or_default();
        if script.is_empty() {
            continue;
        }
        text.push(*mark);
        bracketed(&script, text);
    }
    if of_sign {
        text.push(' ');
        text.push_str(&base);
    }
}

fn argument(element: Element<'_>, name: &str, text: &mut String) {
    bracketed(&element.child(name).map(inner).unwrap_or_default(), text);
}

fn bracketed(inner: &str, text: &mut String) {
    if inner.chars().count() > 1 {
        text.push('(');
        text.push_str(inner);
        text.push(')');
    } else {
        text.push_str(inner);
    }
}

fn delimited(element: Element<'_>, text: &mut String) {
    text.push_str(property(element, "dPr", "begChr").unwrap_or("("));
    let parts: Vec<String> = element.children().filter(|child| child.is("e")).map(inner).collect();
    text.push_str(&parts.join(property(element, "dPr", "sepChr").unwrap_or("|")));
    text.push_str(property(element, "dPr", "endChr").unwrap_or(")"));
}

fn property<'x>(element: Element<'x>, group: &str, name: &str) -> Option<&'x str> {
    element.at(&[group, name])?.attr("val")
}
