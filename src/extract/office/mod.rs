//! Office documents: which kind a package is, what it says about itself, and its reader.
//!
//! Called by: `extract`. Talks to: `package` and `xml` for the parts inside, one reader per
//! family, `office::protection` for files under a password.
//! Invariants: the kind of a package is told by what is inside it; a document without its main
//! part is damaged, one without any other part is read without it.

mod attachments;
mod chart;
mod compound;
mod docx;
mod legacy;
mod math;
mod objects;
mod odf;
mod old_lock;
mod pptx;
mod properties;
mod protection;
mod relations;
mod sheet;

pub(super) use self::objects::report_unknown;
use super::archive::extract_zip;
use super::emit::{Output, Stop};
use super::package::Package;
use super::source::Source;
use super::xml::{Element, Xml};
use crate::types::ExtractFailureCode;

/// Reads a zip archive that holds an office document of any kind.
pub(super) fn extract(source: &mut Source<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    read_package(&bytes, out)
}

/// Reads a compound file: Office 97 to 2003, or a newer document under a password.
pub(super) fn extract_compound(
    source: &mut Source<'_>,
    passwords: &[String],
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    compound::read(bytes, passwords, out)
}

fn read_package(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut package = Package::open(bytes)?;
    if package.has("mimetype") || package.has("content.xml") {
        return odf::read(&mut package, out);
    }
    let Some(main) = relations::main_part(&mut package)? else {
        const OURS: [&str; 3] = ["word/", "ppt/", "xl/"];
        if package.names().iter().any(|name| OURS.iter().any(|folder| name.starts_with(folder))) {
            return Err(Stop::malformed("The file has no document inside"));
        }
        drop(package);
        return plain_archive(bytes, out);
    };
    properties::read(&mut package, out);
    let folder = main.split('/').next().unwrap_or_default().to_ascii_lowercase();
    match folder.as_str() {
        "word" => docx::read(&mut package, &main, out),
        "ppt" => pptx::read(&mut package, &main, out),
        "xl" => sheet::read_package(bytes, &mut package, &main, out),
        _ => read_by_root(bytes, &mut package, &main, out),
    }
}

/// Reads what is packed like an office document and holds none: a package of software, say.
fn plain_archive(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    "application/zip".clone_into(&mut out.document.media_type);
    let mut input = bytes;
    extract_zip(&mut Source::new(&mut input).map_err(Stop::Input)?, out)
}

/// Passes on the file in the data of an object in Rich Text; false where it holds none.
pub(super) fn rich_text_object(
    number: u32,
    data: &[u8],
    out: &mut Output<'_>,
) -> Result<bool, Stop> {
    let Some((name, bytes)) = objects::rich_text_file(data) else {
        return Ok(false);
    };
    attachments::child(number, name.as_deref().unwrap_or_default(), &bytes, out)?;
    Ok(true)
}

/// Reads an OpenDocument that is a single XML file.
pub(super) fn read_flat(root: Element<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    odf::read_flat(root, out)
}

/// Producers are free to name folders as they like: the main part's outermost element decides.
fn read_by_root(
    bytes: &[u8],
    package: &mut Package<'_>,
    main: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    if main.ends_with(".bin") {
        return sheet::read_package(bytes, package, main, out);
    }
    let xml = package.xml(main)?;
    let root = xml.as_ref().and_then(Xml::root).map(|root| root.name().to_owned());
    match root.as_deref() {
        Some("document") => docx::read(package, main, out),
        Some("presentation") => pptx::read(package, main, out),
        Some("workbook") => sheet::read_package(bytes, package, main, out),
        _ => Err(Stop::failure(
            ExtractFailureCode::UnsupportedType,
            "The file is an office document of a kind that cannot be read",
        )),
    }
}

#[cfg(test)]
mod tests;
