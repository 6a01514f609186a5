//! The readers of files and the worker protocol, included by path to keep the build small.
//!
//! Called by: the fuzz targets. Talks to: `src/extract`, `src/types` and the parent's side of
//! `src/extraction`.
//! Invariants: nothing of ours but these files is built; libpdfium is left out, so a PDF ends
//! with the reason that its reader is missing.

#[path = "../../../src/extract/mod.rs"]
pub mod extract;
#[path = "../../../src/types/mod.rs"]
pub mod types;

pub mod extraction;
mod native;

use std::io::{self, Cursor, Read};

use extract::{
    ExtractLimits, ExtractRequest, ExtractSink, MAX_BLOCK_TEXT, Passwords, RandomAccess, extract,
    extract_file, refusal,
};
use types::{Block, ChildHeader};

/// Small, so that the fuzzer meets every limit.
const LIMITS: ExtractLimits = ExtractLimits {
    max_text_bytes: 64 << 10,
    max_parse_bytes: 1 << 20,
    max_children: 20,
    max_child_bytes: 64 << 10,
    max_total_bytes: 256 << 10,
};
/// Smaller still, so that files count as too large to be held.
const HELD: u64 = 300;
const MOST_LEVELS: usize = 3;

/// How a file is given to its reader.
#[derive(Clone, Copy)]
enum Way {
    Stream,
    AnyOrder { held: u64 },
}

/// Checks what comes out, and keeps what was found inside.
#[derive(Default)]
struct Checked {
    text: u64,
    children: Vec<(String, Vec<u8>)>,
}

impl ExtractSink for Checked {
    fn block(&mut self, block: Block) -> io::Result<()> {
        assert!(!block.text.is_empty() && block.text.len() <= MAX_BLOCK_TEXT);
        assert!(!block.text.contains('\0'), "a zero byte is left");
        self.text += block.text.len() as u64;
        assert!(self.text <= LIMITS.max_text_bytes, "more text than allowed");
        Ok(())
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        assert!(!header.name.is_empty() && header.name.len() <= 4096, "no usable name");
        assert!(!header.name.contains('\0'));
        let steps = || header.name.split('/');
        assert!(header.absolute || steps().all(|step| !matches!(step, "" | "." | "..")));
        let mut bytes = Vec::new();
        match body.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if refusal(&error).is_some() => return Ok(()),
            Err(error) => return Err(error),
        }
        assert!(bytes.len() as u64 <= LIMITS.max_child_bytes, "a larger file than allowed");
        self.children.push((header.name.clone(), bytes));
        assert!(self.children.len() <= LIMITS.max_children as usize, "more files than allowed");
        Ok(())
    }
}

/// Reads a file under the name that its first byte picks, and what is found inside it. The top
/// bits of that byte pick the way in which it is read.
pub fn read_named(names: &[&str], data: &[u8]) {
    if let [which, bytes @ ..] = data {
        let way = match which >> 6 {
            0 | 1 => Way::Stream,
            2 => Way::AnyOrder { held: LIMITS.max_parse_bytes },
            _ => Way::AnyOrder { held: HELD },
        };
        read(names[usize::from(which & 63) % names.len()], bytes, way, 0);
    }
}

fn read(name: &str, bytes: &[u8], way: Way, level: usize) {
    let limits = match way {
        Way::AnyOrder { held } => ExtractLimits { max_parse_bytes: held, ..LIMITS },
        Way::Stream => LIMITS,
    };
    let request = ExtractRequest {
        name: name.to_owned(),
        media_type: None,
        format: None,
        passwords: Passwords::from(vec!["password".to_owned()]),
        limits,
    };
    let mut checked = Checked::default();
    let outcome = match way {
        Way::Stream => extract(&request, &mut &bytes[..], &mut checked),
        Way::AnyOrder { .. } => {
            let file = RandomAccess::new(Cursor::new(bytes.to_vec()));
            extract_file(&request, file, &mut checked)
        }
    };
    match outcome {
        Ok(document) => assert!(document.blocks.is_empty() && !document.media_type.is_empty()),
        Err(failure) => assert!(failure.message.len() > 8, "no reason is given"),
    }
    if level < MOST_LEVELS {
        for (name, bytes) in checked.children {
            read(&name, &bytes, way, level + 1);
        }
    }
}
