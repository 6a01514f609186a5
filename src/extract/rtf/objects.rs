//! Objects in a Rich Text file: the digits of their data become the files inside.
//!
//! Called by: `rtf`. Talks to: `office` for what the data hold.
//! Invariants: what is held is one object, which is shorter than its digits in the file; once there
//! are too many files, the rest is passed over until the text has ended.

use crate::extract::emit::{Output, Stop};
use crate::extract::office::{report_unknown, rich_text_object};

/// Gathers objects one after the other.
#[derive(Default)]
pub(super) struct Objects {
    data: Vec<u8>,
    /// The first of two digits.
    half: Option<u8>,
    number: u32,
    unknown: u32,
    full: bool,
}

impl Objects {
    /// Takes a hexadecimal digit of the data; anything else only stands between digits.
    pub(super) fn digit(&mut self, digit: u8) {
        // Below 16.
        let Some(value) = char::from(digit).to_digit(16).map(|value| value as u8) else {
            return;
        };
        match self.half.take() {
            _ if self.full => {}
            Some(first) => self.data.push(first << 4 | value),
            None => self.half = Some(value),
        }
    }

    /// Takes data that are no digits.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if !self.full {
            self.data.extend_from_slice(bytes);
        }
    }

    /// Passes on the file that the data hold.
    pub(super) fn end(&mut self, out: &mut Output<'_>) -> Result<(), Stop> {
        let data = std::mem::take(&mut self.data);
        self.half = None;
        if self.full {
            return Ok(());
        }
        match rich_text_object(self.number + 1, &data, out) {
            Ok(true) => self.number += 1,
            Ok(false) => self.unknown += 1,
            Err(Stop::Full) => self.full = true,
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    pub(super) fn finish(self, out: &mut Output<'_>) -> Result<(), Stop> {
        report_unknown(self.unknown, out);
        if self.full { Err(Stop::Full) } else { Ok(()) }
    }
}
