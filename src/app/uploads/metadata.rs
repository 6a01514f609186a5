//! What a sender says about an upload: pairs of a word and a value in base 64.
//!
//! Called by: `app::uploads`. Talks to: `crypto` for base 64.
//! Invariants: words that mean nothing here are kept and otherwise left alone; a value that means
//! something and cannot be read is an error.

use jiff::Timestamp;
use serde::de::IntoDeserializer;
use serde::{Deserialize, de};

use crate::app::Error;
use crate::app::ingest::Upload;
use crate::crypto::unbase64;
use crate::types::FormatHint;

/// Longest list of pairs, in bytes.
const MOST_BYTES: usize = 16 << 10;

/// The upload that a list of pairs describes. Of several words for the same thing the first that
/// is there counts, since every client has its own.
pub(super) fn parse(metadata: &str, length: u64) -> Result<Upload, Error> {
    if metadata.len() > MOST_BYTES {
        return Err(Error::invalid(format!("Upload-Metadata is longer than {MOST_BYTES} bytes")));
    }
    let pairs = pairs(metadata)?;
    let value = |words: &[&str]| {
        words.iter().find_map(|word| {
            let found = pairs.iter().find(|(name, _)| name == word);
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        })
    };
    let file_date = value(&["file_date"])
        .map(|text| text.parse::<Timestamp>())
        .transpose()
        .map_err(|_| Error::invalid("file_date is no RFC 3339 time"))?;
    let format = value(&["format"])
        .map(|word| {
            let word: de::value::StringDeserializer<de::value::Error> = word.into_deserializer();
            FormatHint::deserialize(word)
        })
        .transpose()
        .map_err(|_| Error::invalid("format is none that is known"))?;
    Ok(Upload {
        source: value(&["source", "relativePath", "filename", "name"]).unwrap_or_default(),
        collection: value(&["collection"]),
        file_date,
        declared_type: value(&["filetype", "type"])
            .filter(|kind| !kind.starts_with("application/octet-stream")),
        format,
        size_bytes: Some(length),
    })
}

fn pairs(metadata: &str) -> Result<Vec<(String, String)>, Error> {
    let unreadable =
        || Error::invalid("Upload-Metadata is no list of words, each with its value in base 64");
    metadata
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (word, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let bytes = unbase64(value.trim().trim_end_matches('=')).ok_or_else(unreadable)?;
            let value = String::from_utf8(bytes).map_err(|_| unreadable())?;
            Ok((word.to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_several_clients_are_understood() {
        let upload =
            parse("filename cmVwb3J0LnBkZg==,filetype YXBwbGljYXRpb24vcGRm,is_confidential", 5)
                .expect("readable");
        assert_eq!(upload.source, "report.pdf");
        assert_eq!(upload.declared_type.as_deref(), Some("application/pdf"));
        assert_eq!(upload.size_bytes, Some(5));
        let upload = parse("relativePath YS9iLnR4dA==,name Yi50eHQ=", 5).expect("readable");
        assert_eq!(upload.source, "a/b.txt");
        let upload = parse("format ZG9jdW1lbnRzLWpzb25s", 5).expect("readable");
        assert_eq!(upload.format, Some(FormatHint::DocumentsJsonl));
        for odd in ["filename !", "filename /w==", "file_date bm93", "format bm9uZQ=="] {
            assert!(parse(odd, 5).is_err(), "{odd}");
        }
    }
}
