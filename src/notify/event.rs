//! The events that channels are notified of.

use jiff::Timestamp;
use serde::Serialize;

/// The kind of an event. The names are those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A commit that updates images was pushed.
    Updated,
    /// A gate blocks an update.
    Blocked,
    /// A hold blocks an update.
    Held,
    /// A push lost every race.
    PushExhausted,
    /// Cycles are failing.
    Failed,
    /// A commit was applied in the cluster.
    Reconciled,
    /// Flux failed to apply a commit, or has not applied it in time.
    ReconcileFailed,
    /// A release entered a stage after another one.
    Promoted,
    /// A release only lacks an approval to enter a stage.
    WaitingApproval,
    /// Images of a release have been missing for too long.
    Incomplete,
    /// The windows of a stage have opened for a release that waited for them.
    WindowOpened,
    /// A person skipped conditions of a stage.
    BreakGlass,
    /// A check failed, which keeps a release out of a stage.
    CheckFailed,
    /// A deployed image is missing or incomplete in its registry.
    DeployedBroken,
    /// Pods run something else than the repository says.
    Drifted,
    /// A problem reported before is over.
    Recovered,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 16] = [
        Kind::Updated,
        Kind::Blocked,
        Kind::Held,
        Kind::PushExhausted,
        Kind::Failed,
        Kind::Reconciled,
        Kind::ReconcileFailed,
        Kind::Promoted,
        Kind::WaitingApproval,
        Kind::Incomplete,
        Kind::WindowOpened,
        Kind::BreakGlass,
        Kind::CheckFailed,
        Kind::DeployedBroken,
        Kind::Drifted,
        Kind::Recovered,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Updated => "updated",
            Kind::Blocked => "blocked",
            Kind::Held => "held",
            Kind::PushExhausted => "push-exhausted",
            Kind::Failed => "failed",
            Kind::Reconciled => "reconciled",
            Kind::ReconcileFailed => "reconcile-failed",
            Kind::Promoted => "promoted",
            Kind::WaitingApproval => "waiting-approval",
            Kind::Incomplete => "incomplete",
            Kind::WindowOpened => "window-opened",
            Kind::BreakGlass => "break-glass",
            Kind::CheckFailed => "check-failed",
            Kind::DeployedBroken => "deployed-broken",
            Kind::Drifted => "drifted",
            Kind::Recovered => "recovered",
        }
    }

    /// The kind with a name.
    pub fn of(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns whether it reports a problem.
    pub fn is_trouble(self) -> bool {
        !matches!(
            self,
            Kind::Updated
                | Kind::Reconciled
                | Kind::Promoted
                | Kind::WaitingApproval
                | Kind::WindowOpened
                | Kind::Recovered
        )
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its kind.
    pub kind: Kind,
    /// When it was detected.
    pub at: Timestamp,
    /// The infrastructure repository, without credentials.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// A one-line summary.
    pub title: String,
    /// Details in a few lines; may be empty.
    pub detail: String,
    /// The image concerned, if any.
    pub image: Option<String>,
    /// The tag concerned, if any.
    pub tag: Option<String>,
    /// The commit concerned, if any.
    pub commit: Option<String>,
    /// The page of that commit, if known.
    pub url: Option<String>,
}

impl Event {
    /// An example event, to check templates with.
    pub fn example(kind: Kind) -> Event {
        Event {
            kind,
            at: Timestamp::UNIX_EPOCH,
            repository: "ssh://git@git.example.com/org/infra.git".to_owned(),
            branch: "main".to_owned(),
            title: "shop 1a2b3c4 -> 5d6e7f8".to_owned(),
            detail: String::new(),
            image: Some("ghcr.io/acme/shop".to_owned()),
            tag: Some("5d6e7f8".to_owned()),
            commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            url: None,
        }
    }
}
