//! `tagalong history --figures`: how often and how fast versions are deployed and taken back, as text and as CSV.

use crate::plan::figures::{Durations, Figures};
use crate::text::duration;

use super::error::CliError;
use super::table::{Cell, Column, Table};

/// Returns the figures of the whole time for people.
pub fn text(figures: &Figures) -> String {
    let Figures { deployments, deployments_per_week, lead_time, taken_back, time_to_restore, .. } = figures;
    let rate = figures.change_failure_rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    let since = figures.since.strftime("%Y-%m-%d %H:%M");
    format!(
        "since {since} UTC\n\n\
         deployments      {deployments}, {deployments_per_week:.1} a week\n\
         lead time        {}\n\
         failure rate     {rate}, {taken_back} taken back\n\
         time to restore  {}\n\n",
        durations(lead_time, " from build to commit"),
        durations(time_to_restore, ""),
    )
}

/// Returns the figures of each week.
pub fn table(figures: &Figures) -> Table {
    let mut table = Table::new(["WEEK", "DEPLOYMENTS", "TAKEN BACK", "LEAD TIME"].map(Column::word).into());
    for week in &figures.weeks {
        let lead = week.lead_time_seconds.map_or_else(|| "-".to_owned(), duration);
        let cells = [week.week.to_string(), week.deployments.to_string(), week.taken_back.to_string(), lead];
        table.add(cells.map(Cell::from).into());
    }
    table
}

fn durations(all: &Durations, of_what: &str) -> String {
    let Durations { median_seconds: Some(median), p90_seconds: Some(most), known, unknown } = *all else {
        return "-".to_owned();
    };
    let recorded = if unknown > 0 { format!(" ({known} of {} recorded)", known + unknown) } else { String::new() };
    format!("{} in the median, {} for nine of ten{of_what}{recorded}", duration(median), duration(most))
}

/// Returns the weeks for spreadsheets.
pub fn csv(figures: &Figures) -> Result<String, CliError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| CliError::Stdout(error.into());
    writer.write_record(["week", "deployments", "takenBack", "leadTimeSeconds"]).map_err(failed)?;
    for week in &figures.weeks {
        let lead = week.lead_time_seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
        let counts = [week.week.to_string(), week.deployments.to_string(), week.taken_back.to_string(), lead];
        writer.write_record(counts).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| CliError::Stdout(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
