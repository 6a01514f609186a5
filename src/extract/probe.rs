//! Attempts to break out of a worker, for tests: what a file's parser would try if it were
//! taken over.
//!
//! Called by: `extract::worker`, only with the feature `fault-injection`. Talks to: the kernel.
//! Invariants: an attempt that succeeds says so, so that a test fails on it.

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::protocol::{Event, MAX_DATA, write_frame};
use crate::types::{Block, BlockKind, ChildHeader};

const PREFIX: &str = "probe-";
const HUGE: usize = 64 << 30;
const MANY_THREADS: usize = 20_000;

/// Makes the attempt that a file's name asks for; what came of it, or none for other names.
pub(super) fn attempt(name: &str) -> Option<String> {
    let what = name.rsplit('/').next()?.strip_prefix(PREFIX)?;
    Some(match what {
        "read" => outcome(File::open("/etc/passwd")),
        "list" => outcome(std::fs::read_dir("/")),
        "write" => outcome(File::create("/tmp/cairn-probe").and_then(|mut f| f.write_all(b"x"))),
        "tcp" => outcome(TcpListener::bind("127.0.0.1:0")),
        "udp" => outcome(UdpSocket::bind("127.0.0.1:0")),
        "exec" => outcome::<()>(Err(Command::new("/bin/true").exec())),
        "fork" => outcome(Command::new("/bin/true").spawn()),
        "environment" => {
            // The switch that `main` itself sets is not inherited.
            let kept = crate::native::TELEMETRY_SWITCH;
            let names = std::env::vars_os().filter(|(name, _)| name != kept).count();
            format!("{names} variables")
        }
        "descriptors" => format!("{} descriptors", open_descriptors()),
        "limits" => limits(),
        "memory" => format!("succeeded: {}", vec![1_u8; HUGE].len()),
        "hoard" => hoard(),
        "threads" => threads(),
        "abort" => std::process::abort(),
        "spin" => spin(),
        "overtime" => {
            let limit = Rlimit { current: Some(1), maximum: getrlimit(Resource::Cpu).maximum };
            match setrlimit(Resource::Cpu, limit) {
                Ok(()) => spin(),
                Err(error) => format!("succeeded: no limit on time: {error}"),
            }
        }
        "garbage" => flood(|out| out.write_all(&[0xff; 4096])),
        "chatter" => loop {
            // Nobody needs to hear it.
            let _ = std::io::stderr().write_all(&[b'x'; 4096]);
        },
        "text" => {
            let text = "endless ".repeat(1000);
            let block = Block::new(BlockKind::Paragraph, text);
            flood(|out| send(out, Event::Block(block.clone())))
        }
        "children" => flood(|out| {
            send(out, Event::ChildBegin(inside()))?;
            send(out, Event::ChildEnd)
        }),
        "body" => {
            let mut begin = Some(Event::ChildBegin(inside()));
            let data = || Event::ChildData(vec![7; MAX_DATA]);
            flood(|out| send(out, begin.take().unwrap_or_else(data)))
        }
        "sleep" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        other => match other.strip_prefix("syscall-").and_then(|number| number.parse().ok()) {
            Some(number) => match bare_call(number) {
                error @ ..0 => format!(
                    "refused: {}",
                    std::io::Error::from_raw_os_error(i32::try_from(-error).unwrap_or(0),)
                ),
                _ => "succeeded".to_owned(),
            },
            None => format!("succeeded: no attempt is called {other}"),
        },
    })
}

/// Uses up its time.
fn spin() -> ! {
    loop {
        std::hint::black_box(0);
    }
}

/// Takes memory piece by piece and writes to each, until there is none.
fn hoard() -> String {
    let mut pieces = Vec::new();
    while pieces.len() < HUGE >> 20 {
        pieces.push(vec![1_u8; 1 << 20]);
    }
    format!("succeeded: {} MiB", pieces.len())
}

/// Starts threads until no more can be had.
fn threads() -> String {
    let wait = || std::thread::sleep(Duration::from_secs(3600));
    for number in 0..MANY_THREADS {
        if let Err(error) = std::thread::Builder::new().spawn(wait) {
            return format!("refused: {error} after {number} threads");
        }
    }
    format!("succeeded: {MANY_THREADS} threads")
}

/// Writes to the parent for as long as it listens.
fn flood(mut write: impl FnMut(&mut dyn Write) -> std::io::Result<()>) -> String {
    let mut out = std::io::stdout().lock();
    loop {
        if let Err(error) = write(&mut out) {
            return format!("refused: {error}");
        }
    }
}

fn send(out: &mut dyn Write, event: Event) -> std::io::Result<()> {
    let (kind, payload) = event.encode().map_err(std::io::Error::other)?;
    write_frame(out, kind, &payload).map_err(std::io::Error::other)
}

/// The limits in force, as `name=value`.
fn limits() -> String {
    let limits = [
        ("core", Resource::Core),
        ("files", Resource::Nofile),
        ("size", Resource::Fsize),
        ("memory", Resource::As),
        ("time", Resource::Cpu),
    ];
    let values = limits.map(|(name, resource)| match getrlimit(resource).current {
        Some(most) => format!("{name}={most}"),
        None => format!("{name}=none"),
    });
    values.join(" ")
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "succeeded".to_owned(),
        Err(error) => format!("refused: {error}"),
    }
}

fn open_descriptors() -> usize {
    let is_open = |number: &i32| {
        // SAFETY: the borrowed descriptor is only asked for its flags, which fails where none is
        // open under that number.
        #[expect(
            unsafe_code,
            reason = "descriptors that nobody owns can be asked for in no other way"
        )]
        let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(*number) };
        rustix::io::fcntl_getfd(descriptor).is_ok()
    };
    (0..1024).filter(is_open).count()
}

/// A system call with no arguments; its result or negative error number.
fn bare_call(number: i64) -> i64 {
    let result: i64;
    // SAFETY: every argument is zero, so the kernel is given no address to write to.
    #[expect(unsafe_code, reason = "calls that no library makes are tried out too")]
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") 0, in("rsi") 0, in("rdx") 0, in("r10") 0, in("r8") 0, in("r9") 0,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// A file that a probe says it found.
fn inside() -> ChildHeader {
    ChildHeader {
        name: "a file inside".to_owned(),
        absolute: false,
        media_type: None,
        format: None,
        file_date: None,
    }
}
