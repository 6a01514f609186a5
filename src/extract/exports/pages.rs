//! Pages that Notion and Confluence write as HTML: their properties, without what frames them.
//!
//! Called by: `html`. Talks to: `scraper`, `notion`.
//! Invariants: a page is known by the elements its program puts in; nothing of its text is lost
//! but what is recorded as a fact or repeats the title.

use scraper::{ElementRef, Html, Selector};

use super::notion::{Kind, Properties, without_id};
use crate::extract::clean::{one_line, prefix};
use crate::extract::date::{parse_date, parse_written};
use crate::extract::emit::{Output, Place, Stop};
use crate::types::BlockKind;

/// How far into a page its program shows itself.
const HEAD: usize = 64 << 10;
const MAX_LINKS: usize = 100;

/// Records what a page says about itself, and takes away what frames its text. `text` is the
/// page as it is written.
pub(in crate::extract) fn prepare(
    text: &str,
    page: &mut Html,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let head = prefix(text, HEAD);
    if head.contains("<ul id=\"id::") && head.contains("Workspace identifier:") {
        return Err(super::part_of_another("The list of pages of a Notion export"));
    }
    if head.contains("class=\"page-title\"") && head.contains("<article id=\"") {
        return notion(page, out);
    }
    if head.contains("id=\"title-text\"") && head.contains("id=\"main-content\"") {
        return confluence(page, out);
    }
    Ok(())
}

fn select<'p>(page: &'p Html, selector: &str) -> Vec<ElementRef<'p>> {
    Selector::parse(selector).map(|selector| page.select(&selector).collect()).unwrap_or_default()
}

fn within<'p>(element: ElementRef<'p>, selector: &str) -> Vec<ElementRef<'p>> {
    let selector = Selector::parse(selector);
    selector.map(|selector| element.select(&selector).collect()).unwrap_or_default()
}

fn text_of(element: ElementRef<'_>) -> String {
    one_line(&element.text().collect::<String>())
}

/// Takes elements out of a page.
fn remove(page: &mut Html, selectors: &str) {
    let found: Vec<_> = select(page, selectors).iter().map(|element| element.id()).collect();
    for id in found {
        if let Some(mut node) = page.tree.get_mut(id) {
            node.detach();
        }
    }
}

/// A page of Notion: title and properties stand in its header.
fn notion(page: &mut Html, out: &mut Output<'_>) -> Result<(), Stop> {
    let title = select(page, ".page-title").first().map(|title| text_of(*title));
    let title = title.unwrap_or_default();
    let described = select(page, ".page-description").first().map(|element| text_of(*element));
    let mut properties = Properties::default();
    let mut rows = Vec::new();
    for row in select(page, "table.properties tr.property-row") {
        let (Some(name), Some(value)) =
            (within(row, "th").first().copied(), within(row, "td").first().copied())
        else {
            continue;
        };
        let class = row.value().classes().find_map(|class| class.strip_prefix("property-row-"));
        let (name, value) = (text_of(name), property(value));
        properties.add(&name, &value, kind(class.unwrap_or_default()));
        if !value.is_empty() {
            rows.push(vec![name, value]);
        }
    }
    let links = links(page);
    out.title(&title);
    out.fact("export", "notion");
    properties.record(out);
    out.fact("links_to", &links);
    remove(
        page,
        "article > header, .katex-html, .katex-mathml math semantics > :not(annotation), \
         article + span.sans",
    );
    out.block(&BlockKind::Heading { level: 1 }, &title, None)?;
    out.paragraph(&described.unwrap_or_default())?;
    out.table(rows, false, &Place::default(), None)
}

fn kind(class: &str) -> Kind {
    match class {
        "last_edited_time" => Kind::Edited,
        "created_time" => Kind::Created,
        "date" => Kind::Date,
        "created_by" => Kind::Author,
        _ => Kind::Other,
    }
}

/// The value of a property; several stand beside each other without anything between.
fn property(cell: ElementRef<'_>) -> String {
    let ticked = within(cell, ".checkbox")
        .first()
        .map(|tick| tick.value().classes().any(|class| class == "checkbox-on"));
    if let Some(ticked) = ticked {
        return if ticked { "Yes" } else { "No" }.to_owned();
    }
    let several = cell.child_elements().map(text_of).filter(|text| !text.is_empty());
    let several: Vec<String> = several.collect();
    let value = if several.len() > 1 { several.join(", ") } else { text_of(cell) };
    value.trim_start_matches('@').to_owned()
}

/// The pages a page links to, by their titles.
fn links(page: &Html) -> String {
    let mut links: Vec<String> = Vec::new();
    for link in select(page, "article a[href]") {
        let target = link.value().attr("href").unwrap_or_default();
        let stem = target.split(['?', '#']).next().and_then(|path| path.strip_suffix(".html"));
        let Some(stem) = stem.filter(|_| !target.contains("://")) else { continue };
        let file = stem.rsplit('/').next().unwrap_or(stem).replace("%20", " ");
        if without_id(&file).is_none() {
            continue;
        }
        let title = text_of(link);
        if !title.is_empty() && !links.contains(&title) && links.len() < MAX_LINKS {
            links.push(title);
        }
    }
    links.join(", ")
}

/// A page of Confluence: where it lies stands above it, who wrote it below its title.
fn confluence(page: &mut Html, out: &mut Output<'_>) -> Result<(), Stop> {
    let path: Vec<String> =
        select(page, "#breadcrumbs li, #breadcrumb-section li").into_iter().map(text_of).collect();
    let path: Vec<String> = path.into_iter().filter(|step| !step.is_empty()).collect();
    let full = select(page, "#title-text").first().map(|title| text_of(*title)).unwrap_or_default();
    let space = path.first().cloned().unwrap_or_default();
    let title = full.strip_prefix(space.as_str()).and_then(|rest| rest.strip_prefix(" : "));
    let title = title.filter(|_| !space.is_empty()).unwrap_or(&full).to_owned();
    let (mut created, mut note) = (Vec::new(), String::new());
    if let Some(metadata) = select(page, ".page-metadata").first() {
        note = text_of(*metadata);
        created = within(*metadata, ".author, .editor").into_iter().map(text_of).collect();
    }
    out.title(&title);
    out.fact("export", "confluence");
    out.fact("space", &space);
    out.fact("path", &path.join(" / "));
    for author in created {
        out.author(&author);
    }
    let date = note.rsplit_once(" on ").map_or("", |(_, date)| date);
    let date = parse_written(date).or_else(|| parse_date(date));
    out.document.content_date = out.document.content_date.or(date);
    remove(
        page,
        "#breadcrumb-section, #footer, .aui-page-panel-nav, #title-heading, #title-text, \
         .page-metadata",
    );
    out.block(&BlockKind::Heading { level: 1 }, &title, None)
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::{run, try_run};
    use crate::types::ExtractFailureCode;

    #[test]
    fn a_page_of_confluence_knows_its_place_author_and_date() {
        let found = run(
            "Guide_1.html",
            br#"<!DOCTYPE html><html><head><title>Team : The guide</title></head>
<body class="theme-default aui-theme-default"><div id="page"><div id="main" class="aui-page-panel">
<div id="main-header"><div id="breadcrumb-section"><ol id="breadcrumbs">
<li class="first"><span><a href="index.html">Team</a></span></li>
<li><span><a href="Docs_2.html">Docs</a></span></li></ol></div>
<h1 id="title-heading" class="pagetitle"><span id="title-text"> Team : The guide </span></h1></div>
<div id="content" class="view"><div class="page-metadata">Created by <span class='author'> Ann Lee</span>,
last modified by <span class='editor'> Bob</span> on Jan 04, 2017</div>
<div id="main-content" class="wiki-content group"><h2>First</h2><p>Words.</p></div>
<div class="pageSection group"><h2 id="attachments">Attachments:</h2><div class="greybox">
<a href="attachments/1/2.pdf">plan.pdf</a> (application/pdf)</div></div></div></div>
<div id="footer"><p>Document generated by Confluence on Jan 05, 2017 10:00</p></div></div></body></html>"#,
        );
        assert_eq!(found.document.title.as_deref(), Some("The guide"));
        assert_eq!(found.document.authors, ["Ann Lee", "Bob"]);
        assert_eq!(found.document.metadata["path"], "Team / Docs");
        assert_eq!(found.document.metadata["space"], "Team");
        let date = found.document.content_date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2017-01-04T00:00:00Z"));
        assert_eq!(
            found.texts(),
            ["The guide", "First", "Words.", "Attachments:", "plan.pdf (application/pdf)"]
        );
    }

    #[test]
    fn the_list_of_pages_is_no_document() {
        let failure = try_run(
            "index.html",
            b"<html><body><ul id=\"id::1\"><li><p>Workspace identifier: 1</p></li></ul></body></html>",
        )
        .expect_err("bookkeeping");
        assert_eq!(failure.code, ExtractFailureCode::PartOfAnother);
    }
}
