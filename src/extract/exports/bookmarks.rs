//! Bookmarks as browsers write them: folders are headings, each bookmark a line.
//!
//! Called by: `extract::exports`. Talks to: `charset`.
//! Invariants: one pass, no recursion; folders deeper than headings go are named with their path.

use jiff::Timestamp;

use crate::extract::charset::decode_whole;
use crate::extract::clean::one_line;
use crate::extract::emit::{Output, Stop};
use crate::types::BlockKind;

/// Folders remembered; deeper ones are counted only.
const MAX_DEPTH: usize = 64;
const LEVELS: u8 = 6;

/// True for the document type that all browsers write.
pub(super) fn looks_like(head: &str) -> bool {
    const MARK: &str = "<!doctype netscape-bookmark-file-1>";
    head.as_bytes().get(..MARK.len()).is_some_and(|h| h.eq_ignore_ascii_case(MARK.as_bytes()))
}

pub(super) fn read(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let text = decode_whole(bytes, Some(encoding_rs::UTF_8), out);
    let mut reader =
        Reader { out, folders: Vec::new(), named: None, shown: Vec::new(), bookmarks: 0 };
    let mut rest = text.as_str();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let Some(end) = end_of(rest) else { break };
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        let content = &after[..after.find('<').unwrap_or(after.len())];
        reader.tag(tag, content)?;
        rest = after;
    }
    let count = reader.bookmarks.to_string();
    out.fact("bookmarks", &count);
    out.title("Bookmarks");
    Ok(())
}

/// Where a tag ends; a mark within quotes ends nothing.
fn end_of(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.bytes().position(|byte| match (quote, byte) {
        (None, b'>') => true,
        (None, b'"') => {
            quote = Some(byte);
            false
        }
        (Some(open), byte) if open == byte => {
            quote = None;
            false
        }
        _ => false,
    })
}

struct Reader<'r, 'o> {
    out: &'r mut Output<'o>,
    folders: Vec<String>,
    /// The folder whose list is to begin.
    named: Option<String>,
    /// The folders of the headings written last.
    shown: Vec<String>,
    bookmarks: u64,
}

impl Reader<'_, '_> {
    fn tag(&mut self, tag: &str, content: &str) -> Result<(), Stop> {
        let name = tag.split_ascii_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let content = one_line(&unescaped(content));
        match name.as_str() {
            "title" | "h1" => self.out.title(&content),
            "h3" => self.named = Some(content),
            "dl" if self.folders.len() < MAX_DEPTH => {
                self.folders.push(self.named.take().unwrap_or_default());
            }
            "/dl" => {
                self.folders.pop();
            }
            "a" => return self.bookmark(tag, &content),
            "dd" => return self.out.paragraph(&content),
            _ => {}
        }
        Ok(())
    }

    /// Writes the headings that lead to the folder at hand, where they are not the last written.
    /// A folder that is gone back to is named again.
    fn settle(&mut self) -> Result<(), Stop> {
        let folders = self.folders.iter().filter(|name| !name.is_empty());
        let mut path: Vec<String> = folders.cloned().collect();
        if path.is_empty() {
            path.push("Bookmarks".to_owned());
        }
        if path == self.shown {
            return Ok(());
        }
        let common = path.iter().zip(&self.shown).take_while(|(a, b)| a == b).count();
        for (depth, name) in path.iter().enumerate().skip(common.min(path.len() - 1)) {
            let level = u8::try_from(depth + 1).unwrap_or(LEVELS).min(LEVELS);
            self.out.block(&BlockKind::Heading { level }, name, None)?;
        }
        self.shown = path;
        Ok(())
    }

    fn bookmark(&mut self, tag: &str, title: &str) -> Result<(), Stop> {
        let address = attribute(tag, "href").unwrap_or_default();
        if address.is_empty() || address.starts_with("place:") {
            return Ok(());
        }
        self.settle()?;
        self.bookmarks += 1;
        let mut line = match title {
            "" => address.clone(),
            title => format!("{title} — {address}"),
        };
        let added = attribute(tag, "add_date").and_then(|date| moment(&date));
        if let Some(added) = added {
            line.push_str(&format!(" ({})", added.strftime("%Y-%m-%d")));
            let newest = self.out.document.content_date.map_or(added, |date| date.max(added));
            self.out.document.content_date = Some(newest);
        }
        if let Some(tags) = attribute(tag, "tags").filter(|tags| !tags.is_empty()) {
            line.push_str(&format!(" [{tags}]"));
        }
        let kind = BlockKind::ListItem { depth: 0, ordered: false };
        self.out.block(&kind, &line, None)
    }
}

/// Seconds since 1970; some browsers write milliseconds or microseconds.
fn moment(text: &str) -> Option<Timestamp> {
    let mut seconds: i64 = text.trim().parse().ok().filter(|seconds| *seconds > 0)?;
    while seconds > 100_000_000_000 {
        seconds /= 1000;
    }
    Timestamp::from_second(seconds).ok()
}

/// The value of an attribute within a tag, by its name in lower case.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    while let Some(at) = rest.find('=') {
        let key = rest[..at].trim_end().rsplit(|c: char| c.is_ascii_whitespace()).next()?;
        let value = rest[at + 1..].trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => value.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((value, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(one_line(&unescaped(value)));
        }
        rest = after;
    }
    None
}

fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&#39;", "'").replace("&apos;", "'").replace("&nbsp;", " ").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;

    #[test]
    fn folders_are_headings_and_bookmarks_lines() {
        let found = run(
            "bookmarks.html",
            br#"<!DOCTYPE NETSCAPE-Bookmark-file-1>
<!-- This is an automatically generated file. -->
<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=UTF-8">
<TITLE>Bookmarks</TITLE>
<H1>Bookmarks Menu</H1>
<DL><p>
    <DT><H3 ADD_DATE="1">Work &amp; more</H3>
    <DL><p>
        <DT><A HREF="https://a.b/?x=1&amp;y=&gt;" ADD_DATE="1452845865" TAGS="red,blue">The &lt;A&gt; page</A>
        <DD>What it is about
        <DT><H3>Inner</H3>
        <DL><p>
            <DT><A HREF="https://c.d">C</A>
        </DL><p>
        <DT><A HREF="https://e.f" ADD_DATE="1452845865000000">E</A>
    </DL><p>
    <DT><A HREF="place:sort=8">Recent</A>
    <DT><A HREF="https://g.h"></A>
</DL>"#,
        );
        assert_eq!(
            found.texts(),
            [
                "Work & more",
                "The <A> page \u{2014} https://a.b/?x=1&y=> (2016-01-15) [red,blue]",
                "What it is about",
                "Inner",
                "C \u{2014} https://c.d",
                "Work & more",
                "E \u{2014} https://e.f (2016-01-15)",
                "Bookmarks",
                "https://g.h",
            ]
        );
        assert_eq!(found.document.metadata["bookmarks"], "4");
        assert!(found.document.content_date.is_some());
    }

    #[test]
    fn damaged_bookmarks_end_quietly() {
        let start = "<!DOCTYPE NETSCAPE-Bookmark-file-1>";
        run("b.html", format!("{start}{}", "<DL><DT><H3>x</H3>".repeat(50_000)).as_bytes());
        run("b.html", format!("{start}<A HREF=\"never closed").as_bytes());
        run("b.html", format!("{start}{}", "</DL>".repeat(1000)).as_bytes());
    }
}
