//! The reasons for choosing no tag for a field.

use jiff::Timestamp;

use crate::image::Tag;

use super::digits::Doubt;

/// The reason for choosing no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum NoChoice {
    /// The field already holds the newest tag.
    #[error("holds the newest tag, {tag}")]
    UpToDate { tag: Tag },
    /// All tags in the registry are older than the field's.
    #[error("the newest tag in the registry, {newest}, is older than {held}; tags are never moved back")]
    OnlyOlder { held: Tag, newest: Tag },
    /// The policy follows the field's own tag, and there is none.
    #[error("holds no tag whose digest could be followed; set one, or give the policy a rule under `tags`")]
    NothingHeld,
    /// The registry lists no tags.
    #[error("the registry has no tags for this image; push one")]
    NoTags,
    /// No listed tag fits the policy.
    #[error("none of {count} tags fits the policy: {examples}")]
    NoneFits {
        count: usize,
        /// Up to three of the tags, with the reasons.
        examples: String,
    },
    /// No image has a position in the policy's order.
    #[error("{0}")]
    NoPositions(&'static str),
    /// All images claim the same build time, as those of reproducible builds do.
    #[error(
        "all {count} images say they were built at {at}, as reproducible builds do, so none is the newest; \
         set the annotation org.opencontainers.image.created when building, or use a policy by version or number"
    )]
    SameAges { count: usize, at: Timestamp },
    /// Two builds are the newest.
    #[error(
        "{one} and {other} are different builds and equally new, so neither is chosen; delete one, or \
         choose one with `tagalong set`"
    )]
    Tie { one: Tag, other: Tag },
    /// The field's tag may be newer than anything in the registry.
    #[error("it is unknown whether {newest} is newer than {held}: {why}; choose one with `tagalong set`")]
    HeldPositionUnknown { held: Tag, newest: Tag, why: &'static str },
    /// The field's tag may be newer than anything in the registry, which was not queried for it.
    #[error(
        "it is not yet known whether {newest} is newer than {held}: the registry was not queried for {held}; \
         the next cycle will do that"
    )]
    HeldNotQueried { held: Tag, newest: Tag },
    /// A newer build is not complete yet.
    #[error("{newest} is not chosen yet: {lacks}; if it never appears, choose a tag with `tagalong set`")]
    Unfinished { newest: Tag, lacks: &'static str },
    /// The field holds the newest tag that is known to be a commit, but another may be newer.
    #[error("holds {held}, the newest tag that is known to be a commit, but {newer} may be newer: it {doubt}")]
    InDoubt { held: Tag, newer: Tag, doubt: Doubt },
}

impl NoChoice {
    /// Returns whether the field keeps its tag because no better one is known.
    pub fn keeps_tag(&self) -> bool {
        matches!(self, NoChoice::UpToDate { .. } | NoChoice::InDoubt { .. } | NoChoice::Unfinished { .. })
    }
}
