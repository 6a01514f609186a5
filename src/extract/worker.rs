//! The child process that reads files of others: `cairn extract-worker`.
//!
//! Called by: `cli`. Talks to: its parent through `protocol` on stdin and stdout.
//! Invariants: nothing but frames is written to stdout; no file ends the process, whatever its
//! parser does; it ends when its parent does, even in the middle of a file; it is confined before
//! it reads the first byte of one.
//!
//! Why a thread of its own with a larger stack: parsers of foreign code recurse more deeply than
//! ours, and a stack overflow cannot be caught.

use std::io::{self, BufWriter, Read, Write};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, getppid};

use super::protocol::{
    Command, Confinement, Event, Kind, MAX_DATA, ProtocolError, WorkerSettings, read_frame,
    write_frame,
};
use super::sandbox::{self, CpuBudget, SandboxError};
use super::{ExtractRequest, ExtractSink, extract, pdf, refusal};
use crate::types::{Block, ChildHeader, ExtractFailure, ExtractFailureCode};

const STACK: usize = 64 * 1024 * 1024;
const WATCH_STACK: usize = 512 * 1024;
const PARENT_CHECK: Duration = Duration::from_secs(2);
/// The parent has ended or does not keep to the protocol.
const EXIT_PROTOCOL: i32 = 2;
/// The process cannot be confined, so it must not run.
const EXIT_UNCONFINED: i32 = 3;

/// Serves extraction requests from stdin until it closes; returns the exit code.
pub fn run_worker() -> i32 {
    if let Err(error) = sandbox::close_strangers() {
        return report(&error, EXIT_UNCONFINED);
    }
    let settings = match hello(&mut io::stdin().lock()) {
        Ok(Some(settings)) => settings,
        Ok(None) => return 0,
        Err(error) => return report(&error, EXIT_PROTOCOL),
    };
    let (budget, confinement) = match confined(&settings) {
        Ok(confined) => confined,
        Err(error) => return report(&error, EXIT_UNCONFINED),
    };
    let parent = getppid();
    let watch = thread::Builder::new().stack_size(WATCH_STACK).spawn(move || end_with(parent));
    if let Err(error) = watch {
        return report(&error, EXIT_UNCONFINED);
    }
    let serving = thread::Builder::new().stack_size(STACK).spawn(move || {
        let mut output = BufWriter::with_capacity(MAX_DATA, io::stdout().lock());
        ready(confinement, &mut output)?;
        serve(io::stdin().lock(), output, Some(budget))
    });
    match serving.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => 0,
        Ok(Ok(Err(error))) => report(&error, EXIT_PROTOCOL),
        Ok(Err(_panic)) => EXIT_PROTOCOL,
        Err(error) => report(&error, EXIT_UNCONFINED),
    }
}

/// Opens what must be open, then gives the rest up.
fn confined(settings: &WorkerSettings) -> Result<(CpuBudget, Confinement), SandboxError> {
    pdf::load();
    let budget = CpuBudget::open(settings.cpu_seconds)?;
    Ok((budget, sandbox::confine(settings)?))
}

fn ready(confinement: Confinement, output: &mut dyn Write) -> Result<(), ProtocolError> {
    let (kind, payload) = Event::Ready(confinement).encode()?;
    write_frame(output, kind, &payload)?;
    output.flush().map_err(ProtocolError::Io)
}

/// Stderr is the parent's to read, for its log.
fn report(error: &dyn std::error::Error, code: i32) -> i32 {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "extraction worker: {error}");
    code
}

/// Ends the process once its parent is gone: a parser in an endless loop reads no pipe.
fn end_with(parent: Option<Pid>) {
    while getppid() == parent {
        thread::sleep(PARENT_CHECK);
    }
    std::process::exit(EXIT_PROTOCOL);
}

fn hello(input: &mut dyn Read) -> Result<Option<WorkerSettings>, ProtocolError> {
    let Some((kind, payload)) = read_frame(input)? else {
        return Ok(None);
    };
    match Command::decode(kind, payload)? {
        Command::Hello(settings) => Ok(Some(settings)),
        _ => Err(ProtocolError::OutOfPlace { kind }),
    }
}

/// Answers requests until the input closes.
fn serve(
    mut input: impl Read,
    mut output: impl Write,
    mut budget: Option<CpuBudget>,
) -> Result<(), ProtocolError> {
    while let Some((kind, payload)) = read_frame(&mut input)? {
        let Command::Begin(request) = Command::decode(kind, payload)? else {
            return Err(ProtocolError::OutOfPlace { kind });
        };
        if let Some(budget) = &mut budget {
            budget.begin();
        }
        one_document(&request, &mut input, &mut output, budget.as_mut())?;
    }
    Ok(())
}

fn one_document(
    request: &ExtractRequest,
    input: &mut dyn Read,
    output: &mut dyn Write,
    budget: Option<&mut CpuBudget>,
) -> Result<(), ProtocolError> {
    let mut file = FileFrames::new(input);
    let mut events = EventWriter { output, budget, chunk: Vec::new(), failed: None };
    #[cfg(feature = "fault-injection")]
    if let Some(text) = super::probe::attempt(&request.name) {
        let kind = crate::types::BlockKind::Paragraph;
        events.send(Event::Block(Block::new(kind, text)))?;
        events.send(Event::Done(Box::default()))?;
        events.output.flush().map_err(ProtocolError::Io)?;
        return file.pass_over();
    }
    let extracted = extract(request, &mut file, &mut events);
    if let Some(error) = file.failed.take().or_else(|| events.failed.take()) {
        return Err(error);
    }
    let answer = match extracted {
        Ok(document) => Event::Done(Box::new(document)),
        Err(failure) => Event::Failed(failure),
    };
    match events.send(answer) {
        // Facts are bounded, but escaping could still make them too long for a frame.
        Err(ProtocolError::TooLong { .. }) => events.send(Event::Failed(ExtractFailure {
            code: ExtractFailureCode::TooLarge,
            message: "The file says too much about itself to be recorded".to_owned(),
            media_type: None,
        }))?,
        other => other?,
    }
    events.output.flush().map_err(ProtocolError::Io)?;
    file.pass_over()
}

/// The bytes of one document out of its data frames.
struct FileFrames<'f> {
    input: &'f mut dyn Read,
    frame: Vec<u8>,
    at: usize,
    ended: bool,
    /// Why the frames stopped making sense. The parser sees it as an error of the file; the
    /// worker then ends.
    failed: Option<ProtocolError>,
}

impl<'f> FileFrames<'f> {
    fn new(input: &'f mut dyn Read) -> Self {
        Self { input, frame: Vec::new(), at: 0, ended: false, failed: None }
    }

    fn next_frame(&mut self) -> Result<(), ProtocolError> {
        let Some((kind, payload)) = read_frame(&mut *self.input)? else {
            return Err(ProtocolError::Io(io::ErrorKind::UnexpectedEof.into()));
        };
        match Command::decode(kind, payload)? {
            Command::Data(bytes) => {
                self.frame = bytes;
                self.at = 0;
            }
            Command::End => self.ended = true,
            _ => return Err(ProtocolError::OutOfPlace { kind }),
        }
        Ok(())
    }

    /// Reads to the end of the document, whatever of it is left.
    fn pass_over(mut self) -> Result<(), ProtocolError> {
        while !self.ended {
            self.next_frame()?;
        }
        Ok(())
    }
}

impl Read for FileFrames<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.frame.len() && !self.ended {
            if self.failed.is_some() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if let Err(error) = self.next_frame() {
                self.failed = Some(error);
            }
        }
        let left = &self.frame[self.at..];
        let count = left.len().min(out.len());
        out[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}

/// Turns what is found into frames.
struct EventWriter<'e> {
    output: &'e mut dyn Write,
    budget: Option<&'e mut CpuBudget>,
    chunk: Vec<u8>,
    failed: Option<ProtocolError>,
}

impl EventWriter<'_> {
    fn send(&mut self, event: Event) -> Result<(), ProtocolError> {
        let (kind, payload) = event.encode()?;
        write_frame(self.output, kind, &payload)
    }

    fn keep(&mut self, result: Result<(), ProtocolError>) -> io::Result<()> {
        result.map_err(|error| {
            self.failed = Some(error);
            io::ErrorKind::BrokenPipe.into()
        })
    }

    /// Sends a body in full frames, however small the pieces it comes in.
    fn body(&mut self, body: &mut dyn Read) -> io::Result<()> {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.resize(MAX_DATA, 0);
        let mut more = true;
        while more {
            let mut have = 0;
            while have < chunk.len() {
                match body.read(&mut chunk[have..]) {
                    Ok(0) => break,
                    Ok(count) => have += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            more = have == chunk.len();
            if have > 0 {
                let result = write_frame(self.output, Kind::ChildData, &chunk[..have]);
                self.keep(result)?;
            }
        }
        self.chunk = chunk;
        Ok(())
    }
}

impl ExtractSink for EventWriter<'_> {
    fn block(&mut self, block: Block) -> io::Result<()> {
        let result = self.send(Event::Block(block));
        self.keep(result)
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        let result = self.send(Event::ChildBegin(header.clone()));
        self.keep(result)?;
        let end = match self.body(body) {
            Ok(()) => Event::ChildEnd,
            Err(error) => match refusal(&error) {
                Some(failure) => Event::ChildRefused(failure.clone()),
                None => return Err(error),
            },
        };
        if let Some(budget) = &mut self.budget {
            budget.renew();
        }
        let result = self.send(end);
        self.keep(result)?;
        // The parent works on a child while the next one is still being parsed.
        let result = self.output.flush().map_err(ProtocolError::Io);
        self.keep(result)
    }
}

#[cfg(test)]
mod tests;
