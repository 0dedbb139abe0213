//! The status page as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::election::Leadership;
use crate::cluster::rollout::Product;
use crate::cycle::stages::status::CellStatus;
use crate::cycle::status::{FieldVersion, HoldStatus, State, StatusReason};
use crate::image::{Repository, Tag};

use super::listing::Order;
use super::query::{Query, Sizes};
use super::row::Row;
use super::snapshot::Snapshot;
use super::status::Rollout;

/// The number of images in one response.
pub const SIZES: Sizes = Sizes { default: 500, most: 1000 };

/// The maximum number of items in each list of an image.
const ITEMS: usize = 100;
/// The maximum number of releases in stages.
const CELLS: usize = 1000;

/// The state of the agent, with one page of the images, by name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary<'s> {
    started: Timestamp,
    repository: Option<String>,
    branch: Option<&'s str>,
    is_suspended: bool,
    leads: bool,
    leader: Option<&'s str>,
    head: Option<&'s str>,
    cycle_done: Option<Timestamp>,
    failing: Option<&'s str>,
    flux_troubles: Vec<&'s str>,
    argocd_troubles: Vec<&'s str>,
    /// The number of all images by state, whatever the query.
    counts: BTreeMap<&'static str, usize>,
    /// The number of images that match.
    total: usize,
    page: usize,
    pages: usize,
    limit: usize,
    /// The relative address of the next page.
    next: Option<String>,
    images: Vec<Image<'s>>,
    /// What the stages hold, and what comes next, as `tagalong stages` lists it.
    stages: &'s [CellStatus],
    /// The number of items left out of that list.
    #[serde(skip_serializing_if = "is_zero")]
    stages_omitted: usize,
    #[serde(skip)]
    query: Query,
}

/// One image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'s> {
    image: &'s Repository,
    policy: &'s str,
    state: State,
    candidate: Option<&'s Tag>,
    current: &'s [FieldVersion],
    reasons: &'s [StatusReason],
    holds: &'s [HoldStatus],
    since: Timestamp,
    commit: Option<&'s str>,
    rollouts: &'s [Rollout],
    /// The number of items left out of each list, if any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    omitted: BTreeMap<&'static str, usize>,
}

impl Summary<'_> {
    /// Selects the part of a snapshot that a query asks for.
    pub fn of(snapshot: &Snapshot, query: Query) -> Summary<'_> {
        let status = &snapshot.status;
        let cells = &status.stages.report.board;
        let (selection, counts) = (status.images.select(&query, Order::Name), status.images.counts());
        Summary {
            started: snapshot.started,
            repository: snapshot.repository.as_ref().map(|(url, _)| url.to_string()),
            branch: snapshot.repository.as_ref().map(|(_, branch)| branch.as_str()),
            is_suspended: snapshot.is_suspended,
            leads: snapshot.leadership == Leadership::Leader,
            leader: match &snapshot.leadership {
                Leadership::Follower { leader } => Some(leader),
                Leadership::Leader | Leadership::Unknown { .. } => None,
            },
            head: status.done.as_ref().map(|done| done.head.as_str()),
            cycle_done: status.done.as_ref().map(|done| done.at),
            failing: status.failed.as_ref().map(|failed| failed.error.as_str()),
            flux_troubles: troubles(snapshot, Product::Flux),
            argocd_troubles: troubles(snapshot, Product::ArgoCd),
            counts: State::ALL.into_iter().map(|state| (state.name(), counts.of(state))).collect(),
            total: selection.total,
            page: query.page,
            pages: selection.pages,
            limit: query.limit,
            next: (query.page < selection.pages).then(|| address(&query, query.page + 1)),
            images: selection.rows.into_iter().map(|row| Image::of(row, snapshot)).collect(),
            stages: &cells[..cells.len().min(CELLS)],
            stages_omitted: cells.len().saturating_sub(CELLS),
            query,
        }
    }

    /// Returns the header `Link` (RFC 8288) with the other pages. Its addresses are relative, so they also work behind a
    /// proxy that serves the agent below a path.
    pub fn links(&self) -> String {
        let mut pages = vec![("first", 1), ("last", self.pages)];
        if self.page > 1 {
            pages.push(("prev", (self.page - 1).min(self.pages)));
        }
        if self.page < self.pages {
            pages.push(("next", self.page + 1));
        }
        let link = |(relation, page): (&str, usize)| format!("<{}>; rel=\"{relation}\"", address(&self.query, page));
        pages.into_iter().map(link).collect::<Vec<_>>().join(", ")
    }
}

/// Returns the address of a page, relative to any other.
fn troubles(snapshot: &Snapshot, product: Product) -> Vec<&str> {
    let troubles = snapshot.watch_troubles.iter().filter(|(task, _)| task.product == product);
    troubles.map(|(_, trouble)| trouble.as_str()).collect()
}

fn address(query: &Query, page: usize) -> String {
    format!("status{}", query.on(page).link())
}

impl<'s> Image<'s> {
    fn of(row: &'s Row, snapshot: &'s Snapshot) -> Image<'s> {
        let (status, rollouts) = (&row.status, snapshot.rollouts_of(row));
        let mut omitted = BTreeMap::new();
        Image {
            image: &status.image,
            policy: &status.policy,
            state: status.state,
            candidate: status.candidate.as_ref(),
            current: first("current", &status.current, &mut omitted),
            reasons: first("reasons", &status.reasons, &mut omitted),
            holds: first("holds", &status.holds, &mut omitted),
            since: row.since,
            commit: row.commit.as_deref(),
            rollouts: first("rollouts", rollouts, &mut omitted),
            omitted,
        }
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Returns the first items of a list, and records the number of the others.
fn first<'l, T>(name: &'static str, all: &'l [T], omitted: &mut BTreeMap<&'static str, usize>) -> &'l [T] {
    if all.len() > ITEMS {
        omitted.insert(name, all.len() - ITEMS);
    }
    &all[..all.len().min(ITEMS)]
}
