//! `tagalong demo`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::report::FileChange;
use crate::demo::story::{self, Screen};

use super::error::CliError;
use super::output;

/// Show the whole loop on an embedded registry and a temporary repository
///
/// Creates a small infrastructure repository with three apps, pushes images to a registry inside this process, runs the
/// agent's cycle, and shows each commit as a diff; then it loses a race on purpose and wins the next one. Nothing outside a
/// temporary folder is touched, and no network is needed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong demo")]
pub struct Arguments {
    /// Keep the temporary folder with the repository, to look around in it
    #[arg(long)]
    keep: bool,
}

/// Plays the demo.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let diff = |changes: &[FileChange]| output::print(&output::diff(changes));
    story::play(arguments.keep, &Screen { print: &output::print, diff: &diff }).await?;
    Ok(ExitCode::SUCCESS)
}
