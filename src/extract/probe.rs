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

const PREFIX: &str = "probe-";
const HUGE: usize = 64 << 30;

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
        "memory" => format!("succeeded: {}", vec![1_u8; HUGE].len()),
        "abort" => std::process::abort(),
        "spin" => loop {
            std::hint::black_box(0);
        },
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
