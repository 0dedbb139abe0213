//! `tagalong demo`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::report::FileChange;
use crate::demo::screen::Screen;
use crate::demo::{stages_story, story};

use super::error::CliError;
use super::output;

/// Show the whole loop on an embedded registry and a temporary repository
///
/// Creates a small infrastructure repository with three apps, pushes images to a registry inside this process, runs the
/// agent's cycle, and shows each commit as a diff; then it loses a race on purpose and wins the next one. Nothing outside a
/// temporary folder is touched, and no network is needed.
///
/// With --stages, it plays a promotion from beta to live instead: a release soaks, is approved with a signature, waits for a
/// deployment window, and enters. This takes about ten seconds, because it really waits.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tagalong demo\n  tagalong demo --stages")]
pub struct Arguments {
    /// Keep the temporary folder with the repository, to look around in it
    #[arg(long)]
    keep: bool,

    /// Show stages: a release that moves from beta to live
    #[arg(long)]
    stages: bool,
}

/// Plays the demo.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let diff = |changes: &[FileChange]| output::print(&output::diff(changes));
    let screen = Screen { print: &output::print, diff: &diff };
    if arguments.stages {
        stages_story::play(arguments.keep, &screen).await?;
    } else {
        story::play(arguments.keep, &screen).await?;
    }
    Ok(ExitCode::SUCCESS)
}
