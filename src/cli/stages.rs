//! `tagalong stages`

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use crate::clock;
use crate::cycle::queries;
use crate::cycle::stages::status::{self, CellStatus, NextStatus};
use crate::stage::name::Name;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output::{self, Format, safe};
use super::table::{Cell, Column, NOTHING, Table};
use super::terminal;

/// Show what each stage holds, and what comes next
///
/// One row for each release and stage: its version, since when it has been there, which release comes next, and what that
/// one waits for. Nothing is written.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong stages --config tagalong.yaml")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// Shows the board.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let engine = connect::engine(&config)?;
    let board = queries::board(&engine).await?;
    match arguments.output.output {
        Format::Json => output::print_json(&board)?,
        Format::Text => output::print(&text(&board, clock::now()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(board: &[CellStatus], now: Timestamp) -> String {
    if board.is_empty() {
        return "no stage has an image field; see `stages` in the configuration\n".to_owned();
    }
    let (stages, releases) = status::table(board);
    let names = stages.iter().map(|stage| stage.as_str().to_uppercase());
    let all: Vec<&str> = releases.keys().copied().collect();
    let mut table = Table::new(std::iter::once(Column::name("RELEASE")).chain(names.map(Column::word)).collect());
    for (release, cells) in &releases {
        let held = |stage: &&Name| cells.iter().find(|cell| cell.stage == **stage).map(|cell| held(cell, now));
        let cells = stages.iter().map(|stage| Cell::from(held(stage).unwrap_or_else(|| NOTHING.to_owned())));
        table.add(std::iter::once(Cell::from(short(release, &all))).chain(cells).collect());
    }
    let mut text = table.render(terminal::width());
    let next = board.iter().filter_map(|cell| Some((cell, cell.next.as_ref()?)));
    let lines: String = next
        .map(|(cell, next)| format!("{}: {}: {}\n", safe(short(&cell.release, &all)), cell.stage, coming(next)))
        .collect();
    if !lines.is_empty() {
        text.push('\n');
        text.push_str(&lines);
    }
    text
}

/// Returns the last part of a release's name, if no other one ends alike: most releases are named by their image.
fn short<'r>(release: &'r str, all: &[&str]) -> &'r str {
    let last = |name: &'r str| name.rsplit('/').next().unwrap_or(name);
    let alike = all.iter().filter(|other| other.rsplit('/').next() == Some(last(release)));
    if alike.count() > 1 { release } else { last(release) }
}

/// Returns the version that a stage holds, and how long it has.
fn held(cell: &CellStatus, now: Timestamp) -> String {
    let since = cell.age(now).map(|age| format!(" ({age})")).unwrap_or_default();
    format!("{}{since}", cell.version())
}

/// Returns which release comes next, and what it waits for.
fn coming(next: &NextStatus) -> String {
    let waits: Vec<&str> = next.waits.iter().map(|wait| wait.detail.as_str()).collect();
    let state = if waits.is_empty() { "enters in the next cycle".to_owned() } else { waits.join("; ") };
    safe(&format!("{} {state}", next.short()))
}
