//! Mails of Outlook (`.msg`): properties in the streams of a compound file.
//!
//! Called by: `extract`, and by `sniff` for the shape. Talks to: `cfb`, `mail::forms` for the body.
//! Invariants: a mail inside is a child, rebuilt as a file of its own, so nothing here recurses;
//! every stream is read up to a limit, and how many there are is bounded.

use std::collections::HashMap;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use cfb::CompoundFile;
use encoding_rs::{Encoding, UTF_16LE, WINDOWS_1252};
use jiff::Timestamp;
use mail_parser::MessageParser;

use super::envelope::{Envelope, Person};
use super::forms::Forms;
use super::{file_name, pass_on};
use crate::extract::charset::StreamDecoder;
use crate::extract::date::Written;
use crate::extract::emit::{Output, Stop};
use crate::extract::source::Source;

const SIGNATURE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
pub(super) const PROPERTIES: &str = "__properties_version1.0";
/// Most recipients read.
const MAX_RECIPIENTS: usize = 2000;
/// Most streams and storages of a mail inside another.
const MAX_ENTRIES: usize = 10_000;
/// The bytes a reserved field of the outermost properties takes, which those of a mail inside
/// lack.
const RESERVED: std::ops::Range<usize> = 24..32;

pub(super) const SUBJECT: u16 = 0x0037;
const SUBMITTED: u16 = 0x0039;
const SENT_FOR_NAME: u16 = 0x0042;
const SENT_FOR_ADDRESS: u16 = 0x0065;
const HEADERS: u16 = 0x007d;
const RECIPIENT_TYPE: u16 = 0x0c15;
const SENDER_NAME: u16 = 0x0c1a;
const SENDER_ADDRESS: u16 = 0x0c1f;
const DELIVERED: u16 = 0x0e06;
const BODY: u16 = 0x1000;
pub(super) const COMPRESSED_RTF: u16 = 0x1009;
pub(super) const HTML: u16 = 0x1013;
const MESSAGE_ID: u16 = 0x1035;
const REFERENCES: u16 = 0x1039;
const IN_REPLY_TO: u16 = 0x1042;
pub(super) const DISPLAY_NAME: u16 = 0x3001;
const ADDRESS: u16 = 0x3003;
pub(super) const CONTENT: u16 = 0x3701;
const SHORT_FILE_NAME: u16 = 0x3704;
const METHOD: u16 = 0x3705;
pub(super) const FILE_NAME: u16 = 0x3707;
const MEDIA_TYPE: u16 = 0x370e;
const SMTP_ADDRESS: u16 = 0x39fe;
const HTML_CODE_PAGE: u16 = 0x3fde;
const CODE_PAGE: u16 = 0x3ffd;
const SENDER_SMTP: u16 = 0x5d01;
const SENT_FOR_SMTP: u16 = 0x5d02;

/// All properties that are read.
pub(super) const KEPT: [u16; 27] = [
    SUBJECT,
    SUBMITTED,
    SENT_FOR_NAME,
    SENT_FOR_ADDRESS,
    HEADERS,
    RECIPIENT_TYPE,
    SENDER_NAME,
    SENDER_ADDRESS,
    DELIVERED,
    BODY,
    COMPRESSED_RTF,
    HTML,
    MESSAGE_ID,
    REFERENCES,
    IN_REPLY_TO,
    DISPLAY_NAME,
    ADDRESS,
    CONTENT,
    SHORT_FILE_NAME,
    METHOD,
    FILE_NAME,
    MEDIA_TYPE,
    SMTP_ADDRESS,
    HTML_CODE_PAGE,
    CODE_PAGE,
    SENDER_SMTP,
    SENT_FOR_SMTP,
];

/// How an attachment is kept: as a mail of its own.
const EMBEDDED_MESSAGE: u32 = 5;

/// True for a compound file that holds a mail.
pub(in crate::extract) fn is_outlook(head: &[u8], extension: &str) -> bool {
    let wide = |name: &str| name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    head.starts_with(SIGNATURE)
        && (extension == "msg" || {
            let name = wide("__substg1.0_");
            head.windows(name.len()).any(|window| window == name)
        })
}

pub(in crate::extract) fn extract(
    source: &mut Source<'_>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let length = bytes.len() as u64;
    let file = CompoundFile::open(Cursor::new(bytes))
        .map_err(|error| Stop::malformed(format!("The file is no Outlook item: {error}")))?;
    let mut item = Item { file, limit: length.min(out.limits().max_child_bytes) };
    let facts = item.facts("", 32);
    let mut envelope = item.envelope(&facts);
    let head = envelope.record(out);
    let is_forward = envelope.is_forward();
    let text = out.paragraph(&head).and_then(|()| item.body(&facts).emit(is_forward, out));
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    item.attachments(&facts, out)?;
    text
}

/// The properties of fixed length of one storage.
#[derive(Default)]
struct Facts {
    values: HashMap<u16, [u8; 8]>,
    encoding: Option<&'static Encoding>,
}

impl Facts {
    fn number(&self, property: u16) -> Option<u32> {
        let value = self.values.get(&property)?;
        Some(u32::from_le_bytes([value[0], value[1], value[2], value[3]]))
    }

    /// A time: steps of 100 nanoseconds since 1601.
    fn time(&self, property: u16) -> Option<Timestamp> {
        let steps = u64::from_le_bytes(*self.values.get(&property)?);
        let seconds = i64::try_from(steps / 10_000_000).ok()?.checked_sub(11_644_473_600)?;
        Timestamp::from_second(seconds).ok().filter(|_| steps > 0)
    }
}

struct Item {
    file: CompoundFile<Cursor<Vec<u8>>>,
    /// Most bytes of one stream.
    limit: u64,
}

impl Item {
    fn stream(&mut self, path: &str) -> Option<Vec<u8>> {
        if !self.file.is_stream(path) {
            return None;
        }
        let mut bytes = Vec::new();
        self.file.open_stream(path).ok()?.take(self.limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The fixed properties under `base`, which follow a header of `skip` bytes.
    fn facts(&mut self, base: &str, skip: usize) -> Facts {
        let bytes = self.stream(&format!("{base}/{PROPERTIES}")).unwrap_or_default();
        let (entries, _) = bytes.get(skip..).unwrap_or_default().as_chunks::<16>();
        let mut facts = Facts::default();
        for [_, _, a, b, _, _, _, _, value @ ..] in entries {
            facts.values.insert(u16::from_le_bytes([*a, *b]), *value);
        }
        facts.encoding = facts.number(CODE_PAGE).and_then(code_page);
        facts
    }

    /// A property of text, one or two bytes a character.
    fn text(&mut self, base: &str, property: u16, facts: &Facts) -> String {
        if let Some(wide) = self.stream(&format!("{base}/__substg1.0_{property:04X}001F")) {
            return UTF_16LE.decode_without_bom_handling(&wide).0.into_owned();
        }
        let narrow = self.stream(&format!("{base}/__substg1.0_{property:04X}001E"));
        narrow.map(|bytes| decode(&bytes, facts.encoding)).unwrap_or_default()
    }

    fn binary(&mut self, base: &str, property: u16) -> Option<Vec<u8>> {
        self.stream(&format!("{base}/__substg1.0_{property:04X}0102"))
    }

    /// The first of these properties that says something.
    fn first_text(&mut self, base: &str, properties: &[u16], facts: &Facts) -> String {
        let mut texts = properties.iter().map(|property| self.text(base, *property, facts));
        texts.find(|text| !text.trim().is_empty()).unwrap_or_default()
    }

    /// Storages of the outermost level whose names start with `prefix`, in their order.
    fn storages(&self, prefix: &str) -> Vec<String> {
        let entries = self.file.read_root_storage().filter(cfb::Entry::is_storage);
        let names = entries.map(|entry| format!("/{}", entry.name()));
        let mut names: Vec<String> = names.filter(|name| name[1..].starts_with(prefix)).collect();
        names.sort();
        names
    }

    /// The header: what Outlook noted, and where it did not, what the mail came with.
    fn envelope(&mut self, facts: &Facts) -> Envelope {
        let headers = self.text("", HEADERS, facts);
        let parsed = MessageParser::default().parse_headers(headers.as_bytes());
        let mut envelope = parsed.as_ref().map(super::envelope).unwrap_or_default();
        let from = self.authors(facts);
        if from.iter().any(Person::has_address) || envelope.from.is_empty() {
            envelope.from = from;
        }
        let (mut to, mut cc, mut bcc) = (Vec::new(), Vec::new(), Vec::new());
        for base in self.storages("__recip_version1.0_").into_iter().take(MAX_RECIPIENTS) {
            let recipient = Facts { encoding: facts.encoding, ..self.facts(&base, 8) };
            let name = self.text(&base, DISPLAY_NAME, &recipient);
            let address = self.first_text(&base, &[SMTP_ADDRESS, ADDRESS], &recipient);
            let people = match recipient.number(RECIPIENT_TYPE).unwrap_or(1) & 0xf {
                2 => &mut cc,
                3 => &mut bcc,
                _ => &mut to,
            };
            people.extend(Person::new(&name, &address));
        }
        if !(to.is_empty() && cc.is_empty() && bcc.is_empty()) {
            (envelope.to, envelope.cc, envelope.bcc) = (to, cc, bcc);
        }
        let subject = self.text("", SUBJECT, facts);
        if !subject.trim().is_empty() {
            envelope.subject = subject;
        }
        let noted = facts.time(SUBMITTED).or_else(|| facts.time(DELIVERED));
        envelope.date = envelope.date.or(noted.map(Written::at));
        if envelope.date_text.trim().is_empty()
            && let Some(date) = envelope.date
        {
            envelope.date_text = date.at.to_string();
        }
        if envelope.message_id.is_empty() {
            envelope.message_id = bare_id(&self.text("", MESSAGE_ID, facts));
        }
        for (property, ids) in
            [(IN_REPLY_TO, &mut envelope.in_reply_to), (REFERENCES, &mut envelope.references)]
        {
            if ids.is_empty() {
                let text = self.text("", property, facts);
                ids.extend(text.split_whitespace().map(bare_id).filter(|id| !id.is_empty()));
            }
        }
        envelope
    }

    /// Who the mail is from: the one it was sent for, and the one who sent it if that is another.
    fn authors(&mut self, facts: &Facts) -> Vec<Person> {
        let mut authors: Vec<Person> = Vec::new();
        for (name, addresses) in [
            (SENT_FOR_NAME, [SENT_FOR_SMTP, SENT_FOR_ADDRESS]),
            (SENDER_NAME, [SENDER_SMTP, SENDER_ADDRESS]),
        ] {
            let name = self.text("", name, facts);
            let texts = addresses.map(|property| self.text("", property, facts));
            // Inside an organisation, addresses may be of a form that nothing outside knows.
            let address = texts.into_iter().find(|text| text.contains('@'));
            if let Some(person) = Person::new(&name, &address.unwrap_or_default())
                && !authors.iter().any(|known| known.is_same(&person))
            {
                authors.push(person);
            }
        }
        authors
    }

    /// The forms in which the body is kept.
    fn body(&mut self, facts: &Facts) -> Forms {
        let plain = self.text("", BODY, facts);
        let mut page = self.text("", HTML, facts);
        if let Some(bytes) = self.binary("", HTML) {
            let encoding = facts.number(HTML_CODE_PAGE).and_then(code_page);
            page = decode(&bytes, encoding.or(facts.encoding));
        }
        Forms { plain, page, rich: self.binary("", COMPRESSED_RTF) }
    }

    fn attachments(&mut self, facts: &Facts, out: &mut Output<'_>) -> Result<(), Stop> {
        let mut number = 0_u32;
        for base in self.storages("__attach_version1.0_") {
            let own = Facts { encoding: facts.encoding, ..self.facts(&base, 8) };
            let name = self.first_text(&base, &[FILE_NAME, SHORT_FILE_NAME, DISPLAY_NAME], &own);
            let name = file_name(&name);
            if own.number(METHOD) == Some(EMBEDDED_MESSAGE) {
                number += 1;
                let name = name.unwrap_or_else(|| "message".to_owned());
                let bytes = self.embedded(&format!("{base}/__substg1.0_3701000D"));
                let media_type = Some("application/vnd.ms-outlook".to_owned());
                match bytes {
                    Ok(bytes) => pass_on(number, &format!("{name}.msg"), media_type, &bytes, out)?,
                    Err(error) => out.warn(format!("The attached mail {name} is lost: {error}")),
                }
                continue;
            }
            let name = name.unwrap_or_else(|| "part.bin".to_owned());
            let Some(bytes) = self.binary(&base, CONTENT) else {
                out.warn(format!("The attachment {name} is a link or an object, not a file"));
                continue;
            };
            let media_type = self.text(&base, MEDIA_TYPE, &own);
            number += 1;
            let media_type = Some(media_type).filter(|media_type| !media_type.is_empty());
            pass_on(number, &name, media_type, &bytes, out)?;
        }
        Ok(())
    }

    /// The storage at `base` as a file of its own.
    fn embedded(&mut self, base: &str) -> io::Result<Vec<u8>> {
        let entries: Vec<(PathBuf, bool)> = self
            .file
            .walk_storage(base)?
            .skip(1)
            .take(MAX_ENTRIES + 1)
            .map(|entry| (entry.path().to_owned(), entry.is_stream()))
            .collect();
        if entries.len() > MAX_ENTRIES {
            return Err(io::Error::other("it has too many parts"));
        }
        let mut left = self.limit;
        let mut copy = CompoundFile::create(Cursor::new(Vec::new()))?;
        for (path, is_stream) in entries {
            let inner = path.strip_prefix(base).map_err(io::Error::other)?;
            let target = Path::new("/").join(inner);
            if !is_stream {
                copy.create_storage(&target)?;
                continue;
            }
            let mut bytes = Vec::new();
            self.file.open_stream(&path)?.take(left).read_to_end(&mut bytes)?;
            left -= bytes.len() as u64;
            if inner == Path::new(PROPERTIES) && bytes.len() >= RESERVED.start {
                bytes.splice(RESERVED.start..RESERVED.start, RESERVED.map(|_| 0));
            }
            copy.create_stream(&target)?.write_all(&bytes)?;
        }
        copy.flush()?;
        Ok(copy.into_inner().into_inner())
    }
}

fn bare_id(text: &str) -> String {
    text.trim().trim_matches(['<', '>']).to_owned()
}

/// Text of one byte a character, in its declared encoding or the one it looks like.
pub(super) fn decode(bytes: &[u8], encoding: Option<&'static Encoding>) -> String {
    let mut text = String::new();
    StreamDecoder::new(encoding).push(bytes, true, &mut text);
    text
}

/// The encoding of a Windows code page.
pub(super) fn code_page(number: u32) -> Option<&'static Encoding> {
    let label = match number {
        65001 => "utf-8".to_owned(),
        1250..=1258 | 874 => format!("windows-{number}"),
        932 => "shift_jis".to_owned(),
        936 | 54936 => "gb18030".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        20866 => "koi8-r".to_owned(),
        20932 | 51932 => "euc-jp".to_owned(),
        28591..=28605 => format!("iso-8859-{}", number - 28590),
        // Plain ASCII is declared by programs that then write more.
        20127 => return Some(WINDOWS_1252),
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests;
