//! A sink that keeps blocks and lists children, for readers of a single file.
//!
//! Called by: `cli` (`cairn extract`). Talks to: nothing.
//! Invariants: bodies of children are counted, not kept.

use std::io::{self, Read};

use super::ExtractSink;
use crate::types::{Block, ChildHeader};

/// Keeps what an extraction finds.
#[derive(Debug, Default)]
pub struct Collector {
    /// Blocks in reading order; they belong into the document that `extract` returns.
    pub blocks: Vec<Block>,
    /// Files found inside, with their size in bytes.
    pub children: Vec<(ChildHeader, u64)>,
}

impl ExtractSink for Collector {
    fn block(&mut self, block: Block) -> io::Result<()> {
        self.blocks.push(block);
        Ok(())
    }

    fn child(&mut self, header: &ChildHeader, body: &mut dyn Read) -> io::Result<()> {
        let size = io::copy(body, &mut io::sink())?;
        self.children.push((header.clone(), size));
        Ok(())
    }
}
