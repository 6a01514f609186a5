//! The child process that reads files of others: `cairn extract-worker`.
//!
//! Called by: `cli`. Talks to: its parent through `protocol` on stdin and stdout.
//! Invariants: nothing but frames is written to stdout; no file ends the process, whatever its
//! parser does; it ends when its parent does, even in the middle of a file; it is confined before
//! it reads the first byte of one.
//!
//! Why a thread of its own with a larger stack: parsers of foreign code recurse more deeply than
//! ours, and a stack overflow cannot be caught.

mod file;

use std::cell::RefCell;
use std::io::{self, BufWriter, Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, getppid};

use self::file::ParentsFile;
use super::protocol::{
    Command, Confinement, Event, Kind, MAX_DATA, Opening, ProtocolError, WorkerSettings,
    read_frame, write_frame,
};
use super::sandbox::{self, CpuBudget, SandboxError};
use super::{ExtractSink, RandomAccess, extract_file, pdf, refusal};
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
        let output = BufWriter::with_capacity(MAX_DATA, io::stdout().lock());
        let mut pipes = Pipes { input: Box::new(io::stdin().lock()), output: Box::new(output) };
        pipes.send(Event::Ready(confinement))?;
        pipes.flush()?;
        serve(pipes, Some(budget))
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

/// Both ways to the parent: what reads a file asks for parts of it between the frames that tell
/// what was found.
struct Pipes {
    input: Box<dyn Read>,
    output: Box<dyn Write>,
}

impl Pipes {
    fn command(&mut self) -> Result<Option<Command>, ProtocolError> {
        read_frame(&mut self.input)?
            .map(|(kind, payload)| Command::decode(kind, payload))
            .transpose()
    }

    fn send(&mut self, event: Event) -> Result<(), ProtocolError> {
        let (kind, payload) = event.encode()?;
        write_frame(&mut self.output, kind, &payload)
    }

    fn flush(&mut self) -> Result<(), ProtocolError> {
        self.output.flush().map_err(ProtocolError::Io)
    }
}

/// Answers requests until the input closes.
fn serve(pipes: Pipes, mut budget: Option<CpuBudget>) -> Result<(), ProtocolError> {
    let pipes = Rc::new(RefCell::new(pipes));
    loop {
        let opening = match pipes.borrow_mut().command()? {
            None => return Ok(()),
            Some(Command::Begin(opening)) => opening,
            Some(other) => return Err(ProtocolError::OutOfPlace { kind: other.kind() }),
        };
        if let Some(budget) = &mut budget {
            budget.begin(opening.length);
        }
        one_document(&opening, &pipes, budget.as_mut())?;
    }
}

fn one_document(
    opening: &Opening,
    pipes: &Rc<RefCell<Pipes>>,
    budget: Option<&mut CpuBudget>,
) -> Result<(), ProtocolError> {
    let Opening { request, length } = opening;
    let file = Rc::new(RefCell::new(ParentsFile::new(Rc::clone(pipes), *length)));
    let mut events = EventWriter { pipes, budget, chunk: Vec::new(), failed: None };
    #[cfg(feature = "fault-injection")]
    if let Some(text) = super::probe::attempt(&request.name) {
        let kind = crate::types::BlockKind::Paragraph;
        pipes.borrow_mut().send(Event::Block(Block::new(kind, text)))?;
        pipes.borrow_mut().send(Event::Done(Box::default()))?;
        pipes.borrow_mut().flush()?;
        return file.borrow_mut().pass_over();
    }
    let extracted = extract_file(request, RandomAccess::shared(Rc::clone(&file)), &mut events);
    let failed = file.borrow_mut().failure().or_else(|| events.failed.take());
    if let Some(error) = failed {
        return Err(error);
    }
    let answer = match extracted {
        Ok(document) => Event::Done(Box::new(document)),
        Err(failure) => Event::Failed(failure),
    };
    let said = pipes.borrow_mut().send(answer);
    match said {
        // Facts are bounded, but escaping could still make them too long for a frame.
        Err(ProtocolError::TooLong { .. }) => {
            pipes.borrow_mut().send(Event::Failed(ExtractFailure {
                code: ExtractFailureCode::TooLarge,
                message: "The file says too much about itself to be recorded".to_owned(),
                media_type: None,
            }))?;
        }
        other => other?,
    }
    pipes.borrow_mut().flush()?;
    file.borrow_mut().pass_over()
}

/// Turns what is found into frames.
struct EventWriter<'e> {
    pipes: &'e RefCell<Pipes>,
    budget: Option<&'e mut CpuBudget>,
    chunk: Vec<u8>,
    failed: Option<ProtocolError>,
}

impl EventWriter<'_> {
    fn send(&mut self, event: Event) -> io::Result<()> {
        let sent = self.pipes.borrow_mut().send(event);
        self.keep(sent)
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
                let mut pipes = self.pipes.borrow_mut();
                let sent = write_frame(&mut pipes.output, Kind::ChildData, &chunk[..have]);
                drop(pipes);
                self.keep(sent)?;
            }
        }
        self.chunk = chunk;
        Ok(())
    }
}

impl ExtractSink for EventWriter<'_> {
    fn block(&mut self, block: Block) -> io::Result<()> {
        self.send(Event::Block(block))
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        self.send(Event::ChildBegin(header.clone()))?;
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
        self.send(end)?;
        // The parent works on a child while the next one is still being parsed.
        let flushed = self.pipes.borrow_mut().flush();
        self.keep(flushed)
    }
}

#[cfg(test)]
mod tests;
