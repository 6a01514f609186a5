//! Spaces of Confluence as XML (`entities.xml`): a document for each page, as it is now.
//!
//! Called by: `markup`. Talks to: `objects` for what is in the file, `storage` for bodies, `html`
//! for their blocks.
//! Invariants: earlier versions, drafts and what was deleted are no documents; objects are read
//! in any order, since an export has none; of the file only names, places and one page are held;
//! the tree above a page is followed a bounded way.

mod objects;
mod storage;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use self::objects::{Objects, Place};
use super::{Outlet, PAGE};
use crate::extract::clean::{one_line, prefix};
use crate::extract::date::parse_date;
use crate::extract::document_json::Draft;
use crate::extract::emit::{Output, Stop};
use crate::extract::source::Source;
use crate::extract::xml::Element;
use crate::extract::{ExtractSink, html, text};
use crate::types::{Block, BlockKind, ChildHeader, ExtractFailureCode};

/// Pages above a page that are named.
const MAX_ABOVE: usize = 32;
const MAX_NAME: usize = 120;
const MAX_COMMENTS: usize = 5_000;

/// Objects whose names and places are kept; each takes about 200 bytes.
const MAX_OBJECTS: usize = 3_000_000;
const ROOT: &str = "hibernate-generic";

/// True for a file that begins like such an export.
pub(in crate::extract) fn begins(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let mut rest = head.trim_start_matches('\u{feff}').trim_start();
    while let Some(end) = ["<?", "<!--", "<!"].into_iter().find(|mark| rest.starts_with(mark)) {
        let end = match end {
            "<?" => "?>",
            "<!--" => "-->",
            _ => ">",
        };
        let Some((_, after)) = rest.split_once(end) else { return false };
        rest = after.trim_start();
    }
    rest.strip_prefix('<').is_some_and(|root| root.starts_with(ROOT))
}

/// What is known of the objects of an export.
#[derive(Default)]
struct Space {
    pages: Vec<Place>,
    /// Title and parent of a page.
    titles: HashMap<String, (String, Option<String>)>,
    /// Bodies by their own id, and by the id of what they are the body of.
    bodies: HashMap<String, Place>,
    bodies_of: HashMap<String, Place>,
    users: HashMap<String, String>,
    names: HashMap<String, String>,
    spaces: HashMap<String, String>,
    comments: HashMap<String, Vec<Place>>,
    attachments: HashMap<String, Vec<String>>,
}

/// Reads an export.
pub(in crate::extract) fn extract(
    source: &mut Source<'_>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let most = out.limits().max_parse_bytes;
    let objects = Objects::new(source.in_any_order(most)?, most)?;
    let (mut space, mut count) = (Space::default(), 0);
    let walked = objects.each(&mut |object, place| {
        count += 1;
        if count > MAX_OBJECTS {
            return Err(Stop::failure(
                ExtractFailureCode::TooLarge,
                format!(
                    "The export holds more than {MAX_OBJECTS} objects; export the spaces one by \
                     one, or without earlier versions"
                ),
            ));
        }
        space.note(object, place);
        Ok(())
    })?;
    if let Some(damage) = walked.damage {
        out.warn(format!("The XML is damaged and was read up to there: {damage}"));
    }
    if walked.left_out > 0 {
        out.warn(format!("{} objects are too large to be read", walked.left_out));
    }
    out.document.container = true;
    out.fact("root", ROOT);
    out.fact("pages", &space.pages.len().to_string());
    out.fact("export", "confluence");
    let known = Known { space: &space, objects: &objects };
    for page in &space.pages {
        let Some(page) = objects.object(*page)? else { continue };
        let Some(page) = page.root() else { continue };
        let draft = known.draft(page, out)?;
        let name = format!("{} {}", prefix(&draft.title, MAX_NAME).trim(), id(page));
        let name: String =
            name.chars().map(|c| if matches!(c, '/' | '\\') { ' ' } else { c }).collect();
        out.document(prefix(name.trim(), 2 * MAX_NAME), PAGE, &draft.to_bytes())?;
    }
    Ok(())
}

fn property<'x>(object: Element<'x>, name: &str) -> Option<Element<'x>> {
    object.children().find(|child| child.is("property") && child.attr("name") == Some(name))
}

fn value(object: Element<'_>, name: &str) -> String {
    property(object, name).map(|property| one_line(&property.text())).unwrap_or_default()
}

/// The id of an object, without what `text` would add.
fn id(object: Element<'_>) -> String {
    object.child("id").map(|id| one_line(&id.text())).unwrap_or_default()
}

/// The id of the object that a property points to.
fn reference(object: Element<'_>, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| property(object, name)?.child("id"))?;
    Some(one_line(&found.text())).filter(|id| !id.is_empty())
}

/// True for what is neither an earlier version nor a draft nor deleted.
fn is_current(object: Element<'_>) -> bool {
    let status = value(object, "contentStatus");
    let earlier = reference(object, &["originalVersion"]).is_some()
        || !value(object, "originalVersionId").is_empty();
    !earlier && (status.is_empty() || status == "current")
}

impl Space {
    fn note(&mut self, object: Element<'_>, place: Place) {
        let container = || reference(object, &["containerContent", "owner", "content"]);
        match object.attr("class").unwrap_or_default() {
            "Page" | "BlogPost" => {
                let titled = (value(object, "title"), reference(object, &["parent"]));
                self.titles.insert(id(object), titled);
                if is_current(object) {
                    self.pages.push(place);
                }
            }
            "BodyContent" => {
                self.bodies.insert(id(object), place);
                if let Some(content) = reference(object, &["content"]) {
                    self.bodies_of.insert(content, place);
                }
            }
            "ConfluenceUserImpl" => {
                let name = ["displayName", "name", "username", "email", "emailAddress"];
                let name = name.iter().map(|key| value(object, key)).find(|n| !n.is_empty());
                self.users.insert(id(object), name.unwrap_or_default());
            }
            "InternalUser" => {
                self.names.insert(value(object, "lowerName"), value(object, "displayName"));
            }
            "Space" => {
                self.spaces.insert(id(object), value(object, "name"));
            }
            "Comment" if is_current(object) => {
                if let Some(page) = container() {
                    self.comments.entry(page).or_default().push(place);
                }
            }
            "Attachment" if is_current(object) => {
                let name = Some(value(object, "title")).filter(|name| !name.is_empty());
                let name = name.unwrap_or_else(|| value(object, "fileName"));
                if let Some(page) = container() {
                    self.attachments.entry(page).or_default().push(name);
                }
            }
            _ => {}
        }
    }

    /// The pages a page lies under, outermost first.
    fn path(&self, page: Element<'_>, space: Option<&str>) -> String {
        let mut steps = Vec::new();
        let mut above = reference(page, &["parent"]);
        while let Some((title, parent)) = above.and_then(|id| self.titles.get(&id)) {
            if steps.len() >= MAX_ABOVE {
                break;
            }
            steps.push(title.as_str());
            above = parent.clone();
        }
        steps.extend(space);
        steps.reverse();
        steps.join(" / ")
    }

    fn name_of(&self, key: &str) -> Option<String> {
        let name = self.users.get(key)?;
        let shown = self.names.get(&name.to_lowercase()).unwrap_or(name);
        Some(if shown.is_empty() { key.to_owned() } else { shown.clone() })
    }

    /// Who wrote it, by reference or, in exports of older versions, by name.
    fn authors(&self, object: Element<'_>) -> Vec<String> {
        let mut authors = Vec::new();
        for (by_reference, by_name) in
            [("creator", "creatorName"), ("lastModifier", "lastModifierName")]
        {
            let key = reference(object, &[by_reference]);
            let name = key.map(|key| self.name_of(&key).unwrap_or(key));
            let name = name.unwrap_or_else(|| value(object, by_name));
            if !name.is_empty() && !authors.contains(&name) {
                authors.push(name);
            }
        }
        authors
    }
}

/// What is known, and where the rest is.
struct Known<'k> {
    space: &'k Space,
    objects: &'k Objects,
}

impl Known<'_> {
    fn draft(&self, page: Element<'_>, out: &Output<'_>) -> Result<Draft, Stop> {
        let title = value(page, "title");
        let mut facts = BTreeMap::from([("export", "confluence".to_owned())]);
        let mut note = |key, value: String| {
            if !value.is_empty() {
                facts.insert(key, value);
            }
        };
        let space = reference(page, &["space"]).and_then(|id| self.space.spaces.get(&id).cloned());
        note("path", self.space.path(page, space.as_deref()));
        note("space", space.unwrap_or_default());
        note("created", value(page, "creationDate"));
        note("version", value(page, "version"));
        let heading = BlockKind::Heading { level: 1 };
        let mut blocks = vec![Block::new(heading, title.clone())];
        blocks.append(&mut self.body(page, out)?);
        if let Some(files) = self.space.attachments.get(&id(page)) {
            let text = format!("Attachments: {}", files.join(", "));
            blocks.push(Block::new(BlockKind::Paragraph, text));
        }
        self.append_comments(page, &mut blocks, out)?;
        Ok(Draft {
            title,
            authors: self.space.authors(page),
            date: ["lastModificationDate", "creationDate"]
                .iter()
                .find_map(|key| parse_date(&value(page, key))),
            event_date: None,
            facts,
            blocks,
        })
    }

    fn body(&self, object: Element<'_>, out: &Output<'_>) -> Result<Vec<Block>, Stop> {
        let listed = object
            .children()
            .filter(|child| child.attr("name") == Some("bodyContents"))
            .flat_map(Element::children)
            .find_map(|element| self.space.bodies.get(&id(element)));
        let Some(body) = listed.or_else(|| self.space.bodies_of.get(&id(object))) else {
            return Ok(Vec::new());
        };
        let Some(body) = self.objects.object(*body)? else { return Ok(Vec::new()) };
        let body = body.root().and_then(|body| property(body, "body"));
        let body = body.map(Element::text).unwrap_or_default();
        let mut found = Blocks::default();
        let limits = *out.limits();
        let mut inner = Output::within(&limits, &mut found);
        let read = if body.contains('<') {
            // Of what stood in a section of its own, the export breaks the end marks.
            let body = body.replace("]] >", "]]>");
            let page = storage::to_html(&body, &|key| self.space.name_of(key));
            html::fragment(&page, &mut inner)
        } else {
            text::paragraphs(&body, &mut inner)
        };
        match read {
            Ok(()) | Err(Stop::Full) => Ok(found.0),
            Err(stop) => Err(stop),
        }
    }

    fn append_comments(
        &self,
        page: Element<'_>,
        blocks: &mut Vec<Block>,
        out: &Output<'_>,
    ) -> Result<(), Stop> {
        let Some(comments) = self.space.comments.get(&id(page)) else { return Ok(()) };
        let mut said = Vec::new();
        for comment in comments.iter().take(MAX_COMMENTS) {
            let Some(comment) = self.objects.object(*comment)? else { continue };
            let Some(comment) = comment.root() else { continue };
            let body = self.body(comment, out)?;
            let words: Vec<&str> = body.iter().map(|block| block.text.as_str()).collect();
            let by = self.space.authors(comment).into_iter().next().unwrap_or_default();
            let date = value(comment, "creationDate");
            let day = date.split(' ').next().unwrap_or_default();
            let text = format!("{by} ({day}): {}", words.join("\n"));
            said.push((date, text));
        }
        said.sort();
        let heading = BlockKind::Heading { level: 2 };
        blocks.push(Block::new(heading, "Comments"));
        blocks.extend(said.into_iter().map(|(_, text)| Block::new(BlockKind::Paragraph, text)));
        Ok(())
    }
}

/// Keeps the blocks of a body.
#[derive(Default)]
struct Blocks(Vec<Block>);

impl ExtractSink for Blocks {
    fn block(&mut self, block: Block) -> io::Result<()> {
        self.0.push(block);
        Ok(())
    }

    fn child(&mut self, _: &ChildHeader, _: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::ExtractLimits;
    use crate::extract::testing::{limits, run, run_as, try_run_file};

    const SPACE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<hibernate-generic datetime="2024-01-01 00:00:00">
<object class="Space" package="com.atlassian.confluence.spaces"><id name="id">1</id>
<property name="name"><![CDATA[The team]]></property></object>
<object class="BodyContent" package="com.atlassian.confluence.core"><id name="id">50</id>
<property name="body"><![CDATA[<h2>Why</h2><p>Ask <ac:link><ri:user ri:userkey="k1"/></ac:link>.</p>
<ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[x < 1]] ></ac:plain-text-body></ac:structured-macro>]]></property>
<property name="content" class="Page" package="com.atlassian.confluence.pages"><id name="id">10</id></property></object>
<object class="BodyContent" package="com.atlassian.confluence.core"><id name="id">51</id>
<property name="body"><![CDATA[<p>I agree.</p>]]></property></object>
<object class="Page" package="com.atlassian.confluence.pages"><id name="id">10</id>
<property name="title"><![CDATA[A/B plan]]></property><property name="originalVersionId"/>
<property name="creator" class="ConfluenceUserImpl" package="com.atlassian.confluence.user"><id name="key"><![CDATA[k1]]></id></property>
<property name="creationDate">2012-07-13 15:02:49.000</property>
<property name="lastModificationDate">2015-11-24 18:27:47.000</property>
<property name="contentStatus"><![CDATA[current]]></property>
<property name="space" class="Space" package="com.atlassian.confluence.spaces"><id name="id">1</id></property>
<property name="parent" class="Page" package="com.atlassian.confluence.pages"><id name="id">9</id></property></object>
<object class="Page" package="com.atlassian.confluence.pages"><id name="id">9</id>
<property name="title"><![CDATA[Home]]></property><property name="contentStatus">current</property>
<property name="creatorName"><![CDATA[bob]]></property>
<property name="parent" class="Page" package="com.atlassian.confluence.pages"><id name="id">9</id></property></object>
<object class="Page" package="com.atlassian.confluence.pages"><id name="id">11</id>
<property name="title"><![CDATA[A/B plan]]></property><property name="contentStatus">current</property>
<property name="originalVersion" class="Page" package="com.atlassian.confluence.pages"><id name="id">10</id></property></object>
<object class="Page" package="com.atlassian.confluence.pages"><id name="id">12</id>
<property name="title"><![CDATA[Gone]]></property><property name="contentStatus">deleted</property></object>
<object class="Comment" package="com.atlassian.confluence.pages"><id name="id">20</id>
<property name="creationDate">2016-01-02 03:04:05.000</property><property name="creatorName">bob</property>
<property name="containerContent" class="Page" package="com.atlassian.confluence.pages"><id name="id">10</id></property>
<collection name="bodyContents" class="java.util.Collection"><element class="BodyContent" package="com.atlassian.confluence.core"><id name="id">51</id></element></collection></object>
<object class="ConfluenceUserImpl" package="com.atlassian.confluence.user"><id name="key"><![CDATA[k1]]></id>
<property name="name"><![CDATA[Ann@x.org]]></property></object>
<object class="InternalUser" package="com.atlassian.crowd.model.user"><id name="id">5</id>
<property name="lowerName"><![CDATA[ann@x.org]]></property><property name="displayName"><![CDATA[Ann Lee]]></property></object>
</hibernate-generic>"#;

    #[test]
    fn each_page_as_it_is_now_is_a_document() {
        let found = run("entities.xml", SPACE.as_bytes());
        assert!(found.document.container);
        let names: Vec<&str> =
            found.children.iter().map(|(header, _)| header.name.as_str()).collect();
        assert_eq!(names, ["A B plan 10", "Home 9"]);
        let (header, bytes) = &found.children[0];
        let page = run_as(&header.name, header.format.expect("a format"), bytes);
        assert_eq!(page.document.title.as_deref(), Some("A/B plan"));
        assert_eq!(page.document.authors, ["Ann Lee"]);
        let date = page.document.content_date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2015-11-24T18:27:47Z"));
        assert!(page.document.metadata["path"].starts_with("The team / Home"));
        assert_eq!(
            page.texts(),
            ["A/B plan", "Why", "Ask @Ann Lee.", "x < 1", "Comments", "bob (2016-01-02): I agree."]
        );
    }

    #[test]
    fn a_damaged_export_is_read_up_to_the_damage() {
        let cut = &SPACE[..SPACE.find("<object class=\"Comment\"").expect("a comment")];
        let found = run("entities.xml", cut.as_bytes());
        assert_eq!(found.children.len(), 2);
        assert!(!found.document.warnings.is_empty());
    }

    #[test]
    fn an_export_that_is_too_large_to_be_held_is_read_where_it_lies() {
        let whole = run("entities.xml", SPACE.as_bytes());
        for start in ["", "\u{feff}"] {
            let small = ExtractLimits { max_parse_bytes: 2_000, ..limits() };
            let bytes = format!("{start}{SPACE}").into_bytes();
            let found = try_run_file("entities.xml", small, bytes).expect("readable");
            assert_eq!(found.children, whole.children);
            assert!(found.document.warnings.is_empty(), "{:?}", found.document.warnings);
        }
        // The longest object no longer fits.
        let small = ExtractLimits { max_parse_bytes: 700, ..limits() };
        let found = try_run_file("entities.xml", small, SPACE.into()).expect("readable");
        assert!(found.document.warnings[0].contains("too large"), "{:?}", found.document.warnings);
        // A text in it is longer than what may be held.
        let text = format!("<property>{}</property></object>", "x".repeat(1_000));
        let long = SPACE.replacen("</object>", &text, 1);
        let found = try_run_file("entities.xml", small, long.into()).expect("readable");
        assert!(found.document.warnings[0].contains("damaged"), "{:?}", found.document.warnings);
    }
}
