//! The board of stages: a row for each release, a column for each stage. Each cell has the version, its age, and what comes
//! next and waits for what.

use maud::{Markup, html};

use crate::agent::board::BoardRow;
use crate::agent::query::{Query, QueryError, Sizes};
use crate::cycle::stages::status::{CellStatus, NextStatus};
use crate::stage::name::Name;

use super::controls;
use super::images::invalid;
use super::layout::{Tab, page};
use super::moves::release;
use super::parts::{self, number, optional, pill, time, version};
use super::view::View;
use super::waiting::{conditions, gate};

/// The number of releases on a page.
pub const SIZES: Sizes = Sizes { default: 50, most: 50 };

/// The maximum number of stages that are shown at once.
const STAGES: usize = 20;

/// Renders the page with the releases that a query asks for.
pub fn stages(view: &View, asked: &Result<Query, QueryError>) -> Markup {
    let query = asked.clone().unwrap_or_else(|_| Query::all(SIZES));
    let board = &view.snapshot.status.stages;
    let (rows, total, pages) = board.select(&query);
    let main = html! {
        section #stages aria-labelledby="stages-title" {
            h1 #stages-title { "Stages" }
            @if board.stages.is_empty() {
                p { "No stages are configured, or no cycle has finished yet." }
            } @else {
                (controls::short_filter(&query, &board.stages, "Releases", "Release or tag"))
                @if let Err(error) = asked { (invalid(error)) }
                @if rows.is_empty() {
                    p { "No releases match. " a href="?" { "Show all releases" } }
                } @else {
                    p #range { (number(total)) @if total == 1 { " release" } @else { " releases" } @if query.is_narrow() { " that match" } @if total > 1 { ", those that wait for somebody first" } }
                    (table(view, &rows, &query))
                    (controls::pages(&query, pages, "stages"))
                }
            }
        }
    };
    page(view, Tab::Stages, "Stages", &main)
}

/// Roles are explicit, because a phone shows rows as cards, and browsers then no longer treat them as a table.
fn table(view: &View, rows: &[&BoardRow], query: &Query) -> Markup {
    let board = &view.snapshot.status.stages;
    let is_shown = |stage: &Name| query.stage.is_empty() || stage.as_str() == query.stage;
    let columns: Vec<(usize, &Name)> =
        board.stages.iter().enumerate().filter(|(_, stage)| is_shown(stage)).take(STAGES).collect();
    html! {
        div .scroll role="region" tabindex="0" aria-label="Board of stages" {
            table .board role="table" {
                thead role="rowgroup" {
                    tr role="row" {
                        th scope="col" role="columnheader" { "Release" }
                        @for (_, stage) in &columns { th scope="col" role="columnheader" { (stage) } }
                    }
                }
                tbody role="rowgroup" {
                    @for row in rows {
                        @let cells: Vec<Option<&CellStatus>> = board.cells(row).collect();
                        tr role="row" {
                            th scope="row" role="rowheader" { (release(&row.release, view)) }
                            @for (at, stage) in &columns {
                                td role="cell" .empty[cells[*at].is_none()] {
                                    span .label aria-hidden="true" { (stage) }
                                    (cell(cells[*at], view))
                                }
                            }
                        }
                    }
                }
            }
        }
        @if query.stage.is_empty() && board.stages.len() > columns.len() {
            p { "and " (number(board.stages.len() - columns.len())) " more stages: select one of them above" }
        }
    }
}

fn cell(cell: Option<&CellStatus>, view: &View) -> Markup {
    html! {
        @match cell {
            None => (optional(None)),
            Some(cell) => {
                p .held {
                    @match &cell.tag { Some(tag) => (version(tag.as_str())), None => (cell.version()) }
                    @if let Some(since) = cell.since { " " span .age { "since " (time(since, view.now)) } }
                }
                @if let Some(next) = &cell.next { (coming(cell, next, view)) }
            },
        }
    }
}

/// What comes next, and what it waits for.
fn coming(cell: &CellStatus, next: &NextStatus, view: &View) -> Markup {
    let has_failed = next.waits.iter().any(|wait| wait.has_failed);
    html! {
        div .next {
            p {
                "next " (parts::coming(next)) " "
                @match next.waits.first() {
                    None => (pill("next cycle", "busy")),
                    Some(_) if has_failed => (pill("check failed", "bad")),
                    Some(wait) => (pill(gate(&wait.gate), "wait")),
                }
            }
            (conditions(cell, view))
        }
    }
}
