//! `tagalong sync`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::operations::follow::Follow;
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::Report;
use crate::fault::Fault;
use crate::plan::skip::{Reason, Skipped};

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::outcome;
use super::output::{self, Format};

/// Run one cycle of the agent, then exit
///
/// Moves every image field governed by a policy to the newest tag, all in one commit. With --dry-run nothing is written: the
/// diff that would be committed is printed.
///
/// Exits with 3 if a gate kept something back, and with 5 if a registry could not be reached; everything else has been
/// updated regardless.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong sync --config tagalong.yaml --dry-run")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,

    /// Print the diff that would be committed, without changing anything
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArguments,
}

/// Runs one cycle.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let engine = connect::engine(&config)?;
    let mode = match (config.agent.suspend, arguments.dry_run) {
        (true, _) => Mode::Suspended,
        (false, true) => Mode::DryRun,
        (false, false) => Mode::Push,
    };
    let report = engine.run(&Follow, mode).await?;
    for note in &report.notes {
        tracing::warn!("{note}");
    }
    match arguments.output.output {
        Format::Json => output::print_report(&report)?,
        Format::Text => output::print(&text(&report, mode))?,
    }
    Ok(ExitCode::from(exit_code(&report)))
}

fn text(report: &Report, mode: Mode) -> String {
    let text = output::summary(report);
    match (mode, report.commit) {
        (Mode::DryRun, _) if !report.changes.is_empty() => format!("{text}{}", output::diff(&report.changes)),
        (_, None) if report.updates.is_empty() => format!("{text}{}\n", outcome::nothing_moved(report)),
        _ => format!("{text}{}", output::commit(report)),
    }
}

fn exit_code(report: &Report) -> u8 {
    let fault = |skipped: &Skipped| match skipped.reason {
        Reason::BlockedImage | Reason::BlockedSignature | Reason::BlockedSecret => Some(Fault::Blocked),
        Reason::RegistryError => Some(Fault::Transient),
        _ => None,
    };
    Fault::decisive(report.skipped.iter().filter_map(fault)).map_or(0, Fault::exit_code)
}
