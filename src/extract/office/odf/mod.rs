//! OpenDocument: texts, presentations, drawings and spreadsheets.
//!
//! Called by: `office`. Talks to: `package` and `xml` for the parts, `odf::flow` for text,
//! `odf::slides` and `odf::table` for what has pages and cells, `odf::locked` for passwords.
//! Invariants: deleted text of tracked changes is not seen; recursion is bounded by the depth
//! of the tree.

mod flow;
mod inline;
mod locked;
mod sheets;
mod slides;
mod styles;
mod table;

use self::flow::Flow;
use self::locked::Lock;
use self::styles::Styles;
use super::{attachments, properties};
use crate::extract::emit::{Output, Stop};
use crate::extract::package::Package;
use crate::extract::xml::{Element, Xml};

pub(super) fn read(package: &mut Package<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let manifest = package.optional_xml("META-INF/manifest.xml", out);
    let lock = manifest.as_ref().and_then(Xml::root).map(Lock::read).transpose()?.flatten();
    let Some(lock) = lock else {
        return read_open(package, out);
    };
    if let Some(inner) = lock.open_whole(package, out.passwords())? {
        return read_open(&mut Package::open(&inner)?, out);
    }
    let opened = lock.open(package, out.passwords())?;
    package.unlock_with(opened);
    read_open(package, out)
}

fn read_open(package: &mut Package<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let Some(content) = package.xml("content.xml")? else {
        return Err(Stop::malformed("The document has no content part inside"));
    };
    if let Some(damage) = content.damage() {
        out.warn(format!("The text is damaged and was read up to there: {damage}"));
    }
    let meta = package.optional_xml("meta.xml", out);
    facts(meta.as_ref().and_then(Xml::root), out);
    let named = package.optional_xml("styles.xml", out);
    let roots = [named.as_ref().and_then(Xml::root), content.root()];
    let styles = Styles::read(roots.into_iter().flatten());
    let Some(body) = content.root().and_then(|root| root.child("body")) else {
        return Err(Stop::malformed("The document has no body inside"));
    };
    let text = parts(body, &styles, out);
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    attachments::pass_on(package, out)?;
    text
}

/// Reads a document that is one XML file instead of a package.
pub(super) fn read_flat(root: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    facts(Some(root), out);
    let styles = Styles::read([root].into_iter());
    match root.child("body") {
        Some(body) => parts(body, &styles, out),
        None => Err(Stop::malformed("The document has no body inside")),
    }
}

fn facts(root: Option<Element<'_>>, out: &mut Output<'_>) {
    let facts = root.and_then(|root| root.child("meta"));
    for property in facts.into_iter().flat_map(Element::children) {
        properties::fact(property.name(), &property.text(), out);
    }
}

fn parts(body: Element<'_>, styles: &Styles, out: &mut Output<'_>) -> Result<(), Stop> {
    for part in body.children() {
        match part.name() {
            "presentation" | "drawing" => slides::read(part, styles, out)?,
            "spreadsheet" => sheets::read(part, out)?,
            _ => {
                let mut flow = Flow::new(styles, None, out);
                flow.blocks(part)?;
                flow.finish()?;
            }
        }
    }
    Ok(())
}
