//! Which of two forms of the same words to read: plain text, or HTML and rich text.
//!
//! Called by: `mail`, `mail::forms`. Talks to: nothing; pure.
//! Invariants: words that only one of the forms has are not lost where there are many of them.
//!
//! Why plain text comes first: it is what a person typed, quotes are marked in it, and where HTML
//! says the same the rest of it is layout, unless that is a table, a heading or a list. Shops and
//! newsletters put a sentence about mail programs in its place.

use std::collections::HashMap;

/// A form says more where at least one in so many of its words is missing from the other.
const SHARE_MISSING: usize = 4;
/// Fewer words than this are a link to view the mail elsewhere, or out of it.
const LEAST_MISSING: usize = 5;
/// Words of the plain text that the other form may lack; with more of them both are read.
const FEW: usize = 40;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Plain,
    Rich,
    Both,
}

impl Choice {
    pub(super) fn takes_plain(self) -> bool {
        self != Self::Rich
    }

    pub(super) fn takes_rich(self) -> bool {
        self != Self::Plain
    }
}

/// Compares the words of both forms; one of them may be empty. `is_structured` tells of the rich one
/// whether its words stand in tables, under headings or in lists, and is asked where it matters.
pub(super) fn choose<E>(
    plain: &str,
    rich: &str,
    is_structured: impl FnOnce() -> Result<bool, E>,
) -> Result<Choice, E> {
    if rich.trim().is_empty() {
        return Ok(Choice::Plain);
    }
    let (plain, rich) = (words(plain), words(rich));
    let (only_rich, only_plain) = (missing(&rich, &plain), missing(&plain, &rich));
    if says_more(only_rich, &rich) && only_rich > only_plain {
        return Ok(if only_plain > FEW { Choice::Both } else { Choice::Rich });
    }
    let covers = only_plain <= FEW && !says_more(only_plain, &plain);
    Ok(if covers && is_structured()? { Choice::Rich } else { Choice::Plain })
}

/// True where `only` of the `words` of a form, which the other lacks, are a good part of them.
fn says_more(only: usize, words: &HashMap<String, usize>) -> bool {
    only >= LEAST_MISSING && only * SHARE_MISSING >= words.values().sum()
}

/// How often each word is said. Addresses of pages are no words: HTML hides them.
fn words(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    let mut count = |word: &str| {
        if !word.is_empty() {
            *words.entry(word.to_lowercase()).or_default() += 1;
        }
    };
    for run in text.split_whitespace().filter(|run| !run.contains("://")) {
        for word in run.split(|c: char| !c.is_alphanumeric()) {
            // Where there are no spaces between words, a sign is about as much as a word.
            let dense = word.find(|c: char| c >= '\u{2e80}').unwrap_or(word.len());
            count(&word[..dense]);
            word[dense..].chars().for_each(|sign| count(sign.encode_utf8(&mut [0; 4])));
        }
    }
    words
}

/// How many words of `one` the `other` has not.
fn missing(one: &HashMap<String, usize>, other: &HashMap<String, usize>) -> usize {
    one.iter()
        .map(|(word, count)| count.saturating_sub(other.get(word).copied().unwrap_or_default()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(plain: &str, rich: &str) -> Choice {
        super::choose::<()>(plain, rich, || Ok(false)).expect("it does not fail")
    }

    #[test]
    fn plain_text_is_read_where_the_html_says_the_same() {
        let plain = "See https://example.org/a/long/path?with=words for the plan.\nAnn";
        assert_eq!(choose(plain, "View online\nSee here for the plan.\nAnn"), Choice::Plain);
        assert_eq!(choose(plain, " "), Choice::Plain);
        assert_eq!(choose("Hello, see below.", "Hello HTML"), Choice::Plain);
    }

    #[test]
    fn html_is_read_where_it_says_clearly_more() {
        let table = "Item Price\nPress 1200\nPost 34.50";
        assert_eq!(choose("Your mail program cannot show HTML.", table), Choice::Rich);
        assert_eq!(choose("", table), Choice::Rich);
        let prose = "The prices we agreed on are in the table below.";
        assert_eq!(choose(prose, &format!("{prose}\n{table}")), Choice::Rich);
        assert_eq!(choose("HTMLメール", "請求書の合計は千円です"), Choice::Rich);
    }

    #[test]
    fn both_are_read_where_each_says_much_that_the_other_does_not() {
        let say = |of: &str, count: usize| -> String {
            (0..count).map(|n| format!("{of}{n} ")).collect()
        };
        assert_eq!(choose(&say("plain", 50), &say("rich", 60)), Choice::Both);
        assert_eq!(choose(&say("plain", 60), &say("rich", 50)), Choice::Plain);
    }

    #[test]
    fn structure_is_read_where_it_loses_no_words_of_the_plain_text() {
        let choose = |plain: &str, rich: &str| {
            super::choose::<()>(plain, rich, || Ok(true)).expect("it does not fail")
        };
        let table = "Item\tPrice\nPress\t1200\nPost\t34.50";
        assert_eq!(choose(table, "Item | Price\nPress | 1200\nPost | 34.50"), Choice::Rich);
        assert_eq!(choose("One two three four five six.", "View online"), Choice::Plain);
        assert_eq!(choose("Words.", " "), Choice::Plain);
    }
}
