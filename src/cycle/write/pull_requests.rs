//! The pull requests at the forge, queried once a cycle and only where the answer matters.

use crate::fault::{Explain, Fault};
use crate::forge::client::Forge;
use crate::forge::pull_request::{PullRequest, State};
use crate::plan::proposal::{self, Closed};

use crate::cycle::error::CycleError;

/// The pull requests at the forge.
#[derive(Debug, Clone, Default)]
pub struct PullRequests {
    /// The open one, if there is one.
    pub open: Option<PullRequest>,
    /// Those that were closed without being merged.
    pub closed: Vec<Closed>,
    /// Why the forge did not answer, if it did not: the rest is what was known before.
    pub stale: Option<String>,
}

impl PullRequests {
    fn of(forge: &Forge, pull_requests: Vec<PullRequest>) -> PullRequests {
        let mut sorted = PullRequests::default();
        for pull_request in pull_requests {
            match pull_request.state {
                State::Open => sorted.open = Some(pull_request),
                State::Merged => {}
                State::Closed { at, by } => sorted.closed.push(Closed {
                    name: forge.name(pull_request.number),
                    url: pull_request.url,
                    at,
                    by,
                    moves: proposal::recorded(&pull_request.text),
                }),
            }
        }
        sorted
    }
}

/// Returns the pull requests, which are `known` once they were queried. A forge that refuses the token is an error; one
/// that cannot be reached is not, and what was known before has to do.
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
