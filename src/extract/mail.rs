//! One mail: header, body, and what is attached to it.
//!
//! Called by: `extract`. Talks to: `mail-parser`, `html` and `charset` for bodies.
//! Invariants: no mail panics or recurses without bound: attached mails are children, taken apart
//! by their own extraction, and the parsed tree is dismantled iteratively; what a mail repeats of
//! others is shown but told apart from its own words.
//!
//! Why bodies are decoded again where the parser gave U+FFFD: it knows few multi-byte encodings
//! and takes undeclared ones for UTF-8; our own detection does better.

mod alternative;
mod encapsulated;
mod envelope;
mod flags;
mod forms;
mod outlook;
pub(super) mod quote;
mod store;
mod tnef;
mod uuencode;

use encoding_rs::Encoding;
use jiff::Timestamp;
use jiff::tz::Offset;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{
    Address, Encoding as TransferEncoding, HeaderName, HeaderValue, Message, MessageParser,
    MessagePart, MimeHeaders, PartType,
};

use self::envelope::{Envelope, Person};
pub(super) use self::flags::note as note_flags;
pub(super) use self::outlook::{extract as extract_outlook, is_outlook};
pub(super) use self::store::extract as extract_store;
pub(super) use self::tnef::{TNEF, extract as extract_tnef, is_tnef};
use super::charset::StreamDecoder;
use super::clean::{clean, one_line, shorten, size};
use super::date::Written;
use super::emit::{Output, Stop};
use super::source::Source;
use super::{cards, html, text};
use crate::types::ChildHeader;

/// The type of a file in which Outlook keeps all its mails.
pub(super) const OUTLOOK_STORE: &str = "application/vnd.ms-outlook-pst";
const MAX_FILE_NAME: usize = 150;

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let raw = source.read_whole(out.limits().max_parse_bytes)?;
    let message = MessageParser::default()
        .parse(&raw)
        .filter(|message| !message.parts.is_empty())
        .ok_or_else(|| Stop::malformed("The file has no mail header"))?;
    let result = read(&message, &raw, out);
    dismantle(message);
    result
}

/// The text limit may end the body; attachments are passed on all the same.
fn read(message: &Message<'_>, raw: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut envelope = envelope(message);
    let head = envelope.record(out);
    flags::note_headers(message, out);
    let is_forward = envelope.is_forward();
    let text = out.paragraph(&head).and_then(|()| body(message, raw, is_forward, out));
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    invitation(message, raw, out);
    attachments(message, raw, out)?;
    text
}

/// Notes when the event takes place that a mail invites to.
fn invitation(message: &Message<'_>, raw: &[u8], out: &mut Output<'_>) {
    let parts = message.parts.iter().filter(|part| part.is_content_type("text", "calendar"));
    out.document.event_date =
        parts.filter_map(|part| cards::event_date(&text_of(part, raw))).next();
}

fn envelope(message: &Message<'_>) -> Envelope {
    let from = people(message.from());
    Envelope {
        from: if from.is_empty() { people(message.sender()) } else { from },
        to: people(message.to()),
        cc: people(message.cc()),
        bcc: people(message.bcc()),
        subject: message.subject().unwrap_or_default().to_owned(),
        date_text: message.header_raw(HeaderName::Date).unwrap_or_default().to_owned(),
        date: message.date().filter(|date| date.is_valid()).and_then(written),
        message_id: message.message_id().unwrap_or_default().to_owned(),
        in_reply_to: words(message.in_reply_to()),
        references: words(message.references()),
    }
}

/// The date of a mail with the offset it is written in.
fn written(date: &mail_parser::DateTime) -> Option<Written> {
    let at = Timestamp::from_second(date.to_timestamp()).ok()?;
    let seconds = (i32::from(date.tz_hour) * 60 + i32::from(date.tz_minute)) * 60;
    let offset = Offset::from_seconds(if date.tz_before_gmt { -seconds } else { seconds });
    Some(offset.map_or(Written::at(at), |offset| Written::with(at, offset)))
}

/// Everyone in an address field.
fn people(address: Option<&Address<'_>>) -> Vec<Person> {
    let Some(address) = address else {
        return Vec::new();
    };
    address
        .iter()
        .filter_map(|person| {
            let (name, address) = (person.name(), person.address());
            Person::new(name.unwrap_or_default(), address.unwrap_or_default())
        })
        .collect()
}

fn words(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(word) => vec![one_line(word)],
        HeaderValue::TextList(words) => words.iter().map(|word| one_line(word)).collect(),
        _ => Vec::new(),
    }
}

/// Emits the body: of plain text and HTML that stand for each other the plain text, unless the
/// HTML says clearly more, or the same in tables, lists and under headings.
fn body(
    message: &Message<'_>,
    raw: &[u8],
    is_forward: bool,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let before = out.text_bytes();
    let (plain, rich) = (&message.text_body, &message.html_body);
    let only_plain: Vec<u32> = plain.iter().copied().filter(|id| !rich.contains(id)).collect();
    let only_rich: Vec<u32> = rich.iter().copied().filter(|id| !plain.contains(id)).collect();
    let limits = out.limits();
    let choice = alternative::choose(
        &only_plain.iter().map(|id| said(message, raw, *id)).collect::<String>(),
        &only_rich.iter().map(|id| said(message, raw, *id)).collect::<String>(),
        || {
            let mut pages = only_rich.iter().filter_map(|id| message.part(*id));
            pages.try_fold(false, |found, part| {
                let is_page = !found && part.is_text_html();
                let page = is_page.then(|| text_of(part, raw));
                let own = page.map(|page| html::has_structure(&page, is_forward, limits));
                own.unwrap_or(Ok(found))
            })
        },
    )?;
    if choice.takes_rich() {
        body_parts(message, raw, rich, is_forward, out)?;
    }
    if choice.takes_plain() {
        // What is in both was said with the HTML.
        let plain = if choice.takes_rich() { &only_plain } else { plain };
        body_parts(message, raw, plain, is_forward, out)?;
    }
    if out.text_bytes() == before {
        body_parts(message, raw, rich, is_forward, out)?;
    }
    Ok(())
}

fn body_parts(
    message: &Message<'_>,
    raw: &[u8],
    ids: &[u32],
    is_forward: bool,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    for part in ids.iter().filter_map(|id| message.part(*id)) {
        if part.is_text_html() {
            html::mail(&text_of(part, raw), is_forward, out)?;
        } else if part.is_text() {
            plain_body(&plain_text(part, raw), is_forward, out)?;
        }
    }
    Ok(())
}

/// The words of one part, for comparison.
fn said(message: &Message<'_>, raw: &[u8], id: u32) -> String {
    match message.part(id) {
        Some(part) if part.is_text_html() => format!("{}\n", html::seen_text(&text_of(part, raw))),
        Some(part) if part.is_text() => format!("{}\n", plain_text(part, raw)),
        _ => String::new(),
    }
}

/// The words of a plain-text part, without the files that are in it.
fn plain_text(part: &MessagePart<'_>, raw: &[u8]) -> String {
    let mut text = text_of(part, raw);
    for file in uuencode::embedded(&text).into_iter().rev() {
        text.replace_range(file.at, "");
    }
    text
}

/// Emits a plain-text body, each speaker in blocks of their own.
fn plain_body(body: &str, is_forward: bool, out: &mut Output<'_>) -> Result<(), Stop> {
    let body = clean(body);
    for (speaker, range) in quote::parts(&body, is_forward) {
        match speaker.kind() {
            None => text::paragraphs(&body[range], out)?,
            Some(kind) => out.block(&kind, &body[range], None)?,
        }
    }
    Ok(())
}

/// The text of a part, decoded by our own detection where the parser lost characters or knows not
/// how it is encoded.
pub(super) fn text_of(part: &MessagePart<'_>, raw: &[u8]) -> String {
    let text = part.text_contents().unwrap_or_default();
    if !text.contains('\u{fffd}') && !uuencode::is_declared(part) {
        return text.to_owned();
    }
    let declared = part
        .content_type()
        .and_then(|content_type| content_type.attribute("charset"))
        .and_then(|label| Encoding::for_label_no_replacement(label.trim().as_bytes()));
    let mut decoder = StreamDecoder::new(declared);
    let mut decoded = String::new();
    decoder.push(&bytes_of(part, raw), true, &mut decoded);
    decoded
}

/// The bytes of a part after transfer decoding and before character decoding.
fn bytes_of(part: &MessagePart<'_>, raw: &[u8]) -> Vec<u8> {
    let range = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
    let encoded = raw.get(range).unwrap_or_default();
    if uuencode::is_declared(part)
        && let Some(file) = uuencode::decode(encoded)
    {
        return file;
    }
    let decoded = match (&part.body, part.encoding) {
        (PartType::Binary(bytes) | PartType::InlineBinary(bytes), _) => return bytes.to_vec(),
        (_, TransferEncoding::None) => return encoded.to_vec(),
        (_, TransferEncoding::Base64) => base64_decode(encoded),
        (_, TransferEncoding::QuotedPrintable) => quoted_printable_decode(encoded),
    };
    decoded.unwrap_or_else(|| part.contents().to_vec())
}

/// Passes attached files and mails on, in the order of the mail, and after them the files that are
/// in its text.
fn attachments(message: &Message<'_>, raw: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let parts = message.attachments.iter().filter_map(|id| message.part(*id));
    let mut number = 0;
    for part in parts.filter(|part| !part.is_multipart()) {
        number += 1;
        let given = part.attachment_name().unwrap_or_default();
        let name = file_name(given).unwrap_or_else(|| fallback_name(part).to_owned());
        pass_on(number, &name, media_type(part), &bytes_of(part, raw), out)?;
    }
    let texts = message.text_body.iter().filter_map(|id| message.part(*id));
    for part in texts.filter(|part| part.is_text() && !part.is_text_html()) {
        for file in uuencode::embedded(&text_of(part, raw)) {
            number += 1;
            let name = file_name(&file.name).unwrap_or_else(|| "part.bin".to_owned());
            pass_on(number, &name, None, &file.bytes, out)?;
        }
    }
    Ok(())
}

/// Passes one attachment on, cut at the limit.
pub(super) fn pass_on(
    number: u32,
    name: &str,
    media_type: Option<String>,
    bytes: &[u8],
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let header = ChildHeader {
        name: format!("attachment-{number}/{name}"),
        absolute: false,
        media_type,
        format: None,
        file_date: None,
    };
    let limit = out.limits().max_child_bytes;
    if bytes.len() as u64 > limit {
        out.warn(format!(
            "{} is larger than {}, only its start was taken",
            header.name,
            size(limit)
        ));
    }
    let kept = usize::try_from(limit).map_or(bytes.len(), |limit| bytes.len().min(limit));
    out.child(&header, &mut &bytes[..kept])
}

/// A name without folders or control characters; `None` where nothing is left of it.
pub(super) fn file_name(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).collect();
    let name = name.trim().trim_start_matches('.');
    if name.is_empty() {
        return None;
    }
    // The end of a name tells its type, so a long one is shortened in front of it.
    Some(match name.rsplit_once('.') {
        Some((stem, extension)) if name.len() > MAX_FILE_NAME && extension.len() <= 16 => {
            format!("{}.{extension}", shorten(stem, MAX_FILE_NAME))
        }
        _ => shorten(name, MAX_FILE_NAME),
    })
}

fn fallback_name(part: &MessagePart<'_>) -> &'static str {
    match &part.body {
        PartType::Message(_) => "message.eml",
        PartType::Html(_) => "text.html",
        PartType::Text(_) => "text.txt",
        _ => "part.bin",
    }
}

/// The declared type, with the charset where the part is text.
fn media_type(part: &MessagePart<'_>) -> Option<String> {
    let content_type = part.content_type()?;
    let full = match content_type.subtype() {
        Some(subtype) => format!("{}/{subtype}", content_type.ctype()),
        None => return None,
    };
    let full = match content_type.attribute("charset") {
        Some(charset) if part.is_text() => format!("{full}; charset={charset}"),
        _ => full,
    };
    Some(shorten(&one_line(&full.to_ascii_lowercase()), MAX_FILE_NAME))
}

/// Drops a mail level by level: mails nested ten thousand deep would exhaust the stack.
pub(super) fn dismantle(message: Message<'_>) {
    let mut levels = vec![message.parts];
    while let Some(parts) = levels.pop() {
        for part in parts {
            if let PartType::Message(inner) = part.body {
                levels.push(inner.parts);
            }
        }
    }
}

#[cfg(test)]
mod tests;
