//! `tagalong acknowledge`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::operations::acknowledge::Acknowledge;
use crate::stage::name::Name;

use super::approve::SignedArguments;
use super::error::CliError;

/// Acknowledge that gates of a stage were skipped
///
/// A stage whose gates were skipped stays marked until somebody else has looked at it. Writes a commit that changes no file
/// and records who that was. If `trust.approvers` or `trust.breakGlass` lists any keys, it has to be signed with one of them;
/// otherwise the name is recorded as it is given. Prints the commit's SHA.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong acknowledge live --reason 'the fix was reviewed afterwards'")]
pub struct Arguments {
    /// Stage whose gates were skipped
    #[arg(value_name = "STAGE")]
    stage: Name,

    #[command(flatten)]
    signed: SignedArguments,
}

/// Acknowledges.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let Arguments { stage, signed } = arguments;
    let by = signed.attribution();
    signed.push(&Acknowledge { stage, by }).await
}
