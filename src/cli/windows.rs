//! `tagalong windows`

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::clock;
use crate::cycle::queries;
use crate::window::schedule::{Schedule, State};

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output::{self, Format};
use super::table::{self, Cell, Column, GOOD, Table, WAITING};

/// Show which deployment windows are open, and what comes next
///
/// The first line of each window shows whether it is open, and the rule that decides: a weekly period, an event of its
/// calendar, or the calendar's end. The lines below show its next changes. Times are those of the window's time zone, and
/// UTC. Windows come from the own configuration and from `tagalong.yaml` in the repository, calendars from the tip of the
/// branch. Queries the git server, and changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong windows\n  tagalong windows --at 2026-11-27T18:00:00Z --next 5\n  tagalong windows --output json"
)]
pub struct Arguments {
    /// Time to look at instead of now, for example 2026-11-27T18:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,

    /// Number of changes to show for each window
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(..=1000))]
    next: u16,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// A window at some time, as scripts rely on it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowJson {
    window: String,
    time_zone: String,
    #[serde(flatten)]
    now: StateJson,
    until: Option<Timestamp>,
    warning: Option<String>,
    next: Vec<StateJson>,
}

/// The state of a window from some time on.
#[derive(Serialize)]
struct StateJson {
    at: Timestamp,
    local: String,
    open: bool,
    rule: Option<String>,
    #[serde(skip)]
    shown: String,
}

/// Shows all windows.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let schedules = queries::schedules(&connect::engine(&config)?)?;
    let at = arguments.at.unwrap_or_else(clock::now);
    let windows: Vec<WindowJson> =
        schedules.iter().map(|schedule| window(schedule, at, usize::from(arguments.next))).collect();
    for warning in windows.iter().filter_map(|window| window.warning.as_ref()) {
        tracing::warn!("{warning}");
    }
    match arguments.output.output {
        Format::Json => output::print_json(&windows)?,
        Format::Text if windows.is_empty() => output::print("no windows are defined\n")?,
        Format::Text => table::print(&table(&windows), "")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn window(schedule: &Schedule, at: Timestamp, next: usize) -> WindowJson {
    let zone = schedule.zone();
    let now = schedule.state_at(at);
    let changes = schedule.changes(at, next).into_iter();
    WindowJson {
        window: schedule.name().to_owned(),
        time_zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        until: now.until,
        warning: now.warning.clone(),
        now: state(at, now, zone),
        next: changes.map(|(at, state_then)| state(at, state_then, zone)).collect(),
    }
}

fn state(at: Timestamp, state: State, zone: &TimeZone) -> StateJson {
    StateJson {
        at,
        local: at.display_with_offset(zone.to_offset(at)).to_string(),
        open: state.is_open(),
        rule: state.closed_by.or(state.opened_by),
        shown: at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string(),
    }
}

fn table(windows: &[WindowJson]) -> Table {
    let mut table = Table::new(vec![
        Column::word("WINDOW"),
        Column::word("FROM"),
        Column::word("UTC").rank(1),
        Column::word("STATE"),
        Column::prose("RULE"),
    ]);
    for window in windows {
        for from in std::iter::once(&window.now).chain(&window.next) {
            let (state, style, rule) =
                if from.open { ("open", GOOD, "no rule applies") } else { ("closed", WAITING, "") };
            table.add(vec![
                Cell::from(window.window.as_str()),
                Cell::from(from.shown.as_str()),
                Cell::from(from.at.to_string()),
                Cell::from(state).styled(style),
                Cell::from(from.rule.as_deref().unwrap_or(rule)),
            ]);
        }
    }
    table
}
