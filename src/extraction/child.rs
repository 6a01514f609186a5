//! One worker process: started, talked to, and ended.
//!
//! Called by: `extraction::pool`. Talks to: the operating system, `extraction::conversation`.
//! Invariants: a process is killed when its value is dropped; it starts with an empty environment,
//! in the root directory, in a process group of its own, and with no file of ours but its pipes.
//! What it writes to stderr may hold text of a file, so it is looked at and never logged.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::conversation::{Loss, Receiver, read_event};
use super::sending::{SendFault, Sending};
use super::{ChildSink, Extraction, ExtractionConfig, ExtractionError, FileSource};
use crate::extract::protocol::{
    Command as Order, Confinement, Event, MAX_DATA, Opening, ProtocolError, WorkerSettings,
    write_frame,
};
use crate::types::{ExtractFailure, ExtractFailureCode, FormatHint};

/// How much of its last words is kept.
const LAST_WORDS: usize = 4096;
/// How long a worker may take to end, or to take the rest of a file it has answered.
const GRACE: Duration = Duration::from_secs(5);
/// How long a worker may take to confine itself, on a machine that is busy.
const START: Duration = Duration::from_secs(60);
/// Signals of the kernel: too much processor time, a forbidden system call.
pub(super) const SIGXCPU: i32 = 24;
pub(super) const SIGSYS: i32 = 31;

/// A running worker.
pub(super) struct WorkerProcess {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    last_words: Arc<Mutex<Vec<u8>>>,
    /// Ends when stderr closes.
    listener: JoinHandle<()>,
    confinement: Confinement,
    served: u32,
}

/// How one file's exchange ended.
pub(super) enum Turn {
    /// The worker answered; it may be used again if `reusable`.
    Answered { extraction: Box<Extraction>, reusable: bool },
    /// It did not; it must not be used again. `delivered` tells whether children were passed on.
    Lost { loss: Loss, delivered: bool },
}

impl WorkerProcess {
    /// Starts a worker.
    ///
    /// # Errors
    /// [`ExtractionError::Spawn`].
    pub(super) async fn spawn(config: &ExtractionConfig) -> Result<Self, ExtractionError> {
        let cannot = |source| ExtractionError::Spawn { exe: config.worker_exe.clone(), source };
        let mut process =
            set_apart(&config.worker_exe).arg("extract-worker").spawn().map_err(cannot)?;
        let missing = || cannot(std::io::ErrorKind::BrokenPipe.into());
        let mut stdin = process.stdin.take().ok_or_else(missing)?;
        let stdout = process.stdout.take().ok_or_else(missing)?;
        let stderr = process.stderr.take().ok_or_else(missing)?;
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::spawn(listen(stderr, Arc::clone(&last_words)));
        let settings = WorkerSettings {
            memory_limit_bytes: config.memory_limit_bytes,
            cpu_seconds: config.time_limit.as_secs(),
        };
        let hello =
            frame(Order::Hello(settings)).map_err(|error| cannot(std::io::Error::other(error)))?;
        stdin.write_all(&hello).await.map_err(cannot)?;
        let mut stdout = BufReader::with_capacity(MAX_DATA, stdout);
        let confinement = timeout(START, ready(&mut stdout))
            .await
            .unwrap_or_else(|_elapsed| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(cannot)?;
        Ok(Self { process, stdin, stdout, last_words, listener, confinement, served: 0 })
    }

    /// Which layers confine it.
    pub(super) fn confinement(&self) -> Confinement {
        self.confinement
    }

    /// Files this worker has answered.
    pub(super) fn served(&self) -> u32 {
        self.served
    }

    /// False once the process has ended.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Has one file read; its `source` stands at the start.
    ///
    /// # Errors
    /// [`ExtractionError::Request`], [`ExtractionError::Source`] and [`ExtractionError::Sink`];
    /// the worker must not be used after any of them.
    pub(super) async fn read_file(
        &mut self,
        config: &ExtractionConfig,
        opening: &Opening,
        source: &mut dyn FileSource,
        sink: &mut dyn ChildSink,
    ) -> Result<Turn, ExtractionError> {
        let Opening { request, length } = opening;
        let name = || request.name.clone();
        let begin = frame(Order::Begin(opening.clone()))
            .map_err(|source| ExtractionError::Request { name: name(), source })?;
        let documents = request.format == Some(FormatHint::DocumentsJsonl);
        let (stop, stopped) = watch::channel(false);
        let (sending, parts) = Sending::new(source, *length, stopped);
        let mut receiver =
            Receiver::new(&mut self.stdout, request.limits, config.time_limit, documents)
                .with_parts(parts);
        let (outcome, sent) = {
            let mut sending = std::pin::pin!(sending.run(&mut self.stdin, &begin));
            let mut receiving = std::pin::pin!(receiver.run(sink));
            let mut sent = None;
            let outcome = loop {
                tokio::select! {
                    outcome = &mut receiving => break outcome,
                    result = &mut sending, if sent.is_none() => {
                        if let Err(SendFault::Source(source)) = result {
                            return Err(ExtractionError::Source { name: name(), source });
                        }
                        sent = Some(result.is_ok());
                    }
                }
            };
            if outcome.is_ok() && sent.is_none() {
                stop.send_replace(true);
                sent = timeout(GRACE, sending).await.ok().map(|result| result.is_ok());
            }
            (outcome, sent)
        };
        match outcome {
            Ok(extraction) => {
                self.served += 1;
                Ok(Turn::Answered {
                    extraction: Box::new(extraction),
                    reusable: sent == Some(true),
                })
            }
            Err(Loss::Sink(source)) => Err(ExtractionError::Sink { name: name(), source }),
            Err(loss) => Ok(Turn::Lost { loss, delivered: receiver.delivered() }),
        }
    }

    /// Ends a worker that gave no answer and says why, as the file's failure.
    pub(super) async fn explain(
        mut self,
        loss: &Loss,
        config: &ExtractionConfig,
    ) -> ExtractFailure {
        let status = match loss {
            Loss::Ended => timeout(GRACE, self.process.wait()).await.ok().and_then(Result::ok),
            _ => None,
        };
        if status.is_none() {
            // It may have ended meanwhile; either way it is reaped.
            let _ = self.process.start_kill();
            let _ = timeout(GRACE, self.process.wait()).await;
        }
        // The process is gone, so its last words end; a stray grandchild must not hold us up.
        let _ = timeout(GRACE, &mut self.listener).await;
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tracing::warn!(?loss, ?status, served = self.served, "an extraction worker was lost");
        let signal = status.and_then(|status| status.signal());
        let (code, message) = match loss {
            Loss::TimedOut => {
                let seconds = config.time_limit.as_secs();
                let sentence = format!("Reading the file took longer than {seconds} s");
                (ExtractFailureCode::TimedOut, sentence)
            }
            Loss::Ended if ran_out_of_memory(&words) => {
                let limit = config.memory_limit_bytes >> 20;
                let sentence = format!("Reading the file takes more than {limit} MiB of memory");
                (ExtractFailureCode::OutOfMemory, sentence)
            }
            Loss::Ended if signal == Some(SIGXCPU) => {
                let seconds = config.time_limit.as_secs();
                let sentence = format!("Reading the file took more than {seconds} s of computing");
                (ExtractFailureCode::TimedOut, sentence)
            }
            Loss::Ended if signal == Some(SIGSYS) => {
                let sentence = "The reader of this file tried what no reader may do and was ended";
                (ExtractFailureCode::WorkerCrashed, sentence.to_owned())
            }
            Loss::Misbehaved(what) => {
                (ExtractFailureCode::WorkerCrashed, format!("The reader returned {what}"))
            }
            Loss::Protocol(error) => {
                let sentence = format!("The reader crashed on this file ({error})");
                (ExtractFailureCode::WorkerCrashed, sentence)
            }
            Loss::Ended | Loss::Sink(_) => {
                let how = status.map(describe).unwrap_or_default();
                (ExtractFailureCode::WorkerCrashed, format!("The reader crashed on this file{how}"))
            }
        };
        ExtractFailure { code, message, media_type: None }
    }
}

/// A child that gets nothing of ours but its pipes, and ends with the handle to it.
pub(super) fn set_apart(exe: &Path) -> Command {
    let mut command = Command::new(exe);
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

fn frame(order: Order) -> Result<Vec<u8>, ProtocolError> {
    let (kind, payload) = order.encode()?;
    let mut bytes = Vec::new();
    write_frame(&mut bytes, kind, &payload)?;
    Ok(bytes)
}

/// What a fresh worker says first.
async fn ready(stdout: &mut BufReader<ChildStdout>) -> std::io::Result<Confinement> {
    match read_event(stdout).await {
        Ok(Some((Event::Ready(confinement), _))) => Ok(confinement),
        Ok(Some(_)) => Err(std::io::ErrorKind::InvalidData.into()),
        Ok(None) => Err(std::io::ErrorKind::UnexpectedEof.into()),
        Err(error) => Err(std::io::Error::other(error)),
    }
}

/// Keeps the end of what a worker writes to stderr, until it closes.
async fn listen(mut stderr: ChildStderr, last_words: Arc<Mutex<Vec<u8>>>) {
    let mut piece = vec![0; LAST_WORDS];
    while let Ok(count) = stderr.read(&mut piece).await {
        if count == 0 {
            break;
        }
        let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&piece[..count]);
        let surplus = words.len().saturating_sub(LAST_WORDS);
        words.drain(..surplus);
    }
}

/// What allocators of Rust and C++ say before they abort.
pub(super) fn ran_out_of_memory(words: &[u8]) -> bool {
    let words = String::from_utf8_lossy(words).to_ascii_lowercase();
    ["memory allocation of", "bad_alloc", "out of memory"].iter().any(|sign| words.contains(sign))
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => " (killed, perhaps because the machine ran out of memory)".to_owned(),
        (Some(signal), _) => format!(" (signal {signal})"),
        (None, Some(code)) => format!(" (exit code {code})"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_for_want_of_memory_is_recognised() {
        assert!(ran_out_of_memory(b"memory allocation of 4294967296 bytes failed\n"));
        assert!(ran_out_of_memory(b"terminate called after throwing 'std::bad_alloc'"));
        assert!(!ran_out_of_memory(b"thread main panicked"));
    }

    #[tokio::test]
    async fn a_worker_that_cannot_be_started_is_named() {
        let config = ExtractionConfig {
            worker_exe: "/nonexistent/cairn".into(),
            children: 1,
            time_limit: Duration::from_secs(1),
            memory_limit_bytes: 1 << 30,
            limits: crate::extract::ExtractLimits::default(),
            documents_per_child: 1,
        };
        let error = WorkerProcess::spawn(&config).await.err().expect("no such program");
        assert!(error.to_string().contains("/nonexistent/cairn"));
    }
}
