//! `tagalong secrets`
//!
//! - [`error`]: why a SOPS file cannot be written
//! - [`pull_secret`]: `tagalong secrets pull-secret`
//! - [`rotate`]: `tagalong secrets rotate`
//! - [`verify`]: `tagalong secrets verify`

pub mod error;
pub mod pull_secret;
pub mod rotate;
pub mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::error::CliError;

/// Verify, write and rotate the SOPS files of a repository
///
/// Identities are taken from the same places as in sops, from --age-key-file, and from the configuration.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong secrets verify --dir .\n  tagalong secrets pull-secret --registry ghcr.io --name ghcr --namespace shop --file apps/shop/ghcr.yaml\n  tagalong secrets rotate --dir ."
)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Verify(verify::Arguments),
    PullSecret(pull_secret::Arguments),
    Rotate(rotate::Arguments),
}

/// Runs one of them.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    match arguments.action {
        Action::Verify(arguments) => verify::run(arguments).await,
        Action::PullSecret(arguments) => pull_secret::run(arguments).await,
        Action::Rotate(arguments) => rotate::run(arguments).await,
    }
}
