//! Fields of the two indexes.
//!
//! Called by: `mod`, `compile`. Talks to: tantivy.
//! Invariants: a text lies in the fields of exactly one language, so no document scores twice
//! because two languages analyse a word; nothing is stored, every answer is a row key.
//! Why what is said aside lies in the field of headings, marked: a word is looked up there as it
//! is, and as one said aside. A field of their own would have every index built anew.
//! Why two indexes: BM25 needs the number and length of documents apart from those of chunks.
//! Why a field per language: a word is looked up as each language stems it and never meets the
//! stems of another.

use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};

use super::analysis::tokenizer_name;
use crate::types::Language;

/// Name of the fast field with the item's row key, in both indexes.
pub(super) const ITEM: &str = "item";
/// Words of the field that tells which names a document has.
pub(super) const HAS_AUTHORS: &str = "authors";
pub(super) const HAS_RECIPIENTS: &str = "recipients";
/// Name of the fast field with the chunk's row key.
pub(super) const CHUNK: &str = "chunk";

/// One text field for each language.
pub(super) struct LanguageFields(Vec<Field>);

impl LanguageFields {
    fn add(builder: &mut SchemaBuilder, name: &str) -> Self {
        Self(
            Language::ALL
                .into_iter()
                .map(|language| {
                    let name = format!("{name}_{}", language.code());
                    builder.add_text_field(&name, words(&tokenizer_name(language)))
                })
                .collect(),
        )
    }

    pub(super) fn get(&self, language: Language) -> Field {
        self.0[language.index()]
    }
}

/// Fields of the index with one entry per document.
pub(super) struct DocumentFields {
    pub(super) schema: Schema,
    pub(super) item: Field,
    /// Effective date in microseconds since 1970.
    pub(super) date: Field,
    /// Source as it is, for prefixes.
    pub(super) source_path: Field,
    /// Source as words.
    pub(super) source: Field,
    /// Media type in lower case, whole.
    pub(super) media_type: Field,
    /// Media type as words.
    pub(super) media_words: Field,
    /// Names and addresses of those who wrote it, as words.
    pub(super) authors: Field,
    /// The same of those a mail went to.
    pub(super) recipients: Field,
    /// Which of these two there are; most documents have none.
    pub(super) names: Field,
    /// Code of the language the document is indexed under.
    pub(super) language: Field,
    pub(super) title: LanguageFields,
    /// Headings, and marked what a mail says aside.
    pub(super) headings: LanguageFields,
    /// Title and text.
    pub(super) body: LanguageFields,
}

impl DocumentFields {
    pub(super) fn new() -> Self {
        let mut builder = Schema::builder();
        let neutral = tokenizer_name(Language::Other);
        let item = builder.add_i64_field(ITEM, row_key());
        let date = builder.add_i64_field("date", NumericOptions::default().set_fast());
        let source_path =
            builder.add_text_field("source_path", TextOptions::default().set_fast("raw"));
        let source = builder.add_text_field("source", words(&neutral));
        let media_type = builder.add_text_field("media_type", whole());
        let media_words = builder.add_text_field("media_words", words(&neutral));
        let authors = builder.add_text_field("authors", words(&neutral));
        let recipients = builder.add_text_field("recipients", words(&neutral));
        let names = builder.add_text_field("names", whole());
        let language = builder.add_text_field("language", whole());
        let title = LanguageFields::add(&mut builder, "title");
        let headings = LanguageFields::add(&mut builder, "headings");
        let body = LanguageFields::add(&mut builder, "body");
        Self {
            schema: builder.build(),
            item,
            date,
            source_path,
            source,
            media_type,
            media_words,
            authors,
            recipients,
            names,
            language,
            title,
            headings,
            body,
        }
    }
}

/// Fields of the index with one entry per chunk.
pub(super) struct PassageFields {
    pub(super) schema: Schema,
    pub(super) item: Field,
    pub(super) chunk: Field,
    /// Code of the language the chunk is indexed under.
    pub(super) language: Field,
    pub(super) text: LanguageFields,
}

impl PassageFields {
    pub(super) fn new() -> Self {
        let mut builder = Schema::builder();
        let item = builder.add_i64_field(ITEM, row_key());
        let chunk = builder.add_i64_field(CHUNK, NumericOptions::default().set_fast());
        let language = builder.add_text_field("language", whole());
        let text = LanguageFields::add(&mut builder, "text");
        Self { schema: builder.build(), item, chunk, language, text }
    }
}

/// Indexed, to delete by; fast, to answer with.
fn row_key() -> NumericOptions {
    NumericOptions::default().set_indexed().set_fast()
}

fn words(tokenizer: &str) -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(tokenizer)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    TextOptions::default().set_indexing_options(indexing)
}

fn whole() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}
