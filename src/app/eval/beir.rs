//! Reading a BEIR data set: `corpus.jsonl`, `queries.jsonl` and judgements (`qrels`).
//!
//! Called by: `cli::eval`. Talks to: nothing; it reads from what it is given.
//! Invariants: a line that cannot be understood is an error that names its number, never skipped;
//! of the corpus only the ids are kept, so its size does not matter.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead};

use serde::Deserialize;

/// Why a data set cannot be used. `line` counts from 1.
#[derive(Debug, thiserror::Error)]
pub enum BeirError {
    #[error("line {line} cannot be read")]
    Read {
        line: usize,
        #[source]
        source: io::Error,
    },
    #[error("line {line} is not an object with the expected fields")]
    Json {
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("line {line} repeats the id `{id}`")]
    RepeatedId { line: usize, id: String },
    #[error(
        "line {line} has {found} columns: expected query, document, score, or the four of TREC"
    )]
    Columns { line: usize, found: usize },
    #[error("line {line}: the score `{found}` is not a whole number")]
    Score { line: usize, found: String },
    #[error("the file holds no entries")]
    Empty,
}

/// One query of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub id: String,
    pub text: String,
}

/// Relevance by document id, for one query. Absent documents are not relevant.
pub type QueryJudgements = HashMap<String, i64>;

/// Judgements by query id.
pub type Qrels = HashMap<String, QueryJudgements>;

/// An `_id`, which data sets write as a string or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(serde_json::Number),
}

impl Id {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
struct CorpusLine {
    #[serde(rename = "_id")]
    id: Id,
}

#[derive(Deserialize)]
struct QueryLine {
    #[serde(rename = "_id")]
    id: Id,
    text: String,
}

/// The `_id` of every document of a corpus; blank lines are allowed.
///
/// # Errors
/// A line that cannot be read, is not an object with `_id` or repeats one; an empty corpus.
pub fn read_corpus_ids(reader: impl BufRead) -> Result<HashSet<String>, BeirError> {
    let mut ids = HashSet::new();
    for_each_line(reader, |line, text| {
        let parsed: CorpusLine =
            serde_json::from_str(text).map_err(|source| BeirError::Json { line, source })?;
        let id = parsed.id.into_text();
        if !ids.insert(id.clone()) {
            return Err(BeirError::RepeatedId { line, id });
        }
        Ok(())
    })?;
    if ids.is_empty() { Err(BeirError::Empty) } else { Ok(ids) }
}

/// All queries, in file order.
///
/// # Errors
/// A line that cannot be read, is not an object with `_id` and `text` or repeats an id; no query.
pub fn read_queries(reader: impl BufRead) -> Result<Vec<Query>, BeirError> {
    let mut queries = Vec::new();
    let mut seen = HashSet::new();
    for_each_line(reader, |line, text| {
        let parsed: QueryLine =
            serde_json::from_str(text).map_err(|source| BeirError::Json { line, source })?;
        let id = parsed.id.into_text();
        if !seen.insert(id.clone()) {
            return Err(BeirError::RepeatedId { line, id });
        }
        queries.push(Query { id, text: parsed.text });
        Ok(())
    })?;
    if queries.is_empty() { Err(BeirError::Empty) } else { Ok(queries) }
}

/// Judgements: `query document score`, or TREC's `query iteration document score`, separated by
/// tabs (by white space where a line has no tab), with or without a header line.
///
/// # Errors
/// A line with other columns or a score that is no whole number; no judgement at all.
pub fn read_qrels(reader: impl BufRead) -> Result<Qrels, BeirError> {
    let mut qrels = Qrels::new();
    let mut first = true;
    for_each_line(reader, |line, text| {
        let columns: Vec<&str> = if text.contains('\t') {
            text.split('\t').map(str::trim).collect()
        } else {
            text.split_whitespace().collect()
        };
        let (query, document, score) = match columns.as_slice() {
            [query, document, score] | [query, _, document, score] => (*query, *document, *score),
            other => {
                return Err(BeirError::Columns { line, found: other.len() });
            }
        };
        let header = std::mem::take(&mut first);
        match score.parse::<i64>() {
            Ok(relevance) => {
                qrels.entry(query.to_owned()).or_default().insert(document.to_owned(), relevance);
                Ok(())
            }
            Err(_) if header => Ok(()),
            Err(_) => Err(BeirError::Score { line, found: score.to_owned() }),
        }
    })?;
    if qrels.is_empty() { Err(BeirError::Empty) } else { Ok(qrels) }
}

/// A query's text with the marks taken out that Cairn's query syntax would act on: quotes, a
/// minus before a word, `field:`. Published results treat queries as plain words, so do we.
pub fn plain_words(text: &str) -> String {
    const FIELDS: [&str; 6] = ["title", "heading", "source", "type", "after", "before"];
    let unquoted = text.replace('"', " ");
    let mut words: Vec<&str> = Vec::new();
    for word in unquoted.split_whitespace() {
        let mut rest = word.trim_start_matches('-');
        while let Some((field, after)) = rest.split_once(':')
            && FIELDS.contains(&field.to_lowercase().as_str())
        {
            words.push(field);
            rest = after.trim_start_matches('-');
        }
        words.push(rest);
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// Calls `each` with the number and text of every line that is not blank.
fn for_each_line(
    mut reader: impl BufRead,
    mut each: impl FnMut(usize, &str) -> Result<(), BeirError>,
) -> Result<(), BeirError> {
    let mut text = String::new();
    let mut line = 0;
    loop {
        text.clear();
        line += 1;
        let read =
            reader.read_line(&mut text).map_err(|source| BeirError::Read { line, source })?;
        if read == 0 {
            return Ok(());
        }
        let mut content = text.trim_end_matches(['\n', '\r']);
        if line == 1 {
            content = content.trim_start_matches('\u{feff}');
        }
        if !content.trim().is_empty() {
            each(line, content)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, query: &str, document: &str) -> Option<i64> {
        read_qrels(text.as_bytes()).unwrap().get(query)?.get(document).copied()
    }

    #[test]
    fn qrels_are_read_with_and_without_a_header() {
        let with = "query-id\tcorpus-id\tscore\n1\td7\t2\n";
        let without = "1\td7\t2\n1\td8\t0\n";
        assert_eq!(judged(with, "1", "d7"), Some(2));
        assert_eq!(judged(without, "1", "d7"), Some(2));
        assert_eq!(judged(without, "1", "d8"), Some(0));
        assert_eq!(judged(with, "query-id", "corpus-id"), None);
    }

    #[test]
    fn qrels_of_trec_have_four_columns_by_tab_or_space() {
        assert_eq!(judged("q1\t0\tdoc a\t1\r\n", "q1", "doc a"), Some(1));
        assert_eq!(judged("q1 Q0 d3 1\n", "q1", "d3"), Some(1));
    }

    #[test]
    fn qrels_with_a_bad_line_are_refused_with_its_number() {
        let error = read_qrels("1\td7\t2\n1\td8\thigh\n".as_bytes()).unwrap_err();
        assert!(matches!(error, BeirError::Score { line: 2, .. }), "{error}");
        let error = read_qrels("1\td7\n".as_bytes()).unwrap_err();
        assert!(matches!(error, BeirError::Columns { line: 1, found: 2 }), "{error}");
        assert!(matches!(read_qrels("".as_bytes()), Err(BeirError::Empty)));
        assert!(matches!(read_qrels("a\tb\tscore\n".as_bytes()), Err(BeirError::Empty)));
    }

    #[test]
    fn corpus_ids_may_be_text_or_numbers_and_never_repeat() {
        let corpus = "{\"_id\": \"d1\", \"text\": \"a\"}\n\n{\"_id\": 7, \"text\": \"b\"}\n";
        let ids = read_corpus_ids(corpus.as_bytes()).unwrap();
        assert_eq!(ids, HashSet::from(["d1".to_owned(), "7".to_owned()]));
        let error = read_corpus_ids("{\"_id\":1}\n{\"_id\":\"1\"}\n".as_bytes()).unwrap_err();
        assert!(matches!(error, BeirError::RepeatedId { line: 2, .. }), "{error}");
    }

    #[test]
    fn queries_keep_their_order() {
        let text = "{\"_id\":\"2\",\"text\":\"b\",\"metadata\":{}}\n{\"_id\":\"1\",\"text\":\"a\"}";
        let queries = read_queries(text.as_bytes()).unwrap();
        let ids: Vec<&str> = queries.iter().map(|query| query.id.as_str()).collect();
        assert_eq!(ids, ["2", "1"]);
    }

    #[test]
    fn marks_of_the_query_syntax_become_plain_words() {
        assert_eq!(plain_words("a \"b c\" -d - e-f"), "a b c d e-f");
        assert_eq!(plain_words("title:x Source:-y 10:30"), "title x Source y 10:30");
        assert_eq!(plain_words("\"title:type:x\""), "title type x");
        assert_eq!(plain_words("alpha (+)- thalassemia \"-x\""), "alpha (+)- thalassemia x");
        assert_eq!(plain_words("what is source: here?"), "what is source here?");
    }
}
