//! What a worker says of one file, while `sending` sends it.
//!
//! Called by: `extraction::child`. Talks to: the pipe of a worker, the caller's `ChildSink`,
//! `sending` for the parts of the file that the worker asks for.
//! Invariants: sending and receiving never wait for each other, so neither side can block the
//! other for good; what comes in is bounded in number, size and time before it is kept; a child's
//! body ends cleanly only if the worker said so.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;

use super::sending::Parts;
use super::{ChildSink, Extraction, checks};
use crate::extract::protocol::{Event, HEADER, Kind, ProtocolError, decode_header};
use crate::extract::{ExtractLimits, MAX_BLOCKS};
use crate::types::{Block, ChildHeader};

/// Pieces of a child's body between the pipe and the sink.
const PIECES: usize = 4;

/// Delays below this are as good as none.
const LEAST_DELAY: Duration = Duration::from_millis(1);

/// Delays that are made good for one file, in its time limits: a worker may ask for what is dear to
/// get, again and again.
const MOST_CREDIT: u32 = 8;

/// Why a worker gave no answer.
#[derive(Debug)]
pub(super) enum Loss {
    TimedOut,
    /// It closed its output in the middle of a file.
    Ended,
    Protocol(ProtocolError),
    /// It returned more, or other things, than a worker may.
    Misbehaved(&'static str),
    /// Not its fault: the caller could not take a child.
    Sink(io::Error),
}

/// Reads the events of one file and checks them.
pub(super) struct Receiver<'r, R> {
    input: &'r mut R,
    limits: ExtractLimits,
    time_limit: Duration,
    /// Only a file of documents may name its children by itself.
    absolute_allowed: bool,
    /// Parts of the file that may be asked for.
    parts: Option<Parts>,
    /// Delays of ours that were made good.
    credited: Duration,
    blocks: Vec<Block>,
    text_bytes: u64,
    frame_bytes: u64,
    children: u32,
    child_bytes: u64,
}

impl<'r, R: AsyncRead + Send + Unpin> Receiver<'r, R> {
    pub(super) fn new(
        input: &'r mut R,
        limits: ExtractLimits,
        time_limit: Duration,
        absolute_allowed: bool,
    ) -> Self {
        Self {
            input,
            limits,
            time_limit,
            absolute_allowed,
            parts: None,
            credited: Duration::ZERO,
            blocks: Vec::new(),
            text_bytes: 0,
            frame_bytes: 0,
            children: 0,
            child_bytes: 0,
        }
    }

    /// Lets the worker ask for parts of the file.
    pub(super) fn with_parts(self, parts: Parts) -> Self {
        Self { parts: Some(parts), ..self }
    }

    /// True once a child was given to the sink, after which the file must not be sent again.
    pub(super) fn delivered(&self) -> bool {
        self.children > 0
    }

    /// Receives until the worker has answered.
    pub(super) async fn run(&mut self, sink: &mut dyn ChildSink) -> Result<Extraction, Loss> {
        let mut deadline = Instant::now() + self.time_limit;
        loop {
            let (event, length) = self.next(&mut deadline).await?;
            match event {
                Event::Block(block) => self.block(block, length)?,
                Event::ChildBegin(header) => self.child(header, sink).await?,
                Event::ChildData(_) => return Err(out_of_place(Kind::ChildData)),
                Event::ChildEnd => return Err(out_of_place(Kind::ChildEnd)),
                Event::Ready(_) => return Err(out_of_place(Kind::Ready)),
                Event::ChildRefused(_) => return Err(out_of_place(Kind::ChildRefused)),
                Event::Wanted(_) => return Err(out_of_place(Kind::Wanted)),
                Event::Done(mut document) => {
                    checks::document(&document).map_err(Loss::Misbehaved)?;
                    document.blocks = std::mem::take(&mut self.blocks);
                    return Ok(Ok(*document));
                }
                Event::Failed(failure) => {
                    checks::failure(&failure).map_err(Loss::Misbehaved)?;
                    return Ok(Err(failure));
                }
            }
            if self.delivered() {
                deadline = Instant::now() + self.time_limit;
            }
        }
    }

    /// The next event that tells what was found; what the worker asks for is passed on.
    async fn next(&mut self, deadline: &mut Instant) -> Result<(Event, usize), Loss> {
        loop {
            match self.event(deadline).await? {
                (Event::Wanted(wanted), _) => match &self.parts {
                    Some(parts) => parts.ask(wanted).map_err(Loss::Misbehaved)?,
                    None => return Err(out_of_place(Kind::Wanted)),
                },
                event => return Ok(event),
            }
        }
    }

    async fn event(&mut self, deadline: &mut Instant) -> Result<(Event, usize), Loss> {
        let most_credit = self.time_limit.saturating_mul(MOST_CREDIT);
        let mut reading = pin!(read_event(&mut *self.input));
        let read = loop {
            match timeout_at(*deadline, &mut reading).await {
                Ok(read) => break read,
                // What it takes us to get the bytes that a worker waits for is not its own time.
                Err(_elapsed) => match self.parts.as_ref().map(Parts::take_delay) {
                    Some(delay) if delay >= LEAST_DELAY && self.credited < most_credit => {
                        self.credited += delay;
                        *deadline += delay;
                    }
                    _ => return Err(Loss::TimedOut),
                },
            }
        };
        match read {
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err(Loss::Ended),
            Err(ProtocolError::Io(error)) if is_end(&error) => Err(Loss::Ended),
            Err(error) => Err(Loss::Protocol(error)),
        }
    }

    fn block(&mut self, block: Block, length: usize) -> Result<(), Loss> {
        self.text_bytes += block.text.len() as u64;
        self.frame_bytes += length as u64;
        let most_frames = self.limits.max_text_bytes.saturating_mul(4).saturating_add(64 << 20);
        if self.text_bytes > self.limits.max_text_bytes || self.frame_bytes > most_frames {
            return Err(Loss::Misbehaved("more text than allowed"));
        }
        if self.blocks.len() as u64 >= MAX_BLOCKS {
            return Err(Loss::Misbehaved("more paragraphs than allowed"));
        }
        checks::block(&block).map_err(Loss::Misbehaved)?;
        self.blocks.push(block);
        Ok(())
    }

    async fn child(&mut self, header: ChildHeader, sink: &mut dyn ChildSink) -> Result<(), Loss> {
        if self.children >= self.limits.max_children {
            return Err(Loss::Misbehaved("more files than allowed"));
        }
        checks::child(&header).map_err(Loss::Misbehaved)?;
        if header.absolute && !self.absolute_allowed {
            return Err(Loss::Misbehaved("a file that takes the name of another"));
        }
        self.children += 1;
        let (pieces, received) = mpsc::channel(PIECES);
        let taking = async {
            let mut body = StreamReader::new(ReceiverStream::new(received));
            let taken = sink.child(header, &mut body).await;
            // The other end then learns that no more of the body is wanted.
            drop(body);
            taken
        };
        let (taken, pumped) = tokio::join!(taking, self.pump(pieces));
        pumped?;
        taken.map_err(Loss::Sink)
    }

    /// Passes the pieces of a body on until its end; what the sink does not want is dropped.
    async fn pump(&mut self, pieces: mpsc::Sender<io::Result<Bytes>>) -> Result<(), Loss> {
        let mut total = 0_u64;
        loop {
            let mut deadline = Instant::now() + self.time_limit;
            let loss = match self.next(&mut deadline).await {
                Ok((Event::ChildData(bytes), _)) => {
                    total += bytes.len() as u64;
                    self.child_bytes += bytes.len() as u64;
                    if total <= self.limits.max_child_bytes
                        && self.child_bytes <= self.limits.max_total_bytes
                    {
                        // A closed channel means that the sink has seen enough.
                        let _ = pieces.send(Ok(Bytes::from(bytes))).await;
                        continue;
                    }
                    Loss::Misbehaved("a larger file than allowed")
                }
                Ok((Event::ChildEnd, _)) => return Ok(()),
                Ok((Event::ChildRefused(failure), _)) => {
                    let _ = pieces.send(Err(io::Error::other(failure))).await;
                    return Ok(());
                }
                Ok(_) => out_of_place(Kind::ChildBegin),
                Err(loss) => loss,
            };
            let _ = pieces.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
            return Err(loss);
        }
    }
}

/// Reads one event and the length of its payload; none at the end of the stream.
pub(super) async fn read_event<R: AsyncRead + Unpin>(
    input: &mut R,
) -> Result<Option<(Event, usize)>, ProtocolError> {
    let mut header = [0; HEADER];
    if input.read(&mut header[..1]).await.map_err(ProtocolError::Io)? == 0 {
        return Ok(None);
    }
    input.read_exact(&mut header[1..]).await.map_err(ProtocolError::Io)?;
    let (kind, length) = decode_header(header)?;
    let mut payload = vec![0; length];
    input.read_exact(&mut payload).await.map_err(ProtocolError::Io)?;
    Ok(Some((Event::decode(kind, payload)?, length)))
}

fn out_of_place(kind: Kind) -> Loss {
    Loss::Protocol(ProtocolError::OutOfPlace { kind })
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests;
