//! Names of entries, as they are shown.
//!
//! Called by: the readers of `extract::archive`. Talks to: nothing.
//! Invariants: a cleaned name is relative, has no empty, `.` or `..` step, no control or direction
//! mark, is bounded in length, and is given out once per archive.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::super::charset::{StreamDecoder, dos};
use super::super::clean::prefix;

const MAX_STEP: usize = 200;
const MAX_STEPS: usize = 64;
const MAX_NAME: usize = 1500;

/// The names of one archive.
#[derive(Default)]
pub(super) struct Names {
    hasher: RandomState,
    /// How often each name came, by its hash: an archive may hold a million.
    given: HashMap<u64, u32>,
    changed: u64,
}

impl Names {
    /// The name to show for an entry.
    pub(super) fn clean(&mut self, raw: &str) -> String {
        let (name, unusual) = clean(raw);
        self.changed += u64::from(unusual);
        let times = self.given.entry(self.hasher.hash_one(&name)).or_default();
        *times += 1;
        let times = *times;
        if times == 1 {
            return name;
        }
        let numbered = match name.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && !extension.contains('/') => {
                format!("{stem} ({times}).{extension}")
            }
            _ => format!("{name} ({times})"),
        };
        *self.given.entry(self.hasher.hash_one(&numbered)).or_default() += 1;
        numbered
    }

    /// How many names are not shown as they were written.
    pub(super) fn changed(&self) -> u64 {
        self.changed
    }
}

/// The cleaned name, and whether it tried more than to name a file.
fn clean(raw: &str) -> (String, bool) {
    let unusual = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut odd = raw.chars().any(unusual) || raw.starts_with(['/', '\\']);
    let plain: String = raw.chars().filter(|c| !unusual(*c)).collect();
    let mut steps: Vec<&str> = Vec::new();
    for (at, step) in plain.split(['/', '\\']).enumerate() {
        let drive = at == 0
            && matches!(step.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        let step = if drive { &step[2..] } else { step };
        odd |= drive || step == "..";
        if !matches!(step.trim(), "" | "." | "..") && steps.len() < MAX_STEPS {
            steps.push(step);
        }
    }
    let steps: Vec<String> = steps.into_iter().map(shortened).collect();
    let mut name = steps.join("/");
    if name.len() > MAX_NAME {
        // The end of a path tells what the file is.
        let mut from = name.len() - MAX_NAME;
        while !name.is_char_boundary(from) {
            from += 1;
        }
        name = name[from..].trim_start_matches('/').to_owned();
        odd = true;
    }
    if name.is_empty() {
        return ("unnamed".to_owned(), true);
    }
    (name, odd)
}

/// A step of a path, shortened in front of its extension.
fn shortened(step: &str) -> String {
    if step.len() <= MAX_STEP {
        return step.to_owned();
    }
    match step.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= 16 => {
            format!("{}….{extension}", prefix(stem, MAX_STEP))
        }
        _ => format!("{}…", prefix(step, MAX_STEP)),
    }
}

/// The characters of a name whose encoding is not said.
pub(super) fn decode(raw: &[u8]) -> String {
    if let Ok(name) = std::str::from_utf8(raw) {
        return name.to_owned();
    }
    let mut name = String::new();
    StreamDecoder::new(None).push(raw, true, &mut name);
    name
}

/// The characters of a name that DOS or a program like it wrote.
pub(super) fn decode_dos(raw: &[u8]) -> String {
    if let Ok(name) = std::str::from_utf8(raw) {
        return name.to_owned();
    }
    let mut name = String::new();
    dos::decode(raw, &mut name);
    name
}

#[cfg(test)]
mod tests {
    use super::{Names, decode_dos};

    #[test]
    fn names_stay_inside_the_archive() {
        let mut names = Names::default();
        for (raw, shown) in [
            ("/etc/passwd", "etc/passwd"),
            ("../../etc/shadow", "etc/shadow"),
            ("C:\\Windows\\system.ini", "Windows/system.ini"),
            ("a/./b//c.txt", "a/b/c.txt"),
            ("bell\u{7}\u{202e}txt.exe", "belltxt.exe"),
            ("..", "unnamed"),
        ] {
            assert_eq!(names.clean(raw), shown, "{raw:?}");
        }
        assert_eq!(names.changed(), 5);
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::default();
        assert_eq!(names.clean("a/b.txt"), "a/b.txt");
        assert_eq!(names.clean("a\\b.txt"), "a/b (2).txt");
        assert_eq!(names.clean("a/b.txt"), "a/b (3).txt");
        assert_eq!(names.clean("read.me/x"), "read.me/x");
        assert_eq!(names.clean("read.me/x"), "read.me/x (2)");
    }

    #[test]
    fn long_names_keep_their_end() {
        let mut names = Names::default();
        let long = names.clean(&format!("{}/{}.docx", "d".repeat(9000), "ü".repeat(5000)));
        assert!(long.len() < 600 && long.ends_with("….docx"), "{long}");
        assert!(names.clean(&"ab/".repeat(5000)).len() <= 1500);
    }

    #[test]
    fn names_of_dos_are_read() {
        assert_eq!(decode_dos(b"B\x81cher.txt"), "Bücher.txt");
        assert_eq!(decode_dos("Bücher".as_bytes()), "Bücher");
    }
}
