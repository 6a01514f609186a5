//! Number formats of the binary workbooks, of which their reader tells dates and nothing else.
//!
//! Called by: `sheet`. Talks to: `units`, and the records of either format below.
//! Invariants: never fails: what is damaged leaves its numbers plain; what is held of a sheet is
//! a place for each cell whose number has a unit, and no more of them than its bytes have room
//! for.

pub(super) mod biff12;
pub(super) mod biff8;

use std::collections::HashMap;

use super::units::Unit;

/// The formats of a workbook as its cells count them.
#[derive(Default)]
pub(super) struct Formats {
    /// Format codes by their number.
    codes: HashMap<u16, String>,
    units: Vec<Unit>,
}

impl Formats {
    fn code(&mut self, number: u16, code: String) {
        self.codes.insert(number, code);
    }

    /// Notes that the next style has the format of this number.
    fn style(&mut self, number: u16) {
        let code = self.codes.get(&number).map(String::as_str).or_else(|| built_in(number));
        self.units.push(code.map(Unit::of_format).unwrap_or_default());
    }

    /// The unit of cells of a style, where there is one.
    fn of_style(&self, style: usize) -> Option<&Unit> {
        self.units.get(style).filter(|unit| **unit != Unit::default())
    }
}

/// The cells of a sheet whose numbers have a unit.
#[derive(Default)]
pub(super) struct CellUnits<'f>(HashMap<(u32, u32), &'f Unit>);

impl<'f> CellUnits<'f> {
    pub(super) fn get(&self, row: u32, column: u32) -> Option<&'f Unit> {
        self.0.get(&(row, column)).copied()
    }

    fn note(&mut self, formats: &'f Formats, (row, column): (u32, u32), style: usize) {
        if let Some(unit) = formats.of_style(style) {
            self.0.insert((row, column), unit);
        }
    }
}

/// The formats that no workbook writes out and that show a unit (ECMA-376, part 1, 18.8.30).
/// Those of money are in the currency of the reader's country, which is not known here.
fn built_in(number: u16) -> Option<&'static str> {
    match number {
        9 => Some("0%"),
        10 => Some("0.00%"),
        _ => None,
    }
}

fn utf16(bytes: &[u8]) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use cfb::CompoundFile;

    use crate::extract::testing::{package_of, run};

    /// A record of MS-XLS.
    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).expect("short");
        [&kind.to_le_bytes(), &length.to_le_bytes(), data].concat()
    }

    fn words(values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// A workbook of Excel 97 with one sheet, `Costs`: these formats, a style for each number of a
    /// format, and these records of cells.
    fn old_workbook(formats: &[(u16, &str)], styles: &[u16], cells: &[Vec<u8>]) -> Vec<u8> {
        let begin = |what: u16| record(0x809, &words(&[0x600, what, 0, 0, 0, 0, 0, 0]));
        let mut globals = begin(5);
        for (number, code) in formats {
            let code: Vec<u16> = code.encode_utf16().collect();
            let length = u16::try_from(code.len()).expect("short");
            globals.extend(record(
                0x41e,
                &[words(&[*number, length]), vec![1], words(&code)].concat(),
            ));
        }
        for style in styles {
            globals.extend(record(0xe0, &words(&[0, *style, 0, 0, 0, 0, 0, 0, 0, 0])));
        }
        let name = b"Costs";
        let start = u32::try_from(globals.len() + 4 + 8 + name.len() + 4).expect("short");
        let mut sheet = start.to_le_bytes().to_vec();
        sheet.extend([0, 0, 5, 0]);
        sheet.extend(name);
        globals.extend(record(0x85, &sheet));
        globals.extend(record(0x0a, &[]));
        globals.extend(begin(0x10));
        globals.extend(cells.concat());
        globals.extend(record(0x0a, &[]));
        // Shorter streams are kept elsewhere in a compound file.
        globals.resize(globals.len().max(4096), 0);
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).expect("memory");
        let mut stream = file.create_stream("/Workbook").expect("memory");
        stream.write_all(&globals).expect("memory");
        drop(stream);
        // Readers expect the place where short streams are kept.
        file.create_stream("/Note").and_then(|mut note| note.write_all(b"short")).expect("memory");
        file.into_inner().into_inner()
    }

    fn number(row: u16, column: u16, style: u16, value: f64) -> Vec<u8> {
        record(0x203, &[words(&[row, column, style]), value.to_le_bytes().to_vec()].concat())
    }

    /// Whole numbers side by side.
    fn whole(row: u16, cells: &[(u16, u32)]) -> Vec<u8> {
        let mut data = words(&[row, 0]);
        for (style, value) in cells {
            data.extend(style.to_le_bytes());
            data.extend((value << 2 | 2).to_le_bytes());
        }
        data.extend(u16::try_from(cells.len() - 1).expect("short").to_le_bytes());
        record(0xbd, &data)
    }

    #[test]
    fn numbers_of_an_old_workbook_are_shown_with_what_they_count() {
        let bytes = old_workbook(
            &[(164, "#,##0.00 \"€\""), (165, "0.0 \"kg\""), (166, "yyyy-mm-dd")],
            &[0, 164, 165, 166, 9],
            &[
                number(0, 0, 1, 1_234_567.5),
                number(0, 1, 4, 0.253),
                number(0, 2, 3, 45382.0),
                number(0, 3, 0, 7.5),
                whole(1, &[(2, 12), (0, 12), (1, 12), (9, 12)]),
            ],
        );
        assert_eq!(
            run("a.xls", &bytes).texts(),
            ["Costs", "1234567.5 € | 25.3% | 2024-03-31 | 7.5\n12 kg | 12 | 12 € | 12"]
        );
    }

    /// A record of MS-XLSB.
    fn binary(kind: u16, data: &[u8]) -> Vec<u8> {
        let mut record = match u8::try_from(kind) {
            Ok(kind) if kind < 0x80 => vec![kind],
            _ => vec![kind.to_le_bytes()[0] & 0x7f | 0x80, u8::try_from(kind >> 7).expect("small")],
        };
        record.push(u8::try_from(data.len()).ok().filter(|length| *length < 0x80).expect("short"));
        record.extend(data);
        record
    }

    fn wide(text: &str) -> Vec<u8> {
        let units: Vec<u16> = text.encode_utf16().collect();
        let length = u32::try_from(units.len()).expect("short");
        [length.to_le_bytes().to_vec(), words(&units)].concat()
    }

    #[test]
    fn numbers_of_a_binary_workbook_are_shown_with_what_they_count() {
        let relations = |of: &[(&str, &str)]| -> Vec<u8> {
            let base = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
            let all: String = (1..)
                .zip(of)
                .map(|(id, (kind, target))| {
                    format!("<Relationship Id='r{id}' Type='{base}/{kind}' Target='{target}'/>")
                })
                .collect();
            format!(
                "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/\
                 relationships'>{all}</Relationships>"
            )
            .into_bytes()
        };
        let cell = |column: u32, style: u32, value: f64| {
            let place = [column.to_le_bytes(), style.to_le_bytes()].concat();
            binary(5, &[place, value.to_le_bytes().to_vec()].concat())
        };
        let style = |number: u16| binary(47, &words(&[0, number, 0, 0, 0, 0, 0, 0]));
        let sheet = [0_u32, 1].map(u32::to_le_bytes).concat();
        let parts = [
            ("_rels/.rels", relations(&[("officeDocument", "xl/workbook.bin")])),
            (
                "xl/_rels/workbook.bin.rels",
                relations(&[("worksheet", "worksheets/sheet1.bin"), ("styles", "styles.bin")]),
            ),
            (
                "xl/workbook.bin",
                [
                    binary(143, &[]),
                    binary(156, &[sheet, wide("r1"), wide("Costs")].concat()),
                    binary(144, &[]),
                    // Nothing more about the workbook.
                    binary(132, &[]),
                ]
                .concat(),
            ),
            (
                "xl/styles.bin",
                [
                    binary(615, &1_u32.to_le_bytes()),
                    binary(44, &[words(&[164]), wide("[$USD] #,##0")].concat()),
                    binary(616, &[]),
                    // Styles that cells do not count.
                    binary(626, &1_u32.to_le_bytes()),
                    style(9),
                    binary(627, &[]),
                    binary(617, &3_u32.to_le_bytes()),
                    [style(0), style(164), style(10)].concat(),
                    binary(618, &[]),
                ]
                .concat(),
            ),
            (
                "xl/worksheets/sheet1.bin",
                [
                    binary(129, &[]),
                    binary(148, &[0; 16]),
                    binary(145, &[]),
                    binary(0, &[0; 16]),
                    cell(0, 0, 5.0),
                    cell(1, 1, 5.0),
                    cell(2, 2, 0.051),
                    binary(146, &[]),
                ]
                .concat(),
            ),
        ];
        let parts: Vec<(&str, &[u8])> =
            parts.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let bytes = package_of(&parts);
        assert_eq!(run("a.xlsb", &bytes).texts(), ["Costs", "5 | USD 5 | 5.1%"]);
    }

    #[test]
    fn damaged_records_leave_numbers_plain() {
        let whole = old_workbook(&[(164, "0 \"kg\"")], &[0, 164], &[number(0, 0, 1, 3.0)]);
        assert_eq!(run("a.xls", &whole).texts()[1], "3 kg");
        let at = whole.windows(2).position(|two| two == [0x1e, 4]).expect("the record of a format");
        let mut damaged = whole;
        // Longer than its record.
        damaged[at + 6] = 0xff;
        assert_eq!(run("a.xls", &damaged).texts()[1], "3");
    }
}
