//! Source code: kept line by line, in blocks that end between two units where they can.
//!
//! Called by: `extract`, `sniff` for the names. Talks to: `charset`.
//! Invariants: every line appears once, with its indentation.

use super::charset::{declared_in, decode_whole};
use super::emit::{Output, Stop};
use super::source::Source;
use crate::types::BlockKind;

/// A block ends at the next blank line once it is this long, and anywhere at twice that.
const BLOCK: usize = 2_000;

/// Extensions by language.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("Rust", &["rs"]),
    ("Python", &["py", "pyi"]),
    ("JavaScript", &["js", "mjs", "jsx"]),
    ("TypeScript", &["ts", "tsx"]),
    ("Java", &["java"]),
    ("Kotlin", &["kt"]),
    ("Scala", &["scala"]),
    ("Go", &["go"]),
    ("C", &["c", "h"]),
    ("C++", &["cc", "cpp", "cxx", "hpp"]),
    ("C#", &["cs"]),
    ("Swift", &["swift"]),
    ("Ruby", &["rb"]),
    ("PHP", &["php"]),
    ("Perl", &["pl", "pm"]),
    ("Lua", &["lua"]),
    ("R", &["r"]),
    ("Julia", &["jl"]),
    ("Shell", &["sh", "bash"]),
    ("PowerShell", &["ps1"]),
    ("Batch", &["bat", "cmd"]),
    ("SQL", &["sql"]),
    ("Haskell", &["hs"]),
    ("OCaml", &["ml"]),
    ("Elixir", &["ex", "exs"]),
    ("Visual Basic", &["vb", "bas"]),
    ("Fortran", &["f90", "f95"]),
    ("CSS", &["css", "scss"]),
    ("Protocol Buffers", &["proto"]),
];

/// The language of a file by its extension.
pub(super) fn language(extension: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(_, known)| known.contains(&extension)).map(|(language, _)| *language)
}

pub(super) fn extract(
    source: &mut Source<'_>,
    language: &str,
    media_type: Option<&str>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let bytes = source.read_whole(out.limits().max_parse_bytes)?;
    let text = decode_whole(&bytes, declared_in(media_type), out);
    drop(bytes);
    out.fact("language", language);
    let mut block = String::new();
    for line in text.lines() {
        if (line.trim().is_empty() && block.len() > BLOCK) || block.len() > 2 * BLOCK {
            out.block(&BlockKind::Code, &block, None)?;
            block.clear();
        }
        block.push_str(line);
        block.push('\n');
    }
    out.block(&BlockKind::Code, &block, None)
}

#[cfg(test)]
mod tests {
    use crate::extract::testing::run;
    use crate::types::BlockKind;

    #[test]
    fn code_keeps_its_lines_and_names_its_language() {
        let found = run("a.py", b"def f(x):\n    return x\n\n\nprint(f(1))\n");
        assert_eq!(found.document.metadata["language"], "Python");
        assert_eq!(found.texts(), ["def f(x):\n    return x\n\n\nprint(f(1))"]);
        assert_eq!(found.blocks[0].kind, BlockKind::Code);
    }
}
