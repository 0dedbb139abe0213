//! Shows something again and again, in place, until Ctrl-C.

use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use crate::fault::{Explain, Fault};

use super::error::{self, CliError};
use super::output;

/// Goes to the first line of the terminal, and clears it and what scrolled off it.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J\x1b[3J";

/// Shows a text at an interval, until Ctrl-C. Errors that pass by themselves are shown in its place; others end it.
pub async fn every(interval: Duration, text: impl AsyncFn() -> Result<String, CliError>) -> Result<ExitCode, CliError> {
    if !stdout().is_terminal() {
        return Err(CliError::WatchNeedsTerminal);
    }
    loop {
        let next = async {
            let shown = text().await;
            // What was shown last stays until there is something to replace it.
            stdout().write_all(CLEAR).map_err(CliError::Stdout)?;
            match shown {
                Err(error) if error.fault() == Fault::Transient => drop(error::report(&error)),
                shown => output::print(&shown?)?,
            }
            tokio::time::sleep(interval).await;
            Ok::<(), CliError>(())
        };
        tokio::select! {
            ended = next => ended?,
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        }
    }
}
