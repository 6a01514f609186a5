//! A text as a QR code, drawn as SVG.
//!
//! Called by: `app::accounts`. Talks to: nothing.
//! Invariants: one path, dark on light, with the quiet zone that scanners need.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Modules of light around the code.
const QUIET: i32 = 4;

/// The picture; empty for a text too long for any QR code.
pub(super) fn svg(text: &str) -> String {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else {
        return String::new();
    };
    let side = code.size() + 2 * QUIET;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0,0h{side}v{side}h-{side}z\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_finder_patterns_inside_a_quiet_zone() {
        let picture = svg("otpauth://totp/Cairn:ada?secret=GEZDGNBVGY3TQOJQ");
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>"), "{picture}");
        // The first row of the upper left finder is seven dark modules and then a light one.
        for x in 4..11 {
            assert!(picture.contains(&format!("M{x},4h1")), "{x}");
        }
        assert!(!picture.contains("M11,4h1") && !picture.contains("M3,4h1"));
    }

    #[test]
    fn a_text_that_no_code_holds_gives_no_picture() {
        assert_eq!(svg(&"x".repeat(5000)), "");
    }
}
