//! Repeats an attempt until a commit is on the branch. After a lost race everything is made again on the new tip;
//! nothing is ever merged as text.

use std::time::Instant;

use tokio::task::block_in_place;

use crate::cycle::error::CycleError;
use crate::cycle::tip::Tip;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::config::Branch;
use crate::repo::push::{Lease, Push};

use super::push::{self, Pauses};

/// The result of an attempt on a tip.
pub enum Attempt<T> {
    /// There is nothing to push.
    Settled(T),
    /// There is a commit to push.
    Push(Box<Candidate<T>>),
}

/// A commit to push.
pub struct Candidate<T> {
    /// The tip that it was made on.
    pub tip: Tip,
    /// The commit.
    pub commit: CommitId,
    /// The expected tip of the branch on the remote.
    pub expected: Option<CommitId>,
    /// True if the tip was not fetched: then a lost race only means that the guess was wrong.
    pub is_guess: bool,
    /// The outcome once the commit is on the branch.
    pub outcome: T,
}

/// Makes commits until one of them is on a branch. `make` is given the clone and the number of the attempt, from 1.
pub async fn race<T>(
    branch: &Branch,
    attempts: u32,
    mut clone: BareClone,
    mut make: impl AsyncFnMut(BareClone, u32) -> Result<Attempt<T>, CycleError>,
) -> Result<T, CycleError> {
    let mut pauses = Pauses::default();
    for attempt in 1..=attempts {
        let begun = Instant::now();
        let candidate = match make(clone, attempt).await? {
            Attempt::Settled(outcome) => return Ok(outcome),
            Attempt::Push(candidate) => *candidate,
        };
        let Candidate { tip, commit, expected, is_guess, outcome } = candidate;
        match block_in_place(|| push::confirmed(&tip.clone, commit, Lease { branch, expected }))? {
            Push::Done => return Ok(outcome),
            Push::LostRace { .. } if is_guess => {}
            Push::LostRace { words } => {
                tracing::info!(attempt, %words, "another push came first; planning again on the new tip");
                pauses.wait(attempt, attempts, begun, &tip.clone, tip.commit).await;
            }
        }
        clone = tip.clone;
    }
    Err(CycleError::Exhausted { branch: branch.clone(), attempts })
}
