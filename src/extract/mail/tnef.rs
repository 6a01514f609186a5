//! What Outlook packs a mail into for other programs (TNEF, `winmail.dat`): its body and files.
//!
//! Called by: `extract`, and by `sniff` for the shape. Talks to: `mail::forms` for bodies.
//! Invariants: one pass, no recursion: a mail inside is a child; a file that breaks off yields what
//! stands before.

use encoding_rs::{Encoding, UTF_16LE};

use super::forms::Forms;
use super::outlook::{COMPRESSED_RTF, CONTENT, FILE_NAME, HTML, SUBJECT, code_page, decode};
use super::{file_name, pass_on};
use crate::extract::emit::{Output, Stop};
use crate::extract::source::Source;

/// The type of such a file.
pub(in crate::extract) const TNEF: &str = "application/ms-tnef";

const SIGNATURE: &[u8] = b"\x78\x9f\x3e\x22";
/// Signature and key.
const HEAD: usize = 6;

const BODY: u16 = 0x800c;
const ATTACHED_DATA: u16 = 0x800f;
const ATTACHED_TITLE: u16 = 0x8010;
/// The first of what describes an attachment.
const ATTACHMENT: u16 = 0x9002;
const PROPERTIES: u16 = 0x9003;
const ATTACHED_PROPERTIES: u16 = 0x9005;
const CODE_PAGE: u16 = 0x9007;

/// True for a file that begins like one.
pub(in crate::extract) fn is_tnef(head: &[u8]) -> bool {
    head.starts_with(SIGNATURE)
}

/// The mail in a file.
#[derive(Default)]
struct Item {
    encoding: Option<&'static Encoding>,
    subject: String,
    body: Forms,
    attachments: Vec<Attachment>,
}

#[derive(Default)]
struct Attachment {
    /// Of eight and three letters.
    short_name: String,
    name: String,
    data: Vec<u8>,
    is_mail: bool,
}

pub(in crate::extract) fn extract(
    source: &mut Source<'_>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let mut item = Item::default();
    let whole = item.read(&bytes);
    if whole.is_none() {
        out.warn("The file breaks off; what stands before was read");
    }
    out.document.container = true;
    out.title(&item.subject);
    let text = std::mem::take(&mut item.body).emit(false, out);
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    for (number, attachment) in (1..).zip(&item.attachments) {
        let given = match attachment.name.trim() {
            "" => &attachment.short_name,
            _ => &attachment.name,
        };
        let name = file_name(given).unwrap_or_else(|| "part.bin".to_owned());
        let media_type = attachment.is_mail.then(|| TNEF.to_owned());
        pass_on(number, &name, media_type, &attachment.data, out)?;
    }
    text
}

impl Item {
    /// Reads one attribute after the other; `None` where one breaks off.
    fn read(&mut self, bytes: &[u8]) -> Option<()> {
        let mut rest = Bytes(bytes.get(HEAD..)?);
        while !rest.0.is_empty() {
            rest.take(1)?;
            let kind = rest.number()?;
            let length = usize::try_from(rest.number()?).ok()?;
            let data = rest.take(length)?;
            // The sum of the bytes says nothing that their reading does not.
            rest.take(2)?;
            self.attribute((kind & 0xffff) as u16, data);
        }
        Some(())
    }

    fn attribute(&mut self, kind: u16, data: &[u8]) {
        match kind {
            CODE_PAGE => self.encoding = Bytes(data).number().and_then(code_page),
            BODY => self.body.plain = self.text(data),
            PROPERTIES => self.properties(data),
            ATTACHMENT => self.attachments.push(Attachment::default()),
            ATTACHED_TITLE => {
                let name = self.text(data);
                if let Some(attachment) = self.attachments.last_mut() {
                    attachment.short_name = name;
                }
            }
            ATTACHED_DATA => {
                if let Some(attachment) = self.attachments.last_mut() {
                    attachment.data = data.to_vec();
                }
            }
            ATTACHED_PROPERTIES => {
                let encoding = self.encoding;
                let Some(attachment) = self.attachments.last_mut() else { return };
                each_property(data, |property, kind, value| match (property, kind) {
                    (FILE_NAME, _) => attachment.name = text_of(kind, value, encoding),
                    (CONTENT, OBJECT) => {
                        // The name of the interface stands before what it is for.
                        let inner = value.get(16..).unwrap_or_default();
                        attachment.is_mail = is_tnef(inner);
                        if attachment.is_mail {
                            attachment.data = inner.to_vec();
                        }
                    }
                    _ => {}
                });
            }
            _ => {}
        }
    }

    fn properties(&mut self, data: &[u8]) {
        let encoding = self.encoding;
        each_property(data, |property, kind, value| match property {
            SUBJECT => self.subject = text_of(kind, value, encoding),
            HTML => self.body.page = text_of(kind, value, encoding),
            COMPRESSED_RTF => self.body.rich = Some(value.to_vec()),
            _ => {}
        });
    }

    fn text(&self, data: &[u8]) -> String {
        text_of(NARROW, data, self.encoding)
    }
}

const OBJECT: u16 = 0x000d;
const NARROW: u16 = 0x001e;
const WIDE: u16 = 0x001f;
const BINARY: u16 = 0x0102;
/// Set in the kind of a property that has several values.
const SEVERAL: u16 = 0x1000;
/// Properties from here on have a name.
const NAMED: u16 = 0x8000;

/// Calls `take` with the number, the kind and the value of each property, the last of several; ends
/// where the list breaks off.
fn each_property(data: &[u8], mut take: impl FnMut(u16, u16, &[u8])) -> Option<()> {
    let mut rest = Bytes(data);
    for _ in 0..rest.number()? {
        let head = rest.number()?;
        let (kind, property) = ((head & 0xffff) as u16, (head >> 16) as u16);
        if property >= NAMED {
            rest.take(16)?;
            match rest.number()? {
                0 => rest.take(4)?,
                _ => rest.padded()?,
            };
        }
        let single = kind & !SEVERAL;
        let sized = matches!(single, OBJECT | NARROW | WIDE | BINARY);
        let count = if sized || kind != single { rest.number()? } else { 1 };
        for _ in 0..count {
            let value = match single {
                _ if sized => rest.padded()?,
                // What takes two bytes is filled up to four.
                0x0002 | 0x0003 | 0x0004 | 0x000a | 0x000b => rest.take(4)?,
                0x0005 | 0x0006 | 0x0007 | 0x0014 | 0x0040 => rest.take(8)?,
                0x0048 => rest.take(16)?,
                _ => return None,
            };
            take(property, single, value);
        }
    }
    Some(())
}

fn text_of(kind: u16, value: &[u8], encoding: Option<&'static Encoding>) -> String {
    let text = match kind {
        WIDE => UTF_16LE.decode_without_bom_handling(value).0.into_owned(),
        _ => decode(value, encoding),
    };
    text.trim_end_matches('\0').to_owned()
}

/// What is left to read.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }

    /// A length and so many bytes, filled up to a multiple of four.
    fn padded(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let value = self.take(length)?;
        let filling = length.wrapping_neg() % 4;
        self.take(filling.min(self.0.len()))?;
        Some(value)
    }
}

#[cfg(test)]
mod tests;
