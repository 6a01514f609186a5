//! One mail: header, body, and what is attached to it.
//!
//! Called by: `extract`. Talks to: `mail-parser`, `html` and `charset` for bodies.
//! Invariants: no mail panics or recurses without bound: attached mails are children, taken apart
//! by their own extraction, and the parsed tree is dismantled iteratively.
//!
//! Why bodies are decoded again where the parser gave U+FFFD: it knows few multi-byte encodings
//! and takes undeclared ones for UTF-8; our own detection does better.

use encoding_rs::Encoding;
use jiff::Timestamp;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{
    Address, Encoding as TransferEncoding, HeaderName, HeaderValue, Message, MessageParser,
    MessagePart, MimeHeaders, PartType,
};

use super::charset::StreamDecoder;
use super::clean::{one_line, shorten, size};
use super::emit::{Output, Stop};
use super::source::Source;
use super::{html, text};
use crate::types::ChildHeader;

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
    let head = header(message, out);
    let text = out.paragraph(&head).and_then(|()| body(message, raw, out));
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    attachments(message, raw, out)?;
    text
}

/// Records the header's facts and returns its searchable lines.
fn header(message: &Message<'_>, out: &mut Output<'_>) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        let value = one_line(value);
        if !value.is_empty() {
            lines.push_str(&format!("{name}: {value}\n"));
        }
    };
    let from = people(message.from());
    let to = people(message.to());
    let cc = people(message.cc());
    let subject = message.subject().unwrap_or_default();
    line("From", &from.join(", "));
    line("To", &to.join(", "));
    line("Cc", &cc.join(", "));
    line("Subject", subject);
    line("Date", message.header_raw(HeaderName::Date).unwrap_or_default());

    out.title(subject);
    from.iter().for_each(|author| out.author(author));
    out.fact("to", &to.join(", "));
    out.fact("cc", &cc.join(", "));
    out.fact("message_id", message.message_id().unwrap_or_default());
    out.fact("in_reply_to", &words(message.in_reply_to()));
    out.fact("references", &words(message.references()));
    out.document.content_date = message
        .date()
        .filter(|date| date.is_valid())
        .and_then(|date| Timestamp::from_second(date.to_timestamp()).ok());
    lines
}

/// `Name <address>` of everyone in an address field.
fn people(address: Option<&Address<'_>>) -> Vec<String> {
    let Some(address) = address else {
        return Vec::new();
    };
    address
        .iter()
        .filter_map(|person| match (person.name(), person.address()) {
            (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
            (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
            (None, None) => None,
        })
        .map(|person| one_line(&person))
        .collect()
}

fn words(value: &HeaderValue<'_>) -> String {
    match value {
        HeaderValue::Text(word) => word.to_string(),
        HeaderValue::TextList(words) => words.join(" "),
        _ => String::new(),
    }
}

/// Emits the plain text of the mail, or its HTML where there is no other text.
fn body(message: &Message<'_>, raw: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let before = out.text_bytes();
    for id in &message.text_body {
        match message.part(*id) {
            Some(part) if part.is_text_html() => html::fragment(&text_of(part, raw), out)?,
            Some(part) if part.is_text() => text::paragraphs(&text_of(part, raw), out)?,
            _ => {}
        }
    }
    if out.text_bytes() > before {
        return Ok(());
    }
    for part in message.html_body.iter().filter_map(|id| message.part(*id)) {
        if part.is_text_html() {
            html::fragment(&text_of(part, raw), out)?;
        }
    }
    Ok(())
}

/// The text of a part, decoded by our own detection where the parser lost characters.
pub(super) fn text_of(part: &MessagePart<'_>, raw: &[u8]) -> String {
    let text = part.text_contents().unwrap_or_default();
    if !text.contains('\u{fffd}') {
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
    let decoded = match (&part.body, part.encoding) {
        (PartType::Binary(bytes) | PartType::InlineBinary(bytes), _) => return bytes.to_vec(),
        (_, TransferEncoding::None) => return encoded.to_vec(),
        (_, TransferEncoding::Base64) => base64_decode(encoded),
        (_, TransferEncoding::QuotedPrintable) => quoted_printable_decode(encoded),
    };
    decoded.unwrap_or_else(|| part.contents().to_vec())
}

/// Passes attached files and mails on, in the order of the mail.
fn attachments(message: &Message<'_>, raw: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let parts = message.attachments.iter().filter_map(|id| message.part(*id));
    for (number, part) in (1..).zip(parts.filter(|part| !part.is_multipart())) {
        let header = ChildHeader {
            name: format!("attachment-{number}/{}", file_name(part)),
            absolute: false,
            media_type: media_type(part),
            format: None,
        };
        let bytes = bytes_of(part, raw);
        let limit = out.limits().max_child_bytes;
        if bytes.len() as u64 > limit {
            out.warn(format!(
                "{} is larger than {}, only its start was taken",
                header.name,
                size(limit)
            ));
        }
        let kept = usize::try_from(limit).map_or(bytes.len(), |limit| bytes.len().min(limit));
        out.child(&header, &mut &bytes[..kept])?;
    }
    Ok(())
}

/// A name without folders or control characters, never empty.
fn file_name(part: &MessagePart<'_>) -> String {
    let given = part.attachment_name().unwrap_or_default();
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).collect();
    let name = name.trim().trim_start_matches('.');
    if !name.is_empty() {
        // The end of a name tells its type, so a long one is shortened in front of it.
        return match name.rsplit_once('.') {
            Some((stem, extension)) if name.len() > MAX_FILE_NAME && extension.len() <= 16 => {
                format!("{}.{extension}", shorten(stem, MAX_FILE_NAME))
            }
            _ => shorten(name, MAX_FILE_NAME),
        };
    }
    let fallback = match &part.body {
        PartType::Message(_) => "message.eml",
        PartType::Html(_) => "text.html",
        PartType::Text(_) => "text.txt",
        _ => "part.bin",
    };
    fallback.to_owned()
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
