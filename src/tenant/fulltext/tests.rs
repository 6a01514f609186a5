//! The full-text index from outside: what is found, in which order, after what.
//!
//! Called by: the test runner. Talks to: the module above, a temporary directory.
//! Invariants: none of its own.

mod sight;

use super::*;
use crate::crypto::KeyPurpose;
use crate::tenant::testing;

const EN: Language = Language::English;
const DE: Language = Language::German;

fn open(dir: &Path) -> Result<Fulltext, FulltextError> {
    Fulltext::open(dir, &testing::cipher(KeyPurpose::Fulltext), &Latch::default())
}

struct Rig {
    dir: tempfile::TempDir,
    index: Fulltext,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path()).unwrap();
        Self { dir, index }
    }

    fn with(entries: &[FulltextEntry<'_>]) -> Self {
        let rig = Self::new();
        rig.index.write_group(entries, &[]).unwrap();
        rig
    }

    fn reopened(self) -> Self {
        drop(self.index);
        let index = open(self.dir.path()).unwrap();
        Self { dir: self.dir, index }
    }

    fn hits(&self, text: &str, filter: &SearchFilter) -> KeywordHits {
        let query = Query::parse(text).query;
        self.index.search_documents(&query, filter, None, &[EN, DE], 10).unwrap()
    }

    /// Keys of the documents found, best first.
    fn find(&self, text: &str) -> Vec<i64> {
        self.filtered(text, &SearchFilter::default())
    }

    fn filtered(&self, text: &str, filter: &SearchFilter) -> Vec<i64> {
        self.hits(text, filter).hits.iter().map(|hit| hit.item.0).collect()
    }

    fn passages(&self, text: &str, items: &[i64], per_item: usize) -> HashMap<i64, Vec<i64>> {
        let query = Query::parse(text).query;
        let items: Vec<ItemKey> = items.iter().copied().map(ItemKey).collect();
        let found = self.index.search_passages(&query, None, &[EN, DE], &items, per_item).unwrap();
        let keys = |chunks: Vec<(ChunkKey, f32)>| -> Vec<i64> {
            chunks.iter().map(|chunk| chunk.0.0).collect()
        };
        found.into_iter().map(|(item, chunks)| (item.0, keys(chunks))).collect()
    }
}

fn entry(item: i64, body: &str) -> FulltextEntry<'_> {
    FulltextEntry {
        item: ItemKey(item),
        language: EN,
        title: "",
        headings: "",
        body,
        aside: Vec::new(),
        source: "inbox/file.txt",
        media_type: "text/plain",
        authors: &[],
        recipients: &[],
        date: Timestamp::UNIX_EPOCH,
        chunks: vec![(ChunkKey(item * 10), body)],
    }
}

fn german(item: i64, body: &str) -> FulltextEntry<'_> {
    FulltextEntry { language: DE, ..entry(item, body) }
}

#[test]
fn documents_with_more_of_the_words_come_first_and_none_is_required() {
    let rig = Rig::with(&[
        entry(1, "The budget of the hospital for next year."),
        entry(2, "A hospital in the mountains."),
        entry(3, "Nothing of the kind."),
        entry(4, "The cafeteria of the library."),
    ]);
    assert_eq!(rig.find("What is the hospital's budget?"), [1, 2]);
    assert_eq!(rig.find("zebra"), [0; 0]);
}

#[test]
fn a_phrase_is_found_as_it_stands_stop_words_and_all() {
    let rig = Rig::with(&[
        entry(1, "To be, or not to be, that is the question."),
        entry(2, "The question is not to be asked or answered."),
        entry(3, "The war of the worlds"),
        entry(4, "The worlds at war"),
    ]);
    assert_eq!(rig.find("\"to be or not to be\""), [1]);
    assert_eq!(rig.find("\"war of the worlds\""), [3]);
}

#[test]
fn signs_and_fields_decide_what_may_appear() {
    let report = FulltextEntry {
        title: "Annual report",
        headings: "Outlook",
        source: "finance/report-2024.pdf",
        media_type: "application/pdf",
        ..entry(1, "Revenue grew. A draft was discarded.")
    };
    let rig = Rig::with(&[report, entry(2, "Revenue fell."), entry(3, "Costs rose.")]);
    assert_eq!(rig.find("revenue -draft"), [2]);
    assert_eq!(rig.find("+revenue costs"), [2, 1]);
    assert_eq!(rig.find("title:report revenue"), [1]);
    assert_eq!(rig.find("heading:outlook"), [1]);
    assert_eq!(rig.find("source:report"), [1]);
    assert_eq!(rig.find("type:pdf"), [1]);
    assert_eq!(rig.find("type:text/plain revenue"), [2]);
    assert_eq!(rig.find("-draft"), [2, 3]);
    assert_eq!(rig.find("-type:txt +rose"), [0; 0]);
}

#[test]
fn what_is_asked_in_the_title_counts_a_little_more() {
    let named = FulltextEntry { title: "Transistor", ..entry(1, "A switch made of silicon.") };
    let rig = Rig::with(&[entry(2, "Transistor A switch made of silicon."), named]);
    assert_eq!(rig.find("transistor"), [1, 2]);
}

#[test]
fn a_file_is_found_by_its_name() {
    let named = FulltextEntry { source: "in/minutes_May.docx", ..entry(1, "We met.") };
    let rig = Rig::with(&[named, entry(2, "The minutes of a meeting.")]);
    assert_eq!(rig.find("minutes"), [2, 1]);
}

#[test]
fn a_document_is_found_by_who_wrote_it_behind_those_that_name_them() {
    let eva = ["Eva Wright".to_owned(), "Ann Lee <ann@example.org>".to_owned()];
    let bob = ["Bob Stone".to_owned()];
    let rig = Rig::with(&[
        FulltextEntry { authors: &eva, recipients: &bob, ..entry(1, "On lakes and rivers.") },
        entry(2, "A talk by Eva Wright on rivers."),
        FulltextEntry { authors: &bob, ..entry(3, "On Eva and on rivers.") },
    ]);
    assert_eq!(rig.find("\"Eva Wright\""), [2, 1]);
    assert_eq!(rig.find("Wright"), [2, 1]);
    assert_eq!(rig.find("author:wright"), [1]);
    assert_eq!(rig.find("author:\"eva wright\" rivers"), [1]);
    assert_eq!(rig.find("author:\"wright ann\""), [0; 0]);
    assert_eq!(rig.find("from:ann@example.org"), [1]);
    assert_eq!(rig.find("to:bob"), [1]);
    assert_eq!(rig.find("rivers -from:bob"), [1, 2]);
    assert_eq!(rig.find("from:eva author:bob"), [0; 0]);
}

#[test]
fn a_name_weighs_the_same_however_few_documents_have_authors() {
    let eva = ["Eva Wright".to_owned()];
    let bodies: Vec<String> = (0..40).map(|n| format!("filler{n} words")).collect();
    let written = |item, body| FulltextEntry { authors: &eva, ..entry(item, body) };
    let score = |authors: usize| {
        let all = (1..).zip(&bodies);
        let entries: Vec<_> = all
            .enumerate()
            .map(
                |(at, (item, body))| {
                    if at < authors { written(item, body) } else { entry(item, body) }
                },
            )
            .collect();
        Rig::with(&entries).hits("author:eva", &SearchFilter::default()).hits[0].score
    };
    let (one, two) = (score(1), score(2));
    assert!(one > two && two > one * 0.7, "{one} and {two}");
}

#[test]
fn a_quote_is_found_behind_the_text_that_says_it() {
    let often = "quokka ".repeat(50);
    let reply = |item, quote| FulltextEntry { aside: vec![quote], ..entry(item, "I saw a heron.") };
    let rig = Rig::with(&[
        reply(1, "> Did anybody see a quokka in the old mill?"),
        entry(2, "A quokka was seen yesterday, not far from here, says a neighbour of mine."),
        reply(3, &often),
        FulltextEntry { aside: vec!["> Die Häuser am See"], ..german(4, "Gut.") },
    ]);
    assert_eq!(rig.find("quokka"), [2, 3, 1]);
    assert_eq!(rig.find("heron"), [1, 3]);
    assert_eq!(rig.find("Haus"), [4]);
    assert_eq!(rig.find("\"quokka in the old mill\""), [1]);
    assert_eq!(rig.find("+quokka -heron"), [2]);
    assert_eq!(rig.find("+mill heron"), [1]);
    assert_eq!(rig.find("heading:quokka"), [0; 0]);
}

#[test]
fn a_word_that_is_seldom_quoted_is_no_rarity() {
    let bodies: Vec<String> = (0..8).map(|n| format!("The number is {n}.")).collect();
    let mut entries: Vec<_> = (1..).zip(&bodies).map(|(item, body)| entry(item, body)).collect();
    entries.push(FulltextEntry { aside: vec!["> Which number?"], ..entry(9, "Fine, thanks.") });
    let found = Rig::with(&entries).find("number");
    assert_eq!(found.len(), 9);
    assert_eq!(found.last(), Some(&9));
}

#[test]
fn word_forms_are_those_of_the_documents_language() {
    let rig = Rig::with(&[
        german(1, "Die Häuser am See"),
        german(2, "Ein Haus im Wald"),
        entry(3, "Haus is a kind of music"),
        entry(4, "Houses by the lake"),
    ]);
    let mut haus = rig.find("Haus");
    haus.sort_unstable();
    assert_eq!(haus, [1, 2, 3]);
    assert_eq!(rig.find("house"), [4]);
}

#[test]
fn a_word_counts_the_same_in_a_rare_language_as_in_a_common_one() {
    let bodies: Vec<String> = (0..40).map(|n| format!("budget filler{n} words")).collect();
    let mut entries: Vec<_> = (1..).zip(&bodies).map(|(item, body)| entry(item, body)).collect();
    entries.push(german(99, "budget anderer inhalt"));
    let rig = Rig::with(&entries);
    let query = Query::parse("budget").query;
    let all =
        rig.index.search_documents(&query, &SearchFilter::default(), None, &[EN, DE], 50).unwrap();
    let spread = all.hits[0].score - all.hits[40].score;
    assert!(spread.abs() < 1e-4, "scores differ by {spread}");
}

#[test]
fn a_common_word_of_one_language_is_no_rarity_in_another() {
    let rig = Rig::with(&[
        entry(1, "What is the budget of the town"),
        entry(2, "The town is what the people make of it"),
        entry(3, "What the town is"),
        german(4, "Auf dem Schild stand: what is the price"),
    ]);
    assert_eq!(rig.find("What is the budget?")[0], 1);
}

#[test]
fn a_query_of_stop_words_makes_do_with_them() {
    let rig = Rig::with(&[entry(1, "The Who"), entry(2, "Nobody here")]);
    assert_eq!(rig.find("the who"), [1]);
    assert_eq!(rig.find("who is nobody"), [2]);
}

#[test]
fn a_query_for_nothing_finds_nothing_unless_a_filter_asks() {
    let rig = Rig::with(&[entry(1, "Text")]);
    assert_eq!(rig.find(""), [0; 0]);
    assert_eq!(rig.find("?!"), [0; 0]);
    let filter = SearchFilter { media_type: Some("text/".into()), ..Default::default() };
    assert_eq!(rig.filtered("", &filter), [1]);
}

#[test]
fn writing_a_group_again_changes_nothing() {
    let group = [entry(1, "one text"), entry(2, "another text")];
    let rig = Rig::with(&group);
    let before = rig.hits("text", &SearchFilter::default());
    rig.index.write_group(&group, &[]).unwrap();
    let after = rig.hits("text", &SearchFilter::default());
    assert_eq!(before.matched, after.matched);
    assert_eq!(after.documents, 2);
    assert_eq!(rig.passages("text", &[1, 2], 5), HashMap::from([(1, vec![10]), (2, vec![20])]));
}

#[test]
fn a_new_text_takes_the_place_of_the_old_and_the_last_entry_wins() {
    let rig = Rig::with(&[entry(1, "old words")]);
    rig.index.write_group(&[entry(1, "draft words"), entry(1, "new words")], &[]).unwrap();
    assert_eq!(rig.find("old"), [0; 0]);
    assert_eq!(rig.find("draft"), [0; 0]);
    assert_eq!(rig.find("new"), [1]);
    assert_eq!(rig.index.document_count(), 1);
}

#[test]
fn removed_items_are_gone_and_compaction_takes_their_bytes() {
    let long: String = (0..5000).map(|n| format!("unmistakable{n} ")).collect();
    let mut entries = vec![entry(1, &long)];
    entries.extend((2..10).map(|item| entry(item, "short")));
    let rig = Rig::with(&entries);
    rig.index.write_group(&[], &[ItemKey(1), ItemKey(77)]).unwrap();
    assert_eq!(rig.find("unmistakable7"), [0; 0]);
    assert!(rig.passages("unmistakable7", &[1], 5).is_empty());
    // One in nine is too few for a merge of its own accord.
    let before = rig.index.bytes();
    rig.index.compact().unwrap();
    assert!(rig.index.bytes() < before);
    assert_eq!(rig.find("short").len(), 8);
}

#[test]
fn a_cleared_index_is_empty_and_usable() {
    let rig = Rig::with(&[entry(1, "text")]);
    rig.index.clear().unwrap();
    assert_eq!(rig.index.document_count(), 0);
    rig.index.write_group(&[entry(1, "text")], &[]).unwrap();
    assert_eq!(rig.find("text"), [1]);
}

#[test]
fn the_index_is_there_after_a_restart_and_after_giving_up_the_writer() {
    let rig = Rig::with(&[entry(1, "text one")]).reopened();
    assert_eq!(rig.find("text"), [1]);
    rig.index.release_writer().unwrap();
    rig.index.write_group(&[entry(2, "text two")], &[]).unwrap();
    assert_eq!(rig.reopened().find("two"), [2]);
}

#[test]
fn a_crash_between_the_two_commits_is_mended_by_writing_the_group_again() {
    let rig = Rig::new();
    let group = [entry(1, "only text")];
    rig.index.passages.write(|writer| rig.index.add_passages(writer, &group[0])).unwrap();
    let rig = rig.reopened();
    assert_eq!(rig.find("text"), [0; 0]);
    rig.index.write_group(&group, &[]).unwrap();
    assert_eq!(rig.find("text"), [1]);
    assert_eq!(rig.index.passages.searcher().num_docs(), 1);
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let rig = Rig::with(&[entry(1, "text")]);
    let failed = rig.index.documents.write(|writer| {
        writer.delete_term(Term::from_field_i64(rig.index.document_fields.item, 1));
        writer.add_document(rig.index.document(&entry(2, "text")))?;
        Err(tantivy::TantivyError::SystemError("told to fail".into()))
    });
    assert!(failed.is_err());
    rig.index.write_group(&[entry(3, "text")], &[]).unwrap();
    assert_eq!(rig.find("text"), [1, 3]);
}

#[test]
fn a_second_writer_is_refused_and_a_lock_does_not_outlive_its_holder() {
    let rig = Rig::with(&[entry(1, "text")]);
    let second = open(rig.dir.path()).unwrap();
    assert!(second.write_group(&[entry(2, "text")], &[]).is_err());
    rig.index.release_writer().unwrap();
    second.write_group(&[entry(2, "text")], &[]).unwrap();
}

#[test]
fn an_index_of_another_schema_is_outdated_until_erased() {
    let dir = tempfile::tempdir().unwrap();
    let fields = PassageFields::new();
    let analysis = Analysis::new();
    let cipher = testing::cipher(KeyPurpose::Fulltext);
    let files = Files::new(&dir.path().join("documents"), cipher, Latch::default());
    drop(Store::open(files, &fields.schema, analysis.tokenizers()).unwrap());
    let opened = open(dir.path());
    assert!(matches!(opened, Err(FulltextError::Outdated { .. })));
    Fulltext::erase(dir.path()).unwrap();
    open(dir.path()).unwrap();
}

#[test]
fn filters_admit_by_source_type_and_date() {
    let day = |text: &str| text.parse::<Timestamp>().unwrap();
    let rig = Rig::with(&[
        FulltextEntry {
            source: "mail/2024/a.eml",
            media_type: "message/rfc822",
            date: day("2024-03-01T00:00:00Z"),
            ..entry(1, "text")
        },
        FulltextEntry {
            source: "mail/2023/b.eml",
            media_type: "message/rfc822",
            date: day("2023-03-01T00:00:00Z"),
            ..entry(2, "text")
        },
        FulltextEntry {
            source: "mailbox.html",
            media_type: "text/html",
            date: day("1950-01-01T00:00:00Z"),
            ..entry(3, "text")
        },
    ]);
    let source = |path: &str| SearchFilter { source: Some(path.into()), ..Default::default() };
    assert_eq!(rig.filtered("text", &source("mail/")), [1, 2]);
    assert_eq!(rig.filtered("text", &source("mail")), [1, 2, 3]);
    assert_eq!(rig.filtered("text", &source("mail/2024/a.eml")), [1]);
    assert_eq!(rig.filtered("text", &source("nowhere")), [0; 0]);
    let kind = |kind: &str| SearchFilter { media_type: Some(kind.into()), ..Default::default() };
    assert_eq!(rig.filtered("text", &kind("message/rfc822")), [1, 2]);
    assert_eq!(rig.filtered("text", &kind("text/")), [3]);
    assert_eq!(rig.filtered("text", &kind("text")), [0; 0]);
    let dates = Query::parse("after:2023-03-01 before:2024-03-01").filter;
    assert_eq!(rig.filtered("text", &dates), [2]);
    let dates = Query::parse("before:2023").filter;
    assert_eq!(rig.filtered("text", &dates), [3]);
}

#[test]
fn a_filter_does_not_change_scores() {
    let rig = Rig::with(&[entry(1, "text"), entry(2, "text and more of it")]);
    let filter = SearchFilter { media_type: Some("text/".into()), ..Default::default() };
    let all = rig.hits("text", &SearchFilter::default());
    assert_eq!(all, rig.hits("text", &filter));
}

#[test]
fn statistics_cover_all_matches_whatever_the_limit() {
    let bodies: Vec<String> = (0..30).map(|n| format!("text{}", " filler".repeat(n))).collect();
    let entries: Vec<_> = (1..).zip(&bodies).map(|(item, body)| entry(item, body)).collect();
    let rig = Rig::with(&entries);
    rig.index.write_group(&[entry(90, "unrelated")], &[]).unwrap();
    let query = Query::parse("text").query;
    let search = |limit| {
        rig.index.search_documents(&query, &SearchFilter::default(), None, &[EN], limit).unwrap()
    };
    let (few, all) = (search(3), search(100));
    assert_eq!((few.documents, few.matched, few.hits.len()), (31, 30, 3));
    assert_eq!(few.hits[..], all.hits[..3]);
    let sum: f64 = all.hits.iter().map(|hit| f64::from(hit.score)).sum();
    let squares: f64 = all.hits.iter().map(|hit| f64::from(hit.score).powi(2)).sum();
    assert!((few.score_sum - sum).abs() < 1e-9 && (few.score_square_sum - squares).abs() < 1e-9);
}

#[test]
fn passages_are_the_best_of_each_item_asked_for() {
    let mut long = entry(1, "whole text");
    long.chunks = vec![
        (ChunkKey(11), "The lake freezes in winter."),
        (ChunkKey(12), "Nothing to see."),
        (ChunkKey(13), "Winter at the lake: the lake in winter."),
    ];
    let rig = Rig::with(&[long, entry(2, "winter lake")]);
    let found = rig.passages("lake winter -freezes", &[1, 5], 2);
    assert_eq!(found, HashMap::from([(1, vec![13, 11])]));
    assert_eq!(rig.passages("lake", &[1], 1), HashMap::from([(1, vec![13])]));
    assert!(rig.passages("", &[1], 1).is_empty());
}

#[test]
fn constraints_can_be_asked_of_documents_found_otherwise() {
    let rig = Rig::with(&[entry(1, "apples"), entry(2, "apples and pears"), entry(3, "plums")]);
    let query = Query::parse("fruit +apples -pears").query;
    let items = [1, 2, 3, 4].map(ItemKey);
    let filter = SearchFilter::default();
    let admitted = rig.index.admitted(&query, &filter, &[EN], &items).unwrap();
    assert_eq!(admitted, HashSet::from([ItemKey(1)]));
    let contained = rig.index.contained(&items).unwrap();
    assert_eq!(contained, HashSet::from([1, 2, 3].map(ItemKey)));
}

#[test]
fn nothing_of_an_index_lies_on_disk_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path()).unwrap();
    let marked = FulltextEntry { source: "secretfolder/file.txt", ..entry(1, "the secretword") };
    index.write_group(&[marked], &[]).unwrap();
    index.write_group(&[entry(2, "more text")], &[ItemKey(3)]).unwrap();
    index.compact().unwrap();
    // Markers are lower-case words, which is how terms are stored; `body` is a name in meta.json.
    for marker in ["secretword", "secretfolder", "body", "segments"] {
        assert_eq!(testing::shows(dir.path(), marker), None, "{marker}");
    }
}

#[test]
fn a_damaged_or_foreign_file_is_an_error_and_never_an_answer() {
    let rig = Rig::with(&[entry(1, &"plenty of text ".repeat(4000))]);
    rig.index.release_writer().unwrap();
    drop(rig.index);
    let dir = rig.dir;
    let whole = tempfile::tempdir().unwrap();
    for file in testing::files(dir.path()) {
        let kept = whole.path().join("kept");
        std::fs::copy(&file, &kept).unwrap();
        if std::fs::metadata(&file).unwrap().len() == 0 {
            continue;
        }
        testing::truncate(&file, 1);
        let found = open(dir.path()).and_then(|index| {
            let query = Query::parse("plenty").query;
            let filter = SearchFilter::default();
            index.search_passages(&query, None, &[EN], &[ItemKey(1)], 3)?;
            index.search_documents(&query, &filter, None, &[EN], 3)
        });
        assert!(found.is_err(), "{}: {found:?}", file.display());
        std::fs::copy(&kept, &file).unwrap();
    }
    open(dir.path()).unwrap();
    let other = FileCipher::new(testing::keyring("other tenant", 1), KeyPurpose::Fulltext);
    assert!(Fulltext::open(dir.path(), &other, &Latch::default()).is_err());
    let other = testing::cipher(KeyPurpose::Vectors);
    assert!(Fulltext::open(dir.path(), &other, &Latch::default()).is_err());
}

#[test]
fn a_closed_latch_stops_reads_and_writes_of_an_open_index() {
    let dir = tempfile::tempdir().unwrap();
    let latch = Latch::default();
    let cipher = testing::cipher(KeyPurpose::Fulltext);
    let index = Fulltext::open(dir.path(), &cipher, &latch).unwrap();
    index.write_group(&[entry(1, "text")], &[]).unwrap();
    latch.close();
    assert!(index.write_group(&[entry(2, "text")], &[]).is_err());
    assert!(Fulltext::open(dir.path(), &cipher, &latch).is_err());
    drop(index);
    assert_eq!(open(dir.path()).unwrap().document_count(), 1);
}
