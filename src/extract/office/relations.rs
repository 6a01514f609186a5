//! How the parts of an Open Packaging document point to each other.
//!
//! Called by: the readers of `office`. Talks to: `package`, `xml`.
//! Invariants: a target is a name inside the package; what points outside is marked and never
//! followed.

use crate::extract::emit::Stop;
use crate::extract::package::Package;

/// One pointer.
pub(super) struct Relation {
    pub(super) id: String,
    /// Last part of the type's address, such as `slide` or `footnotes`.
    pub(super) kind: String,
    /// Name of the part, or the address outside.
    pub(super) target: String,
    pub(super) external: bool,
}

/// The pointers of one part.
#[derive(Default)]
pub(super) struct Relations(Vec<Relation>);

impl Relations {
    /// The pointers of `part`; the empty name stands for the package itself.
    pub(super) fn of(package: &mut Package<'_>, part: &str) -> Self {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let Ok(Some(xml)) = package.xml(&format!("{prefix}_rels/{file}.rels")) else {
            return Self::default();
        };
        let Some(root) = xml.root() else {
            return Self::default();
        };
        let relations = root.children().filter_map(|relation| {
            let target = relation.attr("Target")?;
            let external = relation
                .attr("TargetMode")
                .is_some_and(|mode| mode.eq_ignore_ascii_case("external"));
            let kind = relation.attr("Type").unwrap_or_default();
            Some(Relation {
                id: relation.attr("Id").unwrap_or_default().to_owned(),
                kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                target: if external { target.to_owned() } else { resolve(folder, target) },
                external,
            })
        });
        Self(relations.collect())
    }

    /// The part an id points to.
    pub(super) fn target(&self, id: &str) -> Option<&str> {
        let relation = self.0.iter().find(|relation| relation.id == id)?;
        (!relation.external).then_some(relation.target.as_str())
    }

    /// The first part of a kind.
    pub(super) fn first(&self, kind: &str) -> Option<&str> {
        self.all(kind).next()
    }

    /// All parts of a kind.
    pub(super) fn all(&self, kind: &str) -> impl Iterator<Item = &str> {
        let inside = self.0.iter().filter(|relation| !relation.external);
        inside
            .filter(move |relation| relation.kind.eq_ignore_ascii_case(kind))
            .map(|relation| relation.target.as_str())
    }
}

/// The part that is the document.
pub(super) fn main_part(package: &mut Package<'_>) -> Result<Option<String>, Stop> {
    let relations = Relations::of(package, "");
    if let Some(main) = relations.first("officeDocument").filter(|main| package.has(main)) {
        return Ok(Some(main.to_owned()));
    }
    const USUAL: [&str; 4] =
        ["word/document.xml", "ppt/presentation.xml", "xl/workbook.xml", "xl/workbook.bin"];
    Ok(USUAL.into_iter().find(|name| package.has(name)).map(str::to_owned))
}

/// A target relative to a folder, with `..` and leading slashes taken out.
fn resolve(folder: &str, target: &str) -> String {
    let target = target.split('#').next().unwrap_or(target);
    let mut parts: Vec<&str> =
        if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn targets_are_resolved_inside_the_package() {
        assert_eq!(resolve("ppt/slides", "../charts/chart1.xml"), "ppt/charts/chart1.xml");
        assert_eq!(resolve("word", "/word/footnotes.xml"), "word/footnotes.xml");
        assert_eq!(resolve("", "../../etc/passwd"), "etc/passwd");
    }
}
