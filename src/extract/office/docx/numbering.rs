//! The numbers in front of headings and list items, which Word computes and does not store.
//!
//! Called by: `docx`. Talks to: `xml`.
//! Invariants: counters never overflow; a bullet has no number.

use std::collections::HashMap;

use crate::extract::xml::{Element, Xml};

const LEVELS: usize = 9;

#[derive(Clone, Default)]
struct Level {
    format: String,
    /// Such as `%1.%2`.
    text: String,
    start: u32,
}

/// The lists of one document and how far each has counted.
#[derive(Default)]
pub(super) struct Numbering {
    /// Definition by the id of a list.
    lists: HashMap<String, String>,
    levels: HashMap<String, Vec<Level>>,
    counters: HashMap<String, [Option<u32>; LEVELS]>,
}

impl Numbering {
    pub(super) fn read(xml: Option<&Xml>) -> Self {
        let mut numbering = Self::default();
        for child in xml.and_then(Xml::root).into_iter().flat_map(Element::children) {
            match child.name() {
                "abstractNum" => {
                    let id = child.attr("abstractNumId").unwrap_or_default().to_owned();
                    let mut levels = vec![Level::default(); LEVELS];
                    for level in child.children().filter(|child| child.is("lvl")) {
                        let at = level.attr("ilvl").and_then(|at| at.parse::<usize>().ok());
                        if let Some(slot) = at.and_then(|at| levels.get_mut(at)) {
                            *slot = read_level(level);
                        }
                    }
                    numbering.levels.insert(id, levels);
                }
                "num" => {
                    let id = child.attr("numId").unwrap_or_default().to_owned();
                    let definition = child.child("abstractNumId").and_then(|v| v.attr("val"));
                    numbering.lists.insert(id, definition.unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
        numbering
    }

    /// Counts one more item of a list and gives its number, or none where it has a bullet.
    pub(super) fn next(&mut self, list: &str, level: u8) -> Option<String> {
        let at = usize::from(level).min(LEVELS - 1);
        let definition = self.lists.get(list)?;
        let levels = self.levels.get(definition)?;
        let counters = self.counters.entry(definition.clone()).or_default();
        let start = levels[at].start;
        counters[at] = Some(counters[at].map_or(start, |count| count.saturating_add(1)));
        counters[at + 1..].fill(None);
        if matches!(levels[at].format.as_str(), "bullet" | "none" | "") {
            return None;
        }
        let mut text = levels[at].text.clone();
        for (number, (counter, level)) in (1..).zip(counters.iter().zip(levels)) {
            let mark = format!("%{number}");
            if text.contains(&mark) {
                text = text.replace(&mark, &written(counter.unwrap_or(level.start), &level.format));
            }
        }
        Some(text)
    }
}

fn read_level(level: Element<'_>) -> Level {
    let value = |name: &str| level.child(name).and_then(|v| v.attr("val")).unwrap_or_default();
    Level {
        format: value("numFmt").to_owned(),
        text: value("lvlText").chars().take(50).collect(),
        start: value("start").parse().unwrap_or(1),
    }
}

fn written(number: u32, format: &str) -> String {
    match format {
        "lowerLetter" | "upperLetter" if (1..=780).contains(&number) => {
            let index = (number - 1) % 26;
            let letter = char::from(b'a' + u8::try_from(index).unwrap_or(0));
            let times = usize::try_from((number - 1) / 26 + 1).unwrap_or(1);
            let letters = letter.to_string().repeat(times);
            if format == "upperLetter" { letters.to_uppercase() } else { letters }
        }
        "lowerRoman" => roman(number).to_lowercase(),
        "upperRoman" => roman(number),
        _ => number.to_string(),
    }
}

fn roman(mut number: u32) -> String {
    const SIGNS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if number >= 4000 {
        return number.to_string();
    }
    let mut out = String::new();
    for (value, sign) in SIGNS {
        while number >= value {
            out.push_str(sign);
            number -= value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Numbering, Xml};

    #[test]
    fn numbers_count_by_level_and_start_anew_below() {
        let xml = Xml::parse(
            b"<numbering><abstractNum abstractNumId='0'>\
              <lvl ilvl='0'><start val='1'/><numFmt val='decimal'/><lvlText val='%1.'/></lvl>\
              <lvl ilvl='1'><start val='1'/><numFmt val='upperRoman'/><lvlText val='%1.%2'/></lvl>\
              <lvl ilvl='2'><numFmt val='bullet'/><lvlText val='o'/></lvl>\
              </abstractNum><num numId='7'><abstractNumId val='0'/></num></numbering>",
        );
        let xml = xml.unwrap_or_else(|_| panic!("small"));
        let mut numbering = Numbering::read(Some(&xml));
        let labels: Vec<Option<String>> =
            [0, 1, 1, 2, 0, 1].iter().map(|level| numbering.next("7", *level)).collect();
        let labels: Vec<&str> = labels.iter().map(|l| l.as_deref().unwrap_or("-")).collect();
        assert_eq!(labels, ["1.", "1.I", "1.II", "-", "2.", "2.I"]);
        assert_eq!(numbering.next("unknown", 3), None);
    }
}
