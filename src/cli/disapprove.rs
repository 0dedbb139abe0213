//! `tagalong disapprove`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::operations::approve::Opinion;

use super::approve::OpinionArguments;
use super::error::CliError;

/// Withdraw all approvals of a release for a stage
///
/// Writes a commit that changes no file, signed with an SSH key that `trust.approvers` lists. From then on, no earlier
/// approval of the release for this stage counts, whoever gave it. What has entered the stage already stays there. Prints the
/// commit's SHA, or `up to date` if there is no approval.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong disapprove live v1.4.2 --reason 'fails the load test'")]
pub struct Arguments {
    #[command(flatten)]
    disapproval: OpinionArguments,

    /// Tag of the release, its ID, or at least seven digits of that
    #[arg(value_name = "RELEASE")]
    release: String,
}

/// Disapproves.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    arguments.disapproval.push(Opinion::Disapprove, Some(arguments.release)).await
}
