//! Names that programs write where they know no author.
//!
//! Called by: the readers of documents that name their author. Talks to: nothing.
//! Invariants: only a whole name counts: a person may be called User or bear the name inside.

/// In lower case, without brackets around them.
const NOBODY: [&str; 32] = [
    "admin",
    "administrator",
    "anonym",
    "anonymous",
    "apache poi",
    "author",
    "autor",
    "benutzer",
    "default",
    "default user",
    "guest",
    "microsoft office",
    "microsoft office user",
    "n/a",
    "nobody",
    "none",
    "office user",
    "openpyxl",
    "owner",
    "python-docx",
    "root",
    "test",
    "unbekannt",
    "unknown",
    "unknown author",
    "unknown user",
    "unspecified",
    "user",
    "username",
    "utilisateur",
    "utilisateur windows",
    "windows user",
];

/// True for a name that is nobody's.
pub(super) fn is_nobody(name: &str) -> bool {
    let name = name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '<' | '>'));
    let name = name.to_lowercase();
    NOBODY.contains(&name.as_str()) || !name.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::is_nobody;

    #[test]
    fn names_of_nobody_are_told_from_those_of_people() {
        for name in ["(anonymous)", " Unknown ", "admin", "Microsoft Office User", "-", "123"] {
            assert!(is_nobody(name), "{name}");
        }
        for name in ["Eva Wright", "User Friendly Inc.", "Root, Jean", "李明"] {
            assert!(!is_nobody(name), "{name}");
        }
    }
}
