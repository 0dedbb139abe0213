//! Orders about stages, as trailers of commits that change no file.

use crate::image::Tag;
use crate::stage::name::Name;
use crate::stage::release::ReleaseId;
use crate::stage::release_name::KnownRelease;

/// An order about a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageOrder {
    /// `Tagalong-Approve:` a release may enter a stage.
    Approve(StageRelease),
    /// `Tagalong-Disapprove:` withdraws all approvals before it.
    Disapprove(StageRelease),
    /// `Tagalong-Acknowledge:` someone has seen that gates of a stage were skipped.
    Acknowledge(Name),
}

/// A release for a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRelease {
    /// The stage.
    pub stage: Name,
    /// The release.
    pub release: KnownRelease,
}

/// An approval that does not count because of the signature of its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedApproval {
    /// The stage and the release.
    pub what: StageRelease,
    /// The ID of the commit.
    pub commit: String,
    /// What the signature is like.
    pub why: String,
}

/// The people who signed a commit, by what they may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignedBy {
    /// Its signer, if `trust.approvers` lists the key.
    pub approver: Option<String>,
    /// Its signer, if `trust.breakGlass` lists the key.
    pub glass_breaker: Option<String>,
    /// True if neither lists any keys, so that nobody can prove who they are.
    pub is_unproved: bool,
}

impl StageOrder {
    /// Reads a trailer, by its key without `Tagalong-`.
    pub fn read(key: &str, value: &str) -> Option<StageOrder> {
        match key {
            "Approve" => StageRelease::read(value).map(StageOrder::Approve),
            "Disapprove" => StageRelease::read(value).map(StageOrder::Disapprove),
            "Acknowledge" => value.trim().parse().ok().map(StageOrder::Acknowledge),
            _ => None,
        }
    }

    /// Returns the whole trailer.
    pub fn trailer(&self) -> String {
        match self {
            StageOrder::Approve(what) => format!("Tagalong-Approve: {}", what.value()),
            StageOrder::Disapprove(what) => format!("Tagalong-Disapprove: {}", what.value()),
            StageOrder::Acknowledge(stage) => format!("Tagalong-Acknowledge: {stage}"),
        }
    }

    /// Returns the subject of a commit that gives it.
    pub fn subject(&self) -> String {
        let (verb, what) = match self {
            StageOrder::Approve(what) => ("approve", what),
            StageOrder::Disapprove(what) => ("disapprove", what),
            StageOrder::Acknowledge(stage) => return format!("acknowledge: {stage}"),
        };
        format!("{verb}: {} {}", what.stage, what.release.short())
    }
}

impl StageRelease {
    /// Reads `STAGE RELEASE-ID (TAG)`. The tag is for people.
    pub fn read(value: &str) -> Option<StageRelease> {
        let mut words = value.split_whitespace();
        let (stage, id) = (words.next()?.parse().ok()?, ReleaseId::parse(words.next()?)?);
        let tag: Option<Tag> = match words.next() {
            None => None,
            Some(word) => word.strip_prefix('(')?.strip_suffix(')')?.parse().ok(),
        };
        let tag = tag.filter(|tag| tag.as_str() != id.short());
        words.next().is_none().then_some(StageRelease { stage, release: KnownRelease { id, tag } })
    }

    /// Returns the value of its trailer.
    pub fn value(&self) -> String {
        format!("{} {} ({})", self.stage, self.release.id, self.release.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        let id = "5".repeat(64);
        for line in [
            format!("Approve: live {id} (v1.2)"),
            format!("Disapprove: live {id} ({})", &id[..12]),
            "Acknowledge: live".to_owned(),
        ] {
            let (key, value) = line.split_once(": ").expect("a trailer");
            assert_eq!(StageOrder::read(key, value).expect("an order").trailer(), format!("Tagalong-{line}"));
        }
        let bare = StageOrder::read("Approve", &format!("live {id}")).expect("an order");
        assert_eq!(
            (bare.subject(), bare.trailer().ends_with("(555555555555)")),
            ("approve: live 555555555555".to_owned(), true)
        );
        for value in [
            "live".to_owned(),
            format!("live {}", &id[1..]),
            format!("live {id} v1.2"),
            format!("live {id} (v1) (v2)"),
            format!("li/ve {id}"),
        ] {
            assert_eq!(StageOrder::read("Approve", &value), None, "{value}");
        }
        assert_eq!(StageOrder::read("Acknowledge", "live and more"), None);
    }
}
