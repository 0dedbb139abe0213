//! The timeline: how often and how fast versions are deployed and taken back, and what moved when. All of it follows from the
//! history of the branch, so it survives restarts.

use std::sync::Arc;

use maud::{Markup, html};

use crate::agent::query::{Query, QueryError, Sizes};
use crate::agent::snapshot::Snapshot;
use crate::agent::status::Rollout;
use crate::cycle::move_log::MoveLog;
use crate::plan::figures::{Deployment, Figures, WEEKS, weeks_before};
use crate::plan::history_entry::HistoryEntry;

use super::images::invalid;
use super::lanes::TakenBack;
use super::layout::{Tab, page};
use super::moves::{joined, list};
use super::parts::{command, counted, time};
use super::view::View;
use super::{controls, lanes, plots};

/// The number of lanes on a page.
pub const SIZES: Sizes = Sizes { default: 20, most: 20 };

/// The number of moves that are listed.
const MOVES: usize = 30;

/// Renders the timeline of what a query asks for.
pub fn timeline(view: &View, asked: &Result<Query, QueryError>) -> Markup {
    let query = asked.clone().unwrap_or_else(|_| Query::all(SIZES));
    let main = html! {
        section #timeline aria-labelledby="timeline-title" {
            h1 #timeline-title { "Timeline" }
            (controls::short_filter(&query, &view.snapshot.status.stages.stages, "Moves", "Image, version or person"))
            @if let Err(error) = asked { (invalid(error)) }
        }
        @match &view.snapshot.history {
            None => p { "The history of the branch is being read. Come back in a moment." },
            Some(log) => (of_log(log, &query, view)),
        }
    };
    page(view, Tab::Timeline, "Timeline", &main)
}

fn of_log(log: &MoveLog, query: &Query, view: &View) -> Markup {
    let words = query.words();
    let in_stage = |stage: Option<&str>| query.stage.is_empty() || stage == Some(query.stage.as_str());
    let name = |entry: &HistoryEntry| entry.stage.as_ref().map(|stage| stage.to_string());
    let matches = |entry: &HistoryEntry| in_stage(name(entry).as_deref()) && words.iter().all(|word| has(entry, word));
    let entries = || log.entries.iter().map(Arc::as_ref);
    let figures = Figures::of(deployments(log, query, &words), weeks_before(view.now, WEEKS), view.now);
    let back = TakenBack::of(&log.deployments);
    let lanes = lanes::lanes(entries(), view.now, matches);
    let pages = lanes.len().div_ceil(query.limit).max(1);
    let page = query.page.min(pages);
    let shown = lanes.get((page - 1) * query.limit..).unwrap_or_default();
    let moves = joined(entries().filter(|entry| matches(entry)), MOVES);
    html! {
        section #figures aria-labelledby="figures-title" {
            h2 #figures-title { "The last " (WEEKS) " weeks" }
            (plots::figures(&figures, applied(view.snapshot)))
            (plots::weeks(&figures.weeks))
            p .faint {
                @if let Some(since) = log.since { "Moves before " (time(since, view.now)) " are not known here. " }
                "The same for scripts: " (command("tagalong history --figures --output json"))
            }
        }
        section #lanes aria-labelledby="lanes-title" {
            h2 #lanes-title { "The last " (lanes::DAYS) " days" }
            @if lanes.is_empty() { p { "Nothing moved." } } @else {
                p .faint { (counted(lanes.len(), "app")) ", the latest moves first. Each bar is a version; a red one was taken back." }
                (lanes::render(&shown[..shown.len().min(query.limit)], &back, view))
                (controls::pages(query, pages, "lanes"))
            }
        }
        section #moves aria-labelledby="moves-title" {
            h2 #moves-title { "Moves" }
            @if moves.is_empty() { p { "Nothing moved." } } @else { (list(&moves, view, true)) }
            p .faint { "All of them: " (command("tagalong history")) }
        }
    }
}

fn deployments<'l>(log: &'l MoveLog, query: &Query, words: &[String]) -> impl Iterator<Item = &'l Deployment> {
    let in_stage =
        |one: &&Deployment| query.stage.is_empty() || one.stage.as_ref().is_some_and(|own| own.as_str() == query.stage);
    let has = |one: &&Deployment| {
        words.iter().all(|word| one.image.as_str().contains(word) || one.to.to_lowercase().contains(word))
    };
    log.deployments.iter().filter(in_stage).filter(has).collect::<Vec<_>>().into_iter()
}

/// Returns whether a move has a lowercase word in its image, a version, or the name of whoever made it.
fn has(entry: &HistoryEntry, word: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(word);
    has(entry.image.as_str())
        || entry.from.as_deref().is_some_and(has)
        || entry.to.as_deref().is_some_and(has)
        || has(&entry.actor)
}

/// Returns the median time from a push until the cluster had applied it, in seconds, for what this agent has seen.
fn applied(snapshot: &Snapshot) -> Option<i64> {
    let all = snapshot.status.rollouts.values().flatten();
    let is_applied = |rollout: &&Rollout| rollout.outcome == "applied";
    let mut seconds: Vec<f64> = all.filter(is_applied).map(|rollout| rollout.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).map(|seconds| *seconds as i64)
}
