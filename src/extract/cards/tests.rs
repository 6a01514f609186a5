//! Tests of calendars and address books.

use crate::extract::testing::{Found, run, run_as};

const CALENDAR: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Team\r\n\
BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:DAYLIGHT\r\nTZOFFSETTO:+0200\r\n\
DTSTART:19700329T020000\r\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\nEND:DAYLIGHT\r\n\
BEGIN:STANDARD\r\nTZOFFSETTO:+0100\r\nDTSTART:19701025T030000\r\n\
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n\
BEGIN:VEVENT\r\nUID:ab1@x.org\r\nSUMMARY:Budget\\, second\r\n  round\r\n\
DTSTART;TZID=Europe/Berlin:20240305T140000\r\nDTEND;TZID=Europe/Berlin:20240305T150000\r\n\
ORGANIZER;CN=\"Lee; Ann\":MAILTO:Ann@x.org\r\nATTENDEE;CN=Bob;ROLE=REQ-PARTICIPANT:mailto:bob@x.org\r\n\
ATTENDEE:mailto:cy@x.org\r\nLOCATION:Room 4\r\nDESCRIPTION:Bring figures.\\n\\nThen decide.\r\n\
CREATED:20240101T080000Z\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Reminder\r\nEND:VALARM\r\n\
END:VEVENT\r\n\
BEGIN:VEVENT\r\nUID:ab1@x.org\r\nRECURRENCE-ID:20240312T130000Z\r\nSUMMARY:Budget moved\r\n\
DTSTART;VALUE=DATE:20240313\r\nEND:VEVENT\r\n\
BEGIN:VTODO\r\nSUMMARY:Send report\r\nDUE:20240401T090000Z\r\nEND:VTODO\r\nEND:VCALENDAR\r\n";

fn children(found: &Found) -> Vec<Found> {
    let children = found.children.iter();
    children
        .map(|(header, bytes)| run_as(&header.name, header.format.expect("a format"), bytes))
        .collect()
}

fn at(date: Option<jiff::Timestamp>) -> String {
    date.map(|date| date.to_string()).unwrap_or_default()
}

#[test]
fn every_event_of_a_calendar_is_a_document() {
    let found = run("team.ics", CALENDAR.as_bytes());
    assert!(found.document.container && found.blocks.is_empty());
    assert_eq!(found.document.title.as_deref(), Some("Team"));
    assert_eq!(found.document.metadata["entries"], "3");
    let names: Vec<&str> = found.children.iter().map(|(header, _)| header.name.as_str()).collect();
    assert_eq!(names, ["event ab1@x.org", "event ab1@x.org 20240312T130000Z", "task"]);
    let events = children(&found);
    let first = &events[0];
    assert_eq!(first.document.title.as_deref(), Some("Budget, second round"));
    assert_eq!(at(first.document.event_date), "2024-03-05T13:00:00Z");
    assert_eq!(at(first.document.content_date), "2024-01-01T08:00:00Z");
    assert_eq!(first.document.authors, ["Lee; Ann <ann@x.org>", "Bob <bob@x.org>", "cy@x.org"]);
    for (key, value) in [
        ("from_name", "Lee; Ann"),
        ("attendees", "Bob <bob@x.org>, cy@x.org"),
        ("location", "Room 4"),
        ("until", "2024-03-05T14:00:00Z"),
        ("thread_id", "calendar:ab1@x.org"),
    ] {
        assert_eq!(first.document.metadata[key], value, "{key}");
    }
    assert_eq!(
        first.texts(),
        [
            "Budget, second round",
            "From: 2024-03-05 14:00 (Europe/Berlin)\nTo: 2024-03-05 15:00 (Europe/Berlin)\n\
             Where: Room 4\nOrganizer: Lee; Ann <ann@x.org>\nAttendee: Bob <bob@x.org>\n\
             Attendee: cy@x.org",
            "Bring figures.",
            "Then decide.",
        ]
    );
    assert_eq!(at(events[1].document.event_date), "2024-03-13T00:00:00Z");
    assert_eq!(events[1].document.metadata["thread_id"], "calendar:ab1@x.org");
    assert_eq!(at(events[2].document.event_date), "2024-04-01T09:00:00Z");
}

#[test]
fn a_single_event_is_the_document_of_its_file() {
    let found = run(
        "invite.ics",
        b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Lunch\nDTSTART:20240301T120000Z\nEND:VEVENT\n",
    );
    assert!(!found.document.container && found.children.is_empty());
    assert_eq!(found.document.media_type, "text/calendar");
    assert_eq!(found.document.title.as_deref(), Some("Lunch"));
    assert_eq!(found.texts(), ["Lunch", "From: 2024-03-01 12:00 UTC"]);
    assert_eq!(at(found.document.event_date), "2024-03-01T12:00:00Z");
}

#[test]
fn every_person_of_an_address_book_is_a_document() {
    let found = run(
        "people.vcf",
        "BEGIN:VCARD\nVERSION:3.0\nFN:Ann Lee\nEMAIL;TYPE=work:Ann@x.org\nitem1.TEL:+49 1\n\
         ORG:Harbour;Works\nNOTE:knows\\, well\nPHOTO;ENCODING=b:AAAA\n BBBB\nREV:20240101T000000Z\n\
         END:VCARD\nBEGIN:VCARD\nVERSION:2.1\n\
         N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg\n\
         NOTE;ENCODING=QUOTED-PRINTABLE:one =\ntwo\nEND:VCARD\nBEGIN:VCARD\nFN:Ann Lee\nTEL:2\n"
            .as_bytes(),
    );
    let names: Vec<&str> = found.children.iter().map(|(header, _)| header.name.as_str()).collect();
    assert_eq!(names[0], "contact Ann Lee");
    assert_eq!(names[1..], ["contact Jörg Müller", "contact Ann Lee (2)"]);
    let people = children(&found);
    assert_eq!(people[0].document.title.as_deref(), Some("Ann Lee"));
    assert_eq!(people[0].document.metadata["addresses"], "ann@x.org");
    assert_eq!(
        people[0].texts(),
        [
            "Ann Lee",
            "Organization: Harbour, Works\nMail: Ann@x.org\nTelephone: +49 1\nNote: knows, well",
        ]
    );
    assert_eq!(people[1].texts()[1], "Note: one two");
    assert_eq!(people[2].texts(), ["Ann Lee", "Telephone: 2"]);
}
