//! Telling an author's own words from what the mail repeats and from its signature.
//!
//! Called by: `mail`, `html::voices`. Talks to: `marks` for quotes, `signature` for signatures;
//! pure.
//! Invariants: the parts of a text follow each other and cover it; a line that is not clearly
//! repeated is the author's own, for what is taken for a quote by mistake is hard to find again.
//!
//! Why forwards differ: what a reply repeats is in the mail it answers, but what is forwarded
//! may be nowhere else, so it stays among the words of the mail.

mod marks;
mod signature;

use std::ops::Range;

pub(in crate::extract) use self::marks::{introduces, is_attribution, rest_from};
use crate::types::BlockKind;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::extract) enum Speaker {
    Own,
    /// An earlier mail, in a reply.
    Quoted,
    /// An earlier mail, passed on.
    Forwarded,
    Signature,
}

impl Speaker {
    /// The kind of a block by this speaker; `None` for the author's own, which has kinds of its own.
    pub(in crate::extract) fn kind(self) -> Option<BlockKind> {
        match self {
            Self::Own => None,
            Self::Quoted => Some(BlockKind::QuotedReply),
            Self::Forwarded => Some(BlockKind::Quote),
            Self::Signature => Some(BlockKind::Signature),
        }
    }
}

/// True for a paragraph that is a signature by what it says.
pub(in crate::extract) fn is_signature(paragraph: &str) -> bool {
    let paragraph = paragraph.trim_start();
    let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
    let first = paragraph.lines().next().unwrap_or_default();
    lines.len() > 1 && signature::begins(first, &lines)
}

/// The parts of a plain-text body, as byte ranges.
pub(super) fn parts(text: &str, is_forward: bool) -> Vec<(Speaker, Range<usize>)> {
    let mut parts = speakers(text, is_forward);
    let says_something = |(speaker, range): &(Speaker, Range<usize>)| {
        *speaker == Speaker::Own && !text[range.clone()].trim().is_empty()
    };
    if !parts.iter().any(says_something) {
        // A mail that only repeats passes on what it repeats; one that is all signature has none.
        let repeats = parts
            .iter()
            .any(|(speaker, _)| matches!(speaker, Speaker::Quoted | Speaker::Forwarded));
        for (speaker, _) in &mut parts {
            match speaker {
                Speaker::Quoted => *speaker = Speaker::Forwarded,
                Speaker::Signature if !repeats => *speaker = Speaker::Own,
                _ => {}
            }
        }
    }
    parts
}

fn speakers(text: &str, is_forward: bool) -> Vec<(Speaker, Range<usize>)> {
    let ends: Vec<usize> = text
        .split_inclusive('\n')
        .scan(0, |end, line| {
            *end += line.len();
            Some(*end)
        })
        .collect();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut parts = Parts { list: Vec::new(), ends: &ends };
    let repeated = if is_forward { Speaker::Forwarded } else { Speaker::Quoted };
    let mut base = Speaker::Own;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if line.is_empty() {
            let speaker = parts.list.last().map_or(base, |(speaker, _)| *speaker);
            parts.take(speaker, 1);
            at += 1;
        } else if is_marked(line, parts.list.last().map(|(speaker, _)| *speaker)) {
            parts.take(repeated, 1);
            // What follows a quote answers it, also below a signature.
            base = Speaker::Own;
            at += 1;
        } else if let Some(speaker) = rest_from(&lines[at..], is_forward) {
            parts.take(speaker, lines.len() - at);
            at = lines.len();
        } else if let Some((count, to_end)) = marks::attribution(&lines[at..]) {
            let count = if to_end { lines.len() - at } else { count };
            parts.take(repeated, count);
            base = Speaker::Own;
            at += count;
        } else {
            let start = at.checked_sub(1).map_or(0, |before| ends[before]);
            if signature::begins(&text[start..ends[at]], &lines[at..]) {
                base = Speaker::Signature;
            }
            parts.take(base, 1);
            at += 1;
        }
    }
    parts.list
}

struct Parts<'e> {
    list: Vec<(Speaker, Range<usize>)>,
    /// Where each line ends.
    ends: &'e [usize],
}

impl Parts<'_> {
    /// Gives the next `count` lines to `speaker`.
    fn take(&mut self, speaker: Speaker, count: usize) {
        let start = self.list.last().map_or(0, |(_, range)| range.end);
        let line = self.ends.partition_point(|end| *end <= start) + count;
        let end = line.checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        let end = end.or_else(|| self.ends.last().copied()).unwrap_or(start);
        match self.list.last_mut() {
            Some((last, range)) if *last == speaker => range.end = end,
            _ => self.list.push((speaker, start..end)),
        }
    }
}

/// A lone `>From ` is a line that a mailbox writer quoted, not a person.
fn is_marked(line: &str, before: Option<Speaker>) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    line.starts_with('>')
        && (!line.starts_with(">From ")
            || matches!(before, Some(Speaker::Quoted | Speaker::Forwarded)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(Speaker, &str)> {
        parts(text, false).into_iter().map(|(speaker, at)| (speaker, text[at].trim())).collect()
    }

    #[test]
    fn marked_lines_and_the_line_above_them_are_quoted() {
        let text = "Yes.\n\nOn Fri, 1 Mar 2024 at 10:00, Bob <b@c.d>\nwrote:\n> Shall we?\n>\n> Bob\n\nSee you.\n-- \nAnn\n";
        assert_eq!(
            read(text),
            [
                (Speaker::Own, "Yes."),
                (
                    Speaker::Quoted,
                    "On Fri, 1 Mar 2024 at 10:00, Bob <b@c.d>\nwrote:\n> Shall we?\n>\n> Bob"
                ),
                (Speaker::Own, "See you."),
                (Speaker::Signature, "-- \nAnn"),
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
            let expected = [(Speaker::Own, "Fine with me."), (Speaker::Quoted, below)];
            assert_eq!(read(&text), expected);
        }
    }

    #[test]
    fn what_is_forwarded_stays_among_the_words() {
        let text = "For you.\n\n---------- Forwarded message ---------\nFrom: Ann\n\nHello\n";
        assert_eq!(read(text)[1].0, Speaker::Forwarded);
        assert!(parts(text, false).iter().all(|(v, _)| v.kind().is_none_or(|kind| kind.is_own())));
        assert_eq!(read("> only\n> this\n"), [(Speaker::Forwarded, "> only\n> this")]);
    }

    #[test]
    fn ordinary_sentences_are_nobody_elses() {
        for text in [
            "On 3 March we met.\nBob wrote:\nnothing.\n",
            "On 3 March the committee wrote:\nWe decline.\n\nI think we should appeal.\n",
            "On 3 March 2024 at 10:00 we met.\nBob wrote:\nnothing.\n",
            "Note\n\nFrom: Ann\nTo be clear: no.\n",
            "From: here to there\nit is far.\n",
            "From: Berlin Hbf\nTo: Munich Hbf\nDate: 12 May 2024\nSeat: 45\n\nBring your card.\n",
            "He said:\n>From now on.\n",
        ] {
            // Beside words of the author's, for a mail without any passes on what it repeats.
            let text = format!("Hello.\n\n{text}");
            assert_eq!(read(&text), [(Speaker::Own, text.trim())]);
        }
    }

    #[test]
    fn a_rule_between_paragraphs_begins_no_signature() {
        for text in [
            "Options:\n\n--\nOption A: buy the caracal.\n--\nOption B: rent the serval.\n",
            "One thing.\n--\nAnother thing, which matters more.\n",
            "Text\n--\nMilk\nEggs\n",
            "Text\n--\nPlease call me at +49 30 123456\n",
            "--------------------\nTo unsubscribe click here\n\nNews\n\n1\n\n2\n\n3\n\n4\n5\n6\n7\n8\n9\n10\n11\n12\n",
        ] {
            assert_eq!(read(text), [(Speaker::Own, text.trim())]);
        }
    }

    #[test]
    fn a_signature_is_told_by_its_mark_or_by_what_it_says() {
        for signature in [
            "-- \nanything at all, even a sentence.",
            "--\nAnn Müller\nHead of Sales\n+49 30 123456",
            "--\nann | (030) 123456",
            "--\nsales department\nwww.example.org",
            "____________________\nList mailing list\nhttp://lists.example.org/",
        ] {
            let text = format!("Words.\n{signature}\n");
            assert_eq!(read(&text), [(Speaker::Own, "Words."), (Speaker::Signature, signature)]);
        }
        assert_eq!(read("-- \nOnly this\n")[0].0, Speaker::Own);
    }

    #[test]
    fn what_stands_below_a_quote_is_the_authors_again() {
        let text =
            "Yes.\n-- \nAnn\n\nOn Fri, 1 Mar 2024, Bob <b@c.d> wrote:\n> When?\n\nTomorrow.\n";
        let speakers: Vec<Speaker> = read(text).into_iter().map(|(speaker, _)| speaker).collect();
        assert_eq!(speakers, [Speaker::Own, Speaker::Signature, Speaker::Quoted, Speaker::Own]);
    }

    #[test]
    fn an_attribution_with_an_address_or_a_time_begins_a_quote_without_marks() {
        for line in [
            "On 1 March 2024 Ann <ann@x.org> wrote:",
            "Am 01.03.2024 um 10:00 schrieb Ann:",
            "Le ven. 1 mars 2024 à 10:00, Ann\na écrit :",
        ] {
            let below = format!("{line}\nHello");
            let text = format!("Fine.\n\n{below}\n");
            assert_eq!(read(&text), [(Speaker::Own, "Fine."), (Speaker::Quoted, below.as_str())]);
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
