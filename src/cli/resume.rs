//! `tagalong resume`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::operations::resume::Resume;

use super::error::CliError;
use super::hold::HoldArguments;

/// Start automation of an image again
///
/// Writes a commit that changes no file and releases every hold on the image, or on one tag of it: those of
/// `tagalong hold`, and those that a rollback, a revert or a hand edit left. Prints the commit's SHA, or `up to date` when
/// nothing is held.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong resume ghcr.io/org/app --reason 'the fix is in'")]
pub struct Arguments {
    #[command(flatten)]
    hold: HoldArguments,
}

/// Resumes.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let (target, by) = arguments.hold.request()?;
    arguments.hold.push(&Resume { target, by }).await
}
