//! Small files that ask for a disk, for hours or for all memory, and names with every odd byte.
//!
//! Called by: cargo test. Talks to: a server and its workers, and the command line.
//! Invariants: everything is made here; each ends with a reason or cut at a limit that it names,
//! in bounded memory, and the server goes on.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::{Compression, Crc, FlushCompress};
use serde_json::Value;

use crate::harness::process::{kib, peak_of_children};
use crate::harness::{Home, Server, assert_adds_up, find, fixture, sources};
use crate::hostile::unclear;

const MOST_KIB: u64 = 1 << 20;
/// How long any one of these files may take in a build without optimisation.
const LONGEST: Duration = Duration::from_secs(60);

/// One file of a zip archive as it is written.
struct Entry<'e> {
    name: &'e str,
    method: u16,
    crc: u32,
    packed: &'e [u8],
    unpacked: u64,
}

impl<'e> Entry<'e> {
    fn stored(name: &'e str, bytes: &'e [u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(bytes);
        Self { name, method: 0, crc: crc.sum(), packed: bytes, unpacked: bytes.len() as u64 }
    }

    /// What the local header and the record of the directory have in common.
    fn common(&self, out: &mut Vec<u8>) {
        out.extend(20_u16.to_le_bytes());
        out.extend(0_u16.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.crc.to_le_bytes());
        out.extend((self.packed.len() as u32).to_le_bytes());
        out.extend((self.unpacked as u32).to_le_bytes());
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend(0_u16.to_le_bytes());
    }

    fn local(&self, out: &mut Vec<u8>) {
        out.extend(b"PK\x03\x04");
        self.common(out);
        out.extend(self.name.as_bytes());
        out.extend(self.packed);
    }

    fn record(&self, header: u32, out: &mut Vec<u8>) {
        out.extend(b"PK\x01\x02\x14\x00");
        self.common(out);
        out.extend([0; 10]);
        out.extend(header.to_le_bytes());
        out.extend(self.name.as_bytes());
    }
}

/// An archive of `entries`, whose directory is `records`.
fn archive(mut bytes: Vec<u8>, records: &[u8], count: u64) -> Vec<u8> {
    let start = bytes.len() as u32;
    bytes.extend(records);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let count = count.min(u64::from(u16::MAX)) as u16;
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend((records.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    for entry in entries {
        entry.record(bytes.len() as u32, &mut records);
        entry.local(&mut bytes);
    }
    archive(bytes, &records, entries.len() as u64)
}

/// A gibibyte of zeros, deflated: one piece over and over, each of which stands for itself.
fn gibibyte() -> (Vec<u8>, u32) {
    const PIECE: usize = 1 << 20;
    let zeros = vec![0; PIECE];
    let mut packed = vec![0; PIECE];
    let mut deflate = flate2::Compress::new(Compression::best(), false);
    deflate.compress(&zeros, &mut packed, FlushCompress::Full).expect("room for zeros");
    packed.truncate(deflate.total_out() as usize);
    let (mut piece, mut crc) = (Crc::new(), Crc::new());
    piece.update(&zeros);
    (0..1 << 10).for_each(|_| crc.combine(&piece));
    let mut whole = packed.repeat(1 << 10);
    // A last block with nothing in it.
    whole.extend([3, 0]);
    (whole, crc.sum())
}

fn drop_in<'s>(server: &Server<'s>, paths: &[&Path]) -> (Value, Duration) {
    let began = Instant::now();
    let (ledger, peak) = peak_of_children(server.pid(), || {
        server.home.add(paths);
        server.settle()
    });
    assert_adds_up(&ledger);
    assert!(peak < MOST_KIB, "a worker took {peak} KiB");
    let own = kib(server.pid(), "VmHWM:");
    assert!(own < MOST_KIB, "the server took {own} KiB");
    for item in ledger["items"].as_array().expect("items") {
        assert_eq!(unclear(item), None);
    }
    (ledger, began.elapsed())
}

fn still_works(home: &Home) {
    home.add_text("good.txt", "The good file speaks of narwhals.");
    assert_eq!(sources(&home.search("narwhals", "keyword"))[0], "good.txt");
}

/// Bytes of all files below a folder.
fn size_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => size_below(&entry.path()),
            Ok(facts) => facts.len(),
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn a_zip_that_expands_to_ten_gibibytes_is_given_up_early() {
    let home = Home::with_config("[ingest]\nmax_child_bytes = 67108864\n");
    let server = home.serve();
    let dir = tempfile::tempdir().expect("a folder");
    let (packed, crc) = gibibyte();
    let names: Vec<String> = (0..10).map(|number| format!("{number}.bin")).collect();
    let entries: Vec<Entry<'_>> = names
        .iter()
        .map(|name| Entry { name, method: 8, crc, packed: &packed, unpacked: 1 << 30 })
        .collect();
    let path = dir.path().join("ten.zip");
    fs::write(&path, zip(&entries)).expect("a file");
    // The same with all names for one and the same body.
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    entries[0].local(&mut bytes);
    entries.iter().for_each(|entry| entry.record(0, &mut records));
    let overlapping = dir.path().join("overlapping.zip");
    fs::write(&overlapping, archive(bytes, &records, 10)).expect("a file");
    let before = size_below(home.path());
    let (ledger, spent) = drop_in(&server, &[&path, &overlapping]);
    assert!(spent < 2 * LONGEST, "{spent:?}");
    assert_eq!(ledger["received"], 22, "{ledger:#}");
    // A small archive that swells this far is given up; what came of the large one is kept once.
    let item = find(&ledger["items"], "source", "overlapping.zip/9.bin");
    assert_eq!((&item["state"], &item["reason"]), (&"failed".into(), &"too_large".into()));
    let item = find(&ledger["items"], "source", "ten.zip/9.bin");
    assert_eq!(item["state"], "duplicate", "{item:#}");
    let grown = size_below(home.path()).saturating_sub(before);
    assert!(grown < 512 << 20, "{grown} bytes were kept");
    still_works(&home);
}

#[test]
fn a_compressed_file_that_expands_without_end_is_cut() {
    let home = Home::with_config("[ingest]\nmax_child_bytes = 67108864\n");
    let server = home.serve();
    let dir = tempfile::tempdir().expect("a folder");
    let (deflated, _) = gibibyte();
    let path = dir.path().join("zeros.gz");
    let mut bytes = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    bytes.extend(&deflated);
    fs::write(&path, bytes).expect("a file");
    let (ledger, spent) = drop_in(&server, &[&path]);
    assert!(spent < LONGEST, "{spent:?}");
    assert_eq!(ledger["received"], 2, "{ledger:#}");
    still_works(&home);
}

#[test]
fn a_thousand_archives_inside_each_other_are_opened_to_the_limit() {
    const LIMIT: u64 = 16;
    let home = Home::new();
    let server = home.serve();
    let dir = tempfile::tempdir().expect("a folder");
    let mut inner = b"The innermost file.".to_vec();
    for depth in 0..1000 {
        let name = if depth == 0 { "text.txt" } else { "in.zip" };
        inner = zip(&[Entry::stored(name, &inner)]);
    }
    let path = dir.path().join("nested.zip");
    fs::write(&path, &inner).expect("a file");
    let (ledger, spent) = drop_in(&server, &[&path]);
    assert!(spent < LONGEST, "{spent:?}");
    // The dropped file, as many inside it as may be, and the one that lies too deep.
    assert_eq!(ledger["received"], LIMIT + 2, "{ledger:#}");
    assert_eq!((&ledger["failed"], &ledger["indexed"]), (&1.into(), &(LIMIT + 1).into()));
    let items = ledger["items"].as_array().expect("items");
    let deepest = items.iter().find(|item| item["state"] == "failed").expect("a failed item");
    assert_eq!(deepest["reason"], "nested_too_deep", "{deepest:#}");
    still_works(&home);
}

#[test]
fn an_archive_full_of_itself_many_times_over_is_opened_once_per_level() {
    const LEVELS: u64 = 4;
    const FILES: u64 = 16;
    let home = Home::new();
    let server = home.serve();
    let dir = tempfile::tempdir().expect("a folder");
    let names: Vec<String> = (0..FILES).map(|number| format!("{number}.zip")).collect();
    let mut inner = b"The innermost file.".to_vec();
    for _ in 0..LEVELS {
        let entries: Vec<Entry<'_>> =
            names.iter().map(|name| Entry::stored(name, &inner)).collect();
        inner = zip(&entries);
    }
    let path = dir.path().join("doubling.zip");
    fs::write(&path, &inner).expect("a file");
    let (ledger, spent) = drop_in(&server, &[&path]);
    assert!(spent < LONGEST, "{spent:?}");
    // Of the 65,536 files inside, those that are alike are read once.
    assert_eq!(ledger["received"], LEVELS * FILES + 1, "{ledger:#}");
    still_works(&home);
}

#[test]
fn a_million_empty_files_in_a_zip_are_counted_and_cut_at_the_limit() {
    const FILES: u64 = 1_000_000;
    const LIMIT: u64 = 300;
    let home = Home::with_config(&format!("[ingest]\nmax_children = {LIMIT}\n"));
    let server = home.serve();
    let dir = tempfile::tempdir().expect("a folder");
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    for number in 0..FILES {
        let name = format!("{number:07}");
        let entry = Entry::stored(&name, b"");
        entry.record(bytes.len() as u32, &mut records);
        entry.local(&mut bytes);
    }
    let path = dir.path().join("empty.zip");
    fs::write(&path, archive(bytes, &records, FILES)).expect("a file");
    let (ledger, spent) = drop_in(&server, &[&path]);
    assert!(spent < LONGEST, "{spent:?}");
    assert_eq!(ledger["received"], LIMIT + 1, "{:#}", ledger["received"]);
    let document = find(&ledger["items"], "source", "empty.zip");
    assert_eq!(document["state"], "indexed", "{document:#}");
    still_works(&home);
}

#[test]
fn names_with_every_odd_byte_are_taken_in_one_by_one() {
    let home = Home::with_config("[ingest]\nmax_text_per_document = 1000\n");
    let server = home.serve();
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("names");
    fs::create_dir(&folder).expect("a folder");
    let mut names: Vec<Vec<u8>> =
        (1..=255_u8).filter(|byte| *byte != b'/').map(|byte| vec![b'x', byte, b'y']).collect();
    names.extend([b"-rf".to_vec(), b"...".to_vec(), vec![b'n'; 255], "ü\u{202e}txt".into()]);
    names.push(b"%2e%2e%2fetc".to_vec());
    for (number, name) in names.iter().enumerate() {
        let mut file = fs::File::create(folder.join(OsString::from_vec(name.clone())))
            .expect("the file system takes any byte");
        write!(file, "Text number {number}.").expect("a written file");
    }
    let (ledger, _) = drop_in(&server, &[&folder]);
    assert_eq!(ledger["received"], names.len(), "{ledger:#}");
    assert_eq!(ledger["indexed"], names.len(), "{ledger:#}");
    still_works(&home);
}

#[test]
fn containers_larger_than_may_be_held_are_read_where_they_lie() {
    const HELD: usize = 100_000;
    let home = Home::with_config(&format!("[ingest]\nmax_parse_bytes = {HELD}\n"));
    let server = home.serve();
    let dir = tempfile::tempdir().expect("a folder");
    let entries = [
        Entry::stored("first.txt", b"The first file speaks of narwhals."),
        Entry::stored("last.txt", b"The last file speaks of pangolins."),
    ];
    let (mut bytes, mut records) = (Vec::new(), Vec::new());
    for entry in &entries {
        entry.record(bytes.len() as u32, &mut records);
        entry.local(&mut bytes);
        // What is between files belongs to none, so only the directory leads to the next.
        bytes.resize(bytes.len() + 20 * HELD, 0);
    }
    let apart = dir.path().join("apart.zip");
    fs::write(&apart, archive(bytes, &records, 2)).expect("a file");
    let said: Vec<String> =
        (0..4_000).map(|n| format!("{{\"by\": \"Ann\", \"text\": \"Message {n}.\"}}")).collect();
    let chat = dir.path().join("chat.json");
    fs::write(&chat, format!("{{\"title\": \"Birds\", \"said\": [{}]}}", said.join(",\n")))
        .expect("a file");
    let store = fixture("exports/pst/Empty.pst");
    let (ledger, spent) = drop_in(&server, &[&apart, &chat, &store]);
    assert!(spent < LONGEST, "{spent:?}");
    for source in ["apart.zip", "chat.json", "Empty.pst"] {
        let item = find(&ledger["items"], "source", source);
        assert!(item["reason"].is_null() || item["state"] != "failed", "{item:#}");
    }
    assert_eq!(sources(&home.search("pangolins", "keyword"))[0], "apart.zip/last.txt");
    let found = sources(&home.search("\"Message 3999\"", "keyword"));
    assert!(found[0].starts_with("chat.json/said "), "{found:?}");
}

/// What `cairn extract` makes of a file, and that it ends in time with a clean answer.
fn extract(path: &Path) -> Result<Value, String> {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.arg("extract").arg(path).arg("--json").env("CAIRN_HOME", "/no/such/home");
    let output = command.output().expect("the program runs");
    assert!(began.elapsed() < LONGEST, "{} took {:?}", path.display(), began.elapsed());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for bad in ["crashed", "panicked", "broke its reader", "took longer", "MiB of memory"] {
        assert!(!said.contains(bad), "{}: {said}", path.display());
    }
    match output.status.code() {
        Some(0) => Ok(serde_json::from_slice(&output.stdout).expect("JSON")),
        Some(1) => Err(said),
        code => panic!("{} ended with {code:?}: {said}", path.display()),
    }
}

fn package(path: &Path, parts: &[(&str, String)]) {
    let entries: Vec<Entry<'_>> =
        parts.iter().map(|(name, text)| Entry::stored(name, text.as_bytes())).collect();
    fs::write(path, zip(&entries)).expect("a file");
}

const SPREADSHEET: &str = "application/vnd.oasis.opendocument.spreadsheet";
const TEXT: &str = "application/vnd.oasis.opendocument.text";

/// Documents that are deep, wide or absurd, most of them in a few kilobytes when packed.
fn absurd_documents(folder: &Path) -> Vec<PathBuf> {
    const MANY: usize = 200_000;
    let mut paths = Vec::new();
    let mut path = |name: &str| {
        paths.push(folder.join(name));
        folder.join(name)
    };
    let nest = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(MANY), close.repeat(MANY))
    };
    let texts = [
        ("deep.xml", nest("<a>", "x", "</a>")),
        ("deep.rtf", format!("{{\\rtf1 {}}}", nest("{", "x", "}"))),
        ("binary.rtf", "{\\rtf1 start \\bin2147483647 end}".to_owned()),
        ("quotes.md", format!("{}text", "> ".repeat(MANY))),
        ("stars.md", "*a **b ".repeat(MANY)),
        ("wide.md", format!("{}\n{}\n", "|a".repeat(MANY), "|-".repeat(MANY))),
        ("wide.csv", format!("{}\n", "a,".repeat(MANY))),
        ("deep.jsonl", format!("{}\n{{\"a\":1}}\n", nest("[", "", "]"))),
        ("deep.ipynb", format!("{{\"nbformat\":4,\"cells\":{}}}", nest("[", "", "]"))),
        ("deep.yaml", format!("{}x", "- ".repeat(MANY))),
        ("cards.vcf", format!("{}FN:x\nEND:VCARD\n", "BEGIN:VCARD\n".repeat(MANY))),
        ("folded.ics", format!("BEGIN:VCALENDAR\nSUMMARY:x\n{}", " y\n".repeat(MANY))),
        ("lines.srt", format!("1\n00:00:00,000 --> 00:00:01,000\n{}", "x\n".repeat(MANY))),
        ("headers.eml", format!("From: a@b.c\n{}\nhi\n", "X-Y: z\n".repeat(MANY))),
        ("people.eml", format!("From: a@b.c\nTo: {}\n\nhi\n", "a@b.c, ".repeat(MANY))),
        (
            "inner.eml",
            format!("From: a@b.c\n{}\nhi\n", "Content-Type: message/rfc822\n\n".repeat(20_000)),
        ),
        ("spans.html", "<table><tr><td colspan=1000000 rowspan=1000000>x".repeat(50)),
    ];
    for (name, text) in texts {
        fs::write(path(name), text).expect("a file");
    }
    let odf = |body: &str| {
        format!(
            "<office:document-content><office:body>{body}</office:body></office:document-content>"
        )
    };
    let open_documents = [
        ("deep.odt", TEXT, nest("<text:section>", "<text:p>x</text:p>", "</text:section>")),
        ("spaces.odt", TEXT, "<text:p>a<text:s text:c=\"4000000000\"/>b</text:p>".to_owned()),
        (
            "repeated.ods",
            SPREADSHEET,
            "<office:spreadsheet><table:table table:name=\"s\"><table:table-row table:number-rows-repeated=\"1048576\">\
             <table:table-cell table:number-columns-repeated=\"16384\"><text:p>boom</text:p></table:table-cell>\
             </table:table-row></table:table></office:spreadsheet>"
                .to_owned(),
        ),
    ];
    for (name, kind, body) in open_documents {
        let parts = [("mimetype", kind.to_owned()), ("content.xml", odf(&body))];
        package(&path(name), &parts);
    }
    let word = |body: String| {
        let text = format!("<w:document xmlns:w='w'><w:body>{body}</w:body></w:document>");
        [("[Content_Types].xml", "<Types/>".to_owned()), ("word/document.xml", text)]
    };
    package(&path("deep.docx"), &word(nest("<w:tbl><w:tr><w:tc>", "", "</w:tc></w:tr></w:tbl>")));
    let wide = "<w:tr><w:tc><w:tcPr><w:gridSpan w:val='2000000000'/></w:tcPr><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc></w:tr>";
    package(&path("wide.docx"), &word(format!("<w:tbl>{}</w:tbl>", wide.repeat(20))));
    absurd_pictures(&mut path);
    paths
}

fn absurd_pictures(path: &mut dyn FnMut(&str) -> PathBuf) {
    let page = |kids: &str, count: u32, page: &str| {
        format!(
            "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
             2 0 obj<</Type/Pages/Kids[{kids}]/Count {count}>>endobj\n{page}\
             trailer<</Root 1 0 R>>\n%%EOF\n"
        )
    };
    let huge = "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 2000000000 2000000000]>>endobj\n";
    fs::write(path("huge.pdf"), page("3 0 R", 2_000_000_000, huge)).expect("a file");
    fs::write(path("ring.pdf"), page("2 0 R 2 0 R", 2, "")).expect("a file");
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend(b"\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0\0\0\0\0");
    fs::write(path("huge.png"), png).expect("a file");
    fs::write(path("huge.gif"), b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;").expect("a file");
}

#[test]
fn deep_wide_and_absurd_documents_end_in_time_with_a_clean_answer() {
    let dir = tempfile::tempdir().expect("a folder");
    let paths = absurd_documents(dir.path());
    let mut refused = 0;
    for path in &paths {
        match extract(path) {
            Ok(document) => {
                let blocks = document["blocks"].as_array().expect("blocks").iter();
                let longest =
                    blocks.map(|block| block["text"].as_str().expect("a text").len()).max();
                assert!(longest.unwrap_or(0) <= 64 << 10, "{}", path.display());
            }
            Err(said) => {
                assert!(said.len() > 20, "{}: {said}", path.display());
                refused += 1;
            }
        }
    }
    assert!(refused >= 5 && refused < paths.len(), "{refused} of {}", paths.len());
}

#[test]
fn deep_wide_and_absurd_documents_leave_the_server_small() {
    let home = Home::with_config("[ingest]\nmax_text_per_document = 1000\n");
    let server = home.serve();
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("absurd");
    fs::create_dir(&folder).expect("a folder");
    let dropped = absurd_documents(&folder).len() as u64;
    for name in ["empty.txt", "empty.pdf", "empty.zip", "empty"] {
        fs::write(folder.join(name), "").expect("a file");
    }
    fs::write(folder.join("mark.txt"), b"\xef\xbb\xbf").expect("a file");
    let (ledger, _) = drop_in(&server, &[&folder]);
    assert!(ledger["received"].as_u64().expect("a number") >= dropped + 5, "{ledger:#}");
    let items = ledger["items"].as_array().expect("items");
    let empty = items.iter().filter(|item| item["reason"] == "empty_file").count();
    let alike = items.iter().filter(|item| item["state"] == "duplicate").count();
    assert_eq!((empty, alike), (1, 3), "{ledger:#}");
    still_works(&home);
}
