//! Telling an author's own words from what the mail repeats and from its signature.
//!
//! Called by: `mail`, `html::voices`. Talks to: nothing; pure.
//! Invariants: the parts of a text follow each other and cover it; a line that is not clearly
//! repeated is the author's own.
//!
//! Why forwards differ: what a reply repeats is in the mail it answers, but what is forwarded
//! may be nowhere else, so it stays among the words of the mail.

use std::ops::Range;

use crate::types::BlockKind;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) enum Voice {
    Own,
    /// An earlier mail, in a reply.
    Quoted,
    /// An earlier mail, passed on.
    Forwarded,
    Signature,
}

impl Voice {
    /// The kind of a block in this voice; `None` for the author's own, which has kinds of its own.
    pub(in crate::extract) fn kind(self) -> Option<BlockKind> {
        match self {
            Self::Own => None,
            Self::Quoted => Some(BlockKind::QuotedReply),
            Self::Forwarded => Some(BlockKind::Quote),
            Self::Signature => Some(BlockKind::Signature),
        }
    }
}

/// Longest line that introduces a quote.
const MAX_ATTRIBUTION: usize = 300;
/// Lines over which a mail program wraps such a line.
const ATTRIBUTION_LINES: usize = 3;
/// A signature whose mark lost its blank is believed only near the end.
const SIGNATURE_LINES: usize = 12;

/// The parts of a plain-text body, as byte ranges.
pub(super) fn parts(text: &str, is_forward: bool) -> Vec<(Voice, Range<usize>)> {
    let mut parts = voices(text, is_forward);
    let says_something = |(voice, range): &(Voice, Range<usize>)| {
        *voice == Voice::Own && !text[range.clone()].trim().is_empty()
    };
    if !parts.iter().any(says_something) {
        for (voice, _) in &mut parts {
            if *voice == Voice::Quoted {
                *voice = Voice::Forwarded;
            }
        }
    }
    parts
}

fn voices(text: &str, is_forward: bool) -> Vec<(Voice, Range<usize>)> {
    let ends: Vec<usize> = text
        .split_inclusive('\n')
        .scan(0, |end, line| {
            *end += line.len();
            Some(*end)
        })
        .collect();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut parts = Parts { list: Vec::new(), ends: &ends };
    let repeated = if is_forward { Voice::Forwarded } else { Voice::Quoted };
    let mut base = Voice::Own;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if line.is_empty() {
            let voice = parts.list.last().map_or(base, |(voice, _)| *voice);
            parts.take(voice, 1);
            at += 1;
        } else if is_marked(line, parts.list.last().map(|(voice, _)| *voice)) {
            parts.take(repeated, 1);
            at += 1;
        } else if let Some(voice) = rest_from(&lines[at..], is_forward) {
            parts.take(voice, lines.len() - at);
            at = lines.len();
        } else if let Some((count, to_end)) = attribution(&lines[at..]) {
            let count = if to_end { lines.len() - at } else { count };
            parts.take(repeated, count);
            at += count;
        } else {
            if begins_signature(text, &ends, &lines, at) {
                base = Voice::Signature;
            }
            parts.take(base, 1);
            at += 1;
        }
    }
    parts.list
}

struct Parts<'e> {
    list: Vec<(Voice, Range<usize>)>,
    /// Where each line ends.
    ends: &'e [usize],
}

impl Parts<'_> {
    /// Gives the next `count` lines to `voice`.
    fn take(&mut self, voice: Voice, count: usize) {
        let start = self.list.last().map_or(0, |(_, range)| range.end);
        let line = self.ends.partition_point(|end| *end <= start) + count;
        let end = line.checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        let end = end.or_else(|| self.ends.last().copied()).unwrap_or(start);
        match self.list.last_mut() {
            Some((last, range)) if *last == voice => range.end = end,
            _ => self.list.push((voice, start..end)),
        }
    }
}

/// A lone `>From ` is a line that a mailbox writer quoted, not a person.
fn is_marked(line: &str, before: Option<Voice>) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    line.starts_with('>')
        && (!line.starts_with(">From ") || matches!(before, Some(Voice::Quoted | Voice::Forwarded)))
}

/// The voice of everything from the first of `lines` on, where that line says that another mail
/// begins.
pub(in crate::extract) fn rest_from(lines: &[&str], is_forward: bool) -> Option<Voice> {
    const ORIGINAL: [&str; 7] = [
        "original message",
        "original appointment",
        "ursprüngliche nachricht",
        "originalnachricht",
        "original-nachricht",
        "message d'origine",
        "mensaje original",
    ];
    const FORWARDED: [&str; 4] = [
        "forwarded message",
        "forwarded by",
        "weitergeleitete nachricht",
        "weitergeleitete e-mail",
    ];
    const FORWARDED_PLAIN: [&str; 3] = [
        "begin forwarded message:",
        "anfang der weitergeleiteten nachricht:",
        "anfang der weitergeleiteten e-mail:",
    ];
    let first = lines.first()?.trim();
    let repeated = if is_forward { Voice::Forwarded } else { Voice::Quoted };
    if first.len() <= 120 {
        let lower = first.to_lowercase();
        if FORWARDED_PLAIN.contains(&lower.as_str()) {
            return Some(Voice::Forwarded);
        }
        if lower.starts_with("--") {
            let inner = lower.trim_matches(['-', ' ']);
            if ORIGINAL.contains(&inner) {
                return Some(repeated);
            }
            if FORWARDED.iter().any(|words| inner.starts_with(words)) {
                return Some(Voice::Forwarded);
            }
        }
    }
    is_header_block(lines).then_some(repeated)
}

/// The header lines that Outlook puts above the mail it answers.
fn is_header_block(lines: &[&str]) -> bool {
    const FROM: [&str; 3] = ["From:", "Von:", "De :"];
    const FIELDS: [&str; 12] = [
        "Sent:",
        "Gesendet:",
        "Date:",
        "Datum:",
        "To:",
        "An:",
        "Cc:",
        "Subject:",
        "Betreff:",
        "Envoyé",
        "Objet",
        "À :",
    ];
    let bare = |line: &str| line.trim().trim_start_matches('*').to_owned();
    let Some(first) = lines.first().map(|line| bare(line)) else { return false };
    if !FROM.iter().any(|field| first.starts_with(field)) {
        return false;
    }
    let following = lines[1..].iter().take(6).map(|line| bare(line));
    following.filter(|line| FIELDS.iter().any(|field| line.starts_with(field))).count() >= 2
}

/// How many lines introduce a quote, and whether the quote is all the rest, because its lines
/// are not marked.
fn attribution(lines: &[&str]) -> Option<(usize, bool)> {
    let mut joined = String::new();
    for count in 1..=ATTRIBUTION_LINES.min(lines.len()) {
        let line = lines[count - 1].trim();
        if line.is_empty() || line.starts_with('>') || joined.len() + line.len() > MAX_ATTRIBUTION {
            return None;
        }
        if count > 1 {
            joined.push(' ');
        }
        joined.push_str(line);
        if names_writer(&joined) {
            let next = lines[count..].iter().map(|line| line.trim()).find(|line| !line.is_empty());
            let marked = next.is_some_and(|line| line.starts_with('>'));
            let certain = is_attribution(&joined) && next.is_some();
            return (marked || certain).then_some((count, !marked));
        }
        if !begins_like_attribution(&joined) {
            return None;
        }
    }
    None
}

/// True for `On 1 March 2024, Ann wrote:` and its like, with the date that a person would omit.
pub(in crate::extract) fn is_attribution(text: &str) -> bool {
    let text = text.trim();
    text.len() <= MAX_ATTRIBUTION
        && begins_like_attribution(text)
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && names_writer(text)
}

fn begins_like_attribution(text: &str) -> bool {
    ["On ", "Am ", "Le ", "El ", "Il ", "Op ", "Den "].iter().any(|word| text.starts_with(word))
}

fn names_writer(text: &str) -> bool {
    const VERBS: [&str; 9] = [
        " wrote",
        " writes",
        " schrieb",
        " schrieben",
        " a écrit",
        " escribió",
        " ha scritto",
        " schreef",
        " skrev",
    ];
    text.ends_with(':') && VERBS.iter().any(|verb| text.contains(verb))
}

/// True for the mark of a signature, or the rule above what a mailing list appends.
fn begins_signature(text: &str, ends: &[usize], lines: &[&str], at: usize) -> bool {
    let line = lines[at];
    if line == "--" {
        let start = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
        return text[start..].starts_with("-- ") || lines.len() - at <= SIGNATURE_LINES;
    }
    let is_rule = line.len() >= 20 && line.bytes().all(|byte| matches!(byte, b'_' | b'-'));
    is_rule
        && lines[at + 1..].iter().take(3).any(|line| {
            let line = line.to_lowercase();
            line.contains("mailing list") || line.contains("unsubscribe")
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(Voice, &str)> {
        parts(text, false).into_iter().map(|(voice, at)| (voice, text[at].trim())).collect()
    }

    #[test]
    fn marked_lines_and_the_line_above_them_are_quoted() {
        let text = "Yes.\n\nOn Fri, 1 Mar 2024 at 10:00, Bob <b@c.d>\nwrote:\n> Shall we?\n>\n> Bob\n\nSee you.\n-- \nAnn\n";
        assert_eq!(
            read(text),
            [
                (Voice::Own, "Yes."),
                (
                    Voice::Quoted,
                    "On Fri, 1 Mar 2024 at 10:00, Bob <b@c.d>\nwrote:\n> Shall we?\n>\n> Bob"
                ),
                (Voice::Own, "See you."),
                (Voice::Signature, "-- \nAnn"),
            ]
        );
    }

    #[test]
    fn everything_below_an_outlook_header_is_quoted() {
        for below in [
            "-----Original Message-----\nHello",
            "Von: Ann <a@b.c>\nGesendet: Freitag\nAn: Bob\nBetreff: Plan\n\nHello",
            "Am 01.03.2024 um 10:00 schrieb Ann Müller:\nHello",
        ] {
            let text = format!("Fine with me.\n\n{below}\n");
            let expected = [(Voice::Own, "Fine with me."), (Voice::Quoted, below)];
            assert_eq!(read(&text), expected);
        }
    }

    #[test]
    fn what_is_forwarded_stays_among_the_words() {
        let text = "For you.\n\n---------- Forwarded message ---------\nFrom: Ann\n\nHello\n";
        assert_eq!(read(text)[1].0, Voice::Forwarded);
        assert!(parts(text, false).iter().all(|(v, _)| v.kind().is_none_or(|kind| kind.is_own())));
        assert_eq!(read("> only\n> this\n"), [(Voice::Forwarded, "> only\n> this")]);
    }

    #[test]
    fn ordinary_sentences_are_nobody_elses() {
        for text in [
            "On 3 March we met.\nBob wrote:\nnothing.\n",
            "From: here to there\nit is far.\n",
            "He said:\n>From now on.\n",
        ] {
            assert_eq!(read(text).len(), 1, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parts_cover_every_text(text in "([a-z>: -]{0,12}|-- |>|On 1 x wrote:|From: a|To: b|Date: c|ä\r?){0,9}(\n[a-z> ä]{0,9}){0,6}") {
            for forward in [false, true] {
                let mut at = 0;
                for (_, range) in parts(&text, forward) {
                    prop_assert_eq!(range.start, at);
                    prop_assert!(text.is_char_boundary(range.end));
                    at = range.end;
                }
                prop_assert_eq!(at, text.len());
            }
        }
    }
}
