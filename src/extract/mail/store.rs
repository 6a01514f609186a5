//! Outlook data files (`.pst`): each item becomes a child, rebuilt as the `.msg` file that Outlook
//! would save it as.
//!
//! Called by: `extract`. Talks to: `outlook-pst` for the file, `mail::outlook` for which properties
//! are read of an item.
//! Invariants: folders are walked without recursion, each once; an item that is damaged is listed
//! as such and the others go on; one item is held at a time, and a file that is larger than may be
//! held is read where it lies.

use std::collections::HashSet;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::rc::Rc;

use cfb::CompoundFile;
use outlook_pst::ltp::prop_context::PropertyValue;
use outlook_pst::ltp::table_context::TableContext;
use outlook_pst::messaging::attachment::{
    AnsiAttachment, Attachment, AttachmentData, UnicodeAttachment,
};
use outlook_pst::messaging::folder::Folder;
use outlook_pst::messaging::message::{AnsiMessage, Message, UnicodeMessage};
use outlook_pst::messaging::store::{AnsiStore, EntryId, Store, UnicodeStore};
use outlook_pst::ndb::node_id::NodeId;
use outlook_pst::{AnsiPstFile, UnicodePstFile};

use super::outlook::{CONTENT, DISPLAY_NAME, KEPT, PROPERTIES, SUBJECT};
use crate::extract::clean::{one_line, shorten, size};
use crate::extract::emit::{Output, Stop};
use crate::extract::source::{RandomAccess, Source};
use crate::types::{ChildHeader, ExtractFailure, ExtractFailureCode};

const MAX_FOLDERS: usize = 100_000;
const MAX_DEPTH: usize = 32;
const MAX_NAME: usize = 80;
/// PidTagMessageSize: bytes of an item with all that is attached.
const SIZE: u16 = 0x0e08;
/// Most recipients or attachments of one item.
const MAX_ROWS: usize = 2_000;
/// Where the header tells which of the two forms the file has, and from which number it is newer.
const VERSION_AT: u64 = 10;
const UNICODE_FROM: u16 = 23;
/// The root of all folders, where nothing else is named.
const ROOT_FOLDER: u32 = 0x122;

/// Reads a data file.
pub(in crate::extract) fn extract(
    source: &mut Source<'_>,
    out: &mut Output<'_>,
) -> Result<(), Stop> {
    out.document.container = true;
    let file = File::open(source.in_any_order(out.limits().max_parse_bytes)?)
        .map_err(|error| Stop::malformed(format!("The Outlook data file is damaged: {error}")))?;
    let store = file.store();
    if let Ok(name) = store.properties().display_name() {
        out.title(&name);
    }
    let top = store.properties().ipm_sub_tree_entry_id();
    let top = top.or_else(|_| store.properties().make_entry_id(NodeId::from(ROOT_FOLDER)));
    let top = top.map_err(|error| Stop::malformed(format!("The file names no folder: {error}")))?;
    let mut items = 0_u64;
    let mut seen = HashSet::from([u32::from(top.node_id())]);
    let mut open = vec![(top, String::new(), 0_usize)];
    while let Some((entry, path, depth)) = open.pop() {
        let folder = match store.open_folder(&entry) {
            Ok(folder) => folder,
            Err(error) => {
                out.warn(format!("The folder {path} is damaged: {error}"));
                continue;
            }
        };
        for node in rows(folder.contents_table(), usize::MAX) {
            items += 1;
            file.pass(&path, node, out)?;
        }
        for node in rows(folder.hierarchy_table(), MAX_FOLDERS) {
            if depth >= MAX_DEPTH || seen.len() >= MAX_FOLDERS || !seen.insert(u32::from(node)) {
                continue;
            }
            if let Ok(entry) = store.properties().make_entry_id(node) {
                let path = format!("{path}{}/", folder_name(&*store, &entry));
                open.push((entry, path, depth + 1));
            }
        }
    }
    out.fact("items", &items.to_string());
    Ok(())
}

fn folder_name(store: &dyn Store, entry: &EntryId) -> String {
    let name = store
        .open_folder(entry)
        .and_then(|folder: Rc<dyn Folder>| folder.properties().display_name());
    file_name(&name.unwrap_or_default())
}

/// A name that is one step of a path.
fn file_name(text: &str) -> String {
    let plain: String = one_line(text)
        .chars()
        .map(|c| if matches!(c, '/' | '\\') || c.is_control() { ' ' } else { c })
        .collect();
    let name = shorten(plain.trim().trim_matches('.'), MAX_NAME);
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// What the rows of a table stand for.
fn rows(table: Option<&Rc<dyn TableContext>>, most: usize) -> Vec<NodeId> {
    let rows = table.into_iter().flat_map(|table| table.rows_matrix());
    rows.take(most).map(|row| NodeId::from(u32::from(row.id()))).collect()
}

/// A data file of either form.
enum File {
    Unicode(Rc<UnicodeStore>),
    Ansi(Rc<AnsiStore>),
}

/// An item, and what is attached to it.
type Item = (Rc<dyn Message>, Vec<io::Result<Rc<dyn Attachment>>>);

impl File {
    fn open(mut file: RandomAccess) -> io::Result<Self> {
        let mut version = [0; 2];
        file.seek(SeekFrom::Start(VERSION_AT))?;
        file.read_exact(&mut version)?;
        file.rewind()?;
        let is_unicode = u16::from_le_bytes(version) >= UNICODE_FROM;
        let reader = Box::new(file);
        Ok(if is_unicode {
            Self::Unicode(UnicodeStore::read(Rc::new(UnicodePstFile::read_from(reader)?))?)
        } else {
            Self::Ansi(AnsiStore::read(Rc::new(AnsiPstFile::read_from(reader)?))?)
        })
    }

    fn store(&self) -> Rc<dyn Store> {
        match self {
            Self::Unicode(store) => Rc::<UnicodeStore>::clone(store),
            Self::Ansi(store) => Rc::<AnsiStore>::clone(store),
        }
    }

    /// An item with its attachments, which are held as a whole; one that says to have more than
    /// `most` bytes is not read.
    fn item(&self, node: NodeId, most: u64) -> io::Result<Item> {
        let entry = self.store().properties().make_entry_id(node)?;
        Ok(match self {
            Self::Unicode(store) => {
                let message = UnicodeMessage::read(Rc::clone(store), &entry, None)?;
                check_size(message.properties().get(SIZE), most)?;
                let files = rows(message.attachment_table(), MAX_ROWS).into_iter().map(|node| {
                    let file = UnicodeAttachment::read(Rc::clone(&message), node, None)?;
                    Ok(file as Rc<dyn Attachment>)
                });
                let files = files.collect();
                (message as Rc<dyn Message>, files)
            }
            Self::Ansi(store) => {
                let message = AnsiMessage::read(Rc::clone(store), &entry, None)?;
                check_size(message.properties().get(SIZE), most)?;
                let files = rows(message.attachment_table(), MAX_ROWS).into_iter().map(|node| {
                    let file = AnsiAttachment::read(Rc::clone(&message), node, None)?;
                    Ok(file as Rc<dyn Attachment>)
                });
                let files = files.collect();
                (message as Rc<dyn Message>, files)
            }
        })
    }

    /// Passes one item on, or says why it cannot be read.
    fn pass(&self, path: &str, node: NodeId, out: &mut Output<'_>) -> Result<(), Stop> {
        let id = format!("{:x}", u32::from(node));
        let header = |subject: &str| ChildHeader {
            name: format!("{path}{subject} {id}.msg"),
            absolute: false,
            media_type: Some("application/vnd.ms-outlook".to_owned()),
            format: None,
            file_date: None,
        };
        let most = out.limits().max_parse_bytes;
        let built = self.item(node, most).and_then(|item| {
            let subject = item.0.properties().get(SUBJECT).map(shown).unwrap_or_default();
            build(item).map(|bytes| (file_name(&subject), bytes))
        });
        match built {
            Ok((subject, bytes)) => out.child(&header(&subject), &mut bytes.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let failure = ExtractFailure {
                    code: ExtractFailureCode::TooLarge,
                    message: format!(
                        "The item is larger than {}, which is the most that is held of one",
                        size(most)
                    ),
                    media_type: None,
                };
                out.refuse(&header("large"), failure)
            }
            Err(error) => {
                let failure = ExtractFailure {
                    code: ExtractFailureCode::Malformed,
                    message: format!("The item is damaged inside the Outlook data file: {error}"),
                    media_type: None,
                };
                out.refuse(&header("damaged"), failure)
            }
        }
    }
}

fn check_size(size: Option<&PropertyValue>, most: u64) -> io::Result<()> {
    match size {
        Some(PropertyValue::Integer32(size)) if u64::from(size.cast_unsigned()) > most => {
            Err(io::ErrorKind::FileTooLarge.into())
        }
        _ => Ok(()),
    }
}

/// A property of text as it is shown in a name; characters of one byte are taken as Latin.
fn shown(value: &PropertyValue) -> String {
    match value {
        PropertyValue::Unicode(text) => String::from_utf16_lossy(without_mark(text.buffer())),
        PropertyValue::String8(text) => {
            without_mark(text.buffer()).iter().map(|byte| char::from(*byte)).collect()
        }
        _ => String::new(),
    }
}

/// A subject may begin with a mark and the length of its prefix (`Re: `).
fn without_mark<T: PartialEq + From<u8>>(text: &[T]) -> &[T] {
    match text {
        [mark, _, rest @ ..] if *mark == T::from(1) => rest,
        text => text,
    }
}

type Msg = CompoundFile<Cursor<Vec<u8>>>;

/// An item as a `.msg` file.
fn build((message, files): Item) -> io::Result<Vec<u8>> {
    let mut msg = CompoundFile::create(Cursor::new(Vec::new()))?;
    write_message(&mut msg, "", &*message, 32)?;
    for (number, file) in files.into_iter().enumerate() {
        let base = format!("/__attach_version1.0_#{number:08X}");
        msg.create_storage(&base)?;
        // One that cannot be read is still named by its place.
        let Ok(file) = file else {
            write_properties(&mut msg, &base, 8, std::iter::empty())?;
            continue;
        };
        write_properties(&mut msg, &base, 8, file.properties().iter())?;
        match file.data() {
            Some(AttachmentData::Binary(content)) => {
                let path = format!("{base}/__substg1.0_{CONTENT:04X}0102");
                msg.create_stream(path)?.write_all(content.buffer())?;
            }
            Some(AttachmentData::Message(inner)) => {
                let inner_base = format!("{base}/__substg1.0_{CONTENT:04X}000D");
                msg.create_storage(&inner_base)?;
                write_message(&mut msg, &inner_base, &**inner, 24)?;
            }
            None => {}
        }
    }
    msg.flush()?;
    Ok(msg.into_inner().into_inner())
}

/// Writes the properties and recipients of a message below `base`.
fn write_message(msg: &mut Msg, base: &str, message: &dyn Message, head: usize) -> io::Result<()> {
    write_properties(msg, base, head, message.properties().iter())?;
    let Some(table) = message.recipient_table() else { return Ok(()) };
    let columns = table.context().columns();
    for (number, row) in table.rows_matrix().take(MAX_ROWS).enumerate() {
        let values: Vec<(u16, PropertyValue)> = columns
            .iter()
            .zip(row.columns(table.context())?)
            .filter_map(|(column, value)| {
                let value = table.read_column(value.as_ref()?, column.prop_type()).ok()?;
                Some((column.prop_id(), value))
            })
            .collect();
        if !values.iter().any(|(id, _)| *id == DISPLAY_NAME) {
            continue;
        }
        let recipient = format!("{base}/__recip_version1.0_#{number:08X}");
        msg.create_storage(&recipient)?;
        write_properties(msg, &recipient, 8, values.iter().map(|(id, value)| (id, value)))?;
    }
    Ok(())
}

/// Writes the properties that the reader of `.msg` files asks for.
fn write_properties<'v>(
    msg: &mut Msg,
    base: &str,
    head: usize,
    values: impl Iterator<Item = (&'v u16, &'v PropertyValue)>,
) -> io::Result<()> {
    let mut fixed = vec![0_u8; head];
    for (id, value) in values.filter(|(id, _)| KEPT.contains(id)) {
        let (kind, number, stream): (u16, u64, Option<Vec<u8>>) = match value {
            PropertyValue::Integer16(value) => (0x0002, u64::from(value.cast_unsigned()), None),
            PropertyValue::Integer32(value) => (0x0003, u64::from(value.cast_unsigned()), None),
            PropertyValue::Boolean(value) => (0x000b, u64::from(*value), None),
            PropertyValue::Integer64(value) => (0x0014, value.cast_unsigned(), None),
            PropertyValue::Time(value) => (0x0040, value.cast_unsigned(), None),
            PropertyValue::String8(text) => (0x001e, 0, Some(marked(*id, text.buffer()).to_vec())),
            PropertyValue::Unicode(text) => {
                let wide = marked(*id, text.buffer()).iter().flat_map(|unit| unit.to_le_bytes());
                (0x001f, 0, Some(wide.collect()))
            }
            PropertyValue::Binary(bytes) => (0x0102, 0, Some(bytes.buffer().to_vec())),
            _ => continue,
        };
        match stream {
            // What is attached is written by itself.
            Some(_) if *id == CONTENT => {}
            Some(bytes) => {
                let path = format!("{base}/__substg1.0_{id:04X}{kind:04X}");
                msg.create_stream(path)?.write_all(&bytes)?;
            }
            None => {
                fixed.extend(kind.to_le_bytes());
                fixed.extend(id.to_le_bytes());
                fixed.extend([0; 4]);
                fixed.extend(number.to_le_bytes());
            }
        }
    }
    msg.create_stream(format!("{base}/{PROPERTIES}"))?.write_all(&fixed)
}

/// The text of a property, for subjects without their mark.
fn marked<T: PartialEq + From<u8>>(id: u16, text: &[T]) -> &[T] {
    if id == SUBJECT { without_mark(text) } else { text }
}

#[cfg(test)]
mod tests {
    use outlook_pst::ltp::prop_context::BinaryValue;

    use super::*;
    use crate::extract::ExtractLimits;
    use crate::extract::testing::{limits, run, try_run, try_run_file};
    use crate::types::ExtractFailureCode;

    #[test]
    fn a_data_file_without_items_is_a_container_without_children() {
        let bytes = std::fs::read("tests/fixtures/exports/pst/Empty.pst").expect("a fixture");
        let found = run("Empty.pst", &bytes);
        assert!(found.document.container);
        assert!(found.children.is_empty());
        assert_eq!(found.document.media_type, "application/vnd.ms-outlook-pst");
    }

    #[test]
    fn a_data_file_too_large_to_be_held_is_read_where_it_lies() {
        let bytes = std::fs::read("tests/fixtures/exports/pst/Empty.pst").expect("a fixture");
        let whole = run("Empty.pst", &bytes);
        let small = ExtractLimits { max_parse_bytes: 1_000, ..limits() };
        let found = try_run_file("Empty.pst", small, bytes.clone()).expect("readable");
        assert_eq!(found.document, whole.document);
        let cut = bytes[..2_000].to_vec();
        let failure = try_run_file("Empty.pst", small, cut).expect_err("cut");
        assert_eq!(failure.code, ExtractFailureCode::Malformed);
    }

    #[test]
    fn a_cut_data_file_is_damaged() {
        let bytes = std::fs::read("tests/fixtures/exports/pst/Empty.pst").expect("a fixture");
        for length in [16, 600, bytes.len() / 2] {
            if let Err(failure) = try_run("Empty.pst", &bytes[..length]) {
                assert_eq!(failure.code, ExtractFailureCode::Malformed);
            }
        }
    }

    #[test]
    fn what_is_written_of_an_item_is_what_is_read_of_it() {
        let mut msg = CompoundFile::create(Cursor::new(Vec::new())).expect("memory does not fail");
        let values = [
            (0x0039, PropertyValue::Time(130_973_194_650_000_000)),
            (0x1013, PropertyValue::Binary(BinaryValue::new(b"<p>Shall we?".to_vec()))),
            (0x3fde, PropertyValue::Integer32(65001)),
            (0x7fff, PropertyValue::Integer32(1)),
        ];
        let pairs = values.iter().map(|(id, value)| (id, value));
        write_properties(&mut msg, "", 32, pairs).expect("memory does not fail");
        let bytes = msg.into_inner().into_inner();
        let found = run("x.msg", &bytes);
        assert_eq!(found.document.media_type, "application/vnd.ms-outlook");
        assert!(found.texts().contains(&"Shall we?"), "{:?}", found.texts());
        let date = found.document.content_date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), Some("2016-01-15T08:17:45Z"));
    }

    #[test]
    fn the_mark_of_a_subject_is_left_out() {
        assert_eq!(without_mark(&[1_u8, 5, b'R', b'e']), b"Re");
        assert_eq!(without_mark(&[u16::from(b'R')]), [u16::from(b'R')]);
        assert_eq!(file_name("a/b\\c\n d..."), "a b c d");
        assert_eq!(file_name(" / "), "unnamed");
    }
}
