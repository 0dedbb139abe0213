//! Stages, and what has to be true before a release enters one.

use std::fmt;
use std::time::Duration;

use crate::manifest::paths::PathFilter;
use crate::policy::rule::ImagePattern;

use super::name::Name;

/// A set of files whose image fields move together.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name.
    pub name: Name,
    /// Its files.
    pub paths: PathFilter,
    /// The stages that a release has to pass first. Without any, the stage follows the registry.
    pub from: Option<From>,
    /// How long a release has to be in one of those without interruption.
    pub soak: Duration,
    /// The checks that have to succeed on the commit that deployed it there.
    pub checks: Vec<Check>,
    /// The names of windows, all of which have to be open.
    pub windows: Vec<Name>,
    /// The approval that is necessary.
    pub approval: Option<Approval>,
}

/// A configured group of images.
#[derive(Debug, Clone)]
pub struct ReleaseRule {
    /// Its name.
    pub name: Name,
    /// Its images.
    pub images: Vec<ImagePattern>,
    /// Whether they have the same tag.
    pub tags: Tags,
    /// The time after which an incomplete release is reported.
    pub complete_within: Option<Duration>,
}

/// The tags of the images of a release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tags {
    /// All have the same: the newest tag that every image has.
    #[default]
    Same,
    /// Each has its own.
    Each,
}

/// The stages that a release has to pass first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Any of these.
    Any(Vec<Name>),
    /// All of these.
    All(Vec<Name>),
}

/// A check that has to succeed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// A commit status or check run with this context.
    Status(String),
    /// Flux has applied the commit, and what it applied is ready.
    FluxReady,
    /// Argo CD has synced the commit, and its applications are healthy.
    ArgocdHealthy,
}

/// An approval that is necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// How many people have to approve.
    pub need: u32,
    /// How they do that.
    pub by: ApprovalBy,
    /// True if the author of the source commit does not count.
    pub not_by_author: bool,
}

/// The ways to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalBy {
    /// By approving a pull request, which is then merged automatically.
    Review,
    /// By merging a pull request.
    Merge,
    /// By a signed commit without changes.
    Signature,
}

impl From {
    /// Returns the names of the stages.
    pub fn names(&self) -> &[Name] {
        match self {
            From::Any(names) | From::All(names) => names,
        }
    }
}

impl ApprovalBy {
    /// Returns its name in configurations and trailers.
    pub fn name(self) -> &'static str {
        match self {
            ApprovalBy::Review => "review",
            ApprovalBy::Merge => "merge",
            ApprovalBy::Signature => "signature",
        }
    }
}

impl Check {
    /// Returns the context of a commit status, if it is one.
    pub fn context(&self) -> Option<&str> {
        match self {
            Check::Status(context) => Some(context),
            Check::FluxReady | Check::ArgocdHealthy => None,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Status(context) => f.write_str(context),
            Check::FluxReady => f.write_str("flux: ready"),
            Check::ArgocdHealthy => f.write_str("argocd: healthy"),
        }
    }
}
