//! Spaces of Confluence as XML (`entities.xml`): a document for each page, as it is now.
//!
//! Called by: `markup`. Talks to: `xml`, `storage` for bodies, `html` for their blocks.
//! Invariants: earlier versions, drafts and what was deleted are no documents; objects are read
//! in any order, since an export has none; the tree above a page is followed a bounded way.

mod storage;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use super::{Outlet, PAGE};
use crate::extract::clean::{one_line, prefix};
use crate::extract::date::parse_date;
use crate::extract::document_json::Draft;
use crate::extract::emit::{Output, Stop};
use crate::extract::xml::Element;
use crate::extract::{ExtractSink, html, text};
use crate::types::{Block, BlockKind, ChildHeader};

/// Pages above a page that are named.
const MAX_ABOVE: usize = 32;
const MAX_NAME: usize = 120;
const MAX_COMMENTS: usize = 5_000;

/// True for the outermost element of such an export.
pub(in crate::extract) fn is_space(root: Element<'_>) -> bool {
    root.is("hibernate-generic")
}

/// The objects of an export, by what they are.
#[derive(Default)]
struct Space<'x> {
    pages: Vec<Element<'x>>,
    by_id: HashMap<String, Element<'x>>,
    /// Bodies by their own id, and by the id of what they are the body of.
    bodies: HashMap<String, Element<'x>>,
    bodies_of: HashMap<String, Element<'x>>,
    users: HashMap<String, String>,
    names: HashMap<String, String>,
    spaces: HashMap<String, String>,
    comments: HashMap<String, Vec<Element<'x>>>,
    attachments: HashMap<String, Vec<String>>,
}

/// Reads an export.
pub(in crate::extract) fn read(root: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let space = Space::of(root);
    out.document.container = true;
    out.fact("pages", &space.pages.len().to_string());
    out.fact("export", "confluence");
    for page in &space.pages {
        let draft = space.draft(*page, out)?;
        let name = format!("{} {}", prefix(&draft.title, MAX_NAME).trim(), id(*page));
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

impl<'x> Space<'x> {
    fn of(root: Element<'x>) -> Self {
        let mut space = Self::default();
        for object in root.children().filter(|child| child.is("object")) {
            let container = || reference(object, &["containerContent", "owner", "content"]);
            match object.attr("class").unwrap_or_default() {
                "Page" | "BlogPost" => {
                    space.by_id.insert(id(object), object);
                    if is_current(object) {
                        space.pages.push(object);
                    }
                }
                "BodyContent" => {
                    if let Some(body) = property(object, "body") {
                        space.bodies.insert(id(object), body);
                        if let Some(content) = reference(object, &["content"]) {
                            space.bodies_of.insert(content, body);
                        }
                    }
                }
                "ConfluenceUserImpl" => {
                    let name = ["displayName", "name", "username", "email", "emailAddress"];
                    let name = name.iter().map(|key| value(object, key)).find(|n| !n.is_empty());
                    space.users.insert(id(object), name.unwrap_or_default());
                }
                "InternalUser" => {
                    space.names.insert(value(object, "lowerName"), value(object, "displayName"));
                }
                "Space" => {
                    space.spaces.insert(id(object), value(object, "name"));
                }
                "Comment" if is_current(object) => {
                    if let Some(page) = container() {
                        space.comments.entry(page).or_default().push(object);
                    }
                }
                "Attachment" if is_current(object) => {
                    let name = Some(value(object, "title")).filter(|name| !name.is_empty());
                    let name = name.unwrap_or_else(|| value(object, "fileName"));
                    if let Some(page) = container() {
                        space.attachments.entry(page).or_default().push(name);
                    }
                }
                _ => {}
            }
        }
        space
    }

    fn draft(&self, page: Element<'x>, out: &Output<'_>) -> Result<Draft, Stop> {
        let title = value(page, "title");
        let mut facts = BTreeMap::from([("export", "confluence".to_owned())]);
        let mut note = |key, value: String| {
            if !value.is_empty() {
                facts.insert(key, value);
            }
        };
        let space = reference(page, &["space"]).and_then(|id| self.spaces.get(&id).cloned());
        note("path", self.path(page, space.as_deref()));
        note("space", space.unwrap_or_default());
        note("created", value(page, "creationDate"));
        note("version", value(page, "version"));
        let heading = BlockKind::Heading { level: 1 };
        let mut blocks = vec![Block::new(heading, title.clone())];
        blocks.append(&mut self.body(page, out)?);
        if let Some(files) = self.attachments.get(&id(page)) {
            let text = format!("Attachments: {}", files.join(", "));
            blocks.push(Block::new(BlockKind::Paragraph, text));
        }
        self.append_comments(page, &mut blocks, out)?;
        Ok(Draft {
            title,
            authors: self.authors(page),
            date: ["lastModificationDate", "creationDate"]
                .iter()
                .find_map(|key| parse_date(&value(page, key))),
            event_date: None,
            facts,
            blocks,
        })
    }

    /// The pages a page lies under, outermost first.
    fn path(&self, page: Element<'x>, space: Option<&str>) -> String {
        let mut steps = Vec::new();
        let mut at = page;
        while let Some(parent) = reference(at, &["parent"]).and_then(|id| self.by_id.get(&id)) {
            if steps.len() >= MAX_ABOVE {
                break;
            }
            steps.push(value(*parent, "title"));
            at = *parent;
        }
        steps.extend(space.map(str::to_owned));
        steps.reverse();
        steps.join(" / ")
    }

    fn name_of(&self, key: &str) -> Option<String> {
        let name = self.users.get(key)?;
        let shown = self.names.get(&name.to_lowercase()).unwrap_or(name);
        Some(if shown.is_empty() { key.to_owned() } else { shown.clone() })
    }

    /// Who wrote it, by reference or, in exports of older versions, by name.
    fn authors(&self, object: Element<'x>) -> Vec<String> {
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

    fn body(&self, object: Element<'x>, out: &Output<'_>) -> Result<Vec<Block>, Stop> {
        let listed = object
            .children()
            .filter(|child| child.attr("name") == Some("bodyContents"))
            .flat_map(Element::children)
            .find_map(|element| self.bodies.get(&id(element)));
        let Some(body) = listed.or_else(|| self.bodies_of.get(&id(object))) else {
            return Ok(Vec::new());
        };
        let body = body.text();
        let mut found = Blocks::default();
        let limits = *out.limits();
        let mut inner = Output::within(&limits, &mut found);
        let read = if body.contains('<') {
            // Of what stood in a section of its own, the export breaks the end marks.
            let body = body.replace("]] >", "]]>");
            let page = storage::to_html(&body, &|key| self.name_of(key));
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
        page: Element<'x>,
        blocks: &mut Vec<Block>,
        out: &Output<'_>,
    ) -> Result<(), Stop> {
        let Some(comments) = self.comments.get(&id(page)) else { return Ok(()) };
        let mut comments: Vec<(String, Element<'x>)> =
            comments.iter().map(|comment| (value(*comment, "creationDate"), *comment)).collect();
        comments.sort_by(|(a, _), (b, _)| a.cmp(b));
        let heading = BlockKind::Heading { level: 2 };
        blocks.push(Block::new(heading, "Comments"));
        for (date, comment) in comments.into_iter().take(MAX_COMMENTS) {
            let body = self.body(comment, out)?;
            let words: Vec<&str> = body.iter().map(|block| block.text.as_str()).collect();
            let by = self.authors(comment).into_iter().next().unwrap_or_default();
            let day = date.split(' ').next().unwrap_or_default();
            let text = format!("{by} ({day}): {}", words.join("\n"));
            blocks.push(Block::new(BlockKind::Paragraph, text));
        }
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
    use crate::extract::testing::{run, run_as};

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
}
