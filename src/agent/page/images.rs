//! One page of the list of images.

use std::collections::{BTreeSet, HashSet};

use maud::{Markup, html};

use crate::agent::link::CommitLink;
use crate::agent::listing::{Order, Selection};
use crate::agent::query::{Query, QueryError, Sizes};
use crate::agent::row::Row;
use crate::agent::snapshot::Snapshot;
use crate::agent::status::Rollout;
use crate::cluster::rollout::Product;
use crate::cycle::status::{FieldVersion, HoldStatus, StatusReason};
use crate::fault::Explain;
use crate::image::{Repository, Version};

use super::parts::{commit, first, label, number, optional, shortened, time};
use super::{controls, deployed};

/// The number of images on a page.
pub const SIZES: Sizes = Sizes { default: 100, most: 100 };

/// The maximum number of fields that are shown of an image.
const FIELDS: usize = 10;
/// The maximum number of versions, reasons, holds and rollouts that are shown of an image.
const DETAILS: usize = 5;

/// Renders the images that a query asks for.
pub fn section(snapshot: &Snapshot, asked: &Result<Query, QueryError>) -> Markup {
    let images = &snapshot.status.images;
    html! {
        section aria-labelledby="images" {
            h2 #images tabindex="-1" { "Images" }
            @if images.rows().is_empty() {
                p { "No images governed by a policy are known yet." }
            } @else {
                (list(snapshot, asked))
            }
        }
    }
}

fn list(snapshot: &Snapshot, asked: &Result<Query, QueryError>) -> Markup {
    let images = &snapshot.status.images;
    let mut query = asked.clone().unwrap_or_else(|_| Query::all(SIZES));
    let mut selection = images.select(&query, Order::Trouble);
    let past = (query.page > selection.pages).then_some(query.page);
    if past.is_some() {
        query = query.on(selection.pages);
        selection = images.select(&query, Order::Trouble);
    }
    html! {
        (controls::counts(&query, &selection))
        (controls::filter(&query))
        @if let Err(error) = asked {
            div .notice.bad role="alert" {
                h3 { "The address is not valid, so all images are shown" }
                p { (error) @if let Some(help) = error.help() { ": " (help) } "." }
            }
        }
        @if let Some(page) = past {
            div .notice { p { "There is no page " (number(page)) ". This is the last one." } }
        }
        @if selection.rows.is_empty() {
            p { "No images match. " a href="?#images" { "Show all images" } }
        } @else {
            (table(snapshot, &query, &selection))
            (controls::pages(&query, &selection))
        }
    }
}

fn table(snapshot: &Snapshot, query: &Query, selection: &Selection) -> Markup {
    let before = (query.page - 1) * query.limit;
    html! {
        div .scroll role="region" tabindex="0" aria-labelledby="listed" {
            table {
                caption #listed {
                    span {
                        "Images " (number(before + 1)) " to " (number(before + selection.rows.len()))
                        " of " (number(selection.total)) @if query.is_narrow() { " that match" }
                        @if query.state().is_empty() { ", problems first" }
                    }
                }
                thead {
                    tr {
                        @for head in ["Image", "Current", "State", "Candidate", "Since", "Why", "Fields", "Commit"] {
                            th scope="col" { (head) }
                        }
                        @if !snapshot.watched.is_empty() { th scope="col" { "In the cluster" } }
                    }
                }
                tbody { @for row in &selection.rows { (image(row, snapshot)) } }
            }
        }
    }
}

/// Returns the reasons why fields are kept back, without duplicates.
fn details_of(reasons: &[StatusReason]) -> Vec<&str> {
    let mut seen = HashSet::new();
    reasons.iter().map(|why| why.detail.as_str()).filter(|detail| seen.insert(*detail)).collect()
}

fn image(row: &Row, snapshot: &Snapshot) -> Markup {
    let (Row { status, since, commit: made }, link) = (row, snapshot.commit_link.as_ref());
    let candidate = status.candidate.as_ref().map(ToString::to_string);
    let details_of = details_of(&status.reasons);
    let ((reasons, more_reasons), (holds, more_holds)) = (first(&details_of, DETAILS), first(&status.holds, DETAILS));
    html! {
        tr {
            th scope="row" { code { (status.image) } }
            td { (versions(&status.current)) }
            td { span class={ "state " (status.state.name()) } { (label(status.state)) } }
            td { (optional(candidate.as_deref())) }
            td { (time(*since)) }
            td .why {
                (deployed::drifts(snapshot.checks.drifts_of(status.image.as_str())))
                @for why in reasons { p { (shortened(why)) } }
                @for hold in holds { (held(hold, link)) }
                (more(more_reasons + more_holds, &status.image))
            }
            td .fields { (places(&status.current, &status.image)) }
            td { @match made { Some(id) => (commit(id, link)), None => (optional(None)) } }
            @if !snapshot.watched.is_empty() {
                td .why { (rollouts(snapshot.rollouts_of(row), made.is_some(), &snapshot.watched)) }
            }
        }
    }
}

/// The number of details that are left out, and how to see them.
fn more(count: usize, image: &Repository) -> Markup {
    html! {
        @if count > 0 { p { "and " (number(count)) " more: " code { "tagalong explain " (image) } } }
    }
}

/// The rollouts of an image in the cluster.
fn rollouts(rollouts: &[Rollout], has_moved: bool, watched: &BTreeSet<Product>) -> Markup {
    // The latest are at the end.
    let latest = &rollouts[rollouts.len().saturating_sub(DETAILS)..];
    html! {
        @match (latest, has_moved) {
            ([], true) => { "waiting for " (watched.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")) },
            ([], false) => (optional(None)),
            (latest, _) => {
                @for Rollout { outcome, detail, kustomization, application, at, seconds, .. } in latest {
                    p {
                        (outcome)
                        @if let Some(name) = kustomization.as_ref().or(application.as_ref()) { " by " code { (shortened(name)) } }
                        " " (time(*at)) ", " (format!("{seconds:.0}")) " s after the push"
                    }
                    @if let Some(detail) = detail { p { (shortened(detail)) } }
                }
                @if rollouts.len() > latest.len() {
                    p { "and at " (number(rollouts.len() - latest.len())) " more places" }
                }
            },
        }
    }
}

/// The current versions of an image, without duplicates.
fn versions(places: &[FieldVersion]) -> Markup {
    let versions: BTreeSet<Option<String>> = places.iter().map(version).collect();
    html! {
        @for version in versions.iter().take(DETAILS) { div { (optional(version.as_deref())) } }
        @if versions.len() > DETAILS { div { "and " (number(versions.len() - DETAILS)) " more" } }
    }
}

fn version(place: &FieldVersion) -> Option<String> {
    let version = Version { tag: place.tag.clone(), digest: place.digest.clone() };
    (!version.is_empty()).then(|| version.to_string())
}

fn places(all: &[FieldVersion], image: &Repository) -> Markup {
    let (shown, left_out) = first(all, FIELDS);
    html! {
        @match all {
            [place] => code { (shortened(&place.file)) ": " (shortened(&place.path)) },
            _ => details {
                summary { (number(all.len())) " fields" }
                ul {
                    @for place in shown {
                        li { code { (shortened(&place.file)) ": " (shortened(&place.path)) } " has " (optional(version(place).as_deref())) }
                    }
                }
                (more(left_out, image))
            },
        }
    }
}

fn held(hold: &HoldStatus, link: Option<&CommitLink>) -> Markup {
    let version = Version { tag: hold.tag.clone(), digest: hold.digest.clone() };
    html! {
        p {
            @if version.is_empty() { "All tags" } @else { code { (version) } }
            " held since " (time(hold.since)) " by " (shortened(&hold.by)) ": " (shortened(&hold.reason)) " ("
            @if let Some(id) = &hold.commit { (commit(id, link)) }
            @match hold.pull_request.as_deref() {
                Some(url) if url.starts_with("https://") || url.starts_with("http://") => a href=(url) { "pull request" },
                Some(_) => "pull request",
                None => {},
            }
            ")"
        }
    }
}
