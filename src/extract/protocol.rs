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
//!                   Begin(Opening)         one per document
//!                   Data(bytes)*           the file, from its start
//!                   (Part Data(bytes)+)*   each part of it that was asked for
//!                   End                    no more data for this document
//! worker → parent   Ready(Confinement)     once, first
//!                   Wanted(Wanted)         asks for a part of the file, at any time
//!                   Block(Block)* , ChildBegin(ChildHeader) ChildData(bytes)* ChildEnd , …
//!                   (a child that is refused ends with ChildRefused(ExtractFailure) instead)
//!                   Done(ExtractedDocument) or Failed(ExtractFailure)   last of a document
//! ```
//!
//! Neither side waits for the other: the parent sends data while it reads events. A worker that
//! has seen enough of a file (it was cut, or is of no use) sends `Done` or `Failed` early and then
//! passes over `Data` until `End`; the parent stops sending data as soon as it sees that event and
//! sends `End`, so a huge file is not copied for nothing and both stand at the same place again.
//!
//! A file is sent by itself only until the worker asks for a part of it: what is on its way then
//! is passed over until `Part`, behind which stands that part, whole and nothing else. A worker
//! asks for the next part once it has the last one.

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
/// Most bytes of a file asked for at a time.
pub const MAX_WANTED: u64 = 256 * 1024;
/// Most times that a large file may take as long as a small one.
const MOST_PATIENCE: u64 = 32;
/// Bytes of a file that earn it as much time again.
const PATIENCE_BYTES: u64 = 512 << 20;
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
    Part = 5,
    Ready = 64,
    Block = 65,
    ChildBegin = 66,
    ChildData = 67,
    ChildEnd = 68,
    Done = 69,
    Failed = 70,
    ChildRefused = 71,
    Wanted = 72,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Hello,
        Self::Begin,
        Self::Data,
        Self::End,
        Self::Part,
        Self::Ready,
        Self::Block,
        Self::ChildBegin,
        Self::ChildData,
        Self::ChildEnd,
        Self::Done,
        Self::Failed,
        Self::ChildRefused,
        Self::Wanted,
    ];

    fn max_payload(self) -> usize {
        match self {
            Self::Data | Self::ChildData => MAX_DATA,
            Self::End | Self::Part | Self::ChildEnd => 0,
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

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub request: ExtractRequest,
    /// Bytes of the file.
    pub length: u64,
}

/// A part of the file at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub at: u64,
    /// At least one byte and at most [`MAX_WANTED`], all within the file.
    pub length: u64,
}

/// How many times the limit on time holds for a file of `length` bytes: what is looked through
/// from end to end takes longer the longer it is.
pub fn patience(length: u64) -> u32 {
    let times = (1 + length / PATIENCE_BYTES).min(MOST_PATIENCE);
    u32::try_from(times).unwrap_or(u32::MAX)
}

/// From the parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Hello(WorkerSettings),
    Begin(Opening),
    Data(Vec<u8>),
    End,
    Part,
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
    Wanted(Wanted),
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
    /// Of which kind its frame is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hello(_) => Kind::Hello,
            Self::Begin(_) => Kind::Begin,
            Self::Data(_) => Kind::Data,
            Self::End => Kind::End,
            Self::Part => Kind::Part,
        }
    }

    /// Kind and payload.
    ///
    /// # Errors
    /// [`ProtocolError::Garbled`] if the value has no JSON form.
    pub fn encode(self) -> Result<(Kind, Vec<u8>), ProtocolError> {
        Ok(match self {
            Self::Hello(settings) => (Kind::Hello, to_json(Kind::Hello, &settings)?),
            Self::Begin(opening) => (Kind::Begin, to_json(Kind::Begin, &opening)?),
            Self::Data(bytes) => (Kind::Data, bytes),
            Self::End => (Kind::End, Vec::new()),
            Self::Part => (Kind::Part, Vec::new()),
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
            Kind::Part => Ok(Self::Part),
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
            Self::Wanted(wanted) => (Kind::Wanted, to_json(Kind::Wanted, &wanted)?),
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
            Kind::Wanted => from_json(kind, &payload).map(Self::Wanted),
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
