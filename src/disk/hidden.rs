//! Names that begin with a dot: left alone, except for the folders of a mailbox.
//!
//! Called by: `sources::inbox`, `sources::directory`, and `disk` where it counts files. Talks to:
//! the file system, by names.
//! Invariants: a mailbox by Maildir++ keeps its folders as `.Sent` or `.Drafts.2020`, and none of
//! them is taken for something hidden.

use std::convert::Infallible;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// True for a name that begins with a dot.
pub fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

/// True for a folder of mails by Maildir++; `is_directory` looks at a name in it. A copy may lack
/// the directories that were empty, but not all of those that tell it.
///
/// # Errors
/// What `is_directory` gives.
pub fn is_mail_folder<E>(is_directory: impl Fn(&str) -> Result<bool, E>) -> Result<bool, E> {
    Ok(is_directory("cur")? && (is_directory("new")? || is_directory("tmp")?))
}

/// True for what is hidden and no folder of a mailbox.
pub fn is_left_alone(path: &Path) -> bool {
    let is_directory = |name: &str| {
        let meta = std::fs::symlink_metadata(path.join(name));
        Ok::<_, Infallible>(meta.is_ok_and(|meta| meta.is_dir()))
    };
    if !path.file_name().is_some_and(|name| is_hidden(name.as_bytes())) {
        return false;
    }
    let Ok(is_mail_folder) = is_mail_folder(is_directory);
    !is_mail_folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_mails_is_told_by_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let is = |name: &str, inside: &[&str]| {
            let folder = dir.path().join(name);
            inside.iter().for_each(|one| std::fs::create_dir_all(folder.join(one)).unwrap());
            is_left_alone(&folder)
        };
        assert!(!is(".Sent", &["cur", "new", "tmp"]) && !is(".Drafts.2020", &["cur", "tmp"]));
        assert!(is(".a", &["cur"]) && is(".b", &["new", "tmp"]) && is(".git", &["objects"]));
        assert!(!is("letters", &["2026"]));
        std::fs::write(dir.path().join(".DS_Store"), "").unwrap();
        assert!(is_left_alone(&dir.path().join(".DS_Store")));
    }
}
