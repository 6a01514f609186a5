//! The storage format of Confluence as plain HTML: macros, links and tasks in the words they show.
//!
//! Called by: `exports::confluence`. Talks to: `quick-xml`.
//! Invariants: one pass, no recursion; what cannot be parsed is passed on as it is written; no
//! entity is expanded here.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};

/// Resolves the key of a user.
pub(super) type NameOf<'n> = dyn Fn(&str) -> Option<String> + 'n;

/// The HTML of a body in storage format.
pub(super) fn to_html(body: &str, name_of: &NameOf<'_>) -> String {
    let mut reader = Reader::from_str(body);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    let mut writer =
        Writer { out: String::with_capacity(body.len()), links: Vec::new(), skip: 0, name_of };
    loop {
        let before = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        match reader.read_event() {
            Ok(Event::Start(tag)) => writer.start(&tag),
            Ok(Event::Empty(tag)) => {
                writer.start(&tag);
                writer.end(tag.name().into_inner());
            }
            Ok(Event::End(tag)) => writer.end(tag.name().into_inner()),
            Ok(Event::Text(text)) => writer.text(&text),
            Ok(Event::CData(text)) => writer.text(&escape(&*text)),
            Ok(Event::GeneralRef(reference)) => writer.text(&format!("&{};", &*reference)),
            Ok(Event::Eof) => break,
            Ok(Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_)) => {}
            Err(_) => {
                writer.out.push_str(body.get(before..).unwrap_or_default());
                break;
            }
        }
    }
    writer.out
}

struct Writer<'w, 'n> {
    out: String,
    /// For each open link or image: where it begins, and what it points to.
    links: Vec<(usize, String)>,
    /// Elements open within one that is left out.
    skip: u32,
    name_of: &'w NameOf<'n>,
}

impl Writer<'_, '_> {
    fn start(&mut self, tag: &BytesStart<'_>) {
        if self.skip > 0 {
            self.skip += 1;
            return;
        }
        let name = tag.name().into_inner();
        match name {
            "ac:parameter" if attribute(tag, "ac:name").as_deref() == Some("title") => {
                self.out.push_str("<p>");
            }
            "ac:parameter" | "ac:task-id" | "ac:task-uuid" | "ac:placeholder" => self.skip = 1,
            "ac:plain-text-body" => self.out.push_str("<pre>"),
            "ac:task-list" => self.out.push_str("<ul>"),
            "ac:task" => self.out.push_str("<li>"),
            "ac:link" | "ac:image" => self.links.push((self.out.len(), String::new())),
            "ri:page" | "ri:blog-post" => self.points_to(attribute(tag, "ri:content-title")),
            "ri:attachment" => self.points_to(attribute(tag, "ri:filename")),
            "ri:url" => self.points_to(attribute(tag, "ri:value")),
            "ri:user" => {
                let key = ["ri:userkey", "ri:account-id", "ri:username"];
                let key = key.iter().find_map(|name| attribute(tag, name));
                let name = key.map(|key| (self.name_of)(&key).unwrap_or(key));
                self.points_to(name.map(|name| format!("@{name}")));
            }
            "time" => {
                let date = attribute(tag, "datetime").unwrap_or_default();
                self.out.push_str(&escape(date));
            }
            _ if name.starts_with("ac:") && !is_inline(name) => self.out.push_str("<div>"),
            _ if name.starts_with("ac:") || name.starts_with("ri:") => {}
            name => {
                let _ = write!(self.out, "<{name}");
                for key in ["colspan", "rowspan"] {
                    if let Some(value) = attribute(tag, key) {
                        let _ = write!(self.out, " {key}=\"{}\"", escape(value));
                    }
                }
                self.out.push('>');
            }
        }
    }

    fn end(&mut self, name: &str) {
        if self.skip > 1 {
            self.skip -= 1;
            return;
        }
        match name {
            _ if self.skip == 1 => self.skip = 0,
            "ac:parameter" => self.out.push_str("</p>"),
            "ac:plain-text-body" => self.out.push_str("</pre>"),
            "ac:task-list" => self.out.push_str("</ul>"),
            "ac:task" => self.out.push_str("</li>"),
            "ac:link" | "ac:image" => {
                if let Some((from, target)) = self.links.pop()
                    && self.out.get(from..).is_none_or(|inside| inside.trim().is_empty())
                {
                    self.out.push_str(&escape(target));
                }
            }
            "time" | "br" | "hr" | "img" | "col" => {}
            _ if name.starts_with("ac:") && !is_inline(name) => self.out.push_str("</div>"),
            _ if name.starts_with("ac:") || name.starts_with("ri:") => {}
            name => {
                let _ = write!(self.out, "</{name}>");
            }
        }
    }

    fn text(&mut self, text: &str) {
        if self.skip > 0 {
            return;
        }
        match text.trim() {
            "incomplete" if self.out.ends_with("<li>") => self.out.push_str("[ ] "),
            "complete" if self.out.ends_with("<li>") => self.out.push_str("[x] "),
            "" if self.out.ends_with("<li>") => {}
            _ => self.out.push_str(text),
        }
    }

    fn points_to(&mut self, target: Option<String>) {
        if let Some(target) = target {
            match self.links.last_mut() {
                Some((_, known)) => *known = target,
                None => self.out.push_str(&escape(target)),
            }
        }
    }
}

/// True for elements that stand within a line.
fn is_inline(name: &str) -> bool {
    matches!(
        name,
        "ac:task-status"
            | "ac:task-body"
            | "ac:link-body"
            | "ac:plain-text-link-body"
            | "ac:emoticon"
            | "ac:inline-comment-marker"
            | "ac:caption"
    )
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let mut found = attributes.with_checks(false).flatten();
    let value = found.find(|attribute| attribute.key.into_inner() == name)?.value;
    Some(unescape(&value).map_or_else(|_| value.to_string(), std::borrow::Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::to_html;

    #[test]
    fn macros_links_and_tasks_show_their_words() {
        let name_of = |key: &str| (key == "k1").then(|| "Ann Lee".to_owned());
        for (body, html) in [
            ("<p>a &uuml; &amp; b<br/></p>", "<p>a &uuml; &amp; b<br></p>"),
            (
                "<ac:structured-macro ac:name=\"code\"><ac:parameter ac:name=\"language\">sql\
                 </ac:parameter><ac:plain-text-body><![CDATA[a < b]]></ac:plain-text-body>\
                 </ac:structured-macro>",
                "<div><pre>a &lt; b</pre></div>",
            ),
            ("<ac:link><ri:page ri:content-title=\"The plan\"/></ac:link>", "The plan"),
            (
                "<ac:link><ri:page ri:content-title=\"P\"/><ac:plain-text-link-body>\
                 <![CDATA[here]]></ac:plain-text-link-body></ac:link>",
                "here",
            ),
            ("<ac:link><ri:user ri:userkey=\"k1\"/></ac:link>", "@Ann Lee"),
            ("<ac:image><ri:attachment ri:filename=\"a.png\"/></ac:image>", "a.png"),
            (
                "<ac:task-list><ac:task><ac:task-id>1</ac:task-id><ac:task-status>complete\
                 </ac:task-status><ac:task-body>do</ac:task-body></ac:task></ac:task-list>",
                "<ul><li>[x] do</li></ul>",
            ),
            ("<td colspan=\"2\" style=\"x\">1</td>", "<td colspan=\"2\">1</td>"),
            ("<p>open", "<p>open"),
        ] {
            assert_eq!(to_html(body, &name_of), html, "{body}");
        }
    }
}
