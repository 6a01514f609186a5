//! Where the signature of a mail begins.
//!
//! Called by: `mail::quote`. Talks to: nothing; pure.
//! Invariants: `-- ` alone on its line is the mark of RFC 3676 and believed; whatever only
//! resembles it is a signature near the end, and only where what follows reads like one.

/// Lines with words that a signature without its mark has at most.
const MOST_LINES: usize = 8;
/// Longest line of such a signature, in characters.
const LONGEST_LINE: usize = 80;
/// Words in small letters that make a sentence of a line; titles and departments have fewer.
const SENTENCE_WORDS: usize = 3;
/// Lines with words that a mailing list appends at most.
const MOST_APPENDED: usize = 12;

/// True where a signature begins with the first of `lines`, which are trimmed and go on to the end
/// of the mail; `whole` is that line as it is.
pub(super) fn begins(whole: &str, lines: &[&str]) -> bool {
    let Some((first, rest)) = lines.split_first() else { return false };
    if *first == "--" {
        return whole.trim_end_matches(['\r', '\n']) == "-- " || reads_like_one(rest);
    }
    let is_rule = first.len() >= 20 && first.bytes().all(|byte| matches!(byte, b'_' | b'-'));
    let worded = rest.iter().filter(|line| !line.is_empty()).count();
    is_rule
        && worded <= MOST_APPENDED
        && rest.iter().take(3).any(|line| {
            let line = line.to_lowercase();
            line.contains("mailing list") || line.contains("unsubscribe")
        })
}

/// A few short lines, none of them a sentence, that say how to reach somebody.
fn reads_like_one(lines: &[&str]) -> bool {
    let lines: Vec<&str> =
        lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let fits = |line: &&str| {
        let small = |word: &&str| word.chars().all(char::is_lowercase);
        line.chars().count() <= LONGEST_LINE
            && !line.starts_with("--")
            && !line.ends_with(['.', ':', '?', '!'])
            && line.split_whitespace().filter(small).count() < SENTENCE_WORDS
    };
    lines.len() <= MOST_LINES && lines.iter().all(fits) && lines.iter().any(|line| is_contact(line))
}

/// An address of mail or web, or a number to call.
fn is_contact(line: &str) -> bool {
    let words = || line.split_whitespace();
    let address = words().any(|word| {
        word.starts_with("www.")
            || word.contains("://")
            || word
                .split_once('@')
                .is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
    });
    let number = |c: char| c.is_ascii_digit() || " +-/().".contains(c);
    let dialled = line.split(|c: char| !number(c)).any(|run| {
        let run = run.trim();
        run.starts_with(['+', '0', '(']) && run.bytes().filter(u8::is_ascii_digit).count() >= 6
    });
    address || dialled
}
