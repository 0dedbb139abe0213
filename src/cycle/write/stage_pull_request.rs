//! The pull request of a stage, as the forge knows it.

use std::collections::BTreeMap;

use crate::forge::client::Forge;
use crate::forge::error::ForgeError;
use crate::forge::review::Review;
use crate::repo::config::Branch;
use crate::stage::definition::ApprovalBy;
use crate::stage::name::Name;
use crate::stage::release::ReleaseId;

use super::pull_requests::PullRequests;

/// A stage with the branch of its pull requests.
#[derive(Debug, Clone)]
pub struct StageBranch {
    /// The stage.
    pub stage: Name,
    /// The branch: `tagalong/STAGE`.
    pub branch: Branch,
}

/// What the forge knows about the pull requests of a stage.
#[derive(Debug, Clone, Default)]
pub struct StagePullRequest {
    /// The pull requests.
    pub all: PullRequests,
    /// The reviews of the open one.
    pub reviews: Vec<Review>,
    /// The releases that may not enter the stage, because somebody closed their pull request.
    pub held: BTreeMap<ReleaseId, String>,
    /// The authors of the source commits of a release, or why they are not known. Only if they may not approve.
    pub authors: BTreeMap<ReleaseId, Result<Vec<Author>, String>>,
    /// The reason why none of this is known.
    pub unknown: Option<String>,
}

/// The author of a commit: name and address.
pub type Author = (String, String);

impl StageBranch {
    /// Returns the branch of a stage.
    pub fn of(stage: &Name) -> Option<StageBranch> {
        let branch = format!("tagalong/{stage}").parse().ok()?;
        Some(StageBranch { stage: stage.clone(), branch })
    }
}

impl StagePullRequest {
    /// Queries the forge.
    pub async fn query(forge: &Forge, by: ApprovalBy) -> Result<StagePullRequest, ForgeError> {
        let all = PullRequests::of(forge, forge.pull_requests().await?);
        let reviews = match &all.open {
            Some(open) if by == ApprovalBy::Review => forge.reviews(open).await?,
            _ => Vec::new(),
        };
        Ok(StagePullRequest { all, reviews, ..StagePullRequest::default() })
    }
}
