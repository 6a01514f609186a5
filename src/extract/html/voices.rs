//! Who speaks in the HTML of a mail: its author, an earlier mail, or a signature.
//!
//! Called by: `html`. Talks to: `mail::quote` for what plain words give away.
//! Invariants: state is a few counters and flags, whatever the nesting; only marks that mail
//! programs set are trusted, so a page that is no mail is never read this way. A `blockquote`
//! alone is none: the button that indents a paragraph makes one as well.

use std::io::{self, Read};

use scraper::node::Element;

use crate::extract::ExtractSink;
use crate::extract::mail::quote::{self, Speaker};
use crate::types::{Block, BlockKind, ChildHeader};

/// What the mark of a mail program says about what is inside it.
enum Border {
    Quote,
    /// A quote where something else says so.
    Indented,
    Signature,
    /// From here to the end.
    Rest,
}

/// Keeps track of who speaks while a mail is walked.
pub(super) struct Voices {
    /// What is repeated counts as words of this mail.
    is_forward: bool,
    quotes: u32,
    /// Those of `quotes` that are indented without a mark of their own.
    indented: u32,
    signatures: u32,
    rest: Option<Speaker>,
    /// The block before says whose words follow.
    introduced: bool,
}

impl Voices {
    pub(super) fn new(is_forward: bool) -> Self {
        Self { is_forward, quotes: 0, indented: 0, signatures: 0, rest: None, introduced: false }
    }

    pub(super) fn enter(&mut self, element: &Element) {
        match border(element) {
            Some(Border::Quote) => self.quotes += 1,
            // Inside a quote all is quoted, so those that count are always the innermost.
            Some(Border::Indented) if self.introduced || self.quotes > 0 => {
                self.quotes += 1;
                self.indented += 1;
            }
            Some(Border::Indented) => {}
            Some(Border::Signature) => self.signatures += 1,
            Some(Border::Rest) => self.rest = Some(self.repeated()),
            None => {}
        }
    }

    pub(super) fn leave(&mut self, element: &Element) {
        match border(element) {
            Some(Border::Quote) => self.quotes = self.quotes.saturating_sub(1),
            Some(Border::Indented) if self.indented > 0 => {
                self.quotes = self.quotes.saturating_sub(1);
                self.indented -= 1;
            }
            Some(Border::Indented) => {}
            Some(Border::Signature) => self.signatures = self.signatures.saturating_sub(1),
            Some(Border::Rest) | None => {}
        }
    }

    /// True where what follows is left out of the mail's own words.
    pub(super) fn is_repeating(&self) -> bool {
        !self.is_forward && (self.rest == Some(Speaker::Quoted) || self.quotes > 0)
    }

    /// The kind of a block that is not the author's own; `None` where it is.
    pub(super) fn kind_of(&mut self, text: &str) -> Option<BlockKind> {
        if self.rest.is_none() {
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            self.rest = quote::rest_from(&lines, self.is_forward);
        }
        self.introduced = quote::introduces(text);
        let speaker = match self.rest {
            Some(speaker) => speaker,
            None if self.quotes > 0 || quote::is_attribution(text) => self.repeated(),
            None if self.signatures > 0 || quote::is_signature(text) => Speaker::Signature,
            None => Speaker::Own,
        };
        speaker.kind()
    }

    fn repeated(&self) -> Speaker {
        if self.is_forward { Speaker::Forwarded } else { Speaker::Quoted }
    }
}

/// True for an element whose begin and end are borders between voices.
pub(super) fn is_border(element: &Element) -> bool {
    border(element).is_some()
}

fn border(element: &Element) -> Option<Border> {
    const QUOTES: [&str; 5] =
        ["gmail_quote", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote", "tutanota_quote"];
    const SIGNATURES: [&str; 3] =
        ["gmail_signature", "moz-signature", "protonmail_signature_block"];
    let is_indented = element.name() == "blockquote";
    if is_indented
        && (element.attr("type").is_some_and(|kind| kind.eq_ignore_ascii_case("cite"))
            || element.attr("cite").is_some())
    {
        return Some(Border::Quote);
    }
    if element.attr("id").is_some_and(|id| matches!(id, "divRplyFwdMsg" | "appendonsend")) {
        return Some(Border::Rest);
    }
    let mut classes = element.attr("class").unwrap_or_default().split_ascii_whitespace();
    let marked = classes.find_map(|class| match class {
        _ if QUOTES.contains(&class) => Some(Border::Quote),
        _ if SIGNATURES.contains(&class) => Some(Border::Signature),
        _ => None,
    });
    marked.or(is_indented.then_some(Border::Indented))
}

/// A sink that only remembers whether a mail says anything of its own, and in which form.
#[derive(Default)]
pub(super) struct OwnWords {
    found: bool,
    structured: bool,
}

impl OwnWords {
    pub(super) fn found(&self) -> bool {
        self.found
    }

    pub(super) fn are_structured(&self) -> bool {
        self.structured
    }
}

impl ExtractSink for OwnWords {
    fn block(&mut self, block: Block) -> io::Result<()> {
        self.found |= block.kind.is_own();
        self.structured |= block.kind.is_structure();
        Ok(())
    }

    fn child(&mut self, _: &ChildHeader, _: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}
