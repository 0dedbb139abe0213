//! Lanes: what each app held in the last days, one version after the other.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::image::Repository;
use crate::plan::figures::Deployment;
use crate::plan::history_entry::HistoryEntry;
use crate::stage::name::Name;

use super::moves::linked;
use super::parts::{self, counted, number, pill, time};
use super::view::View;

/// The days that lanes show.
pub const DAYS: i64 = 30;
/// The width of the coordinates of a lane.
const WIDTH: f64 = 1000.0;
/// The maximum number of versions that are drawn in a lane, the latest ones.
const MOST: usize = 200;

/// What an app held in one stage.
pub struct Lane<'e> {
    image: &'e Repository,
    stage: Option<&'e Name>,
    /// The moves in the time of the lane, newest first, one for each commit.
    moves: Vec<&'e HistoryEntry>,
}

/// Returns the lanes of the moves that match, those with the latest moves first.
pub fn lanes<'e>(
    entries: impl Iterator<Item = &'e HistoryEntry>,
    now: Timestamp,
    matches: impl Fn(&HistoryEntry) -> bool,
) -> Vec<Lane<'e>> {
    let since = now - SignedDuration::from_hours(24 * DAYS);
    let mut lanes: Vec<Lane<'e>> = Vec::new();
    let mut known: HashMap<(&Repository, Option<&Name>), usize> = HashMap::new();
    for entry in entries.take_while(|entry| entry.at >= since).filter(|entry| matches(entry)) {
        let (image, stage) = (&entry.image, entry.stage.as_ref());
        let at = *known.entry((image, stage)).or_insert_with(|| {
            lanes.push(Lane { image, stage, moves: Vec::new() });
            lanes.len() - 1
        });
        let moves = &mut lanes[at].moves;
        if moves.last().is_none_or(|last| last.commit != entry.commit) {
            moves.push(entry);
        }
    }
    lanes
}

/// Renders lanes.
pub fn render(lanes: &[Lane], taken_back: &TakenBack, view: &View) -> Markup {
    let marks = [DAYS, DAYS * 2 / 3, DAYS / 3];
    html! {
        div .lanes {
            @for lane in lanes {
                @let bars = bars(lane, taken_back, view.now);
                div .lane {
                    div .subject {
                        (linked(lane.image, view))
                        @if let Some(stage) = lane.stage { " " (pill(stage.as_str(), "plain")) }
                    }
                    svg role="img" viewBox="0 0 1000 20" preserveAspectRatio="none" {
                        title { (said(lane, &bars)) }
                        @for bar in &bars {
                            rect .(bar.tone) x=(format!("{:.1}", bar.x)) width=(format!("{:.1}", bar.width)) y="2" height="16" {
                                title { (bar.text) }
                            }
                        }
                    }
                }
            }
            div .axis aria-hidden="true" {
                @for days in marks { span { (days) " days ago" } }
                span { "now" }
            }
        }
        (table(lanes, taken_back, view))
    }
}

/// A version in a lane.
struct Bar {
    x: f64,
    width: f64,
    tone: &'static str,
    text: String,
}

fn bars(lane: &Lane, taken_back: &TakenBack, now: Timestamp) -> Vec<Bar> {
    let span = SignedDuration::from_hours(24 * DAYS).as_secs_f64();
    let x = |at: Timestamp| (WIDTH - now.duration_since(at).as_secs_f64() / span * WIDTH).clamp(0.0, WIDTH);
    let mut end = WIDTH;
    let bar = |(index, entry): (usize, &&HistoryEntry)| {
        let start = x(entry.at);
        // Two versions within an hour are still two.
        let (from, width) = (start.min(WIDTH - 2.0), (end - start).max(2.0));
        end = start;
        let tone = match (taken_back.has(entry), (lane.moves.len() - index) % 2) {
            (true, _) => "bad",
            (false, 0) => "even",
            (false, _) => "odd",
        };
        let version = entry.to.as_deref().unwrap_or("removed");
        let text = format!("{version}, {} {}, by {}", entry.act, entry.at.strftime("%Y-%m-%d %H:%M UTC"), entry.actor);
        Bar { x: from, width, tone, text: parts::shortened(&text).into_owned() }
    };
    let mut bars: Vec<Bar> = lane.moves.iter().take(MOST).enumerate().map(bar).collect();
    let shown = bars.len();
    // What it held before.
    let before = lane.moves.get(..shown).and_then(<[_]>::last).and_then(|oldest| oldest.from.as_deref());
    if let Some(version) = before.filter(|_| end > 0.0) {
        let text = parts::shortened(&format!("{version}, from before")).into_owned();
        let tone = if (lane.moves.len() - shown).is_multiple_of(2) { "even" } else { "odd" };
        bars.push(Bar { x: 0.0, width: end, tone, text });
    }
    bars
}

/// The deployments that were taken back.
pub struct TakenBack<'d>(HashSet<(&'d str, &'d Repository, Option<&'d Name>)>);

impl<'d> TakenBack<'d> {
    /// Finds them among all deployments.
    pub fn of(all: &'d [Deployment]) -> TakenBack<'d> {
        let back = all.iter().filter(|one| one.taken_back.is_some());
        TakenBack(back.map(|one| (one.commit.as_str(), &one.image, one.stage.as_ref())).collect())
    }

    fn has(&self, entry: &HistoryEntry) -> bool {
        self.0.contains(&(entry.commit.as_str(), &entry.image, entry.stage.as_ref()))
    }
}

/// Returns what a lane shows in words.
fn said(lane: &Lane, bars: &[Bar]) -> String {
    let stage = lane.stage.map(|stage| format!(" in {stage}")).unwrap_or_default();
    let latest = bars.first().map(|bar| bar.text.as_str()).unwrap_or_default();
    let moves = counted(lane.moves.len(), "move");
    format!("{}{stage}: {moves} in {DAYS} days, the latest to {latest}", lane.image)
}

fn table(lanes: &[Lane], taken_back: &TakenBack, view: &View) -> Markup {
    html! {
        details #lanes-table {
            summary { "The apps as a table" }
            div .scroll role="region" tabindex="0" aria-label="Apps" {
                table {
                    caption .unseen { "Moves of apps in the last days" }
                    thead { tr { @for head in ["App", "Stage", "Moves", "Taken back", "Version", "Since"] { th scope="col" { (head) } } } }
                    tbody {
                        @for lane in lanes {
                            tr {
                                th scope="row" { (parts::name(lane.image.as_str())) }
                                td { @match lane.stage { Some(stage) => (stage), None => (parts::optional(None)) } }
                                td { (number(lane.moves.len())) }
                                td { (number(lane.moves.iter().filter(|entry| taken_back.has(entry)).count())) }
                                @if let Some(latest) = lane.moves.first() {
                                    td { (parts::optional(latest.to.as_deref())) }
                                    td { (time(latest.at, view.now)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
