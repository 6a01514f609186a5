//! What the server and an extraction worker say to each other over two pipes.
//!
//! Called by: `extract::worker` (the child's side, blocking) and `extraction` (the parent's side,
//! async). Talks to: nothing.
//! Invariants: a frame longer than its kind allows, of an unknown kind, or out of place is an
//! error, never skipped: the peer is distrusted, and after one bad frame nothing it says counts.
//!
//! A frame is `u32` length of the payload (little endian), `u8` kind, payload. JSON payloads are
//! UTF-8 JSON of the type named below; data payloads are raw bytes.
//!
//! ```text
//! parent → worker   Hello(WorkerSettings)  once, first
//!                   Begin(ExtractRequest)  one per document
//!                   Data(bytes)*           the file
//!                   End                    no more data for this document
//! worker → parent   Ready(Confinement)     once, first
//!                   Block(Block)* , ChildBegin(ChildHeader) ChildData(bytes)* ChildEnd , …
//!                   (a child that is refused ends with ChildRefused(ExtractFailure) instead)
//!                   Done(ExtractedDocument) or Failed(ExtractFailure)   last of a document
//! ```
//!
//! Neither side waits for the other: the parent sends data while it reads events. A worker that
//! has seen enough of a file (it was cut, or is of no use) sends `Done` or `Failed` early and then
//! passes over `Data` until `End`; the parent stops sending data as soon as it sees that event and
//! sends `End`, so a huge file is not copied for nothing and both stand at the same place again.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ExtractRequest;
use crate::types::{Block, ChildHeader, ExtractFailure, ExtractedDocument};

/// Longest payload of a data frame.
pub const MAX_DATA: usize = 64 * 1024;
/// Longest payload of a JSON frame: the text of a block and, for a table, its cells, with every
/// byte escaped to six, and room for keys.
pub const MAX_JSON: usize = 2 * 1024 * 1024;
/// Bytes before the payload.
pub const HEADER: usize = 5;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Hello = 1,
    Begin = 2,
    Data = 3,
    End = 4,
    Ready = 64,
    Block = 65,
    ChildBegin = 66,
    ChildData = 67,
    ChildEnd = 68,
    Done = 69,
    Failed = 70,
    ChildRefused = 71,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Hello,
        Self::Begin,
        Self::Data,
        Self::End,
        Self::Ready,
        Self::Block,
        Self::ChildBegin,
        Self::ChildData,
        Self::ChildEnd,
        Self::Done,
        Self::Failed,
        Self::ChildRefused,
    ];

    fn max_payload(self) -> usize {
        match self {
            Self::Data | Self::ChildData => MAX_DATA,
            Self::End | Self::ChildEnd => 0,
            _ => MAX_JSON,
        }
    }
}

/// Sent once to a fresh worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSettings {
    /// Address space the worker may use, in bytes.
    pub memory_limit_bytes: u64,
    /// Processor time for each document, in seconds.
    pub cpu_seconds: u64,
}

/// Said once by a worker that is confined: which layers this kernel gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Version of Landlock in force; none where the kernel has it not or has it turned off.
    pub landlock_abi: Option<u32>,
    /// True where only listed system calls are possible.
    pub seccomp: bool,
}

/// From the parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Hello(WorkerSettings),
    Begin(ExtractRequest),
    Data(Vec<u8>),
    End,
}

/// From the worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Ready(Confinement),
    Block(Block),
    ChildBegin(ChildHeader),
    ChildData(Vec<u8>),
    ChildEnd,
    ChildRefused(ExtractFailure),
    Done(Box<ExtractedDocument>),
    Failed(ExtractFailure),
}

/// Why a stream of frames cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("a frame cannot be read or written")]
    Io(#[source] io::Error),
    #[error("a frame of unknown kind {kind}")]
    UnknownKind { kind: u8 },
    #[error("a {kind:?} frame of {length} bytes is too long")]
    TooLong { kind: Kind, length: usize },
    #[error("a {kind:?} frame does not hold what it should")]
    Garbled {
        kind: Kind,
        #[source]
        source: serde_json::Error,
    },
    #[error("a {kind:?} frame is out of place")]
    OutOfPlace { kind: Kind },
}

/// The bytes before a payload of `length`.
///
/// # Errors
/// [`ProtocolError::TooLong`].
pub fn encode_header(kind: Kind, length: usize) -> Result<[u8; HEADER], ProtocolError> {
    let too_long = ProtocolError::TooLong { kind, length };
    if length > kind.max_payload() {
        return Err(too_long);
    }
    let [a, b, c, d] = u32::try_from(length).map_err(|_| too_long)?.to_le_bytes();
    Ok([a, b, c, d, kind as u8])
}

/// Kind and payload length of a frame.
///
/// # Errors
/// [`ProtocolError::UnknownKind`], [`ProtocolError::TooLong`].
pub fn decode_header(header: [u8; HEADER]) -> Result<(Kind, usize), ProtocolError> {
    let [a, b, c, d, kind] = header;
    let kind = Kind::ALL
        .into_iter()
        .find(|known| *known as u8 == kind)
        .ok_or(ProtocolError::UnknownKind { kind })?;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > kind.max_payload() {
        return Err(ProtocolError::TooLong { kind, length });
    }
    Ok((kind, length))
}

impl Command {
    /// Kind and payload.
    ///
    /// # Errors
    /// [`ProtocolError::Garbled`] if the value has no JSON form.
    pub fn encode(self) -> Result<(Kind, Vec<u8>), ProtocolError> {
        Ok(match self {
            Self::Hello(settings) => (Kind::Hello, to_json(Kind::Hello, &settings)?),
            Self::Begin(request) => (Kind::Begin, to_json(Kind::Begin, &request)?),
            Self::Data(bytes) => (Kind::Data, bytes),
            Self::End => (Kind::End, Vec::new()),
        })
    }

    /// The command a frame carries.
    ///
    /// # Errors
    /// [`ProtocolError::Garbled`], and [`ProtocolError::OutOfPlace`] for an event.
    pub fn decode(kind: Kind, payload: Vec<u8>) -> Result<Self, ProtocolError> {
        match kind {
            Kind::Hello => from_json(kind, &payload).map(Self::Hello),
            Kind::Begin => from_json(kind, &payload).map(Self::Begin),
            Kind::Data => Ok(Self::Data(payload)),
            Kind::End => Ok(Self::End),
            _ => Err(ProtocolError::OutOfPlace { kind }),
        }
    }
}

impl Event {
    /// Kind and payload.
    ///
    /// # Errors
    /// [`ProtocolError::Garbled`] if the value has no JSON form.
    pub fn encode(self) -> Result<(Kind, Vec<u8>), ProtocolError> {
        Ok(match self {
            Self::Ready(layers) => (Kind::Ready, to_json(Kind::Ready, &layers)?),
            Self::Block(block) => (Kind::Block, to_json(Kind::Block, &block)?),
            Self::ChildBegin(header) => (Kind::ChildBegin, to_json(Kind::ChildBegin, &header)?),
            Self::ChildData(bytes) => (Kind::ChildData, bytes),
            Self::ChildEnd => (Kind::ChildEnd, Vec::new()),
            Self::ChildRefused(failure) => {
                (Kind::ChildRefused, to_json(Kind::ChildRefused, &failure)?)
            }
            Self::Done(document) => (Kind::Done, to_json(Kind::Done, &document)?),
            Self::Failed(failure) => (Kind::Failed, to_json(Kind::Failed, &failure)?),
        })
    }

    /// The event a frame carries.
    ///
    /// # Errors
    /// [`ProtocolError::Garbled`], and [`ProtocolError::OutOfPlace`] for a command.
    pub fn decode(kind: Kind, payload: Vec<u8>) -> Result<Self, ProtocolError> {
        match kind {
            Kind::Ready => from_json(kind, &payload).map(Self::Ready),
            Kind::Block => from_json(kind, &payload).map(Self::Block),
            Kind::ChildBegin => from_json(kind, &payload).map(Self::ChildBegin),
            Kind::ChildData => Ok(Self::ChildData(payload)),
            Kind::ChildEnd => Ok(Self::ChildEnd),
            Kind::ChildRefused => from_json(kind, &payload).map(Self::ChildRefused),
            Kind::Done => from_json(kind, &payload).map(|d| Self::Done(Box::new(d))),
            Kind::Failed => from_json(kind, &payload).map(Self::Failed),
            _ => Err(ProtocolError::OutOfPlace { kind }),
        }
    }
}

/// Writes one frame.
///
/// # Errors
/// [`ProtocolError::TooLong`], [`ProtocolError::Io`].
pub fn write_frame(
    output: &mut dyn Write,
    kind: Kind,
    payload: &[u8],
) -> Result<(), ProtocolError> {
    let header = encode_header(kind, payload.len())?;
    output.write_all(&header).map_err(ProtocolError::Io)?;
    output.write_all(payload).map_err(ProtocolError::Io)
}

/// Reads one frame, or none where the stream ends between two frames.
///
/// # Errors
/// Any [`ProtocolError`]; an end inside a frame is [`ProtocolError::Io`].
pub fn read_frame(input: &mut dyn Read) -> Result<Option<(Kind, Vec<u8>)>, ProtocolError> {
    let mut header = [0; HEADER];
    loop {
        match input.read(&mut header[..1]) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ProtocolError::Io(error)),
        }
    }
    input.read_exact(&mut header[1..]).map_err(ProtocolError::Io)?;
    let (kind, length) = decode_header(header)?;
    let mut payload = vec![0; length];
    input.read_exact(&mut payload).map_err(ProtocolError::Io)?;
    Ok(Some((kind, payload)))
}

fn to_json<T: Serialize>(kind: Kind, value: &T) -> Result<Vec<u8>, ProtocolError> {
    serde_json::to_vec(value).map_err(|source| ProtocolError::Garbled { kind, source })
}

fn from_json<T: DeserializeOwned>(kind: Kind, payload: &[u8]) -> Result<T, ProtocolError> {
    serde_json::from_slice(payload).map_err(|source| ProtocolError::Garbled { kind, source })
}

#[cfg(test)]
mod tests;
