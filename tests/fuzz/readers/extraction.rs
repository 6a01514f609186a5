//! The parent's side of the worker protocol: what it makes of anything a worker may write.
//!
//! Called by: the target `protocol`. Talks to: `conversation.rs`, `sending.rs` and `checks.rs` of
//! `src/extraction`.
//! Invariants: bytes from a worker end in an answer or a loss, within the limits, and never in a
//! panic; a body that was cut never looks whole.

#[path = "../../../src/extraction/checks.rs"]
mod checks;
#[path = "../../../src/extraction/conversation.rs"]
#[expect(dead_code, reason = "nothing asks for parts of a file here")]
mod conversation;
#[path = "../../../src/extraction/sending.rs"]
#[expect(dead_code, reason = "the sending side has no part here")]
mod sending;

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek};

use self::conversation::Receiver;
use crate::LIMITS;
use crate::types::{ChildHeader, ExtractFailure, ExtractedDocument};

/// As in `src/extraction/mod.rs`.
pub type Extraction = Result<ExtractedDocument, ExtractFailure>;

/// As in `src/extraction/mod.rs`.
pub trait FileSource: AsyncRead + AsyncSeek + Send + Unpin {}

/// As in `src/extraction/mod.rs`.
#[async_trait]
pub trait ChildSink: Send {
    async fn child(
        &mut self,
        header: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> io::Result<()>;
}

/// Takes children in and counts them; `leave` of a body is left unread.
struct Counted {
    children: u32,
    bytes: u64,
    leave: bool,
}

#[async_trait]
impl ChildSink for Counted {
    async fn child(
        &mut self,
        header: ChildHeader,
        body: &mut (dyn AsyncRead + Send + Unpin),
    ) -> io::Result<()> {
        assert!(!header.name.is_empty() && !header.name.contains('\0'));
        assert!(!header.absolute, "a worker named a file of its own accord");
        self.children += 1;
        if !self.leave {
            let mut bytes = Vec::new();
            // How a body ends is its own matter.
            let _ = body.read_to_end(&mut bytes).await;
            assert!(bytes.len() as u64 <= LIMITS.max_child_bytes);
            self.bytes += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Receives `bytes` as the answer of a worker to one file after the other.
pub fn receive(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime without threads can be built");
    runtime.block_on(async {
        let mut input = bytes;
        let mut leave = false;
        while !input.is_empty() {
            let mut sink = Counted { children: 0, bytes: 0, leave };
            let limit = Duration::from_secs(60);
            let mut receiver = Receiver::new(&mut input, LIMITS, limit, false);
            let outcome = receiver.run(&mut sink).await;
            assert_eq!(receiver.delivered(), sink.children > 0);
            assert!(sink.children <= LIMITS.max_children && sink.bytes <= LIMITS.max_total_bytes);
            match outcome {
                Ok(Ok(document)) => {
                    let text: u64 =
                        document.blocks.iter().map(|block| block.text.len() as u64).sum();
                    assert!(text <= LIMITS.max_text_bytes, "more text than allowed");
                }
                Ok(Err(_)) => {}
                // After a loss nothing that a worker says counts.
                Err(_) => break,
            }
            leave = !leave;
        }
    });
}
