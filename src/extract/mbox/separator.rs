//! The line that begins a message in a mailbox file.
//!
//! Called by: `mbox`, and by `sniff` for the first lines of a file. Talks to: nothing; pure.
//! Invariants: prose is never a separator, whatever follows it: somebody who sent the message and
//! the time it arrived have to be on the line.
//!
//! Why so many forms: no standard came before the writers (RFC 4155 names one of them), and they
//! agree on little but `From `, a sender, and a date like that of `asctime`.

use super::is_header_field;

/// Bytes of a line that are looked at.
const MOST: usize = 400;
/// Most words of such a line.
const MOST_WORDS: usize = 14;

/// What a line says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Postmark {
    /// A sender and a date of `asctime`: nothing else looks like it.
    Dated,
    /// An address, with a date of another form.
    Loose,
    /// An address and nothing else.
    Bare,
}

/// True for a line that begins a message, given the line after it and whether the line before it
/// is blank. A writer that leaves out the blank line has to be recognised by everything else.
pub(in crate::extract) fn begins_message(line: &[u8], next: &[u8], after_blank: bool) -> bool {
    let next = next.trim_ascii_end();
    match postmark(line) {
        Some(Postmark::Dated) if !after_blank => is_header_field(next),
        Some(Postmark::Dated | Postmark::Loose) if after_blank => {
            next.is_empty() || is_header_field(next) || next.starts_with(b">From ")
        }
        Some(Postmark::Bare) if after_blank => is_field_of_mail(next),
        _ => false,
    }
}

fn postmark(line: &[u8]) -> Option<Postmark> {
    let rest = line.strip_prefix(b"From ")?;
    let text = String::from_utf8_lossy(&rest[..rest.len().min(MOST)]);
    let words: Vec<&str> = text.split_whitespace().take(MOST_WORDS + 1).collect();
    if words.len() > MOST_WORDS {
        return None;
    }
    if (0..words.len()).any(|at| is_sender(&words[..at]) && is_asctime(&words[at..])) {
        return Some(Postmark::Dated);
    }
    let (sender, rest) = words.split_first()?;
    let known = is_address(sender) || *sender == "-" || is_daemon(sender);
    if known && rest.iter().any(|word| is_time(word)) && rest.iter().any(|word| has_year(word)) {
        return Some(Postmark::Loose);
    }
    (rest.is_empty() && is_address(sender)).then_some(Postmark::Bare)
}

/// One word, an address in several (`ann at example.org`, `"Ann B" <ann@example.org>`), or nobody.
fn is_sender(words: &[&str]) -> bool {
    match words {
        [] | [_] => true,
        [_, at, ..] if *at == "at" => words.len() <= 4,
        _ => words.iter().any(|word| word.contains('@')),
    }
}

fn is_address(word: &str) -> bool {
    let word = word.trim_matches(['<', '>']);
    word.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

fn is_daemon(word: &str) -> bool {
    ["mailer-daemon", "postmaster", "root", "nobody"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

/// `Mon Jan  1 10:00:00 2024`, with or without seconds and zone, in the order of `asctime` or in
/// that of a mail header, and at its end perhaps the machine it came from.
fn is_asctime(words: &[&str]) -> bool {
    let Some((weekday, rest)) = words.split_first() else { return false };
    let is_weekday = |word: &str| {
        let word = word.trim_end_matches(',');
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            .iter()
            .any(|day| word.eq_ignore_ascii_case(day))
    };
    let [first, second, rest @ ..] = rest else { return false };
    let day_and_month = (is_month(first) && is_day(second)) || (is_day(first) && is_month(second));
    if !is_weekday(weekday) || !day_and_month {
        return false;
    }
    let (mut times, mut years, mut zones) = (0, 0, 0);
    for word in rest {
        match *word {
            "remote" => break,
            word if is_time(word) => times += 1,
            word if is_year(word) => years += 1,
            word if is_zone(word) => zones += 1,
            _ => return false,
        }
    }
    times == 1 && years == 1 && zones <= 2
}

fn is_month(word: &str) -> bool {
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        .iter()
        .any(|month| word.eq_ignore_ascii_case(month))
}

fn is_day(word: &str) -> bool {
    let word = word.trim_end_matches(',');
    word.len() <= 2 && word.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day))
}

/// `10:05` or `10:05:59`.
fn is_time(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    (2..=3).contains(&parts.len())
        && parts.iter().all(|part| {
            (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_year(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_digit()).any(is_year)
}

/// `+0100`, `CEST`, `(UTC)`, `GMT+1`.
fn is_zone(word: &str) -> bool {
    let word = word.trim_matches(['(', ')']);
    let allowed = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b':')
    };
    (1..=9).contains(&word.len())
        && word.starts_with(|c: char| c.is_ascii_uppercase() || matches!(c, '+' | '-'))
        && word.bytes().all(allowed)
}

/// A field that begins a mail and hardly anything else.
fn is_field_of_mail(line: &[u8]) -> bool {
    const NAMES: [&str; 8] = [
        "from",
        "date",
        "received",
        "return-path",
        "delivered-to",
        "message-id",
        "mime-version",
        "x-from-line",
    ];
    is_header_field(line)
        && line.split(|byte| *byte == b':').next().is_some_and(|found| {
            NAMES.iter().any(|name| found.eq_ignore_ascii_case(name.as_bytes()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: &[u8] = b"Subject: s\r\n";

    #[test]
    fn the_lines_of_all_known_writers_begin_a_message() {
        for line in [
            "From a@b Mon Jan  1 10:00:00 2024\n",
            "From - Fri Jun  9 23:17:56 2000",
            "From MAILER-DAEMON Fri Jul  8 12:08:34 2011",
            "From 1234567@xxx Mon Jan 01 10:00:00 +0000 2024",
            "From a@b  Mon Jan  1 10:00 CET 2024",
            "From ann at example.org  Mon Jan  1 10:00:00 2024",
            "From \"Ann B\" <a@b.c> Mon Jan  1 10:00:00 2024",
            "From a@b Mon, 1 Jan 2024 10:00:00 +0000 (UTC)\r\n",
            "From uucp Mon Jan  1 10:00:00 2024 remote from somewhere",
            "From ???@??? Mon Jan 01 10:00:00 2024",
        ] {
            assert!(begins_message(line.as_bytes(), FIELD, true), "{line}");
            assert!(begins_message(line.as_bytes(), FIELD, false), "{line}");
            assert!(begins_message(line.as_bytes(), b"", true), "{line}");
            assert!(!begins_message(line.as_bytes(), b"and so on", true), "{line}");
        }
    }

    #[test]
    fn a_date_of_another_form_needs_an_address_and_a_blank_line() {
        for line in ["From a@b 2024-01-01T10:00 10:00", "From a@b lun. 1 janv. 2024 10:00:00"] {
            assert!(begins_message(line.as_bytes(), FIELD, true), "{line}");
            assert!(!begins_message(line.as_bytes(), FIELD, false), "{line}");
        }
        assert!(begins_message(b"From a@b.c", b"Received: by x", true));
        assert!(!begins_message(b"From a@b.c", b"Note: this", true));
    }

    #[test]
    fn prose_begins_no_message() {
        for line in [
            "From what I know\n",
            "From here on it is prose.",
            "From 10:00 on 1 Jan 2024 we are closed",
            "From Mon Jan 1 10:00:00 2024 on we are closed",
            "From Bob, who wrote at 10:00 in 2024:",
            "From: a@b Mon Jan  1 10:00:00 2024",
            "",
        ] {
            assert!(!begins_message(line.as_bytes(), FIELD, true), "{line}");
        }
    }
}
