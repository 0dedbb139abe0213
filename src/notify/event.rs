//! What there is to tell.

use jiff::Timestamp;
use serde::Serialize;

/// The kinds of events. Their names are those of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A commit that moves images was pushed.
    Updated,
    /// A gate keeps an image back.
    Blocked,
    /// A hold keeps an image back.
    Held,
    /// A push lost every race.
    PushExhausted,
    /// Cycles fail.
    Failed,
    /// Flux has applied a commit.
    Reconciled,
    /// Flux could not apply a commit, or has not in time.
    ReconcileFailed,
    /// What was told before is over.
    Recovered,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::Updated,
        Kind::Blocked,
        Kind::Held,
        Kind::PushExhausted,
        Kind::Failed,
        Kind::Reconciled,
        Kind::ReconcileFailed,
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
            Kind::Recovered => "recovered",
        }
    }

    /// The kind of a name.
    pub fn of(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is bad news.
    pub fn is_trouble(self) -> bool {
        !matches!(self, Kind::Updated | Kind::Reconciled | Kind::Recovered)
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its kind.
    pub kind: Kind,
    /// When it was noticed.
    pub at: Timestamp,
    /// The infrastructure repository, without credentials.
    pub repository: String,
    /// Its branch.
    pub branch: String,
    /// What happened, in one line.
    pub title: String,
    /// Why, in some lines; may be empty.
    pub detail: String,
    /// The image that it is about, if one.
    pub image: Option<String>,
    /// The tag that it is about.
    pub tag: Option<String>,
    /// The commit that it is about.
    pub commit: Option<String>,
    /// Where that commit can be looked at.
    pub url: Option<String>,
}

impl Event {
    /// An event to try templates on.
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
