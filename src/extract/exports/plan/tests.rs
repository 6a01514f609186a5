//! Tests of archives that are looked at as a whole.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::extract::testing::{limits, run_as};
use crate::extract::{ExtractLimits, ExtractRequest, ExtractSink, extract, refusal};
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

    /// Names and reasons of what is only listed, and names, bytes and kinds of what is passed on,
    /// in one order whatever the archive.
    fn sorted(&self) -> Vec<(&str, &Result<Vec<u8>, String>, Option<&str>)> {
        let mut all: Vec<_> = self
            .0
            .iter()
            .map(|(header, body)| (header.name.as_str(), body, header.media_type.as_deref()))
            .collect();
        all.sort();
        all
    }

    fn passed(&self) -> Vec<&str> {
        let passed = self.0.iter().filter(|(_, body)| body.is_ok());
        passed.map(|(header, _)| header.name.as_str()).collect()
    }
}

type Files<'f> = [(&'f str, &'f str)];

fn archive(files: &Files<'_>) -> Entries {
    read("x.zip", &zip(files), limits())
}

fn read(name: &str, bytes: &[u8], limits: ExtractLimits) -> Entries {
    let request = ExtractRequest {
        name: name.to_owned(),
        media_type: None,
        format: None,
        passwords: Default::default(),
        limits,
    };
    let mut entries = Entries::default();
    extract(&request, &mut &bytes[..], &mut entries).expect("the archive is read");
    entries
}

fn zip(files: &Files<'_>) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("an entry");
        zip.write_all(content.as_bytes()).expect("its content");
    }
    zip.finish().expect("an archive").into_inner()
}

/// A zip archive whose files tell their lengths behind them.
fn streamed(files: &Files<'_>, method: CompressionMethod) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new_stream(Vec::new());
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).expect("an entry");
        zip.write_all(content.as_bytes()).expect("its content");
    }
    zip.finish().expect("an archive").into_inner()
}

fn tar(files: &Files<'_>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_bytes()).expect("an entry");
    }
    tar.into_inner().expect("an archive")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

/// The same files in every kind of archive, with limits under which none but the first is held.
fn kinds(files: &Files<'_>) -> Vec<(&'static str, Entries)> {
    let small = ExtractLimits { max_parse_bytes: 20_000, ..limits() };
    let zst = zstd::encode_all(tar(files).as_slice(), 1).expect("memory");
    let stored = streamed(files, CompressionMethod::Stored);
    vec![
        ("zip", read("x.zip", &zip(files), limits())),
        ("long.zip", read("x.zip", &zip(files), small)),
        ("streamed.zip", read("x.zip", &streamed(files, CompressionMethod::Deflated), small)),
        ("stored.zip", read("x.zip", &stored, small)),
        ("tar", read("x.tar", &tar(files), small)),
        ("tgz", read("x.tgz", &gzip(&tar(files)), small)),
        ("tar.zst", read("x.tar.zst", &zst, small)),
    ]
}

/// What nobody can make smaller.
fn noise() -> String {
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + (state >> 26) as u8)
    };
    (0..60_000).map(|_| letter()).collect()
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

#[test]
fn an_export_is_the_same_in_every_kind_and_size_of_archive() {
    let noise = noise();
    let users = r#"[{"id":"U1","name":"ann","real_name":"Ann Lee","profile":{"email":"A@x.org"}}]"#;
    let slack = [
        (
            "general/2016-01-15.json",
            r#"[{"type":"message","user":"U1","text":"Who?",
            "ts":"1452845865.000008","thread_ts":"1452845865.000008"}]"#,
        ),
        (
            "general/2016-01-16.json",
            r#"[{"type":"message","user":"U1","text":"Me",
            "ts":"1452945865.000008"}]"#,
        ),
        ("files/large.bin", noise.as_str()),
        ("integration_logs.json", "[]"),
        ("channels.json", r#"[{"id":"C1","name":"general","members":["U1"]}]"#),
        ("users.json", users),
    ];
    let note = r#"{"isTrashed":false,"isArchived":false,"title":"N","textContent":"words",
                   "userEditedTimestampUsec":1633945736112000}"#;
    let chat = r#"{"messages":[{"creator":{"name":"Ann"},"text":"hi","topic_id":"t",
                   "created_date":"Thursday, March 2, 2023 at 10:11:12 AM UTC"}]}"#;
    let takeout = [
        ("Takeout/archive_browser.html", "<html>Google Takeout</html>"),
        ("Takeout/Keep/N.html", "<html>N words</html>"),
        ("Takeout/Drive/large.bin", noise.as_str()),
        ("Takeout/Keep/N.json", note),
        ("Takeout/Google Chat/Groups/DM x/messages.json", chat),
        ("Takeout/Google Chat/Groups/DM x/group_info.json", r#"{"name":"The team"}"#),
        ("page_files/x.js", "alert(1)"),
        ("page_files/report.txt", "a report"),
        ("page.html", "<html><script src=\"page_files/x.js\"></script><p>Text</html>"),
    ];
    for files in [&slack[..], &takeout] {
        let kinds = kinds(files);
        let (_, held) = &kinds[0];
        for (kind, entries) in &kinds[1..] {
            assert_eq!(entries.sorted(), held.sorted(), "{kind}");
        }
    }
}

#[test]
fn what_does_not_fit_is_read_by_itself() {
    let noise = noise();
    let day =
        format!(r#"[{{"type":"message","user":"U1","text":"{noise}","ts":"1452845865.000008"}}]"#);
    let files = [
        ("users.json", r#"[{"id":"U1","name":"ann","real_name":"Ann Lee","profile":{}}]"#),
        ("channels.json", r#"[{"id":"C1","name":"general","members":["U1"]}]"#),
        ("general/2016-01-15.json", day.as_str()),
        (
            "general/2016-01-16.json",
            r#"[{"type":"message","user":"U1","text":"Me",
            "ts":"1452945865.000008"}]"#,
        ),
    ];
    let small = ExtractLimits { max_parse_bytes: 20_000, ..limits() };
    let entries = read("x.tar", &tar(&files), small);
    assert_eq!(
        entries.passed(),
        ["general/2016-01-15.json", "users.json", "channels.json", "general/2016-01-16.json"]
    );
    let (_, body) = &entries.0[0];
    assert_eq!(body.as_ref().expect("its bytes"), day.as_bytes());
}

#[test]
fn a_damaged_archive_gives_what_it_held_before() {
    let files = [
        ("users.json", r#"[{"id":"U1","name":"ann","real_name":"Ann Lee","profile":{}}]"#),
        ("channels.json", r#"[{"id":"C1","name":"general","members":["U1"]}]"#),
        (
            "general/2016-01-16.json",
            r#"[{"type":"message","user":"U1","text":"Me",
            "ts":"1452945865.000008"}]"#,
        ),
        ("later.txt", "text"),
    ];
    let mut bytes = tar(&files);
    let later = bytes.windows(9).position(|name| name == b"later.txt").expect("an entry");
    bytes.truncate(later + 100);
    let request = ExtractRequest {
        name: "x.tar".to_owned(),
        media_type: None,
        format: None,
        passwords: Default::default(),
        limits: limits(),
    };
    let mut entries = Entries::default();
    extract(&request, &mut &bytes[..], &mut entries).expect_err("a damaged archive");
    assert_eq!(entries.passed(), ["users.json", "channels.json", "general/2016-01-16.json"]);
    let (header, body) = &entries.0[2];
    let day = run_as(&header.name, FormatHint::DocumentJson, body.as_ref().expect("its bytes"));
    assert_eq!(day.document.authors, ["Ann Lee"]);
}
