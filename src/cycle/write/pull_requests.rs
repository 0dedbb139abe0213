//! The pull requests at the forge, queried at most once per cycle, and only if they matter.

use jiff::Timestamp;

use crate::fault::{Explain, Fault};
use crate::forge::client::Forge;
use crate::forge::pull_request::{PullRequest, State};
use crate::plan::proposal::{self, ClosedPullRequest, MergedPullRequest};

use crate::cycle::error::CycleError;

/// The most closed pull requests for which the forge is asked at a time who closed them.
const CLOSERS: usize = 10;

/// The pull requests at the forge.
#[derive(Debug, Clone, Default)]
pub struct PullRequests {
    /// The open one, if any.
    pub open: Option<PullRequest>,
    /// Those that were closed without being merged.
    pub closed: Vec<ClosedPullRequest>,
    /// Those that were merged.
    pub merged: Vec<MergedPullRequest>,
    /// The error of the forge, if it did not answer: the rest is then what was known before.
    pub stale: Option<String>,
}

impl PullRequests {
    /// Sorts them by their state.
    pub fn of(forge: &Forge, pull_requests: Vec<PullRequest>) -> PullRequests {
        let mut sorted = PullRequests::default();
        for pull_request in pull_requests {
            match pull_request.state {
                State::Open => sorted.open = Some(pull_request),
                State::Merged { commits } => {
                    let record = proposal::recorded_trailers(&pull_request.text);
                    sorted.merged.push(MergedPullRequest { commits, record });
                }
                State::Closed { at, by } => sorted.closed.push(ClosedPullRequest {
                    number: pull_request.number,
                    name: forge.name(pull_request.number),
                    url: pull_request.url,
                    // Commits, such as one that resumes, have whole seconds.
                    at: Timestamp::from_second(at.as_second()).unwrap_or(at),
                    by,
                    moves: proposal::recorded_moves(&pull_request.text),
                }),
            }
        }
        sorted
    }

    /// Adds who closed the wanted ones, as far as the forge reports that. Nothing else depends on it.
    pub async fn add_closers(&mut self, forge: &Forge, is_wanted: impl Fn(&ClosedPullRequest) -> bool) {
        let unnamed = self.closed.iter_mut().filter(|closed| closed.by.is_none() && is_wanted(closed));
        for closed in unnamed.take(CLOSERS) {
            match forge.closed_by(closed.number, closed.at).await {
                Ok(by) => closed.by = by,
                Err(error) => {
                    tracing::debug!(url = closed.url, %error, "the forge did not report who closed a pull request");
                    return;
                }
            }
        }
    }
}

/// Returns the pull requests, which are `known` once they were queried. It is an error if the forge rejects the token;
/// if it cannot be reached, what was known before is returned.
pub async fn query<'k>(
    forge: Option<&Forge>,
    known: &'k mut Option<PullRequests>,
) -> Result<&'k PullRequests, CycleError> {
    let pull_requests = match (known.take(), forge) {
        (Some(known), _) => known,
        (None, None) => PullRequests::default(),
        (None, Some(forge)) => match forge.pull_requests().await {
            Ok(pull_requests) => PullRequests::of(forge, pull_requests),
            Err(error) if error.fault() == Fault::Transient => {
                let stale = Some(format!("{error}; pull requests wait for the next cycle"));
                PullRequests { stale, ..PullRequests::of(forge, forge.known()) }
            }
            Err(error) => return Err(error.into()),
        },
    };
    Ok(known.insert(pull_requests))
}
