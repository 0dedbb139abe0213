//! `tagalong rollback`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::operations::roll_back::RollBack;
use crate::cycle::operations::terms::{Attribution, Mode};
use crate::image::chart::tag_of;
use crate::image::{Repository, Tag};
use crate::stage::name::Name;

use super::arguments::{ActorArguments, GitArguments, OutputArguments, reason};
use super::connect;
use super::error::CliError;
use super::outcome;
use super::output::{self, Format};

/// Roll an image back to its previous tag, and hold the tag that it leaves
///
/// Every field of the image returns to its previous version in the history of the branch, or to the given tag. The tag that
/// it leaves is held: automation skips it until a newer one appears or `tagalong resume` releases it. The image must be
/// complete in its registry, and the secrets next to it must decrypt.
///
/// `git revert`, a forge's revert button and a manual edit have the same effect: what counts is what happened to the field.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong rollback ghcr.io/org/app --reason 'errors at checkout'\n  tagalong rollback ghcr.io/org/app --to 1a2b3c4 --path 'apps/prod/**' --reason 'errors at checkout'"
)]
pub struct Arguments {
    /// Image to roll back
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Go to this tag instead of the previous one
    #[arg(long, value_name = "TAG")]
    to: Option<String>,

    /// Roll back in this stage only; required if the image is in several
    #[arg(long, value_name = "STAGE")]
    stage: Option<Name>,

    /// Reason, recorded in the commit
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,

    #[command(flatten)]
    actor: ActorArguments,

    #[command(flatten)]
    git: GitArguments,

    /// Print the diff that would be committed, without changing anything
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArguments,
}

/// Rolls back.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let target = super::hold::target(&arguments.image)?;
    if !target.version.is_empty() {
        let version = target.version.to_string();
        return Err(CliError::RollbackVersion { image: target.image, version });
    }
    let image: Repository = target.image;
    let to: Option<Tag> = arguments
        .to
        .as_deref()
        .map(|text| {
            let tag = if image.is_chart() { tag_of(text) } else { text.parse() };
            tag.map_err(|source| CliError::Tag { text: text.to_owned(), source })
        })
        .transpose()?;
    let by = Attribution { actor: arguments.actor.name(), reason: Some(arguments.reason.clone()) };
    let config = connect::configuration(&arguments.git)?;
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Push };
    let operation = RollBack { image, to, stage: arguments.stage, by };
    let report = connect::engine(&config)?.run(&operation, mode).await?;
    let code = output::finish(&report, mode, &output::commit(&report), arguments.output.output)?;
    if arguments.output.output == Format::Text {
        outcome::tell_rolled_back(&report, mode);
    }
    Ok(code)
}
