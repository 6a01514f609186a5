//! Whether a sentence tells of what was or of what will be, from the few words that show it.
//!
//! Called by: `dates::nearby`. Talks to: nothing; pure.
//! Invariants: looks at a few words on either side; where they contradict each other, may mean
//! either, or tell of something that happens again and again, nothing is said.

use super::patterns::Scan;
use super::tokens::Token;

/// Most words looked at on either side.
const REACH: usize = 14;

/// Past forms that no ending shows, and German ones by themselves.
const PAST: &[&str] = &[
    "was",
    "were",
    "had",
    "did",
    "met",
    "said",
    "told",
    "came",
    "went",
    "sent",
    "got",
    "saw",
    "made",
    "took",
    "gave",
    "began",
    "left",
    "held",
    "wrote",
    "spoke",
    "chose",
    "found",
    "brought",
    "bought",
    "sold",
    "paid",
    "lost",
    "won",
    "rose",
    "fell",
    "became",
    "knew",
    "thought",
    "kept",
    "war",
    "waren",
    "hatte",
    "hatten",
    "wurde",
    "wurden",
    "kam",
    "kamen",
    "ging",
    "gingen",
    "fand",
    "fanden",
    "traf",
    "trafen",
    "gab",
    "gaben",
    "nahm",
    "nahmen",
    "schrieb",
    "schrieben",
    "rief",
    "sprach",
    "sprachen",
    "begann",
    "erhielt",
    "lag",
    "stand",
    "blieb",
    "sagte",
    "sagten",
    "teilte",
    "meldete",
    "erklärte",
    "machte",
    "machten",
    "stellte",
    "brachte",
    "zeigte",
    "berichtete",
    "kündigte",
    "startete",
    "endete",
    "lieferte",
    "unterzeichnete",
    "veröffentlichte",
];
/// Words that point ahead.
const AHEAD: &[&str] = &[
    "will", "shall", "ll", "going", "let", "please", "must", "should", "can", "could", "would",
    "may", "until", "due", "wird", "werden", "werde", "wollen", "bitte", "soll", "sollen", "muss",
    "müssen", "kann", "können",
];
/// The present, in which a participle may mean what is to come: `it is to be signed`.
const PRESENT: &[&str] = &["is", "are", "be", "to", "being"];
/// With these a German participle makes a past.
const PERFECT: &[&str] = &["habe", "haben", "hat", "habt", "bin", "ist", "sind", "seid"];
/// What happens on a weekday again and again.
const REPEATED: &[&str] = &[
    "every",
    "each",
    "always",
    "usually",
    "weekly",
    "jede",
    "jeden",
    "jeder",
    "jedes",
    "immer",
    "wöchentlich",
    "stets",
];
/// Words that end like a past form and are none.
const NO_PAST: &[&str] = &[
    "scheduled",
    "planned",
    "expected",
    "proposed",
    "required",
    "needed",
    "indeed",
    "hundred",
    "interested",
    "attached",
    "related",
    "based",
    "united",
    "limited",
    "advised",
    "supposed",
    "speed",
    "exceed",
    "proceed",
    "succeed",
    "heute",
    "bitte",
    "möchte",
    "möchten",
    "könnte",
    "könnten",
    "nächste",
    "nächsten",
    "erste",
    "ersten",
    "zweite",
    "zweiten",
    "dritte",
    "dritten",
    "gesamte",
    "gesamten",
    "gehen",
    "gegen",
    "geben",
    "gelten",
    "gestern",
];

/// What the words seen so far tell.
#[derive(Default)]
struct Signs {
    past: bool,
    /// English participles, which are past unless something else says otherwise.
    participle: bool,
    /// German forms that may be past and may be something else.
    unsure: bool,
    ahead: bool,
    present: bool,
    perfect: bool,
    german_participle: bool,
    repeated: bool,
}

impl Scan<'_> {
    /// -1 where the sentence around a token tells of the past, 1 where of what is to come.
    pub(super) fn time_of_sentence(&self, at: usize, is_german: bool) -> Option<i64> {
        let mut signs = Signs::default();
        // The word right before is the one that makes it a date: `am` is no verb there.
        let before = (0..at.saturating_sub(1)).rev().take(REACH);
        let before = before.take_while(|place| !self.ends_sentence(*place));
        let after = (at + 1..).take(REACH).take_while(|place| !self.ends_sentence(*place));
        for place in before.chain(after) {
            if let Some(word) = self.lower(place) {
                let is_capital = self.token(place).is_some_and(Token::is_capital);
                signs.see(&word, is_german, is_capital);
            }
        }
        signs.direction()
    }

    fn ends_sentence(&self, at: usize) -> bool {
        let Some(token) = self.token(at) else { return true };
        let is_stop = ['.', '!', '?', ';'].iter().any(|sign| token.is(*sign));
        is_stop && self.token(at + 1).is_none_or(|next| next.spaced)
    }
}

impl Signs {
    fn see(&mut self, word: &str, is_german: bool, is_capital: bool) {
        self.repeated |= REPEATED.contains(&word);
        self.ahead |= AHEAD.contains(&word);
        self.present |= PRESENT.contains(&word);
        self.perfect |= PERFECT.contains(&word);
        self.past |= PAST.contains(&word);
        let length = word.chars().count();
        if length < 5 || PAST.contains(&word) || NO_PAST.contains(&word) {
            return;
        }
        if !is_german {
            self.participle |= word.ends_with("ed");
        } else if !is_capital {
            let ends = word.ends_with('t') || word.ends_with("en");
            self.german_participle |= ends && (word.starts_with("ge") || parts(word));
            // `explodierte`, `beschlossen`; adjectives end like them.
            self.unsure |= word.ends_with("te") || word.ends_with("ten");
            self.unsure |= self.perfect
                && ends
                && ["be", "ver", "er", "ent", "zer"].iter().any(|prefix| word.starts_with(prefix));
        }
    }

    fn direction(&self) -> Option<i64> {
        let past = self.past || (self.perfect && self.german_participle);
        match (past, self.ahead) {
            _ if self.repeated => None,
            (true, true) => None,
            (true, false) => Some(-1),
            (false, true) => Some(1),
            (false, false) if self.participle && self.present => None,
            (false, false) if self.participle => Some(-1),
            (false, false) if self.unsure => None,
            (false, false) => Some(1),
        }
    }
}

/// `abgesagt`, `stattgefunden`.
fn parts(word: &str) -> bool {
    ["ab", "an", "auf", "aus", "ein", "fest", "mit", "nach", "statt", "teil", "vor", "zu"]
        .iter()
        .any(|prefix| word.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("ge")))
}
