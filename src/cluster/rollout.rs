//! Commits on their way into the cluster, and what becomes of them.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::config::ObjectRef;

/// Returns whether the first commit is known to be or to contain the second one.
pub type Ancestry = dyn Fn(&str, &str) -> bool + Send + Sync;

/// A commit that was pushed.
#[derive(Debug, Clone)]
pub struct PushedCommit {
    /// The commit.
    pub commit: String,
    /// When it was pushed.
    pub at: Instant,
    /// The images that it updated.
    pub changes: Vec<ImageChange>,
}

/// An image that was updated in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageChange {
    /// The image.
    pub image: String,
    /// The tag or digest that the file has now.
    pub to: String,
    /// The file.
    pub file: String,
    /// When the image was built, if known.
    pub built: Option<Timestamp>,
    /// The folders from which the file is deployed: those of the kustomizations that include it, and those without a
    /// kustomization that have it or one of these below them.
    pub deployed_from: BTreeSet<String>,
    /// True if the file belongs to a chart, which is deployed from wherever a release refers to it.
    pub is_in_chart: bool,
    /// The names of the HelmReleases that the file declares.
    pub releases: BTreeSet<String>,
}

/// A product that deploys commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// Flux.
    Flux,
    /// Argo CD.
    ArgoCd,
}

impl Product {
    /// All products.
    pub const ALL: [Product; 2] = [Product::Flux, Product::ArgoCd];
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Product::Flux => "Flux",
            Product::ArgoCd => "Argo CD",
        })
    }
}

/// An object that deploys files of the repository: a Kustomization of Flux, or an Application of Argo CD.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deployer {
    /// The product that it belongs to.
    pub product: Product,
    /// Its namespace and name.
    pub name: ObjectRef,
}

impl fmt::Display for Deployer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// The progress of an object with a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It has applied the commit or a later one.
    Applied {
        /// The applied revision.
        revision: String,
    },
    /// It failed to apply the commit or a later one.
    Failed {
        /// The reason, as one word.
        reason: String,
        /// The reason, as the product explains it.
        message: String,
    },
    /// It is suspended, so it will not apply the commit.
    Suspended {
        /// The kind and name of what is suspended.
        what: String,
    },
    /// It has not started with the commit, or is applying it.
    Waiting,
}

/// The outcome of a commit, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutEvent {
    /// The commit.
    pub commit: String,
    /// The object concerned; `None` if there is none.
    pub deployer: Option<Deployer>,
    /// The images concerned.
    pub changes: Vec<ImageChange>,
    /// Their outcome.
    pub outcome: RolloutOutcome,
    /// The time since the push.
    pub took: Duration,
    /// What the object had applied before it failed, if that is known and it was not failing already.
    pub last_applied: Option<LastApplied>,
}

/// The last commit that an object has applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastApplied {
    /// The commit.
    pub commit: String,
    /// The folders of the repository that it deploys.
    pub folders: BTreeSet<String>,
}

/// The outcome of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutOutcome {
    /// It was applied.
    Applied {
        /// The applied revision, which contains it.
        revision: String,
    },
    /// It could not be applied. Flux and Argo CD keep retrying.
    Failed {
        /// The reason, as one word.
        reason: String,
        /// The reason, as the product explains it.
        message: String,
    },
    /// It was not applied in time.
    Overdue {
        /// The current state instead.
        state: String,
    },
    /// What deploys its files is suspended.
    Suspended {
        /// The current state instead.
        state: String,
    },
    /// Nothing in the cluster deploys its files.
    Unclaimed {
        /// What was looked for.
        state: String,
    },
    /// A newer commit updated the same images before this one was applied.
    Superseded,
}

impl RolloutOutcome {
    /// All labels.
    pub const LABELS: [&'static str; 6] = ["applied", "failed", "overdue", "suspended", "unclaimed", "superseded"];

    /// A short lowercase name for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            RolloutOutcome::Applied { .. } => "applied",
            RolloutOutcome::Failed { .. } => "failed",
            RolloutOutcome::Overdue { .. } => "overdue",
            RolloutOutcome::Suspended { .. } => "suspended",
            RolloutOutcome::Unclaimed { .. } => "unclaimed",
            RolloutOutcome::Superseded => "superseded",
        }
    }
}
