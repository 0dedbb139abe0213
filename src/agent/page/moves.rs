//! Moves of image fields: what moved lately, and the history of an image.

use std::sync::Arc;

use maud::{Markup, html};

use crate::agent::link::CommitLink;
use crate::agent::status::{Move, Rollout};
use crate::image::Repository;
use crate::plan::history_entry::{ActorProof, HistoryEntry, MoveAct};

use super::parts::{self, commit, counted, optional, pill, prose, time};
use super::view::View;

/// The number of moves on the overview.
const LATELY: usize = 10;

/// Renders what moved lately.
pub fn lately(view: &View) -> Markup {
    html! {
        section #moves aria-labelledby="moves-title" {
            h2 #moves-title { "Moved lately" }
            @match &view.snapshot.history {
                Some(log) if !log.entries.is_empty() => {
                    (list(&joined(log.entries.iter().map(Arc::as_ref), LATELY), view, true))
                    p { a href={ (view.root) "timeline" } { "The timeline" } " shows what moved before." }
                },
                Some(_) => p { "Nothing has moved yet." },
                None if view.snapshot.status.moves.is_empty() => p { "The history of the branch is being read." },
                None => ul .rows { @for moved in view.snapshot.status.moves.iter().take(LATELY) { (own(moved, view)) } },
            }
        }
    }
}

/// Joins the moves of one commit to the same version of the same image and stage, and returns the first of each with the
/// number of its fields.
pub fn joined<'e>(entries: impl Iterator<Item = &'e HistoryEntry>, most: usize) -> Vec<(&'e HistoryEntry, usize)> {
    let mut found: Vec<(&HistoryEntry, usize)> = Vec::new();
    for entry in entries {
        let is_same = |other: &HistoryEntry| {
            (&other.image, &other.from, &other.to, &other.stage) == (&entry.image, &entry.from, &entry.to, &entry.stage)
        };
        let mut of_commit = found.iter_mut().rev().take_while(|(other, _)| other.commit == entry.commit);
        if let Some((_, fields)) = of_commit.find(|(other, _)| is_same(other)) {
            *fields += 1;
        } else if found.len() < most {
            found.push((entry, 1));
        } else {
            break;
        }
    }
    found
}

/// Renders moves, with their images unless all are of one.
pub fn list(moves: &[(&HistoryEntry, usize)], view: &View, with_image: bool) -> Markup {
    html! {
        ul .rows .moves {
            @for (entry, fields) in moves {
                li .move {
                    @if with_image { div .subject { (linked(&entry.image, view)) } }
                    div .versions { (step(entry.from.as_deref(), entry.to.as_deref())) }
                    div .is {
                        (act(entry.act))
                        @if let Some(stage) = &entry.stage { " " (pill(stage.as_str(), "plain")) }
                    }
                    div .text { (who(entry, *fields, view)) }
                    div .when {
                        (time(entry.at, view.now)) " " (commit(&entry.commit, view.link()))
                        @if let Some(address) = comparison(entry, view) { " " a href=(address) { "compare" } }
                    }
                }
            }
        }
    }
}

/// Returns the address of what changed in the source of an image, if its tags name commits.
fn comparison(entry: &HistoryEntry, view: &View) -> Option<String> {
    let row = view.snapshot.status.images.row(&entry.image)?;
    let link = CommitLink::of(&row.status.source.as_deref()?.parse().ok()?)?;
    link.to_comparison(commit_in(entry.from.as_deref()?)?, commit_in(entry.to.as_deref()?)?)
}

/// Returns the commit that a version names: at least seven hexadecimal digits, one of them a decimal one.
fn commit_in(version: &str) -> Option<&str> {
    let tag = version.split('@').next()?;
    let is_commit = |word: &&str| {
        (7..=40).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_hexdigit())
            && word.bytes().any(|b| b.is_ascii_digit())
    };
    tag.split(['-', '_', '.']).rev().find(is_commit)
}

fn who(entry: &HistoryEntry, fields: usize, view: &View) -> Markup {
    // The subject of a commit of ours repeats what the row says.
    let reason = entry.reason.as_deref().filter(|_| !matches!(entry.act, MoveAct::Deploy | MoveAct::Promote));
    html! {
        p {
            "by " (prose(&entry.actor))
            @if entry.signature.is_none() && entry.actor_proof == ActorProof::Signature { " (signed)" }
            @if let Some(reason) = reason { ": " (prose(reason)) }
            @if fields > 1 { ", " (counted(fields, "field")) }
            @if let Some(rollout) = rollout(&entry.image, &entry.commit, view) { ", " (rollout) }
        }
        @if let Some(signature) = &entry.signature { p .signature { (prose(&signature.to_string())) } }
        @if !entry.evidence.is_empty() {
            p .evidence {
                @for (at, evidence) in entry.evidence.iter().enumerate() {
                    @if at > 0 { "; " }
                    (evidence.kind) " " (prose(&evidence.detail))
                    @if let Some(url) = &evidence.url { " " (prose(url)) }
                }
            }
        }
    }
}

/// Renders where a commit of this agent is in the cluster.
fn rollout(image: &Repository, id: &str, view: &View) -> Option<Markup> {
    let row = view.snapshot.status.images.row(image).filter(|_| !view.snapshot.watched.is_empty())?;
    (row.commit.as_deref() == Some(id)).then(|| rollouts(view.snapshot.rollouts_of(row), view))
}

/// The maximum number of places in the cluster that are named.
const ROLLOUTS: usize = 3;

/// Renders the rollouts of the last move of an image.
pub fn rollouts(all: &[Rollout], view: &View) -> Markup {
    // The latest are at the end.
    let latest = &all[all.len().saturating_sub(ROLLOUTS)..];
    html! {
        @if latest.is_empty() {
            "waiting for " (view.snapshot.watched.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "))
        }
        @for (at, rollout) in latest.iter().enumerate() {
            @if at > 0 { ", " }
            (rollout.outcome)
            @if let Some(name) = rollout.kustomization.as_ref().or(rollout.application.as_ref()) { " by " code { (parts::shortened(name)) } }
            " " (time(rollout.at, view.now)) ", " (format!("{:.0}", rollout.seconds)) " s after the push"
        }
        @if all.len() > latest.len() { ", and at " (counted(all.len() - latest.len(), "more place")) }
    }
}

/// Renders a move from one version to another.
pub fn step(from: Option<&str>, to: Option<&str>) -> Markup {
    html! {
        (optional(from)) " "
        span .arrow aria-hidden="true" { "→" } span .unseen { "to" }
        " " (optional(to))
    }
}

fn act(act: MoveAct) -> Markup {
    let (text, tone) = match act {
        MoveAct::Deploy => ("deployed", "good"),
        MoveAct::Promote => ("promoted", "good"),
        MoveAct::Rollback => ("rolled back", "wait"),
        MoveAct::Set => ("set", "busy"),
        MoveAct::BreakGlass => ("break glass", "bad"),
        MoveAct::Forced => ("forced", "bad"),
        MoveAct::ByHand => ("by hand", "busy"),
    };
    pill(text, tone)
}

/// A move of this agent, before history was read.
fn own(moved: &Move, view: &View) -> Markup {
    html! {
        li .move {
            div .subject { (linked(&moved.image, view)) }
            div .versions { (step(moved.from.as_deref(), Some(&moved.to))) }
            div .is { (act(MoveAct::Deploy)) }
            div .text {
                p { @if let Some(rollout) = rollout(&moved.image, &moved.commit, view) { (rollout) } }
            }
            div .when { (time(moved.at, view.now)) " " (commit(&moved.commit, view.link())) }
        }
    }
}

/// The name of an image, with a link to its page if it has one.
pub fn linked(image: &Repository, view: &View) -> Markup {
    html! {
        @match view.snapshot.status.images.row(image) {
            Some(_) => (parts::image(image, &view.root)),
            None => (parts::name(image.as_str())),
        }
    }
}

/// The name of a release, with a link to its page if it is an image that has one.
pub fn release(name: &str, view: &View) -> Markup {
    match name.parse() {
        Ok(image) if view.snapshot.status.images.row(&image).is_some() => parts::image(&image, &view.root),
        _ => html! { span .name { (parts::name(name)) } },
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::page::example::moved;

    use super::*;

    #[test]
    fn moves_of_one_commit_are_one_row() {
        let one = moved(1, "ghcr.io/acme/a", "1", "2", MoveAct::Deploy);
        let second = HistoryEntry { file: "other.yaml".to_owned(), ..one.clone() };
        let image = HistoryEntry { image: "ghcr.io/acme/b".parse().expect("an image"), ..one.clone() };
        let before = moved(2, "ghcr.io/acme/a", "0", "1", MoveAct::Deploy);
        let all = [one, image, second, before];
        let found = |most: usize| joined(all.iter(), most).iter().map(|(_, fields)| *fields).collect::<Vec<_>>();
        assert_eq!((found(9), found(2)), (vec![2, 1, 1], vec![2, 1]));
    }

    #[test]
    fn commits_are_found_in_tags() {
        assert_eq!(commit_in("main-1a2b3c4"), Some("1a2b3c4"));
        assert_eq!(commit_in("1a2b3c4d5e6f@sha256:00"), Some("1a2b3c4d5e6f"));
        for none in ["v1.2.3", "deadbee", "main", "1a2b3c"] {
            assert_eq!(commit_in(none), None, "{none}");
        }
    }
}
