//! The OCR program: whether it is there, and one picture at a time read by it.
//!
//! Called by: `app`. Talks to: child processes of `extract::ocr`, which become the program.
//! Invariants: a picture goes in by a pipe and text comes out by one; what comes out is bounded in
//! size and time and taken for nothing but words; a program that is not installed is an answer,
//! and is looked for again whenever it is asked for.

mod tsv;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::ExtractionError;
use super::child::{SIGSYS, SIGXCPU, ran_out_of_memory, set_apart};
use crate::extract::ocr::{EXIT_NOT_RUN, EXIT_SETTINGS, EXIT_UNCONFINED, OcrSettings};
use crate::types::{ExtractFailure, ExtractFailureCode};

/// What has to be installed, as Debian and its like name it.
pub const OCR_PACKAGES: &str = "tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu";

/// Where the program is looked for, unless the configuration names it.
const PROGRAMS: [&str; 2] = ["/usr/bin/tesseract", "/usr/local/bin/tesseract"];
/// The data that tells which way up a page is; no language.
const ORIENTATION: &str = "osd";
/// Most that is taken of what the program says of one page.
const MAX_OUTPUT: u64 = 16 << 20;
const MAX_LAST_WORDS: u64 = 64 << 10;
/// How long the program may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(20);
/// How long a program that does not work is left alone before it is asked again.
const BROKEN_FOR: Duration = Duration::from_secs(10);
/// Wall-clock time for each second of computing: the program gives way to everything else.
const PATIENCE: u32 = 5;

/// How pictures are read.
#[derive(Clone, Debug)]
pub struct OcrConfig {
    /// The program that serves `ocr-worker`; this binary itself.
    pub worker_exe: PathBuf,
    /// False where OCR is turned off.
    pub enabled: bool,
    /// The OCR program, where it is not in its usual place.
    pub program: Option<PathBuf>,
    /// Languages wanted, in order; those that are installed are used.
    pub languages: Vec<String>,
    /// Pictures read at the same time.
    pub processes: usize,
    /// Processor time for one page; it may take five times that by the clock.
    pub time_limit: Duration,
    /// Address space of the program, in bytes.
    pub memory_limit_bytes: u64,
}

/// An OCR program that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcrEngine {
    pub program: PathBuf,
    pub version: String,
    /// Every language pack found.
    pub installed: Vec<String>,
    /// Those that pages are read in.
    pub languages: Vec<String>,
    /// True where pages that lie on their side or head are turned first.
    turns_pages: bool,
}

/// Why there is no OCR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OcrAbsence {
    #[error("OCR is turned off (ocr.enabled).")]
    Off,
    #[error("The OCR program tesseract is not installed.")]
    NotInstalled,
    #[error("The OCR program has no language packs.")]
    NoLanguages,
    #[error("The OCR program does not work: {0}.")]
    Broken(String),
}

/// What was read on one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OcrPage {
    /// Paragraphs, with a blank line between them.
    pub text: String,
    /// How sure the program is of it, 0 to 100.
    pub confidence: u8,
}

/// Reads pictures.
pub struct Ocr {
    config: OcrConfig,
    known: Mutex<Option<Known>>,
}

/// What was found when the program was last looked at.
struct Known {
    at: Instant,
    found: Result<Arc<OcrEngine>, OcrAbsence>,
}

impl Known {
    fn holds(&self) -> bool {
        match &self.found {
            Ok(engine) => engine.program.exists(),
            Err(_) => self.at.elapsed() < BROKEN_FOR,
        }
    }
}

impl Ocr {
    /// Looks for nothing yet.
    pub fn new(config: OcrConfig) -> Self {
        Self { config, known: Mutex::default() }
    }

    /// Pictures that may be read at the same time.
    pub fn concurrency(&self) -> usize {
        self.config.processes.max(1)
    }

    /// The program, looked for where it is not known yet.
    ///
    /// # Errors
    /// [`OcrAbsence`], the reason for people.
    pub async fn engine(&self) -> Result<Arc<OcrEngine>, OcrAbsence> {
        if !self.config.enabled {
            return Err(OcrAbsence::Off);
        }
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.holds()) {
            return known.found.clone();
        }
        *known = None;
        let named = self.config.program.clone().map(|program| vec![program]);
        let places = named.unwrap_or_else(|| PROGRAMS.iter().map(PathBuf::from).collect());
        let program = places.into_iter().find(|program| program.exists());
        let found = self.introduce(program.ok_or(OcrAbsence::NotInstalled)?).await.map(Arc::new);
        *known = Some(Known { at: Instant::now(), found: found.clone() });
        found
    }

    /// Asks a program for its languages, and has it read an empty page in them, which tells its
    /// version too: asked for that alone, it looks at the network, and is ended for it.
    async fn introduce(&self, program: PathBuf) -> Result<OcrEngine, OcrAbsence> {
        let listed = self.ask(&program, &["--list-langs"], b"").await?;
        // The first line is a heading.
        let packs = listed.lines().skip(1).map(str::trim).filter(|name| is_language(name));
        let (turning, mut installed): (Vec<String>, Vec<String>) =
            packs.map(ToOwned::to_owned).partition(|name| name == ORIENTATION);
        installed.sort();
        let wanted = self.config.languages.iter().filter(|name| installed.contains(name));
        let mut languages: Vec<String> = wanted.cloned().collect();
        if languages.is_empty() {
            languages.extend(installed.first().cloned());
        }
        if languages.is_empty() {
            return Err(OcrAbsence::NoLanguages);
        }
        let trial = ["stdin", "stdout", "-l", &languages.join("+"), "-c", "tessedit_create_hocr=1"];
        let page = self.ask(&program, &trial, &empty_page()).await?;
        let version = version_in(&page).unwrap_or("of unknown version").to_owned();
        let turns_pages = !turning.is_empty();
        Ok(OcrEngine { program, version, installed, languages, turns_pages })
    }

    async fn ask(
        &self,
        program: &Path,
        arguments: &[&str],
        mut input: &[u8],
    ) -> Result<String, OcrAbsence> {
        let broken = |why: String| OcrAbsence::Broken(why);
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let run = self.run(program, arguments, &mut input, INTRODUCTION);
        let run = run.await.map_err(|error| broken(crate::error::chain(&error)))?;
        match run.end {
            End::Exited(status) if status.success() => Ok(shown(&run.output)),
            End::Exited(status) => match status.signal() {
                Some(signal) => Err(broken(format!("it ended by signal {signal}"))),
                None => Err(broken(last_line(&run.last_words))),
            },
            End::TimedOut => Err(broken("it says nothing".to_owned())),
            End::TooMuch => Err(broken("it says too much".to_owned())),
        }
    }

    /// Reads a picture; of one with several pages, the one with the number `page`, from 1 on.
    ///
    /// # Errors
    /// The outer error is a fault on our side, after which the page may be tried again; the inner
    /// one is the picture's own.
    pub async fn read(
        &self,
        engine: &OcrEngine,
        page: Option<u32>,
        picture: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<Result<OcrPage, ExtractFailure>, ExtractionError> {
        let segmentation = if engine.turns_pages { "1" } else { "3" };
        let mut arguments: Vec<String> = ["stdin", "stdout", "-l"].map(ToOwned::to_owned).into();
        arguments.push(engine.languages.join("+"));
        for more in ["--psm", segmentation, "-c", "tessedit_create_tsv=1"] {
            arguments.push(more.to_owned());
        }
        if let Some(page) = page {
            arguments.push("-c".to_owned());
            arguments.push(format!("tessedit_page_number={}", page.saturating_sub(1)));
        }
        let run = self.run(&engine.program, arguments, picture, self.config.time_limit).await?;
        let failed =
            |code, message: String| Ok(Err(ExtractFailure { code, message, media_type: None }));
        let seconds = self.config.time_limit.as_secs();
        let too_long = format!("Reading the picture took more than {seconds} s of computing");
        let status = match run.end {
            End::TimedOut => return failed(ExtractFailureCode::TimedOut, too_long),
            End::TooMuch => {
                let sentence = "The OCR program said more than a page can hold".to_owned();
                return failed(ExtractFailureCode::WorkerCrashed, sentence);
            }
            End::Exited(status) => status,
        };
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(Ok(tsv::page(&run.output))),
            (_, Some(SIGXCPU)) => failed(ExtractFailureCode::TimedOut, too_long),
            (_, Some(SIGSYS)) => failed(
                ExtractFailureCode::WorkerCrashed,
                "The OCR program tried what it may not do and was ended".to_owned(),
            ),
            _ if ran_out_of_memory(&run.last_words) => failed(
                ExtractFailureCode::OutOfMemory,
                format!(
                    "Reading the picture takes more than {} MiB of memory",
                    self.config.memory_limit_bytes >> 20
                ),
            ),
            (_, Some(signal)) => failed(
                ExtractFailureCode::WorkerCrashed,
                format!("The OCR program crashed on this picture (signal {signal})"),
            ),
            (Some(EXIT_SETTINGS | EXIT_UNCONFINED | EXIT_NOT_RUN), _) => {
                Err(ExtractionError::Ocr { why: last_line(&run.last_words) })
            }
            _ => failed(
                ExtractFailureCode::Malformed,
                "The picture is damaged: it cannot be read".to_owned(),
            ),
        }
    }

    /// Runs the program on one picture.
    async fn run(
        &self,
        program: &Path,
        arguments: Vec<String>,
        picture: &mut (dyn AsyncRead + Send + Unpin),
        time_limit: Duration,
    ) -> Result<Run, ExtractionError> {
        let exe = &self.config.worker_exe;
        let cannot = |source| ExtractionError::Spawn { exe: exe.clone(), source };
        let settings = OcrSettings {
            program: program.to_owned(),
            arguments,
            memory_limit_bytes: self.config.memory_limit_bytes,
            cpu_seconds: time_limit.as_secs(),
        };
        let settings =
            serde_json::to_string(&settings).map_err(|error| cannot(io::Error::other(error)))?;
        let mut child = set_apart(exe).args(["ocr-worker", &settings]).spawn().map_err(cannot)?;
        let ended = timeout(time_limit * PATIENCE, converse(&mut child, picture)).await;
        let run = match ended {
            Ok(run) => run?,
            Err(_elapsed) => Run { end: End::TimedOut, output: Vec::new(), last_words: Vec::new() },
        };
        if !matches!(run.end, End::Exited(_)) {
            // Dropped, it is killed; here it is waited for as well.
            child.kill().await.map_err(cannot)?;
        }
        Ok(run)
    }
}

/// What became of one run.
struct Run {
    end: End,
    output: Vec<u8>,
    last_words: Vec<u8>,
}

enum End {
    Exited(ExitStatus),
    TimedOut,
    TooMuch,
}

/// Gives a child its picture and takes what it says, all at the same time.
async fn converse(
    child: &mut Child,
    picture: &mut (dyn AsyncRead + Send + Unpin),
) -> Result<Run, ExtractionError> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(mut stderr)) = pipes else {
        return Err(ExtractionError::Ocr { why: "a pipe is missing".to_owned() });
    };
    let (mut output, mut last_words) = (Vec::new(), Vec::new());
    let giving = async {
        let mut piece = vec![0; 64 << 10];
        loop {
            let count = picture.read(&mut piece).await.map_err(Breach::Source)?;
            // A program that has seen enough closes its end, which is no fault of ours.
            if count == 0 || stdin.write_all(&piece[..count]).await.is_err() {
                break;
            }
        }
        drop(stdin);
        Ok(())
    };
    let taking = async {
        let taken = stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output).await;
        if taken.is_ok_and(|length| length as u64 <= MAX_OUTPUT) {
            Ok(())
        } else {
            Err(Breach::TooMuch)
        }
    };
    let listening = async {
        // What it says there explains a failure and is none itself.
        let _ = (&mut stderr).take(MAX_LAST_WORDS).read_to_end(&mut last_words).await;
        // What comes after is let go, and must not hold the program up.
        let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        Ok(())
    };
    let end = match tokio::try_join!(giving, taking, listening) {
        Ok(_) => {
            let status = child.wait().await;
            End::Exited(status.map_err(|error| ExtractionError::Ocr { why: error.to_string() })?)
        }
        Err(Breach::TooMuch) => End::TooMuch,
        Err(Breach::Source(source)) => {
            return Err(ExtractionError::Source { name: String::new(), source });
        }
    };
    Ok(Run { end, output, last_words })
}

/// What ends a conversation early.
enum Breach {
    Source(io::Error),
    TooMuch,
}

/// A white picture.
fn empty_page() -> Vec<u8> {
    const SIDE: usize = 64;
    let mut page = format!("P5\n{SIDE} {SIDE}\n255\n").into_bytes();
    page.resize(page.len() + SIDE * SIDE, u8::MAX);
    page
}

/// The version in what the program says of itself above a page.
fn version_in(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("'tesseract ")?;
    let version = rest.split('\'').next()?;
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (version.len() < 40 && version.chars().all(sound)).then_some(version)
}

/// True for the name of a language pack; it becomes part of a command line.
fn is_language(name: &str) -> bool {
    let parts = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/');
    !name.is_empty() && name.len() < 40 && name.chars().all(parts)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last thing a program said, short and on one line.
fn last_line(words: &[u8]) -> String {
    let words = shown(words);
    let line = words.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = line.unwrap_or("no reason given");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
