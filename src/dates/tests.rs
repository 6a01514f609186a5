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

#[test]
fn days_weeks_and_months_in_short_forms_are_read() {
    assert_reads(&[
        ("sent on 5/6/24, then", "5/6/24", "2024-05-06"),
        ("of 12-Mar-2024.", "12-Mar-2024", "2024-03-12"),
        ("of 12-Mar-24", "12-Mar-24", "2024-03-12"),
        ("June, 2024-05, and", "2024-05", "2024-05-01..2024-05-31"),
        ("seit 2024-05", "2024-05", "2024-05-01..2024-05-31"),
        ("am 3.5., wie besprochen", "3.5.", "2024-05-03"),
        ("bis 31.12.", "31.12.", "2024-12-31"),
        ("seit 31.12.", "31.12.", "2023-12-31"),
        ("vom 3.5. bis 7.5. zu", "3.5. bis 7.5.", "2024-05-03..2024-05-07"),
        ("vom 28.12. bis 3.1.", "28.12. bis 3.1.", "2023-12-28..2024-01-03"),
        ("in KW 12", "KW 12", "2024-03-18..2024-03-24"),
        ("KW 1/2025", "KW 1/2025", "2024-12-30..2025-01-05"),
        ("in der 20. KW.", "20. KW", "2024-05-13..2024-05-19"),
        ("im 1. Quartal", "1. Quartal", "2024-01-01..2024-03-31"),
        ("im vierten Quartal.", "vierten Quartal", "2023-10-01..2023-12-31"),
        ("in Q2 we", "Q2", "2024-04-01..2024-06-30"),
        ("Q2 of 2020", "Q2 of 2020", "2020-04-01..2020-06-30"),
    ]);
}

#[test]
fn a_weekday_is_the_one_before_or_after_as_its_sentence_tells() {
    assert_reads(&[
        ("We meet on Monday and talk.", "Monday", "2024-03-04"),
        ("She said so on Monday. We will see.", "Monday", "2024-02-26"),
        ("The board approved it on Monday.", "Monday", "2024-02-26"),
        ("It will be signed on Monday at 9.", "Monday", "2024-03-04"),
        ("Am Montag treffen wir uns.", "Montag", "2024-03-04"),
        ("Am Montag haben wir das abgesagt.", "Montag", "2024-02-26"),
        ("Das war am Montag so.", "Montag", "2024-02-26"),
    ]);
    for text in [
        "The report is signed on Monday.",
        "We said on Monday that we will go.",
        "Every week on Monday we meet.",
        "We are open on Monday to Friday.",
        "Am Montag explodierte der Kessel.",
        "We meet on Monday mornings.",
        "See you on Friday.",
    ] {
        assert_eq!(read(text), [], "{text}");
    }
    assert_reads(&[("on Monday, 18 March 2024,", "18 March 2024", "2024-03-18")]);
}

#[test]
fn what_is_counted_is_no_year() {
    for text in [
        "in 2000 cases",
        "in 1990 people",
        "by 2030 units",
        "in 2000 different cases",
        "in 2000 Fällen",
        "in 2000 verschiedenen Fällen",
        "bis 2000 Gäste",
        "ab 2000 €",
        "from 2000 % to",
    ] {
        assert_eq!(read(text), [], "{text}");
    }
    assert_reads(&[
        ("in 1998 the company", "1998", "1998-01-01..1998-12-31"),
        ("in 1998 Microsoft released", "1998", "1998-01-01..1998-12-31"),
        ("in 2019 revenue grew", "2019", "2019-01-01..2019-12-31"),
        ("by 2025, since", "2025", "2025-01-01..2025-12-31"),
        ("bis 2019 wurde", "2019", "2019-01-01..2019-12-31"),
    ]);
}

#[test]
fn numbers_in_the_form_of_short_dates_are_none() {
    for text in [
        "Rechnung 2024-05 und Version 3.5. der Software",
        "the season 2010-11, open 24/7/36, a split of 10/20/30",
        "Q2: what is it? 12. Quartal, KW 54",
        "ab 3.5.1 und bis 12.5 Prozent",
        "1. Quartal des Vorjahres",
        "in Q2 of the plan, in Q2 FY24",
        "part 2024-05-X",
    ] {
        assert_eq!(read(text), [], "{text}");
    }
    let unknown = find("am 3.5., KW 12, in Q2, on Monday", Context::default());
    assert_eq!(unknown, [], "a text without a day of its own says no more");
}

#[test]
fn other_dates_tell_whether_the_day_or_the_month_comes_first() {
    assert_eq!(day_first_in("on 14/3/2021 and 03/04/2024"), Some(true));
    assert_eq!(day_first_in("on 3/14/21 and 03/04/2024"), Some(false));
    assert_eq!(day_first_in("on 3/14/2021 and 14/3/2021"), None);
    assert_eq!(day_first_in("on 03/04/2024, 13/14/2020, 1/2/13/2020"), None);
    let context = Context { written: None, day_first: true };
    assert_eq!(find("on 03/04/2024", context)[0].first, date(2024, 4, 3));
    for (tag, first) in
        [("en-GB", Some(true)), ("en_US", Some(false)), ("en", None), ("de", Some(true))]
    {
        assert_eq!(day_first_by_tag(tag), first, "{tag}");
    }
    for (address, first) in [("j@x.uk", Some(true)), ("j@x.com", None), ("j@x.gov", Some(false))] {
        assert_eq!(day_first_by_address(address), first, "{address}");
    }
}

proptest! {
    #[test]
    fn spans_are_the_words_they_stand_for(
        text in "(3|31|2021|03|[.,/-]| |\n|März|March|May|last|Tuesday|in|vor|zwei|9999|Wochen|ago|Q3|KW|am|on|Monday|Montag|Quartal|bis|:|ü|🙂|st|of|year|quarter|[a-z0-9]{1,5}){0,40}",
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
