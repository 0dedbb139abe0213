//! What somebody has to do something about, each with its remedy.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::agent::query::ATTENTION;
use crate::agent::row::Row;
use crate::agent::status::Rollout;
use crate::cycle::stages::status::{CellStatus, WaitStatus};
use crate::cycle::status::State;
use crate::plan::broken_glass::BrokenGlass;
use crate::plan::skip::Reason;

use super::deployed;
use super::item::Item;
use super::moves::release;
use super::parts::{self, command, counted, pill, prose, time};
use super::remedy::remedy;
use super::view::View;

/// The maximum number of items that are shown.
const MOST: usize = 15;
/// The maximum number of images that are named in an item.
const IMAGES: usize = 3;

/// Returns everything that needs attention, the most urgent first.
pub fn items(view: &View) -> Vec<Item> {
    let mut items = Vec::new();
    let stages = &view.snapshot.status.stages.report;
    items.extend(stages.concerns.broken_glass.iter().map(broken_glass));
    items.extend(rollouts(view));
    items.extend(deployed::items(view));
    items.extend(failed_checks(&stages.board, view));
    items.extend(stages.concerns.incomplete.iter().map(|text| incomplete(text)));
    items.extend(images(view));
    items
}

/// Returns the number of images and stages that the items concern.
pub fn count(items: &[Item]) -> usize {
    items.iter().map(|item| item.count).sum()
}

/// Renders the items, or nothing if there are none.
pub fn section(items: &[Item], view: &View) -> Markup {
    let (shown, left_out) = parts::first(items, MOST);
    html! {
        @if !items.is_empty() {
            section #attention aria-labelledby="attention-title" {
                h2 #attention-title { "Needs attention" }
                ul .rows {
                    @for item in shown {
                        li .item {
                            div .subject { (item.subject) }
                            div .is { (item.state) }
                            div .text { p { (item.text) } p .remedy { (item.remedy) } }
                            @if let Some(since) = item.since { div .when { (time(since, view.now)) } }
                        }
                    }
                }
                @if left_out > 0 {
                    p { a href="?state=attention#images" { "All images that need attention" } ": " (counted(left_out, "more item")) "." }
                }
            }
        }
    }
}

/// Images in one state for the same reason are one item.
fn images(view: &View) -> Vec<Item> {
    let mut groups: Vec<(State, &str, Vec<&Row>)> = Vec::new();
    let mut known: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for row in view.snapshot.status.images.in_states(&ATTENTION) {
        let (state, why) = (row.status.state, why(row));
        let at = *known.entry((state.index(), why)).or_insert_with(|| {
            groups.push((state, why, Vec::new()));
            groups.len() - 1
        });
        groups[at].2.push(row);
    }
    groups.into_iter().map(|(state, why, rows)| group(state, why, &rows, view)).collect()
}

/// Returns the reason for the state of an image.
fn why(row: &Row) -> &str {
    let is_it = |reason: Reason| State::from(reason) == row.status.state;
    let mut reasons = row.status.reasons.iter();
    reasons.find(|why| is_it(why.reason)).or(row.status.reasons.first()).map_or("", |why| why.detail.as_str())
}

fn group(state: State, why: &str, rows: &[&Row], view: &View) -> Item {
    let (named, others) = parts::first(rows, IMAGES);
    let image = rows.first().map(|row| row.status.image.as_str()).unwrap_or_default();
    let all = format!("{}?state={}#images", view.home(), state.name());
    Item {
        subject: html! {
            @for row in named { div { (parts::image(&row.status.image, &view.root)) } }
            @if others > 0 { div { a href=(all) { "and " (parts::number(others)) " more" } } }
        },
        state: parts::state(state),
        text: prose(why),
        remedy: remedy(state, image),
        since: rows.iter().map(|row| row.since).min(),
        count: rows.len(),
    }
}

fn broken_glass(glass: &BrokenGlass) -> Item {
    Item {
        subject: html! { "The glass of " (glass.stage) " was broken" },
        state: pill("break glass", "bad"),
        text: html! { (prose(&glass.who)) " skipped " (glass.skipped.join(", ")) ": " (prose(&glass.reason)) },
        remedy: html! {
            "Somebody else has to look at it: "
            (command(&format!("tagalong acknowledge {} --reason \"WHY\"", glass.stage)))
        },
        since: Some(glass.when),
        count: 1,
    }
}

/// Commits that the cluster has not applied.
fn rollouts<'v>(view: &'v View) -> impl Iterator<Item = Item> + use<'v> {
    let failed = |rollout: &&Rollout| rollout.outcome != "applied";
    let rollouts = view.snapshot.status.rollouts.iter();
    rollouts.filter_map(move |(image, all)| {
        let rollout = all.iter().find(failed)?;
        let row = image.parse().ok().and_then(|image| view.snapshot.status.images.row(&image));
        // The others wait for somebody in the cluster.
        let is_bad = matches!(rollout.outcome, "failed" | "overdue");
        let back = format!("tagalong rollback {image} --reason \"WHY\"");
        Some(Item {
            subject: html! {
                @match row { Some(row) => (parts::image(&row.status.image, &view.root)), None => (parts::name(image)) }
            },
            state: pill(&format!("rollout {}", rollout.outcome), if is_bad { "bad" } else { "wait" }),
            text: html! {
                (parts::version(&rollout.to))
                @if let Some(name) = rollout.kustomization.as_ref().or(rollout.application.as_ref()) { " by " code { (name) } }
                @if let Some(detail) = &rollout.detail { ": " (prose(detail)) }
            },
            remedy: html! {
                @if is_bad { "Go back to the version before: " (command(&back)) } @else { "Let the cluster deploy it." }
            },
            since: Some(rollout.at),
            count: 1,
        })
    })
}

fn failed_checks(board: &[CellStatus], view: &View) -> impl Iterator<Item = Item> {
    board.iter().filter_map(move |cell| {
        let next = cell.next.as_ref()?;
        let failed: Vec<&WaitStatus> = next.waits.iter().filter(|wait| wait.has_failed).collect();
        let detail = failed.iter().map(|wait| wait.detail.as_str()).collect::<Vec<_>>().join("; ");
        (!failed.is_empty()).then(|| Item {
            subject: html! { (release(&cell.release, view)) " for " strong { (cell.stage) } },
            state: pill("check failed", "bad"),
            text: html! { (parts::coming(next)) ": " (prose(&detail)) },
            remedy: html! { "Run the check again, or deploy a newer version to the stage before." },
            since: None,
            count: 1,
        })
    })
}

fn incomplete(text: &str) -> Item {
    Item {
        subject: html! { "A release is incomplete" },
        state: pill("incomplete", "wait"),
        text: prose(text),
        remedy: html! { "Push the images that are missing." },
        since: None,
        count: 1,
    }
}
