//! The lines by which mail programs say that another mail begins.
//!
//! Called by: `mail::quote`, and through it by `html::voices`. Talks to: nothing; pure.
//! Invariants: what makes all the rest a quote needs more than a person would write: an address, a
//! subject, or a time to the minute.

use super::Speaker;

/// Longest line that introduces a quote.
const MAX_ATTRIBUTION: usize = 300;
/// Lines over which a mail program wraps such a line.
const ATTRIBUTION_LINES: usize = 3;
/// Lines among which the fields of a header are looked for.
const HEADER_LINES: usize = 8;

/// The speaker of everything from the first of `lines` on, where that line says that another mail
/// begins.
pub(in crate::extract) fn rest_from(lines: &[&str], is_forward: bool) -> Option<Speaker> {
    const ORIGINAL: [&str; 7] = [
        "original message",
        "original appointment",
        "ursprüngliche nachricht",
        "originalnachricht",
        "original-nachricht",
        "message d'origine",
        "mensaje original",
    ];
    const FORWARDED: [&str; 4] = [
        "forwarded message",
        "forwarded by",
        "weitergeleitete nachricht",
        "weitergeleitete e-mail",
    ];
    const FORWARDED_PLAIN: [&str; 3] = [
        "begin forwarded message:",
        "anfang der weitergeleiteten nachricht:",
        "anfang der weitergeleiteten e-mail:",
    ];
    let first = lines.first()?.trim();
    let repeated = if is_forward { Speaker::Forwarded } else { Speaker::Quoted };
    if first.len() <= 120 {
        let lower = first.to_lowercase();
        if FORWARDED_PLAIN.contains(&lower.as_str()) {
            return Some(Speaker::Forwarded);
        }
        if lower.starts_with("--") {
            let inner = lower.trim_matches(['-', ' ']);
            if ORIGINAL.contains(&inner) {
                return Some(repeated);
            }
            if FORWARDED.iter().any(|words| inner.starts_with(words)) {
                return Some(Speaker::Forwarded);
            }
        }
    }
    is_header_block(lines).then_some(repeated)
}

/// The header lines that Outlook puts above the mail it answers. A booking has a from, a to and a
/// date as well, so somebody's address or a subject is asked for.
fn is_header_block(lines: &[&str]) -> bool {
    const FROM: [&str; 7] = ["from", "von", "de", "da", "van", "från", "fra"];
    const FIELDS: [&str; 27] = [
        "sent",
        "gesendet",
        "date",
        "datum",
        "envoyé",
        "enviado",
        "enviado el",
        "inviato",
        "verzonden",
        "to",
        "an",
        "à",
        "para",
        "aan",
        "cc",
        "subject",
        "betreff",
        "objet",
        "asunto",
        "oggetto",
        "onderwerp",
        "skickat",
        "sendt",
        "till",
        "til",
        "ämne",
        "emne",
    ];
    const SUBJECT: [&str; 8] =
        ["subject", "betreff", "objet", "asunto", "oggetto", "onderwerp", "ämne", "emne"];
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim_matches(['*', '_', ' ', '\t', '\u{a0}']).to_lowercase();
        Some((name, has_address(value)))
    };
    let Some((first, mut told)) = lines.first().and_then(|line| field(line)) else { return false };
    if !FROM.contains(&first.as_str()) {
        return false;
    }
    let mut fields = 0;
    for (name, address) in lines[1..].iter().take(HEADER_LINES).filter_map(|line| field(line)) {
        if FIELDS.contains(&name.as_str()) {
            fields += 1;
            told |= address || SUBJECT.contains(&name.as_str());
        }
    }
    told && fields >= 2
}

/// True where a word of `text` is a mail address.
fn has_address(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || "<>()[]:;,\"".contains(c)).any(|word| {
        word.split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host.trim_matches('.').contains('.'))
    })
}

/// How many lines introduce a quote, and whether the quote is all the rest, because its lines
/// are not marked.
pub(super) fn attribution(lines: &[&str]) -> Option<(usize, bool)> {
    let mut joined = String::new();
    for count in 1..=ATTRIBUTION_LINES.min(lines.len()) {
        let line = lines[count - 1].trim();
        if line.is_empty() || line.starts_with('>') || joined.len() + line.len() > MAX_ATTRIBUTION {
            return None;
        }
        // A sentence before it is the author's, however it begins.
        if joined.ends_with(['.', '!', '?']) {
            return None;
        }
        if count > 1 {
            joined.push(' ');
        }
        joined.push_str(line);
        if names_writer(&joined) {
            let next = lines[count..].iter().map(|line| line.trim()).find(|line| !line.is_empty());
            let marked = next.is_some_and(|line| line.starts_with('>'));
            let certain = is_attribution(&joined) && next.is_some();
            return (marked || certain).then_some((count, !marked));
        }
        if !begins_like_attribution(&joined) {
            return None;
        }
    }
    None
}

/// True for `On 1 March 2024 at 10:00, Ann <ann@example.org> wrote:` and its like: with an
/// address, or a year and a time to the minute, which a person would leave out.
pub(in crate::extract) fn is_attribution(text: &str) -> bool {
    let text = text.trim();
    introduces(text)
        && begins_like_attribution(text)
        && (has_address(text) || (has_time(text) && has_year(text)))
}

/// True for a line that says whose words follow, where something else marks them.
pub(in crate::extract) fn introduces(text: &str) -> bool {
    let text = text.trim();
    text.len() <= MAX_ATTRIBUTION && names_writer(text)
}

fn begins_like_attribution(text: &str) -> bool {
    ["On ", "Am ", "Le ", "El ", "Il ", "Op ", "Den "].iter().any(|word| text.starts_with(word))
}

fn names_writer(text: &str) -> bool {
    const VERBS: [&str; 9] = [
        " wrote",
        " writes",
        " schrieb",
        " schrieben",
        " a écrit",
        " escribió",
        " ha scritto",
        " schreef",
        " skrev",
    ];
    text.ends_with(':') && VERBS.iter().any(|verb| text.contains(verb))
}

/// True where `text` has a time of day: `10:05`, `10.05 Uhr` or `10h05`.
fn has_time(text: &str) -> bool {
    let digit = u8::is_ascii_digit;
    let bytes = text.as_bytes();
    let clock = bytes
        .windows(4)
        .any(|w| digit(&w[0]) && matches!(w[1], b':' | b'h') && digit(&w[2]) && digit(&w[3]));
    clock || text.contains(" Uhr")
}

/// True where `text` has a year, of four digits or at the end of a date like `01.03.24`.
fn has_year(text: &str) -> bool {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    let whole = numbers
        .any(|number| number.len() == 4 && (number.starts_with("19") || number.starts_with("20")));
    let is_date = |word: &str| {
        let parts: Vec<&str> = word
            .split(['.', '/', '-'])
            .map(|part| part.trim_matches(|c: char| !c.is_alphanumeric()))
            .filter(|part| !part.is_empty())
            .collect();
        parts.len() == 3
            && parts.iter().all(|part| part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit()))
    };
    whole || text.split_whitespace().any(is_date)
}
