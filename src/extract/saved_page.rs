//! Pages saved by a browser as one file (MHTML): the page itself, without what decorates it.
//!
//! Called by: `extract`. Talks to: `mail` for the parts of the message, `html` for the page.
//! Invariants: pictures and style sheets of the page are not documents of their own.

use mail_parser::{MessageParser, MimeHeaders};

use super::emit::{Output, Stop};
use super::source::Source;
use super::{html, mail};

pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let raw = source.read_whole(out.limits().max_parse_bytes)?;
    let message = MessageParser::default()
        .parse(&raw)
        .ok_or_else(|| Stop::malformed("The saved page has no header"))?;
    out.title(message.subject().unwrap_or_default());
    let page = message.parts.iter().find(|part| part.is_text_html());
    let result = match page {
        Some(page) => {
            let place = page.content_location().unwrap_or_default().to_owned();
            out.fact("source", &place);
            html::fragment(&mail::text_of(page, &raw), out)
        }
        None => Err(Stop::malformed("The saved page holds no page")),
    };
    mail::dismantle(message);
    result
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;

    #[test]
    fn a_saved_page_is_its_page() {
        let found = run(
            "a.mhtml",
            b"From: <Saved by Blink>\r\nSnapshot-Content-Location: https://example.org/\r\n\
              Subject: A page\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n\
              \ttype=\"text/html\";\r\n\tboundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/html\r\n\
              Content-Transfer-Encoding: quoted-printable\r\n\r\n<html><h1>Top</h1><p>caf=C3=A9\r\n\
              --x\r\nContent-Type: text/css\r\n\r\np { color: red }\r\n--x--\r\n",
        );
        assert_eq!(found.texts(), ["Top", "café"]);
        assert_eq!(found.document.title.as_deref(), Some("A page"));
        assert!(found.children.is_empty());
    }
}
