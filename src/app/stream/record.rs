//! One record of a stream: a JSON object on a line.
//!
//! Called by: `app::stream`. Talks to: nothing.
//! Invariants: only what the record must have is looked at; the rest is read where documents are,
//! in the extraction child.

use serde::Deserialize;

use crate::app::ingest::clean_source;

/// A record on its way in.
#[derive(Debug)]
pub(super) struct Record {
    /// Path it is kept under, where it names one.
    pub(super) source: Option<String>,
    pub(super) text: String,
    /// The line itself, which is what is stored.
    pub(super) bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Fields {
    text: String,
    source: Option<String>,
}

/// Reads a line.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(super) fn parse(bytes: Vec<u8>) -> Result<Record, String> {
    let fields: Fields = serde_json::from_slice(&bytes)
        .map_err(|error| format!("the line is no JSON object with a `text`: {error}"))?;
    if fields.text.trim().is_empty() {
        return Err("the field `text` is empty".to_owned());
    }
    let source = match fields.source.filter(|source| !source.is_empty()) {
        Some(source) => Some(clean_source(&source).map_err(|error| error.to_string())?),
        None => None,
    };
    Ok(Record { source, text: fields.text, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_text_and_perhaps_a_source() {
        let read = |line: &str| parse(line.as_bytes().to_vec());
        let record = read(r#"{"text":"hello","source":"/a/../b.json","title":"T"}"#).expect("one");
        assert_eq!((record.source.as_deref(), record.text.as_str()), (Some("b.json"), "hello"));
        assert_eq!(read(r#"{"text":"x"}"#).expect("one").source, None);
        for odd in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"text":7}"#,
            r#"{"text":" "}"#,
            r#"{"text":"x","source":".."}"#,
        ] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }
}
