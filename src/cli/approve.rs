//! `tagalong approve`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::overrides::Overrides;
use crate::cycle::operations::approve::{Approve, Opinion};
use crate::cycle::operations::operation::Operation;
use crate::cycle::operations::terms::{Attribution, Mode};
use crate::stage::name::Name;

use super::arguments::{ActorArguments, GitArguments, OutputArguments, reason};
use super::connect;
use super::error::CliError;
use super::output;

/// Options of commands that sign what they say about a stage.
#[derive(Debug, Args)]
pub struct SignedArguments {
    /// Reason, recorded in the commit
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,

    #[command(flatten)]
    actor: ActorArguments,

    #[command(flatten)]
    git: GitArguments,

    /// SSH key that signs the commit [config: git.signing]
    #[arg(long, help_heading = "Credentials", value_name = "FILE")]
    signing_key_file: Option<PathBuf>,

    #[command(flatten)]
    output: OutputArguments,
}

/// A stage, and the reason.
#[derive(Debug, Args)]
pub struct OpinionArguments {
    /// Stage that the release may enter
    #[arg(value_name = "STAGE")]
    stage: Name,

    #[command(flatten)]
    signed: SignedArguments,
}

/// Approve a release for a stage
///
/// Writes a commit that changes no file and records the stage, the release, who approved it and why. It counts if it is
/// signed with an SSH key that `trust.approvers` lists, for exactly this release: a newer one needs its own approval. If the
/// key is not listed, nothing is pushed. Prints the commit's SHA, or `up to date` if the same person has approved it already.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tagalong approve live 3f1c0a9b5d7e2f46 --reason 'tested on paper' --signing-key-file ~/.ssh/id_ed25519"
)]
pub struct Arguments {
    #[command(flatten)]
    approval: OpinionArguments,

    /// Tag of the release, its ID, or at least seven digits of that [default: the one that waits for an approval]
    #[arg(value_name = "RELEASE")]
    release: Option<String>,
}

/// Approves.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    arguments.approval.push(Opinion::Approve, arguments.release).await
}

impl OpinionArguments {
    /// Carries it out.
    pub async fn push(self, opinion: Opinion, release: Option<String>) -> Result<ExitCode, CliError> {
        let OpinionArguments { stage, signed } = self;
        let by = signed.attribution();
        signed.push(&Approve { opinion, stage, release, by }).await
    }
}

impl SignedArguments {
    /// Returns the person and the reason.
    pub fn attribution(&self) -> Attribution {
        Attribution { actor: self.actor.name(), reason: Some(self.reason.clone()) }
    }

    /// Carries an operation out.
    pub async fn push(&self, operation: &dyn Operation) -> Result<ExitCode, CliError> {
        let signing_key_file = self.signing_key_file.clone();
        let config = connect::configuration_from(&Overrides { signing_key_file, ..self.git.overrides() })?;
        let report = connect::engine(&config)?.run(operation, Mode::Push).await?;
        output::finish(&report, Mode::Push, &output::commit(&report), self.output.output)
    }
}
