//! `tagalong rollback`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::operations::roll_back::RollBack;
use crate::cycle::operations::terms::{Attribution, Mode};
use crate::image::{Repository, Tag};

use super::arguments::{ActorArguments, GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output;

/// Go back to the tag before, and hold the one that is left
///
/// Every field of the image goes back to what it held before, as the history of the branch says, or to the tag that is
/// named. The tag that it leaves is held: automation passes it over, until a newer one appears or `tagalong resume`
/// releases it. The image has to be whole in its registry, and the secrets beside it have to decrypt.
///
/// `git revert`, a forge's revert button and a hand edit have the same effect: what counts is what happened to the field.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong rollback ghcr.io/org/app --reason 'errors at checkout'\n  tagalong rollback ghcr.io/org/app --to 1a2b3c4 --path 'apps/prod/**' --reason 'errors at checkout'"
)]
pub struct Arguments {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Go to this tag instead of the one before
    #[arg(long, value_name = "TAG")]
    to: Option<String>,

    /// Why; stands in the commit
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    actor: ActorArguments,

    #[command(flatten)]
    git: GitArguments,

    /// Print the diff that would be committed; change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArguments,
}

/// Goes back.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let target = super::hold::target(&arguments.image)?;
    if !target.version.is_empty() {
        let tag = target.version.to_string();
        return Err(CliError::RollbackFrom { image: target.image, tag });
    }
    let image: Repository = target.image;
    let to: Option<Tag> = arguments
        .to
        .as_deref()
        .map(|text| text.parse().map_err(|source| CliError::Tag { text: text.to_owned(), source }))
        .transpose()?;
    let by = Attribution { actor: arguments.actor.name(), reason: Some(arguments.reason.clone()) };
    let config = connect::configuration(&arguments.git)?;
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Push };
    let operation = RollBack { image, to, by };
    let report = connect::engine(&config)?.run(&operation, mode).await?;
    output::finish(&report, mode, &output::commit(&report), arguments.output.output)
}
