//! The languages full text can stem, and one value for all others.
//!
//! Called by: `tenant`, `app`. Talks to: nothing.
//! Invariants: `TABLE` lists the variants in declaration order, `Other` last, so that a
//! variant's number is its row and `ALL` covers every one of them.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Language of a text, as far as full-text search tells languages apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Arabic,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
    /// Any other language, or none recognised: words are matched as they are, unstemmed.
    Other,
}

/// Variant, ISO 639-1 code (`und` where there is no language), ISO 639-3 code.
const TABLE: [(Language, &str, &str); 19] = [
    (Language::Arabic, "ar", "ara"),
    (Language::Danish, "da", "dan"),
    (Language::Dutch, "nl", "nld"),
    (Language::English, "en", "eng"),
    (Language::Finnish, "fi", "fin"),
    (Language::French, "fr", "fra"),
    (Language::German, "de", "deu"),
    (Language::Greek, "el", "ell"),
    (Language::Hungarian, "hu", "hun"),
    (Language::Italian, "it", "ita"),
    (Language::Norwegian, "no", "nob"),
    (Language::Portuguese, "pt", "por"),
    (Language::Romanian, "ro", "ron"),
    (Language::Russian, "ru", "rus"),
    (Language::Spanish, "es", "spa"),
    (Language::Swedish, "sv", "swe"),
    (Language::Tamil, "ta", "tam"),
    (Language::Turkish, "tr", "tur"),
    (Language::Other, "und", "und"),
];

impl Language {
    /// Every value, in declaration order.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::Other; TABLE.len()];
        let mut row = 0;
        while row < TABLE.len() {
            all[row] = TABLE[row].0;
            row += 1;
        }
        all
    };

    /// Position in [`Self::ALL`], for arrays with one place per language.
    pub fn index(self) -> usize {
        self as usize
    }

    /// ISO 639-1 code, such as `de`; `und` for [`Self::Other`].
    pub fn code(self) -> &'static str {
        TABLE[self.index()].1
    }

    /// The language a code written by [`Self::code`] names.
    pub fn from_code(code: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == code).map(|row| row.0)
    }

    /// The language of a three-letter code as language detection reports it (`eng`, `deu`, …).
    /// A language without a stemmer is [`Self::Other`].
    pub fn from_whatlang_code(code: &str) -> Self {
        TABLE.iter().find(|row| row.2 == code).map_or(Self::Other, |row| row.0)
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_code(&code)
            .ok_or_else(|| serde::de::Error::custom(format_args!("unknown language `{code}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_its_own_row_and_survives_its_codes() {
        for (row, language) in Language::ALL.into_iter().enumerate() {
            assert_eq!(language.index(), row);
            assert_eq!(Language::from_code(language.code()), Some(language));
            assert_eq!(Language::from_whatlang_code(TABLE[row].2), language);
        }
        assert_eq!(Language::from_whatlang_code("jpn"), Language::Other);
    }

    #[test]
    fn a_language_is_written_as_its_code() -> Result<(), serde_json::Error> {
        assert_eq!(serde_json::to_string(&Language::German)?, "\"de\"");
        assert_eq!(serde_json::from_str::<Language>("\"de\"")?, Language::German);
        assert!(serde_json::from_str::<Language>("\"tlh\"").is_err());
        Ok(())
    }
}
