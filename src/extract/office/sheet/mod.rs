//! Workbooks: each sheet a heading and the tables on it, values as a person sees them.
//!
//! Called by: `office`. Talks to: `calamine` for the cells, `sheet::regions` for the tables,
//! `sheet::extras` for comments and charts.
//! Invariants: cells of the zip-based formats are read one after the other; what is held is one
//! region of a sheet. Hidden sheets are read too. Formulas are never evaluated: their stored
//! values are taken.

mod cells;
mod extras;
mod regions;

use std::io::Cursor;

use calamine::{Reader, Sheet, SheetType, Xls, XlsError, Xlsb, Xlsx};

pub(super) use self::cells::number;
use self::extras::Extras;
pub(super) use self::regions::Regions;
use super::attachments;
use crate::extract::emit::{Output, Stop};
use crate::extract::package::Package;
use crate::types::{BlockKind, ExtractFailureCode};

/// Reads a workbook in a package.
pub(super) fn read_package(
    bytes: &[u8],
    package: &mut Package<'_>,
    main: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let text = if main.ends_with(".bin") {
        binary_sheets(bytes, out)
    } else {
        let extras = Extras::of(package, main, out);
        sheets(bytes, package, &extras, out)
    };
    match text {
        Ok(()) | Err(Stop::Full) => {}
        Err(stop) => return Err(stop),
    }
    attachments::pass_on(package, out)?;
    text
}

fn sheets(
    bytes: &[u8],
    package: &mut Package<'_>,
    extras: &Extras,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let sheets = listed(workbook.sheets_metadata());
    out.fact("sheets", &sheets.len().to_string());
    for (number, name) in (1_u32..).zip(&sheets) {
        heading(name, number, out)?;
        let merged = workbook.merge_cells_by_sheet_name(name).unwrap_or_default();
        let mut regions = Regions::new(number, name, &merged);
        match workbook.worksheet_cells_reader(name) {
            Ok(mut reader) => loop {
                match reader.next_cell() {
                    Ok(Some(cell)) => {
                        let (row, column) = cell.get_position();
                        regions.cell(row, column, cells::typed_ref(cell.get_value()), out)?;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        out.warn(format!("Sheet {name} is damaged and was read in part: {error}"));
                        break;
                    }
                }
            },
            Err(error) => out.warn(format!("Sheet {name} cannot be read: {error}")),
        }
        regions.finish(out)?;
        extras.emit(package, name, number, out)?;
    }
    Ok(())
}

fn binary_sheets(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut workbook = Xlsb::new(Cursor::new(bytes)).map_err(damaged)?;
    let sheets = listed(workbook.sheets_metadata());
    out.fact("sheets", &sheets.len().to_string());
    for (number, name) in (1_u32..).zip(&sheets) {
        heading(name, number, out)?;
        let mut regions = Regions::new(number, name, &[]);
        match workbook.worksheet_cells_reader(name) {
            Ok(mut reader) => loop {
                match reader.next_cell() {
                    Ok(Some(cell)) => {
                        let (row, column) = cell.get_position();
                        regions.cell(row, column, cells::typed_ref(cell.get_value()), out)?;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        out.warn(format!("Sheet {name} is damaged and was read in part: {error}"));
                        break;
                    }
                }
            },
            Err(error) => out.warn(format!("Sheet {name} cannot be read: {error}")),
        }
        regions.finish(out)?;
    }
    Ok(())
}

/// Reads a workbook of Excel 97 to 2003.
pub(super) fn read_legacy(bytes: &[u8], out: &mut Output<'_>) -> Result<(), Stop> {
    let mut workbook = Xls::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsError::Password => Stop::failure(
            ExtractFailureCode::PasswordRequired,
            "The workbook is protected by a password",
        ),
        other => damaged(other),
    })?;
    let sheets = listed(workbook.sheets_metadata());
    out.fact("sheets", &sheets.len().to_string());
    for (number, name) in (1_u32..).zip(&sheets) {
        heading(name, number, out)?;
        let merged = workbook.merge_cells_by_sheet_name(name).unwrap_or_default();
        let Ok(range) = workbook.worksheet_range(name) else {
            out.warn(format!("Sheet {name} cannot be read"));
            continue;
        };
        let (top, left) = range.start().unwrap_or_default();
        let mut regions = Regions::new(number, name, &merged);
        for (row, column, value) in range.used_cells() {
            let row = top.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
            let column = left.saturating_add(u32::try_from(column).unwrap_or(u32::MAX));
            regions.cell(row, column, cells::typed(value), out)?;
        }
        regions.finish(out)?;
    }
    Ok(())
}

/// Names of the sheets that hold cells or charts.
fn listed(sheets: &[Sheet]) -> Vec<String> {
    let sheets = sheets.iter().filter(|sheet| sheet.typ != SheetType::Vba);
    sheets.map(|sheet| sheet.name.clone()).collect()
}

fn heading(name: &str, number: u32, out: &mut Output<'_>) -> Result<(), Stop> {
    out.block(&BlockKind::Heading { level: 1 }, name, Some(number))
}

fn damaged(error: impl std::fmt::Display) -> Stop {
    Stop::malformed(format!("The workbook is damaged: {error}"))
}
