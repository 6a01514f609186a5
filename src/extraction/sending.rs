//! One file on its way to a worker: from its start, then the parts of it that are asked for.
//!
//! Called by: `extraction::child`, `conversation` for what a worker asks. Talks to: the pipe of a
//! worker, the file's `FileSource`.
//! Invariants: a worker gets bytes of the file at hand and of no other; it asks for one part at a
//! time, so what it asks takes no memory; a file that ends early is our fault and not its own.

use std::io::{self, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

use super::FileSource;
use crate::extract::protocol::{HEADER, Kind, MAX_DATA, MAX_WANTED, Wanted, encode_header};

/// Why a file could not be sent.
#[derive(Debug)]
pub(super) enum SendFault {
    Source(io::Error),
    /// The worker no longer reads; what it said tells why.
    Worker,
}

/// Where a worker's wishes go.
pub(super) struct Parts {
    length: u64,
    wanted: mpsc::Sender<Wanted>,
    service: Service,
}

impl Parts {
    /// Passes a wish on. Fails where a worker may not have it.
    pub(super) fn ask(&self, part: Wanted) -> Result<(), &'static str> {
        let within = part.at.checked_add(part.length).is_some_and(|end| end <= self.length);
        if part.length == 0 || part.length > MAX_WANTED || !within {
            return Err("a wish for what is not in the file");
        }
        if std::mem::replace(&mut self.service.state().serving, true) {
            return Err("several wishes at once");
        }
        self.wanted.try_send(part).map_err(|_| "a wish after the end")
    }

    /// Time that went by, since this was asked last, while the worker waited for bytes that we
    /// had to get.
    pub(super) fn take_delay(&self) -> Duration {
        let mut state = self.service.state();
        let running = state.fetching.as_mut().map(|since| {
            let began = std::mem::replace(since, Instant::now());
            began.elapsed()
        });
        std::mem::take(&mut state.delay) + running.unwrap_or_default()
    }
}

/// How it stands with the part that was asked for.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// It was not sent to its end yet.
    serving: bool,
    /// Since when its first bytes are being fetched.
    fetching: Option<Instant>,
    delay: Duration,
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self) {
        self.state().fetching = Some(Instant::now());
    }

    fn fetched(&self) {
        let mut state = self.state();
        if let Some(since) = state.fetching.take() {
            state.delay += since.elapsed();
        }
    }
}

/// A file to be sent.
pub(super) struct Sending<'s> {
    source: &'s mut dyn FileSource,
    length: u64,
    wanted: mpsc::Receiver<Wanted>,
    service: Service,
    stopped: watch::Receiver<bool>,
}

/// What comes next.
enum Next {
    Part(Wanted),
    Data(usize),
    Stop,
}

impl<'s> Sending<'s> {
    /// For a source of `length` bytes that stands at its start.
    pub(super) fn new(
        source: &'s mut dyn FileSource,
        length: u64,
        stopped: watch::Receiver<bool>,
    ) -> (Self, Parts) {
        let (asks, wanted) = mpsc::channel(1);
        let service = Service::default();
        let parts = Parts { length, wanted: asks, service: service.clone() };
        (Self { source, length, wanted, service, stopped }, parts)
    }

    /// Sends the frame of a request, then the file, then what is asked for, until `stopped`.
    pub(super) async fn run<W: AsyncWrite + Unpin>(
        mut self,
        output: &mut W,
        begin: &[u8],
    ) -> Result<(), SendFault> {
        write(output, begin).await?;
        let mut frame = vec![0; HEADER + MAX_DATA];
        let (mut left, mut is_part) = (self.length, false);
        loop {
            match self.next(&mut frame[HEADER..], left).await? {
                Next::Stop => break,
                Next::Part(part) => {
                    write(output, &header(Kind::Part, 0)?).await?;
                    self.service.fetch();
                    let moved = self.source.seek(SeekFrom::Start(part.at)).await;
                    moved.map_err(SendFault::Source)?;
                    (left, is_part) = (part.length, true);
                }
                Next::Data(0) => {
                    return Err(SendFault::Source(io::ErrorKind::UnexpectedEof.into()));
                }
                Next::Data(count) => {
                    self.service.fetched();
                    left -= count as u64;
                    if left == 0 && is_part {
                        // Said before it is sent, since the next wish may come at once.
                        self.service.state().serving = false;
                    }
                    frame[..HEADER].copy_from_slice(&header(Kind::Data, count)?);
                    write(output, &frame[..HEADER + count]).await?;
                }
            }
        }
        write(output, &header(Kind::End, 0)?).await?;
        output.flush().await.map_err(|_| SendFault::Worker)
    }

    async fn next(&mut self, piece: &mut [u8], left: u64) -> Result<Next, SendFault> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        tokio::select! {
            biased;
            _ = self.stopped.changed() => Ok(Next::Stop),
            Some(part) = self.wanted.recv() => Ok(Next::Part(part)),
            read = self.source.read(&mut piece[..most]), if most > 0 => {
                read.map(Next::Data).map_err(SendFault::Source)
            }
        }
    }
}

fn header(kind: Kind, length: usize) -> Result<[u8; HEADER], SendFault> {
    encode_header(kind, length).map_err(|_| SendFault::Worker)
}

async fn write<W: AsyncWrite + Unpin>(output: &mut W, bytes: &[u8]) -> Result<(), SendFault> {
    output.write_all(bytes).await.map_err(|_| SendFault::Worker)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tokio::io::duplex;

    use super::*;
    use crate::extract::protocol::read_frame;

    /// All frames up to the end.
    fn frames(mut wire: &[u8]) -> Vec<(Kind, Vec<u8>)> {
        std::iter::from_fn(|| read_frame(&mut wire).expect("whole frames")).collect()
    }

    #[tokio::test]
    async fn a_part_that_is_asked_for_follows_what_was_on_its_way() {
        let content: Vec<u8> = (0..3 * MAX_DATA).map(|at| (at % 251) as u8).collect();
        let mut source = Cursor::new(content.clone());
        let (stop, stopped) = watch::channel(false);
        let (sending, parts) = Sending::new(&mut source, content.len() as u64, stopped);
        let (mut ours, mut theirs) = duplex(16 * MAX_DATA);
        let asking = async {
            parts.ask(Wanted { at: 100, length: 70_000 }).expect("within the file");
            let again = Wanted { at: 0, length: 1 };
            assert!(parts.ask(again).is_err(), "the first part is still on its way");
            let mut wire = Vec::new();
            while parts.ask(again).is_err() {
                theirs.read_buf(&mut wire).await.expect("data flows");
            }
            stop.send_replace(true);
            while !wire.ends_with(&[0, 0, 0, 0, Kind::End as u8]) {
                theirs.read_buf(&mut wire).await.expect("data flows");
            }
            wire
        };
        let (sent, wire) = tokio::join!(sending.run(&mut ours, &[]), asking);
        assert!(sent.is_ok());
        let frames = frames(&wire);
        let part = frames.iter().position(|(kind, _)| *kind == Kind::Part).expect("a part");
        let before: Vec<u8> = frames[..part].iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        assert!(content.starts_with(&before));
        let after: Vec<u8> = frames[part..].iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        assert!(after.starts_with(&content[100..100 + 70_000]));
    }

    #[tokio::test]
    async fn time_that_a_worker_waits_for_us_is_not_its_own() {
        let service = Service::default();
        let (wanted, _asked) = mpsc::channel(1);
        let parts = Parts { length: 10, wanted, service: service.clone() };
        assert_eq!(parts.take_delay(), Duration::ZERO);
        service.fetch();
        std::thread::sleep(Duration::from_millis(2));
        assert!(parts.take_delay() >= Duration::from_millis(2), "it still waits");
        std::thread::sleep(Duration::from_millis(2));
        service.fetched();
        assert!(parts.take_delay() >= Duration::from_millis(2));
        assert_eq!(parts.take_delay(), Duration::ZERO, "it is told once");
    }

    #[tokio::test]
    async fn what_is_not_in_the_file_and_two_wishes_at_once_are_refused() {
        let (_stop, stopped) = watch::channel(false);
        let mut source = Cursor::new(vec![0; 1000]);
        let (_sending, parts) = Sending::new(&mut source, 1000, stopped);
        for (at, length) in [(0, 0), (0, 1001), (1000, 1), (u64::MAX, 2), (0, MAX_WANTED + 1)] {
            assert!(parts.ask(Wanted { at, length }).is_err(), "{at}, {length}");
        }
        assert!(parts.ask(Wanted { at: 999, length: 1 }).is_ok());
        assert!(parts.ask(Wanted { at: 0, length: 1 }).is_err());
    }

    #[tokio::test]
    async fn a_file_that_ends_early_is_our_fault() {
        let (_stop, stopped) = watch::channel(false);
        let mut source = Cursor::new(vec![0; 1000]);
        let (sending, _parts) = Sending::new(&mut source, 1001, stopped);
        let sent = sending.run(&mut tokio::io::sink(), b"begin").await;
        assert!(matches!(sent, Err(SendFault::Source(_))));
    }

    #[tokio::test]
    async fn sending_stops_when_told_and_still_says_the_end() {
        let (stop, stopped) = watch::channel(false);
        let mut source = Cursor::new(vec![7; 100 * MAX_DATA]);
        let (sending, _parts) = Sending::new(&mut source, 100 * MAX_DATA as u64, stopped);
        let (mut ours, mut theirs) = duplex(16 * MAX_DATA);
        let reading = async {
            let mut bytes = vec![0; 5 * MAX_DATA];
            theirs.read_exact(&mut bytes).await.expect("data flows");
            stop.send_replace(true);
            let mut rest = Vec::new();
            // The writer's end stays open, so the last frame is recognised by what it says.
            while !rest.ends_with(&[0, 0, 0, 0, Kind::End as u8]) {
                theirs.read_buf(&mut rest).await.expect("data flows");
            }
            bytes.len() + rest.len()
        };
        let (sent, received) = tokio::join!(sending.run(&mut ours, b"begin"), reading);
        assert!(sent.is_ok() && received < 100 * MAX_DATA);
    }
}
