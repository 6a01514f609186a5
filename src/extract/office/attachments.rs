//! Files inside office documents: embedded documents, and pictures large enough to hold text.
//!
//! Called by: the readers of `office`. Talks to: `package`, `objects` for wrapped files, `image`
//! for the sizes of pictures.
//! Invariants: a child's name is unique and has no folders of the package in it; a part that is
//! damaged costs a warning; all pictures are counted, and of those with the same bytes one is
//! passed on.
//!
//! Why small pictures stay inside: icons, bullets and lines would fill the ledger and hold nothing
//! to read. What counts is pixels, by the rule of OCR: a scanned page in two colours has few bytes.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::objects;
use crate::extract::emit::{Output, Stop};
use crate::extract::image;
use crate::extract::package::Package;
use crate::types::ChildHeader;

const PICTURES: [&str; 9] = ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "gif", "webp", "jp2"];

/// Passes the files on that lie in the package's folders of embedded things.
pub(super) fn pass_on(package: &mut Package<'_>, out: &mut Output<'_>) -> Result<(), Stop> {
    let names: Vec<String> = package
        .names()
        .iter()
        .filter(|name| {
            let name = name.to_ascii_lowercase();
            ["/embeddings/", "/media/"].iter().any(|folder| name.contains(folder))
                || ["pictures/", "object "].iter().any(|folder| name.starts_with(folder))
        })
        .filter(|name| !name.ends_with('/'))
        .cloned()
        .collect();
    let mut number = 0_u32;
    let mut pictures = 0_u32;
    let mut seen = HashSet::new();
    for name in names {
        let file = name.rsplit('/').next().unwrap_or(&name).to_owned();
        let extension = file.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let picture = PICTURES.contains(&extension.as_str());
        let embedded = name.to_ascii_lowercase().contains("/embeddings/");
        if !picture && !embedded {
            continue;
        }
        let bytes = match package.part(&name) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(Stop::Failure(failure)) => {
                out.warn(format!("{file} was left out: {}", failure.message));
                continue;
            }
            Err(stop) => return Err(stop),
        };
        if bytes.is_empty() {
            continue;
        }
        if !embedded {
            pictures += 1;
            if !image::may_hold_text(&bytes) || !seen.insert(Sha256::digest(&bytes)) {
                continue;
            }
        }
        number += 1;
        let (file, bytes) = match objects::wrapped_file(&bytes) {
            Some((inner, bytes)) => (inner.unwrap_or(file), bytes),
            None => (file, bytes),
        };
        child(number, &file, &bytes, out)?;
    }
    if pictures > 0 {
        out.fact("pictures", &pictures.to_string());
    }
    Ok(())
}

/// Passes one embedded file on.
pub(super) fn child(
    number: u32,
    file: &str,
    bytes: &[u8],
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let file: String = file
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(file)
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    let file = if file.trim().is_empty() { "embedded.bin".to_owned() } else { file };
    let header = ChildHeader {
        name: format!("embedded-{number}/{file}"),
        absolute: false,
        media_type: None,
        format: None,
        file_date: None,
    };
    out.child(&header, &mut &bytes[..])
}
