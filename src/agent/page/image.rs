//! The page of an image: what it is, why it stays or moves, and every move that the history of the branch knows of.

use std::sync::Arc;

use maud::{Markup, html};

use crate::agent::row::Row;
use crate::cycle::stage_gates::{ExplainedStage, GateState, StageGate};
use crate::cycle::status::{FieldVersion, HoldStatus, State, StatusReason};
use crate::image::{Repository, Version};

use crate::secret::SafeUrl;

use super::deployed;
use super::images::{since, version_of};
use super::layout::{Tab, page};
use super::moves::{joined, list, rollouts};
use super::parts::{self, command, commit, counted, number, optional, pill, prose, time};
use super::registry_page::registry_page;
use super::remedy::remedy;
use super::view::View;

/// The maximum number of fields, and of each other detail, that are shown.
const FIELDS: usize = 50;
const DETAILS: usize = 20;
/// The maximum number of moves that are shown.
const MOVES: usize = 100;

/// Renders the page of an image.
pub fn image(row: &Row, view: &View) -> Markup {
    let status = &row.status;
    let title = format!("{} {}", status.image.short_name(), parts::label(status.state));
    let main = html! {
        section #image aria-labelledby="image-title" {
            h1 #image-title .name { (parts::name(status.image.as_str())) }
            p .summary {
                (parts::state(status.state)) " "
                @if let Some(candidate) = &status.candidate { "candidate " (parts::version(candidate.as_str())) ", " }
                @if let Some(since) = since(row, view) { "since " (time(since, view.now)) }
                @if let Some(id) = &row.commit { ", by " (commit(id, view.link())) }
            }
            (links(&status.image, view))
        }
        (why(row, view))
        (fields(&status.current, &status.image, view))
        (stages(row, view))
        (holds(&status.holds, view))
        (cluster(row, view))
        (history(&status.image, view))
    };
    page(view, Tab::Other, &title, &main)
}

/// Renders the page for an address that names no image.
pub fn unknown(name: &str, view: &View) -> Markup {
    let main = html! {
        section aria-labelledby="image-title" {
            h1 #image-title { "There is no such image here" }
            p {
                (parts::name(name)) " is not in any field that a policy or a stage governs, as of the last cycle. "
                (command("tagalong images")) " lists every field, and what governs it."
            }
            p { a href={ (view.home()) "#images" } { "All images" } }
        }
    };
    page(view, Tab::Other, "Not found", &main)
}

fn links(image: &Repository, view: &View) -> Markup {
    let repository = view.snapshot.repository.as_ref().and_then(|(url, _)| url.page());
    let source = view
        .snapshot
        .status
        .images
        .row(image)
        .and_then(|row| row.status.source.as_ref()?.parse::<SafeUrl>().ok()?.page());
    let at_registry = registry_page(image, repository.as_ref().and_then(|page| page.host_str()));
    html! {
        p {
            @if let Some(address) = at_registry { a href=(address) { "At the registry" } " · " }
            @if let Some(source) = source { a href=(source) { "Source" } " · " }
            "all tags, and the rules that exclude some of them: " (command(&format!("tagalong explain {image}")))
        }
    }
}

/// What the last cycle decided, step by step.
fn why(row: &Row, view: &View) -> Markup {
    let status = &row.status;
    let (reasons, more) = parts::first(&status.reasons, DETAILS);
    html! {
        section #why aria-labelledby="why-title" {
            h2 #why-title { "Why" }
            ol .steps {
                li { "The policy " code { (parts::name(&status.policy)) } " governs " (counted(status.current.len(), "field")) "." }
                @if let Some(candidate) = &status.candidate {
                    li { "Its choice is " (parts::version(candidate.as_str())) "." }
                }
                @for reason in reasons { li { (step(reason)) } }
                @if more > 0 { li { "and " (counted(more, "more reason")) } }
                @if status.state == State::Updating { li { "It moves in the next commit." } }
            }
            @if !matches!(status.state, State::UpToDate | State::Updating) {
                p .remedy { (remedy(status.state, status.image.as_str())) }
            }
            @if let Some(done) = &view.snapshot.status.done { p .faint { "As of the cycle that finished " (time(done.at, view.now)) "." } }
        }
    }
}

fn step(reason: &StatusReason) -> Markup {
    html! {
        (parts::state(State::from(reason.reason))) " "
        @if let Some(tag) = &reason.tag { (parts::version(tag.as_str())) ": " }
        (prose(&reason.detail))
        @if let Some(field) = &reason.field { span .faint { " (" (parts::name(&field.file)) ")" } }
    }
}

fn fields(all: &[FieldVersion], image: &Repository, view: &View) -> Markup {
    let (shown, left_out) = parts::first(all, FIELDS);
    let head = view.snapshot.status.done.as_ref().map(|done| done.head.as_str());
    let address = |place: &FieldVersion| view.link()?.to_line(head?, &place.file, place.line);
    html! {
        section #fields aria-labelledby="fields-title" {
            h2 #fields-title { "Fields" }
            ul .rows {
                @for place in shown {
                    @let text = format!("{}:{}", place.file, place.line);
                    li .field {
                        div .subject {
                            @match address(place) {
                                Some(address) => a href=(address) { (parts::name(&text)) },
                                None => (parts::name(&text)),
                            }
                            div .faint { (parts::name(&place.path)) }
                        }
                        div .versions { (optional(version_of(place).as_deref())) }
                        div .is { @if let Some(stage) = &place.stage { (pill(stage.as_str(), "plain")) } }
                    }
                }
            }
            @if left_out > 0 {
                p { "and " (number(left_out)) " more: " (command(&format!("tagalong explain {image}"))) }
            }
        }
    }
}

/// The stages that hold the image, with every condition for what comes next.
fn stages(row: &Row, view: &View) -> Markup {
    let fields = &row.status.current;
    let board = &view.snapshot.status.stages;
    let own: Vec<&ExplainedStage> =
        board.explained(|cell| fields.iter().any(|field| cell.has(&field.file, &field.path))).take(DETAILS).collect();
    html! {
        @if !own.is_empty() {
            section #in-stages aria-labelledby="in-stages-title" {
                h2 #in-stages-title { "Stages" }
                ul .rows {
                    @for stage in own {
                        li .item {
                            div .subject { strong { (stage.stage) } }
                            div .versions {
                                @match &stage.tag { Some(tag) => (parts::version(tag.as_str())), None => "several versions" }
                                @if let Some(since) = stage.since { " since " (time(since, view.now)) }
                            }
                            div .text {
                                @match &stage.next {
                                    Some(next) => p { "next " (parts::version(next)) @if stage.gates.is_empty() { ", in the next cycle" } },
                                    None => p { "nothing newer waits" },
                                }
                                @if !stage.gates.is_empty() { ul .gates { @for gate in &stage.gates { (condition(gate, view)) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn condition(gate: &StageGate, view: &View) -> Markup {
    let (text, tone) = match gate.result {
        GateState::Passed => ("passed", "good"),
        GateState::Waiting => ("waits", "wait"),
        GateState::Later => ("later", "plain"),
    };
    html! {
        li {
            (pill(text, tone)) " " (gate.gate) ": " (prose(&gate.detail))
            @if let Some(url) = &gate.url { " " (prose(url)) }
            @if let Some(until) = gate.until { ", " (time(until, view.now)) }
        }
    }
}

fn holds(holds: &[HoldStatus], view: &View) -> Markup {
    let (shown, left_out) = parts::first(holds, DETAILS);
    html! {
        @if !holds.is_empty() {
            section #holds aria-labelledby="holds-title" {
                h2 #holds-title { "Holds" }
                ul .rows { @for hold in shown { li .item { (held(hold, view)) } } }
                @if left_out > 0 { p { "and " (number(left_out)) " more: " (command("tagalong status --output json")) } }
            }
        }
    }
}

fn held(hold: &HoldStatus, view: &View) -> Markup {
    let version = Version { tag: hold.tag.clone(), digest: hold.digest.clone() };
    html! {
        div .subject { @if version.is_empty() { "all versions" } @else { (parts::version(&version.to_string())) } }
        div .text { p { "by " (prose(&hold.by)) ": " (prose(&hold.reason)) } }
        div .when {
            (time(hold.since, view.now))
            @if let Some(id) = &hold.commit { " " (commit(id, view.link())) }
            @match hold.pull_request.as_deref() {
                Some(url) if url.starts_with("https://") || url.starts_with("http://") => { " " a href=(url) { "pull request" } },
                Some(_) => " pull request",
                None => {},
            }
        }
    }
}

fn cluster(row: &Row, view: &View) -> Markup {
    let (all, drifts) = (view.snapshot.rollouts_of(row), view.snapshot.checks.drifts_of(row.status.image.as_str()));
    let is_watched = !view.snapshot.watched.is_empty() && (row.commit.is_some() || !all.is_empty());
    html! {
        @if is_watched || !drifts.is_empty() {
            section #cluster aria-labelledby="cluster-title" {
                h2 #cluster-title { "In the cluster" }
                @if is_watched { p { (rollouts(all, view)) } }
                @for rollout in all.iter().filter(|rollout| rollout.detail.is_some()).take(DETAILS) {
                    p { (prose(rollout.detail.as_deref().unwrap_or_default())) }
                }
                @if !drifts.is_empty() { p { (pill("drifted", "bad")) " " (deployed::drifts(drifts)) } }
            }
        }
    }
}

fn history(image: &Repository, view: &View) -> Markup {
    html! {
        section #history aria-labelledby="history-title" {
            h2 #history-title { "History" }
            @match &view.snapshot.history {
                None => p { "The history of the branch is being read." },
                Some(log) => {
                    @let moves = joined(log.entries.iter().map(Arc::as_ref).filter(|entry| entry.image == *image), MOVES);
                    @if moves.is_empty() { p { "It has not moved." } } @else { (list(&moves, view, false)) }
                    p .faint {
                        @if let Some(since) = log.since { "Moves before " (time(since, view.now)) " are not known here. " }
                        (command(&format!("tagalong history {image}"))) " lists all of them."
                    }
                },
            }
        }
    }
}
