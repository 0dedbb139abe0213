//! What waits for something that somebody has decided: for what, and until when.

use maud::{Markup, html};

use crate::agent::query::WAITING;
use crate::agent::row::Row;
use crate::cycle::stages::status::{CellStatus, WaitStatus};
use crate::cycle::status::{FieldVersion, State, StatusReason};

use super::moves::release;
use super::parts::{self, command, counted, pill, prose, time};
use super::remedy::remedy;
use super::view::View;

/// The maximum number of rows.
const MOST: usize = 15;
/// The maximum number of conditions of a release.
const CONDITIONS: usize = 5;

/// Renders what waits, or nothing if nothing does.
pub fn section(view: &View) -> Markup {
    let board = &view.snapshot.status.stages;
    let releases: Vec<&CellStatus> = board.waiting().map(|(cell, _)| cell).filter(|cell| !has_failed(cell)).collect();
    let images: Vec<&Row> = view.snapshot.status.images.in_states(&WAITING).filter(|row| !is_on_board(row)).collect();
    let (shown, left_out) = parts::first(&releases, MOST);
    let (other, more) = parts::first(&images, MOST - shown.len());
    html! {
        @if !releases.is_empty() || !images.is_empty() {
            section #waiting aria-labelledby="waiting-title" {
                h2 #waiting-title { "Waiting" }
                ul .rows {
                    @for cell in shown { (waiting_release(cell, view)) }
                    @for row in other { (image(row, view)) }
                }
                @if left_out > 0 { p { a href={ (view.root) "stages" } { "All stages" } ": " (counted(left_out, "more release")) "." } }
                @if more > 0 {
                    p { a href={ (view.home()) "?state=waiting#images" } { "All images that wait" } ": " (counted(more, "more image")) "." }
                }
            }
        }
    }
}

/// A failed check needs attention, and is shown there.
fn has_failed(cell: &CellStatus) -> bool {
    cell.next.iter().flat_map(|next| &next.waits).any(|wait| wait.has_failed)
}

/// Returns whether the board of stages shows why an image waits.
fn is_on_board(row: &Row) -> bool {
    let is_it = |why: &&StatusReason| State::from(why.reason) == row.status.state;
    let Some(why) = row.status.reasons.iter().find(is_it) else { return false };
    let is_field = |place: &&FieldVersion| {
        why.field.as_ref().is_some_and(|field| field.file == place.file && field.path == place.path)
    };
    row.status.current.iter().find(is_field).is_some_and(|place| place.stage.is_some())
}

fn waiting_release(cell: &CellStatus, view: &View) -> Markup {
    let Some(next) = &cell.next else { return html! {} };
    let kind = next.waits.first().map_or("", |wait| wait.gate.as_str());
    html! {
        li .item {
            div .subject { (release(&cell.release, view)) " " (parts::coming(next)) " for " strong { (cell.stage) } }
            div .is { (pill(gate(kind), "wait")) }
            div .text { (conditions(cell, view)) }
        }
    }
}

/// Renders what a release waits for, with what helps.
pub fn conditions(cell: &CellStatus, view: &View) -> Markup {
    let Some(next) = &cell.next else { return html! {} };
    let (waits, more) = parts::first(&next.waits, CONDITIONS);
    html! {
        @for wait in waits {
            p {
                (prose(&wait.detail))
                @if let Some(until) = wait.until { ", " (time(until, view.now)) }
            }
            @if let Some(line) = order(cell, wait, &next.short()) { p .remedy { "Approve it: " (command(&line)) } }
        }
        @if more > 0 { p { "and " (counted(more, "more condition")) } }
    }
}

/// Returns the command that gives an approval, unless that is done at the forge.
fn order(cell: &CellStatus, wait: &WaitStatus, version: &str) -> Option<String> {
    let is_by_command = wait.gate == "approval" && wait.detail.contains(" by signature ");
    is_by_command.then(|| format!("tagalong approve {} {version} --reason \"WHY\"", cell.stage))
}

/// Returns the text for a gate.
pub fn gate(gate: &str) -> &str {
    match gate {
        "soak" => "soaking",
        "check" => "waiting for checks",
        "window" => "window closed",
        "approval" => "waiting for approval",
        "image" => "image not known",
        other => other,
    }
}

fn image(row: &Row, view: &View) -> Markup {
    let status = &row.status;
    let is_it = |why: &&StatusReason| State::from(why.reason) == status.state;
    let why = status.reasons.iter().find(is_it).map(|why| why.detail.as_str());
    let hold = status.holds.first().filter(|_| why.is_none());
    html! {
        li .item {
            div .subject { (parts::image(&status.image, &view.root)) }
            div .is { (parts::state(status.state)) }
            div .text {
                p {
                    @if let Some(why) = why { (prose(why)) }
                    @if let Some(hold) = hold { "held by " (prose(&hold.by)) ": " (prose(&hold.reason)) }
                }
                p .remedy { (remedy(status.state, status.image.as_str())) }
            }
            div .when { (time(row.since, view.now)) }
        }
    }
}
