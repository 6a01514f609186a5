//! The file that the parent holds, as the worker reads it: sent from its start as long as it is
//! read in order, asked for in pieces from then on.
//!
//! Called by: `extract::worker`. Talks to: the parent, through the worker's pipes.
//! Invariants: memory is bounded by `KEPT` pieces; a frame that is not the one that must come
//! ends the worker, whatever the reader of the file makes of the error it sees.
//!
//! Why pieces are kept: the trees of a data file are read up and down, and each step is a few
//! hundred bytes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use super::Pipes;
use crate::extract::protocol::{Command, Event, MAX_WANTED, ProtocolError, Wanted};

/// Pieces held, the one used last in front.
const KEPT: usize = 16;

/// A file that is sent or asked for.
pub(super) struct ParentsFile {
    pipes: Rc<RefCell<Pipes>>,
    length: u64,
    position: u64,
    /// The frame that came last of what is sent by itself, and how much of it was read.
    frame: Vec<u8>,
    read: usize,
    /// Where in the file the first byte that was not read of it stands; none once a piece was
    /// asked for.
    sent: Option<u64>,
    pieces: VecDeque<(u64, Vec<u8>)>,
    failed: Option<ProtocolError>,
}

impl ParentsFile {
    pub(super) fn new(pipes: Rc<RefCell<Pipes>>, length: u64) -> Self {
        Self {
            pipes,
            length,
            position: 0,
            frame: Vec::new(),
            read: 0,
            sent: Some(0),
            pieces: VecDeque::new(),
            failed: None,
        }
    }

    /// Why the frames stopped making sense, if they did.
    pub(super) fn failure(&mut self) -> Option<ProtocolError> {
        self.failed.take()
    }

    /// Reads to the end of the document, whatever of it is left.
    pub(super) fn pass_over(&mut self) -> Result<(), ProtocolError> {
        loop {
            match self.command()? {
                Command::Data(_) => {}
                Command::End => return Ok(()),
                other => return Err(ProtocolError::OutOfPlace { kind: other.kind() }),
            }
        }
    }

    fn command(&mut self) -> Result<Command, ProtocolError> {
        let command = self.pipes.borrow_mut().command()?;
        command.ok_or_else(|| ProtocolError::Io(io::ErrorKind::UnexpectedEof.into()))
    }

    fn data(&mut self) -> Result<Vec<u8>, ProtocolError> {
        match self.command()? {
            Command::Data(bytes) => Ok(bytes),
            other => Err(ProtocolError::OutOfPlace { kind: other.kind() }),
        }
    }

    /// What follows of the file that is sent by itself.
    fn in_order(&mut self) -> Result<&[u8], ProtocolError> {
        while self.read == self.frame.len() {
            self.frame = self.data()?;
            self.read = 0;
        }
        Ok(&self.frame[self.read..])
    }

    /// What stands at the position, from the piece of the file it is in.
    fn in_pieces(&mut self) -> Result<&[u8], ProtocolError> {
        let at = self.position - self.position % MAX_WANTED;
        let piece = match self.pieces.iter().position(|(start, _)| *start == at) {
            Some(kept) => self.pieces.remove(kept),
            None => {
                self.pieces.truncate(KEPT - 1);
                Some((at, self.ask(at)?))
            }
        };
        self.pieces.extend(piece);
        self.pieces.rotate_right(1);
        let (start, bytes) = &self.pieces[0];
        Ok(&bytes[usize::try_from(self.position - start).unwrap_or(usize::MAX)..])
    }

    fn ask(&mut self, at: u64) -> Result<Vec<u8>, ProtocolError> {
        let length = MAX_WANTED.min(self.length - at);
        let mut pipes = self.pipes.borrow_mut();
        pipes.send(Event::Wanted(Wanted { at, length }))?;
        pipes.flush()?;
        drop(pipes);
        self.frame = Vec::new();
        loop {
            match self.command()? {
                Command::Part => break,
                // Was on its way already.
                Command::Data(_) if self.sent.is_some() => {}
                other => return Err(ProtocolError::OutOfPlace { kind: other.kind() }),
            }
        }
        self.sent = None;
        let mut piece = Vec::new();
        while (piece.len() as u64) < length {
            piece.extend(self.data()?);
        }
        Ok(piece)
    }
}

impl Read for ParentsFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let left = self.length.saturating_sub(self.position);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        if most == 0 {
            return Ok(0);
        }
        let in_order = self.sent == Some(self.position);
        let found = if in_order { self.in_order() } else { self.in_pieces() };
        let count = match found {
            Ok(bytes) => {
                let count = bytes.len().min(most);
                out[..count].copy_from_slice(&bytes[..count]);
                count
            }
            Err(error) => {
                self.failed = Some(error);
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        };
        self.position += count as u64;
        if in_order {
            self.read += count;
            self.sent = Some(self.position);
        }
        Ok(count)
    }
}

impl Seek for ParentsFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = wanted.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
