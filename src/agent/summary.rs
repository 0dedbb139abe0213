//! What the status page shows, as JSON.

use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::election::Standing;
use crate::cycle::status::ImageStatus;

use super::board::View;
use super::status::{Rollout, Row};

/// What there is to see, for machines.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary<'v> {
    started: Timestamp,
    repository: Option<String>,
    branch: Option<&'v str>,
    is_suspended: bool,
    leads: bool,
    leader: Option<&'v str>,
    head: Option<&'v str>,
    cycle_done: Option<Timestamp>,
    failing: Option<&'v str>,
    flux_troubles: Vec<&'v str>,
    images: Vec<Image<'v>>,
}

/// One image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'v> {
    #[serde(flatten)]
    standing: &'v ImageStatus,
    since: Timestamp,
    commit: Option<&'v str>,
    rollouts: &'v [Rollout],
}

impl Summary<'_> {
    /// What a view comes to.
    pub fn of(view: &View) -> Summary<'_> {
        let status = &view.status;
        Summary {
            started: view.started,
            repository: view.repository.as_ref().map(|(url, _)| url.to_string()),
            branch: view.repository.as_ref().map(|(_, branch)| branch.as_str()),
            is_suspended: view.is_suspended,
            leads: view.standing == Standing::Leads,
            leader: match &view.standing {
                Standing::Follows { leader } => Some(leader),
                Standing::Leads | Standing::Unknown { .. } => None,
            },
            head: status.done.as_ref().map(|done| done.head.as_str()),
            cycle_done: status.done.as_ref().map(|done| done.at),
            failing: status.failed.as_ref().map(|failed| failed.error.as_str()),
            flux_troubles: view.flux_troubles.values().map(String::as_str).collect(),
            images: status.rows.iter().map(|row| Image::of(row, view)).collect(),
        }
    }
}

impl<'v> Image<'v> {
    fn of(row: &'v Row, view: &'v View) -> Image<'v> {
        Image {
            standing: &row.standing,
            since: row.since,
            commit: row.commit.as_deref(),
            rollouts: view.rollouts_of(row),
        }
    }
}
