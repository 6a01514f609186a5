//! Files inside a PDF: those attached to the document, and those pinned to a page.
//!
//! Called by: `pdf`. Talks to: `pdfium-render`, `mail` for the names of attachments.
//! Invariants: each file becomes a child like the attachment of a mail, within the same limits; a
//! file that is damaged costs a warning.
//!
//! Why a second opening for files pinned to pages: the library has them, its wrapper does not pass
//! them on. Only a document with such a file is opened twice.

use std::ffi::c_ulong;

use pdfium_render::prelude::{PdfDocument, PdfiumLibraryBindingsAccessor};

use super::super::clean::size;
use super::super::emit::{Output, Stop};
use super::super::mail;

/// What a file without a usable name is called.
const NAMELESS: &str = "attachment.bin";
/// Most notes of one page that are looked at for files.
const MAX_NOTES: i32 = 1000;

/// Passes all files on; `pages` are the indices of those that have files pinned to them.
pub(super) fn pass_on(
    document: &PdfDocument<'_>,
    bytes: &[u8],
    pages: &[i32],
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut number = 0;
    let attachments = document.attachments();
    for index in attachments.as_range() {
        let Ok(attachment) = attachments.get(index) else { continue };
        let name = attachment.name();
        let length = attachment.len() as u64;
        let body =
            if too_large(&name, length, out) { continue } else { attachment.save_to_bytes() };
        number += 1;
        child(number, &name, &body.unwrap_or_default(), out)?;
    }
    if pages.is_empty() {
        return Ok(());
    }
    pinned(document, bytes, pages, number, out)
}

fn too_large(name: &str, length: u64, out: &mut Output<'_>) -> bool {
    let limit = out.limits().max_parse_bytes;
    if length > limit {
        out.warn(format!("{name} was left out: it is larger than {}", size(limit)));
    }
    length > limit
}

fn child(number: u32, name: &str, body: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let name = mail::file_name(name).unwrap_or_else(|| NAMELESS.to_owned());
    if body.is_empty() {
        out.warn(format!("{name} was left out: it is empty or damaged"));
        return Ok(());
    }
    mail::pass_on(number, &name, None, body, out)
}

/// Files that hang on a place of a page.
#[expect(unsafe_code, reason = "the wrapper of the library does not pass these files on")]
fn pinned(
    document: &PdfDocument<'_>,
    bytes: &[u8],
    pages: &[i32],
    mut number: u32,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let library = document.bindings();
    let passwords = std::iter::once(None).chain(out.passwords().iter().map(|p| Some(p.as_str())));
    let mut result = Ok(());
    // Every handle is closed before its owner, and `bytes` outlives them all.
    unsafe {
        let opened = passwords
            .map(|password| library.FPDF_LoadMemDocument64(bytes, password))
            .find(|opened| !opened.is_null());
        let Some(opened) = opened else { return Ok(()) };
        for index in pages {
            let page = library.FPDF_LoadPage(opened, *index);
            if page.is_null() {
                continue;
            }
            for note in 0..library.FPDFPage_GetAnnotCount(page).min(MAX_NOTES) {
                let note = library.FPDFPage_GetAnnot(page, note);
                if note.is_null() {
                    continue;
                }
                let file = library.FPDFAnnot_GetFileAttachment(note);
                if !file.is_null() && result.is_ok() {
                    let length = library.FPDFAttachment_GetName(file, std::ptr::null_mut(), 0);
                    let mut name = vec![0_u16; usize::try_from(length / 2).unwrap_or(0)];
                    library.FPDFAttachment_GetName(file, name.as_mut_ptr().cast(), length);
                    let name = String::from_utf16_lossy(&name);
                    let mut length: c_ulong = 0;
                    let none = std::ptr::null_mut();
                    library.FPDFAttachment_GetFile(file, none, 0, &raw mut length);
                    if !too_large(&name, length, out) {
                        let mut body = vec![0_u8; usize::try_from(length).unwrap_or(0)];
                        let room = body.as_mut_ptr().cast();
                        library.FPDFAttachment_GetFile(file, room, length, &raw mut length);
                        number += 1;
                        result = child(number, &name, &body, out);
                    }
                }
                library.FPDFPage_CloseAnnot(note);
            }
            library.FPDF_ClosePage(page);
        }
        library.FPDF_CloseDocument(opened);
    }
    result
}
