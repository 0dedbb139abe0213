//! `tagalong trust`
//!
//! - [`update`]: `tagalong trust update`

pub mod update;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::error::CliError;

/// Keep the trusted root of Sigstore up to date
///
/// Policies with `signed` verify signatures by what a trusted root names: certificate authorities, transparency logs and
/// timestamp authorities. The agent reads it from a file and never fetches a new one.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong trust update --file /etc/tagalong/trusted_root.json")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Update(update::Arguments),
}

/// Runs it.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    match arguments.action {
        Action::Update(arguments) => update::run(arguments).await,
    }
}
