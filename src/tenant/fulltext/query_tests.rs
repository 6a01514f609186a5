//! What query texts mean.
//!
//! Called by: the test runner. Talks to: `query`.
//! Invariants: none of its own.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Query {
    Query::parse(text).query
}

/// Clauses in short: sign, scope, words; a bare word as it is.
fn shape(text: &str) -> Vec<String> {
    let in_short = |clause: &Clause| {
        let words = clause.words.join(" ");
        if clause.plain {
            return words;
        }
        format!("{:?} {:?} {words}", clause.occurrence, clause.scope)
    };
    parse(text).clauses().iter().map(in_short).collect()
}

#[test]
fn words_are_plain_and_punctuation_is_not_part_of_them() {
    assert_eq!(
        shape("What is the T-cell's role?"),
        ["What", "is", "the", "T", "cell", "s", "role"]
    );
    assert_eq!(shape("  "), Vec::<String>::new());
    assert!(parse("?!").is_empty());
}

#[test]
fn quotes_make_a_phrase_in_any_spelling() {
    assert_eq!(
        shape("\"to be\" „oder nicht“"),
        ["Optional Anywhere to be", "Optional Anywhere oder nicht"]
    );
}

#[test]
fn people_are_asked_for_as_authors_and_recipients() {
    assert_eq!(
        shape("author:wright from:\"Eva Wright\" -to:bob from: to"),
        [
            "Required Author wright",
            "Required Author Eva Wright",
            "Excluded Recipient bob",
            "from",
            "to"
        ]
    );
    assert_eq!(parse("author:wright rivers").text(), "rivers");
}

#[test]
fn signs_require_and_exclude() {
    assert_eq!(
        shape("+a -b +\"c d\" -e-f"),
        [
            "Required Anywhere a",
            "Excluded Anywhere b",
            "Required Anywhere c d",
            "Excluded Anywhere e f"
        ]
    );
    assert!(parse("-draft").is_empty());
    assert!(parse("-draft").has_constraints());
    assert!(!parse("a \"b c\"").has_constraints());
}

#[test]
fn fields_demand_their_value() {
    assert_eq!(
        shape("title:budget heading:\"next steps\" -source:old type:docx"),
        [
            "Required Title budget",
            "Required Heading next steps",
            "Excluded Source old",
            "Required MediaType wordprocessingml"
        ]
    );
}

#[test]
fn signs_quotes_and_colons_out_of_place_are_punctuation() {
    assert_eq!(shape("at 10:30"), ["at", "10", "30"]);
    assert_eq!(shape("https://a.example/b"), ["https", "a", "example", "b"]);
    assert_eq!(shape("a:b title: x"), ["a", "b", "title", "x"]);
    assert_eq!(shape("\"open end"), ["open", "end"]);
    assert_eq!(shape("5\" pipe - long + wide --flag"), ["5", "pipe", "long", "wide", "flag"]);
    assert_eq!(shape("\"\" a \"-\" title:!"), ["a", "title"]);
}

#[test]
fn dates_go_to_the_filter() {
    let parsed = Query::parse("budget after:2024-01-31 before:2025");
    assert_eq!(parsed.filter.after, "2024-01-31T00:00:00Z".parse().ok());
    assert_eq!(parsed.filter.before, "2025-01-01T00:00:00Z".parse().ok());
    assert_eq!(parsed.query.clauses().len(), 1);
    assert_eq!(parsed.query.text(), "budget");
    let narrowest = Query::parse("after:2024-02 after:2023-05 before:2024-06-01T12:00:00Z").filter;
    assert_eq!(narrowest.after, "2024-02-01T00:00:00Z".parse().ok());
    assert_eq!(narrowest.before, "2024-06-01T12:00:00Z".parse().ok());
}

#[test]
fn a_date_that_is_none_is_plain_text() {
    assert_eq!(
        shape("after:lunch before:2024-13-01"),
        ["after", "lunch", "before", "2024", "13", "01"]
    );
    assert!(Query::parse("after:lunch").filter.is_empty());
}

#[test]
fn the_text_to_embed_is_what_is_asked() {
    let query = parse("Who wrote \"The Sea\"? -film +novel type:pdf title:hemingway");
    assert_eq!(query.text(), "Who wrote The Sea ? novel hemingway");
}

#[test]
fn a_long_query_keeps_its_first_words() {
    let query = parse(&"word ".repeat(MAX_WORDS + 1));
    assert_eq!(query.clauses().len(), MAX_WORDS);
    assert!(query.truncated());
    assert!(!parse("word").truncated());
}

proptest! {
    #[test]
    fn anything_parses(text in ".{0,200}") {
        Query::parse(&text);
    }

    #[test]
    fn anything_made_of_syntax_parses(text in "([-+\"„“: a-c0-9]|title:|type:|after:|20){0,60}") {
        for clause in Query::parse(&text).query.clauses() {
            prop_assert!(!clause.words.is_empty());
            prop_assert!(!clause.plain || clause.words.len() == 1);
        }
    }
}
