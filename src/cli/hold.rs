//! `tagalong hold`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::operations::hold::Hold;
use crate::cycle::operations::operation::Operation;
use crate::cycle::operations::terms::{Attribution, Mode};
use crate::cycle::report::Report;
use crate::image::Reference;
use crate::plan::trailer::Target;

use super::arguments::{ActorArguments, GitArguments, OutputArguments, reason};
use super::connect;
use super::error::CliError;
use super::outcome;
use super::output::{self, Format};

/// An image to hold or resume, and the reason.
#[derive(Debug, Args)]
pub struct HoldArguments {
    /// Image, or one of its tags
    #[arg(value_name = "IMAGE[:TAG]")]
    image: String,

    /// Reason, recorded in the commit
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,

    #[command(flatten)]
    actor: ActorArguments,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// Stop automatic updates of an image, or to one of its tags
///
/// Writes a commit that changes no file and records what is held, by whom and why. From then on, nothing moves a field of
/// the image, or moves one to that tag, until `tagalong resume`; `tagalong set` requires --force. Prints the commit's SHA,
/// or `up to date` if it is held already.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong hold ghcr.io/org/app --reason 'change freeze'\n  tagalong hold ghcr.io/org/app:1a2b3c4 --reason 'leaks memory'"
)]
pub struct Arguments {
    #[command(flatten)]
    hold: HoldArguments,
}

/// Holds.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let (arguments, (target, by)) = (&arguments.hold, arguments.hold.request()?);
    let report = arguments.push(&Hold { target: target.clone(), by }).await?;
    arguments.finish(&report, || outcome::tell_held(&target, &arguments.reason, &report))
}

impl HoldArguments {
    /// Parses the request.
    pub fn request(&self) -> Result<(Target, Attribution), CliError> {
        let by = Attribution { actor: self.actor.name(), reason: Some(self.reason.clone()) };
        Ok((target(&self.image)?, by))
    }

    /// Carries it out.
    pub async fn push(&self, operation: &dyn Operation) -> Result<Report, CliError> {
        let config = connect::configuration(&self.git)?;
        Ok(connect::engine(&config)?.run(operation, Mode::Push).await?)
    }

    /// Prints the result, and has people told what it means.
    pub fn finish(&self, report: &Report, tell: impl Fn()) -> Result<ExitCode, CliError> {
        let code = output::finish(report, Mode::Push, &output::commit(report), self.output.output)?;
        if self.output.output == Format::Text {
            tell();
        }
        Ok(code)
    }
}

/// Parses an argument that names an image or one of its versions.
pub fn target(text: &str) -> Result<Target, CliError> {
    let reference =
        Reference::parse_any(text).map_err(|source| CliError::Reference { text: text.to_owned(), source })?;
    Ok(Target { image: reference.repository, version: reference.version })
}
