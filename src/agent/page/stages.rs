//! The board of stages on the status page: a row for each release, a column for each stage.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::agent::snapshot::Snapshot;
use crate::cycle::stages::status::{self, CellStatus, NextStatus};

use super::parts::{first, number, optional, shortened, time};

/// The most releases that are shown.
const RELEASES: usize = 50;
/// The most stages that are shown.
const STAGES: usize = 20;
/// The most conditions that are shown of a release, and the most notices.
const DETAILS: usize = 5;

/// Renders the board, or nothing without stages.
pub fn section(snapshot: &Snapshot) -> Markup {
    let report = &snapshot.status.stages;
    let (broken, more_broken) = first(&report.concerns.broken_glass, DETAILS);
    html! {
        @if !report.board.is_empty() {
            section aria-labelledby="stages" {
                h2 #stages { "Stages" }
                @for glass in broken {
                    div .notice.bad {
                        h3 { "The glass of " (glass.stage) " was broken" }
                        p { (shortened(&glass.to_string())) }
                    }
                }
                @if more_broken > 0 {
                    p { "and " (number(more_broken)) " more: " code { "tagalong audit" } " lists them all." }
                }
                (table(&report.board, snapshot.status.done.as_ref().map(|done| done.at)))
            }
        }
    }
}

fn table(board: &[CellStatus], now: Option<Timestamp>) -> Markup {
    let (stages, releases) = status::table(board);
    let mut rows: Vec<(&str, Vec<&CellStatus>)> = releases.into_iter().collect();
    rows.sort_by_key(|(name, cells)| (cells.iter().map(|cell| urgency(cell)).min(), *name));
    let ((shown, more_stages), (rows, more_rows)) = (first(&stages, STAGES), first(&rows, RELEASES));
    html! {
        div .scroll role="region" tabindex="0" aria-labelledby="board" {
            table {
                caption #board {
                    span { "What each stage holds, since when, and what comes next" }
                }
                thead {
                    tr {
                        th scope="col" { "Release" }
                        @for stage in shown { th scope="col" { (stage) } }
                    }
                }
                tbody {
                    @for (name, cells) in rows {
                        tr {
                            th scope="row" { code { (shortened(name)) } }
                            @for stage in shown {
                                td .cell { (cell(cells.iter().find(|cell| cell.stage == **stage), now)) }
                            }
                        }
                    }
                }
            }
        }
        @if more_rows + more_stages > 0 {
            p {
                @if more_rows > 0 { "and " (number(more_rows)) " more releases " }
                @if more_stages > 0 { "and " (number(more_stages)) " more stages " }
                "in " code { "tagalong stages" }
            }
        }
    }
}

/// Releases that need somebody come first, then those that only wait.
fn urgency(cell: &CellStatus) -> u8 {
    match &cell.next {
        Some(next) if next.waits.iter().any(|wait| !matches!(wait.gate.as_str(), "soak" | "window")) => 0,
        Some(_) => 1,
        None => 2,
    }
}

fn cell(cell: Option<&&CellStatus>, now: Option<Timestamp>) -> Markup {
    html! {
        @match cell {
            None => (optional(None)),
            Some(cell) => {
                p {
                    code { (cell.version()) }
                    @if let Some((age, since)) = now.and_then(|now| cell.age(now)).zip(cell.since) {
                        " for " (age) ", since " (time(since))
                    }
                }
                @if let Some(next) = &cell.next { (coming(next)) }
            },
        }
    }
}

/// What comes next, and what it waits for.
fn coming(next: &NextStatus) -> Markup {
    let (waits, more) = first(&next.waits, DETAILS);
    html! {
        p { "next: " code { (next.short()) } @if waits.is_empty() { ", in the next cycle" } }
        @if !waits.is_empty() {
            ul {
                @for wait in waits { li { (shortened(&wait.detail)) } }
                @if more > 0 { li { "and " (number(more)) " more" } }
            }
        }
    }
}
