//! The bytes between the two ends.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    failure::{Failure, Result, io_reason},
    reach::{Input, Output},
};

/// How much is read at once.
const READ: usize = 64 * 1024;

/// Both directions, and what was read ahead.
pub(super) struct Wire {
    input: Input,
    output: Output,
    buffer: Vec<u8>,
    /// What of the buffer was read and not taken.
    from: usize,
    to: usize,
}

impl Wire {
    pub(super) fn new(input: Input, output: Output) -> Self {
        Self { input, output, buffer: vec![0; READ], from: 0, to: 0 }
    }

    /// Standard input and output.
    pub(super) fn standard() -> Self {
        Self::new(Box::new(tokio::io::stdin()), Box::new(tokio::io::stdout()))
    }

    /// What was read and not taken yet; if that is nothing, reads. Empty at the end.
    pub(super) async fn read(&mut self) -> Result<&[u8]> {
        if self.from >= self.to {
            let read = self.input.read(&mut self.buffer).await.map_err(|e| lost(&e))?;
            (self.from, self.to) = (0, read);
        }
        Ok(self.buffer.get(self.from..self.to).unwrap_or_default())
    }

    /// Takes so many bytes of what was read.
    pub(super) fn take(&mut self, bytes: usize) {
        self.from = self.from.saturating_add(bytes).min(self.to);
    }

    /// Sends.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.output.write_all(bytes).await.map_err(|e| lost(&e))?;
        self.output.flush().await.map_err(|e| lost(&e))
    }

    /// Says to the other side why this one ends.
    pub(super) async fn give_up(&mut self, why: &str) {
        let line = format!("\u{2}{}\n", why.replace('\n', " "));
        // There is nobody else to tell.
        self.write(line.as_bytes()).await.ok();
    }
}

fn lost(error: &io::Error) -> Failure {
    Failure::new(format_args!("the other side is gone: {}", io_reason(error)))
}
