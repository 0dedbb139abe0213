//! A pull request of any forge.

use super::config::Kind;
use super::error::ForgeError;
use super::pull_request::{Merge, PullRequest};
use super::transport::Transport;
use super::{azure, bitbucket, datacenter, gitlab, pulls};

/// Reads a pull request, and how it was merged, if it was.
pub async fn read(forge: &Transport, number: u64) -> Result<(PullRequest, Option<Merge>), ForgeError> {
    match forge.config.kind {
        Kind::Gitea | Kind::GitHub => pulls::read(forge, number).await,
        Kind::GitLab => gitlab::read(forge, number).await,
        Kind::Bitbucket => bitbucket::pulls::read(forge, number).await,
        Kind::BitbucketDataCenter => datacenter::pulls::read(forge, number).await,
        Kind::AzureDevOps => azure::pulls::read(forge, number).await,
    }
}
