//! Tests of archives that are looked at as a whole.

use std::io::{self, Read, Write};

use zip::write::SimpleFileOptions;

use crate::extract::testing::{limits, run_as};
use crate::extract::{ExtractRequest, ExtractSink, extract, refusal};
use crate::types::{Block, ChildHeader, FormatHint};

/// What became of each entry: its bytes, or why it is only listed.
#[derive(Default)]
struct Entries(Vec<(ChildHeader, Result<Vec<u8>, String>)>);

impl ExtractSink for Entries {
    fn block(&mut self, _: Block) -> io::Result<()> {
        Ok(())
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        let body = match body.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(refusal(&error).expect("a child's own failure").message.clone()),
        };
        self.0.push((header.clone(), body));
        Ok(())
    }
}

impl Entries {
    fn reason(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(header, _)| header.name == name).expect("an entry");
        found.1.as_ref().expect_err("an entry that is only listed")
    }

    fn passed(&self) -> Vec<&str> {
        let passed = self.0.iter().filter(|(_, body)| body.is_ok());
        passed.map(|(header, _)| header.name.as_str()).collect()
    }
}

fn archive(files: &[(&str, &str)]) -> Entries {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        zip.write_all(content.as_bytes()).expect("its content");
    }
    let bytes = zip.finish().expect("an archive").into_inner();
    let request = ExtractRequest {
        name: "x.zip".to_owned(),
        media_type: None,
        format: None,
        passwords: Default::default(),
        limits: limits(),
    };
    let mut entries = Entries::default();
    extract(&request, &mut &bytes[..], &mut entries).expect("the archive is read");
    entries
}

#[test]
fn threads_of_slack_leave_their_days() {
    let users = r#"[{"id":"U1","name":"ann","real_name":"Ann Lee","profile":{"email":"A@x.org"}}]"#;
    let channels = r#"[{"id":"C1","name":"general","members":["U1"],"topic":{"value":"All"}}]"#;
    let first = r#"[{"type":"message","user":"U1","text":"Who?","ts":"1452845865.000008",
                     "thread_ts":"1452845865.000008"},
                    {"type":"message","user":"U1","text":"Alone","ts":"1452845870.000008"}]"#;
    let second = r#"[{"type":"message","user":"U2","text":"<@U1> me","ts":"1452945865.000008",
                      "user_profile":{"real_name":"Bob"},"thread_ts":"1452845865.000008"}]"#;
    let entries = archive(&[
        ("w/users.json", users),
        ("w/channels.json", channels),
        ("w/general/2016-01-15.json", first),
        ("w/general/2016-01-16.json", second),
        ("w/general/canvas.txt", "a file"),
    ]);
    assert_eq!(
        entries.passed(),
        [
            "w/general/canvas.txt",
            "w/users.json",
            "w/channels.json",
            "w/general/2016-01-15.json",
            "w/general/thread-1452845865.000008",
        ]
    );
    assert!(entries.reason("w/general/2016-01-16.json").contains("threads"));
    let (header, body) = entries.0.last().expect("the thread");
    let bytes = body.as_ref().expect("its bytes");
    let thread = run_as(&header.name, FormatHint::DocumentJson, bytes);
    assert_eq!(thread.document.title.as_deref(), Some("#general: Who?"));
    assert_eq!(thread.document.authors, ["Ann Lee <a@x.org>", "Bob"]);
    assert_eq!(thread.document.metadata["thread_id"], "slack:C1/1452845865.000008");
    assert_eq!(
        thread.texts(),
        [
            "#general",
            "2016-01-15",
            "Ann Lee (08:17): Who?",
            "2016-01-16",
            "Bob (12:04): @Ann Lee me"
        ]
    );
}

#[test]
fn parts_of_a_saved_page_are_listed_with_their_page() {
    let entries = archive(&[
        ("a/My page.html", "<html><script src=\"My%20page_files/x.js\"></script><p>Text</html>"),
        ("a/My page_files/x.js", "alert(1)"),
        ("a/My page_files/deep/y.css", "p {}"),
        ("a/My page_files/report.pdf", "%PDF-1.4"),
        ("b/other.html", "<html><p>Nothing beside it is mentioned</html>"),
        ("b/other_files/x.js", "alert(1)"),
    ]);
    assert_eq!(
        entries.passed(),
        ["a/My page.html", "a/My page_files/report.pdf", "b/other.html", "b/other_files/x.js"]
    );
    assert_eq!(entries.reason("a/My page_files/x.js"), "Part of the saved page a/My page.html");
}

#[test]
fn a_takeout_says_nothing_twice() {
    let note = r#"{"isTrashed":false,"isArchived":false,"title":"N","textContent":"words",
                   "userEditedTimestampUsec":1633945736112000}"#;
    let chat = r#"{"messages":[{"creator":{"name":"Ann"},"text":"hi","topic_id":"t",
                   "created_date":"Thursday, March 2, 2023 at 10:11:12 AM UTC"}]}"#;
    let entries = archive(&[
        ("Takeout/archive_browser.html", "<html>Google Takeout</html>"),
        ("Takeout/Keep/N.json", note),
        ("Takeout/Keep/N.html", "<html>N words</html>"),
        ("Takeout/Google Chat/Groups/DM x/messages.json", chat),
        ("Takeout/Google Chat/Groups/DM x/group_info.json", r#"{"name":"The team"}"#),
    ]);
    assert_eq!(
        entries.passed(),
        [
            "Takeout/Keep/N.json",
            "Takeout/Google Chat/Groups/DM x/group_info.json",
            "Takeout/Google Chat/Groups/DM x/2023-03-02",
        ]
    );
    entries.reason("Takeout/archive_browser.html");
    entries.reason("Takeout/Keep/N.html");
    entries.reason("Takeout/Google Chat/Groups/DM x/messages.json");
    let (header, body) = &entries.0[entries.0.len() - 2];
    let day = run_as(&header.name, FormatHint::DocumentJson, body.as_ref().expect("its bytes"));
    assert_eq!(day.document.title.as_deref(), Some("The team, 2023-03-02"));
}

#[test]
fn rows_of_a_database_are_read_once() {
    let id = "152bb52ee2b5804da922efa8c3194444";
    let (view, all) = (format!("Tasks {id}.csv"), format!("Tasks {id}_all.csv"));
    let entries = archive(&[
        (&view, "Name,Done\na,Yes\n"),
        (&all, "Name,Done\na,Yes\nb,No\n"),
        ("plain.csv", "x,y\n1,2\n"),
        ("plain_all.csv", "x,y\n1,2\n"),
    ]);
    assert_eq!(entries.passed(), [all.as_str(), "plain.csv", "plain_all.csv"]);
}
