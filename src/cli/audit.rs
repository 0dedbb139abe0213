//! `tagalong audit`

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use crate::cycle::replay;
use crate::fault::Fault;
use crate::plan::audit::Audit;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::history;
use super::output::{self, Format, safe};

/// List every move into a stage that lacks the proof which the stage requires
///
/// Replays the history of the branch: each move into a stage with `from` has to have been in a stage before, for as long as
/// `soak` says, with its checks and approvals, while its windows were open. Versions that a stage held before may return. A
/// clone is enough, and no registry or forge is queried.
///
/// Exits with 3 if a move lacks something.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tagalong audit\n  tagalong audit --since 2026-11-01 --output json")]
pub struct Arguments {
    /// Audit the moves since this time only, for example 2026-11-01 or 2026-11-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = history::time)]
    since: Option<Timestamp>,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// Audits the branch.
pub fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let engine = connect::engine(&connect::configuration(&arguments.git)?)?;
    let replayed = replay::audit(&engine, arguments.since)?;
    replayed.notes.iter().for_each(|note| tracing::warn!("{note}"));
    match arguments.output.output {
        Format::Json => output::print_json(&replayed.found)?,
        Format::Text => output::print(&text(&replayed.found))?,
    }
    let is_proved = replayed.found.unproved.is_empty();
    Ok(if is_proved { ExitCode::SUCCESS } else { ExitCode::from(Fault::Blocked.exit_code()) })
}

fn text(audit: &Audit) -> String {
    let mut text = String::new();
    for unproved in &audit.unproved {
        let [when, stage, image, from, to, act, who, why] =
            history::row(&unproved.entry).try_into().unwrap_or_default();
        let commit: String = unproved.entry.commit.chars().take(7).collect();
        let signature = unproved.entry.signature.as_ref().map(|signature| format!(", {signature}")).unwrap_or_default();
        text.push_str(&safe(&format!(
            "{when} {stage}: {image} {from} -> {to} ({act} by {who}, commit {commit}{signature}: {why})"
        )));
        text.push('\n');
        text.extend(unproved.lacks.iter().map(|lack| format!("  lacks {}\n", safe(lack))));
    }
    let (moves, unproved) = (audit.moves, audit.unproved.len());
    text.push_str(&format!("{moves} moves into stages with `from`, {unproved} without the required proof\n"));
    text
}
