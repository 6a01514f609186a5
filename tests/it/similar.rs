//! What is found in texts: near-duplicates shown once, dates with their spans, what mails repeat.
//!
//! Called by: cargo test. Talks to: the command line and HTTP of one server per test.
//! Invariants: none.

use serde_json::Value;

use crate::harness::{Home, Server, sources, wait_for};

/// A text of `words` made-up words, the same for the same `seed`.
fn text(seed: u32, words: u32) -> String {
    (0..words).map(|n| format!("word{} ", (seed * 7919 + n * 31) % 10_007)).collect()
}

fn search(server: &Server<'_>, key: &str, query: &str) -> Value {
    let path = format!("/api/v1/tenants/demo/search?mode=keyword&q={query}");
    let response = server.with_key(key, "GET", &path, b"");
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

fn detail(server: &Server<'_>, key: &str, source: &str) -> Value {
    let id = server.home.item(source)["document_id"].as_str().unwrap().to_owned();
    server.with_key(key, "GET", &format!("/api/v1/tenants/demo/documents/{id}"), b"").json()
}

fn also_similar(result: &Value) -> Vec<String> {
    let similar = result["also_similar"].as_array().unwrap();
    similar.iter().map(|one| one["source"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn near_duplicates_are_shown_once_until_they_are_gone() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let page = text(1, 300);
    home.add_text("first.txt", &format!("Version of Monday.\n\nquokka {page}"));
    home.add_text("second.txt", &format!("Version of Friday, printed again.\n\nquokka {page}"));
    home.add_text("other.txt", &format!("quokka {}", text(2, 300)));
    home.add_text("short.txt", "quokka once");
    home.add_text("short-too.txt", "quokka once more");
    server.settle();

    let found = search(&server, &key, "quokka");
    assert_eq!(found["results"].as_array().unwrap().len(), 4, "{found:#}");
    let results = found["results"].as_array().unwrap();
    let shown: Vec<&Value> =
        results.iter().filter(|result| !also_similar(result).is_empty()).collect();
    assert_eq!(shown.len(), 1, "{found:#}");
    let pair = [also_similar(shown[0])[0].clone(), shown[0]["source"].as_str().unwrap().to_owned()];
    assert!(pair.contains(&"first.txt".to_owned()) && pair.contains(&"second.txt".to_owned()));
    assert!(shown[0]["also_similar"][0]["similarity"].as_f64().unwrap() >= 0.85);

    let all = search(&server, &key, "quokka&group_similar=false");
    assert_eq!(all["results"].as_array().unwrap().len(), 5, "{all:#}");

    home.run(&["remove", "demo", "first.txt"]);
    wait_for("the removed document to leave its group", || {
        let found = search(&server, &key, "quokka");
        let alone = found["results"].as_array().unwrap().iter().all(|r| also_similar(r).is_empty());
        (alone && sources(&found).contains(&"second.txt".to_owned())).then_some(())
    });
}

#[test]
fn dates_in_a_text_are_listed_with_their_spans() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.add_text(
        "note.eml",
        "From: Ann <ann@example.org>\nTo: b@example.org\nSubject: Größe\n\
         Date: Fri, 1 Mar 2024 10:00:00 +0000\nContent-Type: text/plain; charset=utf-8\n\n\
         Übrigens: we met last Tuesday and meet again on 03.05.2024.\n",
    );
    server.settle();
    let note = detail(&server, &key, "note.eml");
    let id = note["id"].as_str().unwrap();
    let path = format!("/api/v1/tenants/demo/documents/{id}/text");
    let text: Vec<char> = server.with_key(&key, "GET", &path, b"").text().chars().collect();
    let mentions = note["date_mentions"].as_array().unwrap();
    for mention in mentions {
        let (start, end) = (mention["start"].as_u64().unwrap(), mention["end"].as_u64().unwrap());
        let slice: String = text[start as usize..end as usize].iter().collect();
        assert_eq!(mention["expression"], slice.as_str(), "{mention:#}");
    }
    for (expression, day) in [("last Tuesday", "2024-02-27"), ("03.05.2024", "2024-05-03")] {
        let mention = mentions.iter().find(|mention| mention["expression"] == expression);
        assert_eq!(mention.unwrap()["from"], day, "{mentions:#?}");
    }
}

#[test]
fn what_a_mail_repeats_or_signs_with_is_found_as_such_behind_what_a_mail_says() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    home.add_text(
        "reply.eml",
        "From: Ann <ann@example.org>\nTo: b@example.org\nSubject: Re: Birds\nMessage-ID: <2@x>\n\
         In-Reply-To: <1@x>\nDate: Fri, 1 Mar 2024 10:00:00 +0000\n\n\
         I saw a heron.\n\nOn 28 Feb 2024, Bob wrote:\n> Did anybody see a quokka?\n\n-- \n\
         Ann the wombat\n",
    );
    server.settle();
    let own = search(&server, &key, "heron");
    assert_eq!(sources(&own), ["reply.eml"]);
    assert_eq!(own["results"][0]["passages"][0]["voice"], "own", "{own:#}");
    let quoted = search(&server, &key, "quokka");
    assert_eq!(sources(&quoted), ["reply.eml"], "the mail that says it is not here");
    let passage = &quoted["results"][0]["passages"][0];
    assert_eq!(passage["voice"], "quoted", "{quoted:#}");
    assert!(passage["text"].as_str().unwrap().ends_with("> Did anybody see a quokka?"));
    let signed = search(&server, &key, "wombat");
    assert_eq!(sources(&signed), ["reply.eml"], "whoever signs can be found by it");
    let passage = &signed["results"][0]["passages"][0];
    assert_eq!(passage["voice"], "signature", "{signed:#}");
    assert_eq!(passage["text"], "-- \nAnn the wombat");
    let mentions = detail(&server, &key, "reply.eml")["date_mentions"].clone();
    assert!(mentions.as_array().unwrap().iter().all(|date| date["from"] != "2024-02-28"));

    home.add_text(
        "first.eml",
        "From: Bob <b@example.org>\nTo: ann@example.org\nSubject: Birds\nMessage-ID: <1@x>\n\
         Date: Wed, 28 Feb 2024 10:00:00 +0000\n\nDid anybody see a quokka?\n",
    );
    server.settle();
    assert_eq!(sources(&search(&server, &key, "quokka")), ["first.eml", "reply.eml"]);
    let id = detail(&server, &key, "reply.eml")["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/tenants/demo/documents/{id}/text");
    assert!(server.with_key(&key, "GET", &path, b"").text().contains("quokka"));
}

#[test]
fn a_reply_that_quotes_a_whole_mail_is_not_nearly_the_same() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let said = text(3, 300);
    let mail = |from: &str, body: &str| {
        format!(
            "From: {from}@example.org\nTo: c@example.org\nSubject: Birds\n\
             Date: Fri, 1 Mar 2024 10:00:00 +0000\n\n{body}\n"
        )
    };
    home.add_text("first.eml", &mail("bob", &format!("quokka {said}")));
    let reply = format!("Yes.\n\nOn 1 Mar 2024, Bob wrote:\n> quokka {said}");
    home.add_text("reply.eml", &mail("ann", &reply));
    server.settle();
    let found = search(&server, &key, "quokka");
    assert_eq!(sources(&found), ["first.eml", "reply.eml"], "{found:#}");
    let results = found["results"].as_array().unwrap();
    assert!(results.iter().all(|result| also_similar(result).is_empty()), "{found:#}");
}

#[test]
fn mails_of_a_conversation_are_listed_with_each_of_them() {
    let home = Home::new();
    let server = home.serve();
    let key = server.key("demo");
    let mail = |day: u32, from: &str, to: &str, subject: &str, ids: &str| {
        let name = format!("{day}.eml");
        let text = format!(
            "From: {from}@example.org\nTo: {to}@example.org\nSubject: {subject}\n{ids}\n\
             Date: Fri, {day:02} Mar 2024 10:00:00 +0000\n\nWords of day {day}.\n"
        );
        home.add_text(&name, &text);
    };
    mail(1, "ann", "bob", "Plan", "Message-ID: <1@x>");
    mail(2, "bob", "ann", "Re: Plan", "Message-ID: <2@x>\nIn-Reply-To: <1@x>");
    mail(3, "ann", "bob", "Re: Plan", "Message-ID: <3@x>\nIn-Reply-To: <2@x>");
    mail(4, "bob", "ann", "AW: plan", "Message-ID: <4@x>");
    mail(5, "cleo", "dan", "Re: Plan", "Message-ID: <5@x>");
    mail(6, "ann", "bob", "Plan", "Message-ID: <6@x>");
    server.settle();
    let thread = |source: &str| -> Vec<String> {
        let detail = detail(&server, &key, source);
        let mails = detail["thread"].as_array().unwrap();
        mails.iter().map(|mail| mail["source"].as_str().unwrap().to_owned()).collect()
    };
    for source in ["1.eml", "3.eml"] {
        let found = thread(source);
        let first_three =
            ["1.eml", "2.eml", "3.eml"].iter().all(|s| found.contains(&(*s).to_owned()));
        assert!(first_three && found.contains(&"4.eml".to_owned()), "{source}: {found:?}");
    }
    assert_eq!(thread("5.eml").len(), 0, "other people");
}
