//! The objects of an export of Confluence, one at a time, wherever the file lies.
//!
//! Called by: `confluence`. Talks to: `quick-xml` for where an object ends, `xml` for what is in
//! it.
//! Invariants: one object is held at a time; a piece of text that is longer than the file may be
//! held ends the reading, and what stands before it counts.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::extract::emit::Stop;
use crate::extract::source::RandomAccess;
use crate::extract::xml::{Element, Xml};

const PIECE: usize = 64 << 10;
/// Longest object that is kept in mind; only a page of nothing but pictures is longer.
const MAX_OBJECT: u64 = 32 << 20;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Where an object stands in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    at: u64,
    end: u64,
}

/// A file of objects.
pub(super) struct Objects {
    file: RandomAccess,
    most: u64,
    /// Where the text begins, behind a byte order mark.
    start: u64,
}

/// What became of the objects of a file.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) damage: Option<String>,
    pub(super) left_out: u64,
}

impl Objects {
    /// Holds at most `most` bytes of the file.
    pub(super) fn new(file: RandomAccess, most: u64) -> Result<Self, Stop> {
        let mut mark = Vec::new();
        file.part(0, MARK.len() as u64).read_to_end(&mut mark).map_err(Stop::Input)?;
        let start = if mark == MARK { MARK.len() as u64 } else { 0 };
        Ok(Self { file, most, start })
    }

    /// Calls `take` with each object.
    pub(super) fn each(
        &self,
        take: &mut dyn FnMut(Element<'_>, Place) -> Result<(), Stop>,
    ) -> Result<Walked, Stop> {
        let left = Rc::new(Cell::new(self.most));
        let input = BufReader::with_capacity(PIECE, self.file.part(self.start, u64::MAX));
        let mut reader = Reader::from_reader(Paced { input, left: Rc::clone(&left) });
        reader.config_mut().allow_dangling_amp = true;
        let (mut walked, mut buffer) = (Walked::default(), Vec::new());
        let (mut depth, mut begun) = (0_u32, 0);
        loop {
            let at = self.start + reader.buffer_position();
            left.set(self.most);
            buffer.clear();
            match reader.read_event_into(&mut buffer) {
                Ok(Event::Start(start)) => {
                    depth += 1;
                    if depth == 2 && start.name().into_inner() == "object" {
                        begun = at;
                    }
                }
                Ok(Event::End(end)) => {
                    depth = depth.saturating_sub(1);
                    if depth == 1 && end.name().into_inner() == "object" {
                        let place = Place { at: begun, end: self.start + reader.buffer_position() };
                        self.pass(place, &mut walked, take)?;
                    }
                }
                Ok(Event::Eof) => {
                    if depth > 0 {
                        walked.damage = Some("it ends before its elements do".to_owned());
                    }
                    return Ok(walked);
                }
                Ok(_) => {}
                Err(error) => {
                    walked.damage = Some(error.to_string());
                    return Ok(walked);
                }
            }
        }
    }

    fn pass(
        &self,
        place: Place,
        walked: &mut Walked,
        take: &mut dyn FnMut(Element<'_>, Place) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        match self.object(place)? {
            Some(object) => object.root().map_or(Ok(()), |root| take(root, place)),
            None => {
                walked.left_out += 1;
                Ok(())
            }
        }
    }

    /// The object at a place; none where it is too long.
    pub(super) fn object(&self, place: Place) -> Result<Option<Xml>, Stop> {
        if place.end.saturating_sub(place.at) > MAX_OBJECT.min(self.most) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.file.part(place.at, place.end).read_to_end(&mut bytes).map_err(Stop::Input)?;
        Xml::parse_text(&String::from_utf8_lossy(&bytes)).map(Some)
    }
}

/// A file of which only so much is read before somebody says that it may go on.
struct Paced<R> {
    input: R,
    left: Rc<Cell<u64>>,
}

impl<R: BufRead> Read for Paced<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Paced<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.left.get()).unwrap_or(usize::MAX);
        if left == 0 {
            return Err(io::Error::other("a text in it is too long to be held"));
        }
        let ready = self.input.fill_buf()?;
        Ok(&ready[..ready.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        self.left.set(self.left.get().saturating_sub(count as u64));
        self.input.consume(count);
    }
}
