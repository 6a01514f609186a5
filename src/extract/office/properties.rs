//! What an Open Packaging document says about itself: title, author, dates, language.
//!
//! Called by: `office`. Talks to: `package`, `people`.
//! Invariants: a document without properties simply says nothing.

use super::relations::Relations;
use crate::extract::date::read_date;
use crate::extract::emit::Output;
use crate::extract::package::Package;
use crate::extract::people::is_nobody;
use crate::extract::xml::Element;

/// Reads the core and the application's own properties.
pub(super) fn read(package: &mut Package<'_>, out: &mut Output<'_>) {
    let relations = Relations::of(package, "");
    let core = relations.first("core-properties").unwrap_or("docProps/core.xml").to_owned();
    if let Some(xml) = package.optional_xml(&core, out) {
        xml.root().into_iter().flat_map(Element::children).for_each(|property| {
            fact(property.name(), &property.text(), out);
        });
    }
    let app = relations.first("extended-properties").unwrap_or("docProps/app.xml").to_owned();
    if let Some(xml) = package.optional_xml(&app, out)
        && let Some(root) = xml.root()
    {
        for (name, key) in
            [("Company", "company"), ("Manager", "manager"), ("Application", "creator")]
        {
            out.fact(key, &root.child(name).map(Element::text).unwrap_or_default());
        }
    }
}

/// Records one property by its Dublin Core or Office name.
pub(super) fn fact(name: &str, value: &str, out: &mut Output<'_>) {
    match name {
        "title" => out.title(value),
        "creator" | "initial-creator" => {
            let authors = value.split(';').filter(|author| !is_nobody(author));
            authors.for_each(|author| out.author(author));
        }
        "lastModifiedBy" => out.fact("last_modified_by", value),
        "created" | "creation-date" => {
            if let Some(date) = read_date(value) {
                out.rewritten(date);
            }
            out.fact("created", value);
        }
        "modified" | "date" => {
            out.written(read_date(value));
            out.fact("modified", value);
        }
        "language" => out.fact("lang", value),
        "subject" => out.fact("subject", value),
        "keywords" | "keyword" => out.fact("keywords", value),
        "description" => out.fact("description", value),
        "category" => out.fact("category", value),
        _ => {}
    }
}
