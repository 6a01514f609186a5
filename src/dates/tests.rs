//! Tests of finding dates in text.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

/// Friday.
const WRITTEN: Date = date(2024, 3, 1);

fn read(text: &str) -> Vec<(String, String)> {
    let context = Context { written: Some(WRITTEN), day_first: false };
    find(text, context)
        .into_iter()
        .map(|found| {
            let days = if found.first == found.last {
                found.first.to_string()
            } else {
                format!("{}..{}", found.first, found.last)
            };
            (found.expression, days)
        })
        .collect()
}

fn assert_reads(cases: &[(&str, &str, &str)]) {
    for (text, expression, days) in cases {
        let expected = vec![((*expression).to_owned(), (*days).to_owned())];
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn written_dates_are_read() {
    assert_reads(&[
        ("Signed on 2021-03-03.", "2021-03-03", "2021-03-03"),
        ("at 2021-03-03T10:15:00Z", "2021-03-03", "2021-03-03"),
        ("am 03.03.2021 in Bonn", "03.03.2021", "2021-03-03"),
        ("vom 3.3.21.", "3.3.21", "2021-03-03"),
        ("on 3/14/2021,", "3/14/2021", "2021-03-14"),
        ("on 14/3/2021,", "14/3/2021", "2021-03-14"),
        ("It was 3 March 2021.", "3 March 2021", "2021-03-03"),
        ("the 3rd of March, 2021", "3rd of March, 2021", "2021-03-03"),
        ("den 3. März 2021", "3. März 2021", "2021-03-03"),
        ("on March 3, 2021 we", "March 3, 2021", "2021-03-03"),
        ("on Mar. 3rd 2021 we", "Mar. 3rd 2021", "2021-03-03"),
        ("in March 2021", "March 2021", "2021-03-01..2021-03-31"),
        ("im Mai 2019", "Mai 2019", "2019-05-01..2019-05-31"),
        ("for Q3 2020", "Q3 2020", "2020-07-01..2020-09-30"),
        ("H1/2020 was", "H1/2020", "2020-01-01..2020-06-30"),
        ("the third quarter of 2020", "third quarter of 2020", "2020-07-01..2020-09-30"),
        ("im 3. Quartal 2020", "3. Quartal 2020", "2020-07-01..2020-09-30"),
        ("seit 2019 besteht", "2019", "2019-01-01..2019-12-31"),
    ]);
}

#[test]
fn words_relative_to_the_day_of_writing_are_resolved() {
    assert_reads(&[
        ("We met last Tuesday.", "last Tuesday", "2024-02-27"),
        ("letzten Freitag", "letzten Freitag", "2024-02-23"),
        ("next Monday", "next Monday", "2024-03-04"),
        ("Gestern kam er.", "Gestern", "2024-02-29"),
        ("bis übermorgen", "übermorgen", "2024-03-03"),
        ("in two weeks", "in two weeks", "2024-03-15"),
        ("vor drei Monaten", "vor drei Monaten", "2023-12-01"),
        ("10 days ago", "10 days ago", "2024-02-20"),
        ("last week", "last week", "2024-02-19..2024-02-25"),
        ("nächsten Monat", "nächsten Monat", "2024-04-01..2024-04-30"),
        ("next quarter", "next quarter", "2024-04-01..2024-06-30"),
        ("last March", "last March", "2023-03-01..2023-03-31"),
        ("on 3 December", "3 December", "2023-12-03"),
        ("the day before yesterday", "day before yesterday", "2024-02-28"),
    ]);
    let unknown = find("last Tuesday, on 3 May and on 3 May 2020", Context::default());
    assert_eq!(unknown.len(), 1, "a document without a date has no such words: {unknown:?}");
}

#[test]
fn other_numbers_and_words_are_no_dates() {
    for text in [
        "Version 1.2.2024.5 of 10.0.0.1",
        "Guten Morgen, you may go. They march 2000 miles.",
        "about 2019 units, 30.02.2021, 2021-13-01",
        "call 0171-2021-03-03, pages 3-4/2021",
        "in the last weeks",
        "a day or two",
    ] {
        assert_eq!(read(text), [], "{text}");
    }
}

proptest! {
    #[test]
    fn spans_are_the_words_they_stand_for(
        text in "(3|31|2021|03|[.,/-]| |\n|März|March|May|last|Tuesday|in|vor|zwei|9999|Wochen|ago|Q3|ü|🙂|st|of|year|quarter|[a-z0-9]{1,5}){0,40}",
        day_first: bool,
        written in proptest::option::of(-9999_i16..=9999),
    ) {
        let written = written.and_then(|year| Date::new(year, 12, 31).ok());
        let chars: Vec<char> = text.chars().collect();
        let mut last = 0;
        for mention in find(&text, Context { written, day_first }) {
            prop_assert!(mention.start >= last && mention.start < mention.end);
            let slice: String = chars[mention.start..mention.end].iter().collect();
            prop_assert_eq!(slice, mention.expression);
            prop_assert!(mention.first <= mention.last);
            last = mention.end;
        }
    }
}
