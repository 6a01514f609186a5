//! The words of a message of Teams or Skype, which is written in tags.
//!
//! Called by: `exports::teams`. Talks to: nothing.
//! Invariants: linear in the length of the message; what is no tag stays as it is written; notices
//! of who came and went are nobody's words and are left out.

/// What a message says, in words.
pub(super) fn words(kind: &str, content: &str) -> String {
    if kind.starts_with("ThreadActivity") {
        return String::new();
    }
    if kind.starts_with("Event/Call") {
        let what = attribute(content.split('>').next().unwrap_or_default(), "type");
        return format!("[Call {what}]").replace(" ]", "]");
    }
    if kind.starts_with("RichText") || kind.is_empty() {
        plain(content)
    } else {
        content.to_owned()
    }
}

/// Text being gathered from tags.
#[derive(Default)]
struct Plain {
    text: String,
    /// Addresses of open links, with where their words begin.
    links: Vec<(String, usize)>,
    /// The element whose content is told otherwise.
    hidden: Option<&'static str>,
}

fn plain(content: &str) -> String {
    let mut plain = Plain::default();
    let mut rest = content;
    while let Some(at) = rest.find('<') {
        plain.push(&rest[..at]);
        let inner = &rest[at + 1..];
        let begins = inner.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        match inner.find('>').filter(|_| begins) {
            Some(end) => {
                plain.tag(&inner[..end]);
                rest = &inner[end + 1..];
            }
            None => {
                plain.push("<");
                rest = inner;
            }
        }
    }
    plain.push(rest);
    let lines = plain.text.lines().map(str::trim).collect::<Vec<_>>();
    let mut text = lines.join("\n");
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text.trim().to_owned()
}

impl Plain {
    fn push(&mut self, text: &str) {
        if self.hidden.is_none() {
            self.text.push_str(&unescaped(text));
        }
    }

    fn line_end(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn tag(&mut self, tag: &str) {
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        if let Some(hidden) = self.hidden {
            let file = attribute(tag, "v");
            if name == "originalname" && !file.is_empty() {
                self.text.push_str(&format!("[File: {}]", unescaped(file)));
            } else if name.strip_prefix('/') == Some(hidden) {
                self.hidden = None;
            }
            return;
        }
        match name.as_str() {
            "br" | "p" | "/p" | "div" | "/div" | "/li" | "tr" | "/tr" => self.line_end(),
            "li" => {
                self.line_end();
                self.text.push_str("- ");
            }
            "quote" => {
                let author = match attribute(tag, "authorname") {
                    "" => attribute(tag, "author"),
                    name => name,
                };
                self.line_end();
                self.text.push_str(&format!("[In answer to {}: ", unescaped(author)));
            }
            "/quote" => {
                self.text.truncate(self.text.trim_end().len());
                self.text.push_str("]\n");
            }
            "legacyquote" if !tag.ends_with('/') => self.hidden = Some("legacyquote"),
            "uriobject" if !tag.ends_with('/') => self.hidden = Some("uriobject"),
            "img" => self.text.push_str(&unescaped(attribute(tag, "alt"))),
            "a" => self.links.push((unescaped(attribute(tag, "href")), self.text.len())),
            "/a" => {
                if let Some((address, from)) = self.links.pop() {
                    let words = self.text.get(from..).unwrap_or_default().trim();
                    let (bare, shown) =
                        (address.trim_end_matches('/'), words.trim_end_matches('/'));
                    if words.is_empty() {
                        self.text.push_str(&address);
                    } else if !address.is_empty() && !bare.ends_with(shown) {
                        self.text.push_str(&format!(" ({address})"));
                    }
                }
            }
            _ => {}
        }
    }
}

/// The value of an attribute; empty where there is none.
fn attribute<'t>(tag: &'t str, wanted: &str) -> &'t str {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let after = after.trim_start();
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            rest = after;
            continue;
        };
        let Some((value, next)) = after[1..].split_once(quote) else { return "" };
        if name.eq_ignore_ascii_case(wanted) {
            return value;
        }
        rest = next;
    }
    ""
}

/// Characters that are written by name or number.
fn unescaped(text: &str) -> String {
    const LONGEST: usize = 10;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let inner = &rest[at + 1..];
        let end = inner.bytes().take(LONGEST).position(|byte| byte == b';');
        match end.and_then(|end| Some((character(&inner[..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &inner[end + 1..];
            }
            None => {
                out.push('&');
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn tags_become_words() {
        for (content, shown) in [
            ("one <b>two</b> &amp; &quot;three&#39;s&quot;", "one two & \"three's\""),
            ("<p>one</p><p>two<br/>three</p>", "one\ntwo\nthree"),
            ("<at id=\"8:a\">Ann Lee</at> come", "Ann Lee come"),
            (
                "see <a href=\"https://a.b/?x=1&amp;y=2\">the page</a>",
                "see the page (https://a.b/?x=1&y=2)",
            ),
            ("<a href=\"https://a.b/\">https://a.b</a>", "https://a.b"),
            (
                "<quote author=\"ann\" authorname=\"Ann Lee\" timestamp=\"1\"><legacyquote>[1] Ann: \
                 </legacyquote>Who comes?<legacyquote>\n\n&lt;&lt;&lt; </legacyquote></quote>I do",
                "[In answer to Ann Lee: Who comes?]\nI do",
            ),
            (
                "<URIObject type=\"File.1\" uri=\"https://x\"><Title>Title: a.pdf</Title> To view \
                 this file, go to: <a href=\"https://y\">https://y</a><OriginalName v=\"a.pdf\"/>\
                 </URIObject> as promised",
                "[File: a.pdf] as promised",
            ),
            ("smile <ss type=\"smile\">:)</ss> 1 < 2 <3 & more", "smile :) 1 < 2 <3 & more"),
            ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
        ] {
            assert_eq!(words("RichText", content), shown, "{content}");
        }
        assert_eq!(words("Text", "a <b> c &amp;"), "a <b> c &amp;");
        assert_eq!(
            words("Event/Call", "<partlist type=\"ended\" alt=\"\"></partlist>"),
            "[Call ended]"
        );
        assert_eq!(words("Event/Call", ""), "[Call]");
        assert_eq!(words("ThreadActivity/AddMember", "<addmember/>"), "");
    }
}
