//! Workbooks: each sheet a heading and the tables on it, values as a person sees them.
//!
//! Called by: `office`. Talks to: `calamine` for the cells, `sheet::regions` for the tables,
//! `sheet::extras` for comments and charts.
//! Invariants: cells of the zip-based formats are read one after the other; what is held is one
//! region of a sheet. Hidden sheets are read too. Formulas are never evaluated: their stored
//! values are taken, and those that have none are counted. What
//! numbers count is read by `sheet::formats` where `calamine` does not tell it.

mod cells;
mod extras;
mod formats;
mod regions;
mod units;

use std::io::Cursor;

use calamine::{
    DataRef, Reader, Sheet, SheetType, Style, WorkbookProperties, Xls, XlsError, Xlsb, Xlsx,
    XlsxCellReader,
};

pub(super) use self::cells::number;
use self::extras::Extras;
use self::formats::{biff8, biff12};
pub(super) use self::regions::Regions;
pub(super) use self::units::Unit;
use super::{attachments, properties};
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
        binary_sheets(bytes, package, main, out)
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
    let mut units: Option<Vec<Unit>> = None;
    let mut without_value = 0;
    for (number, (_, name)) in (1_u32..).zip(&sheets) {
        heading(name, number, out)?;
        let merged = workbook.merge_cells_by_sheet_name(name).unwrap_or_default();
        let mut regions = Regions::new(number, name, &merged);
        let mut blanks = false;
        match workbook.worksheet_cells_reader(name) {
            Ok(mut reader) => {
                let units = units.get_or_insert_with(|| reader.styles().iter().map(unit).collect());
                blanks = read_cells(&mut reader, units, name, &mut regions, out)?;
            }
            Err(error) => out.warn(format!("Sheet {name} cannot be read: {}", reason(&error))),
        }
        regions.finish(out)?;
        if blanks {
            without_value += formulas_without_value(&mut workbook, name);
        }
        extras.emit(package, name, number, out)?;
    }
    if without_value > 0 {
        out.warn(format!(
            "{without_value} formulas have no stored value, and their cells were left empty; a \
             spreadsheet program stores the values when it saves the workbook"
        ));
    }
    Ok(())
}

/// Reads the cells of one sheet; says whether some of them were there and had no value.
fn read_cells(
    reader: &mut XlsxCellReader<'_, Cursor<&[u8]>>,
    units: &[Unit],
    sheet: &str,
    regions: &mut Regions,
    out: &mut Output<'_>,
) -> Result<bool, Stop> {
    let mut blanks = false;
    loop {
        match reader.next_cell_with_style_id() {
            Ok(Some((cell, style))) => {
                let (row, column) = cell.get_position();
                let value = cell.get_value();
                blanks |= matches!(value, DataRef::Empty);
                regions.cell(row, column, cells::typed(value, units.get(style)), out)?;
            }
            Ok(None) => return Ok(blanks),
            Err(error) => {
                let why = reason(&error);
                out.warn(format!("Sheet {sheet} is damaged and was read in part: {why}"));
                return Ok(blanks);
            }
        }
    }
}

fn unit(style: &Style) -> Unit {
    let format = style.number_format.as_ref();
    format.map(|format| Unit::of_format(&format.format_code)).unwrap_or_default()
}

/// Counts the formulas whose result the program that wrote the workbook did not store.
fn formulas_without_value(workbook: &mut Xlsx<Cursor<&[u8]>>, sheet: &str) -> u64 {
    let mut count = 0;
    let Ok(mut reader) = workbook.worksheet_cells_reader(sheet) else {
        return count;
    };
    while let Ok(Some(cell)) = reader.next_cell_with_formula_metadata() {
        count += u64::from(cell.formula.is_some() && matches!(cell.value, DataRef::Empty));
    }
    count
}

fn binary_sheets(
    bytes: &[u8],
    package: &mut Package<'_>,
    main: &str,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    let mut workbook = Xlsb::new(Cursor::new(bytes)).map_err(damaged)?;
    let formats = biff12::Workbook::open(package, main);
    let sheets = listed(workbook.sheets_metadata());
    out.fact("sheets", &sheets.len().to_string());
    for (number, (at, name)) in (1_u32..).zip(&sheets) {
        heading(name, number, out)?;
        let units = formats.units(package, *at);
        let mut regions = Regions::new(number, name, &[]);
        match workbook.worksheet_cells_reader(name) {
            Ok(mut reader) => loop {
                match reader.next_cell() {
                    Ok(Some(cell)) => {
                        let (row, column) = cell.get_position();
                        let value = cells::typed(cell.get_value(), units.get(row, column));
                        regions.cell(row, column, value, out)?;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        let why = reason(&error);
                        out.warn(format!("Sheet {name} is damaged and was read in part: {why}"));
                        break;
                    }
                }
            },
            Err(error) => out.warn(format!("Sheet {name} cannot be read: {}", reason(&error))),
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
    if let Ok(facts) = workbook.workbook_properties() {
        legacy_facts(&facts, out);
    }
    let sheets = listed(workbook.sheets_metadata());
    out.fact("sheets", &sheets.len().to_string());
    let formats = biff8::Workbook::open(bytes);
    for (number, (at, name)) in (1_u32..).zip(&sheets) {
        heading(name, number, out)?;
        let merged = workbook.merge_cells_by_sheet_name(name).unwrap_or_default();
        let units = formats.units(*at);
        let Ok(range) = workbook.worksheet_range(name) else {
            out.warn(format!("Sheet {name} cannot be read"));
            continue;
        };
        let (top, left) = range.start().unwrap_or_default();
        let mut regions = Regions::new(number, name, &merged);
        for (row, column, value) in range.used_cells() {
            let row = top.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
            let column = left.saturating_add(u32::try_from(column).unwrap_or(u32::MAX));
            let value = cells::typed(&cells::borrowed(value), units.get(row, column));
            regions.cell(row, column, value, out)?;
        }
        regions.finish(out)?;
    }
    Ok(())
}

/// What a workbook of Excel 97 to 2003 says about itself.
fn legacy_facts(facts: &WorkbookProperties, out: &mut Output<'_>) {
    for (name, value) in [
        ("title", &facts.title),
        ("creator", &facts.creator),
        ("subject", &facts.subject),
        ("description", &facts.description),
        ("keywords", &facts.keywords),
        ("category", &facts.category),
        ("created", &facts.created),
        ("modified", &facts.modified),
        ("lastModifiedBy", &facts.last_modified_by),
    ] {
        properties::fact(name, value.as_deref().unwrap_or_default().trim(), out);
    }
    out.fact("company", facts.company.as_deref().unwrap_or_default());
    out.fact("manager", facts.manager.as_deref().unwrap_or_default());
}

/// The sheets that hold cells or charts: the place of each among all sheets, and its name.
fn listed(sheets: &[Sheet]) -> Vec<(usize, String)> {
    let sheets = sheets.iter().enumerate().filter(|(_, sheet)| sheet.typ != SheetType::Vba);
    sheets.map(|(at, sheet)| (at, sheet.name.clone())).collect()
}

fn heading(name: &str, number: u32, out: &mut Output<'_>) -> Result<(), Stop> {
    out.block(&BlockKind::Heading { level: 1 }, name, Some(number))
}

fn damaged(error: impl std::fmt::Display) -> Stop {
    Stop::malformed(format!("The workbook is damaged: {}", reason(&error)))
}

/// What is wrong, for people: the reader of workbooks speaks of places in its own memory.
fn reason(error: &impl std::fmt::Display) -> String {
    let error = error.to_string();
    match error.split_once("unrecognized entity") {
        Some((_, name)) => format!(
            "it names {}, an abbreviation of its own, which is not written out because files made \
             to fill the memory are built of them",
            name.trim().trim_matches('`')
        ),
        None => error,
    }
}
