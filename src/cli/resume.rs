//! `tagalong resume`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::operations::resume::Resume;

use super::error::CliError;
use super::hold::HoldArguments;
use super::outcome;

/// Resume automatic updates of an image, or to one of its tags
///
/// Writes a commit that changes no file and releases every hold on the image, or on one of its tags, including those left by
/// a rollback, a revert or a manual edit. Prints the commit's SHA, or `up to date` if nothing is held.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong resume ghcr.io/org/app --reason 'the fix is in'")]
pub struct Arguments {
    #[command(flatten)]
    hold: HoldArguments,
}

/// Resumes.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let (target, by) = arguments.hold.request()?;
    let report = arguments.hold.push(&Resume { target: target.clone(), by }).await?;
    arguments.hold.finish(&report, || outcome::tell_resumed(&target, &report))
}
