//! Why no tag is chosen for a field.

use jiff::Timestamp;

use crate::image::Tag;

use super::digits::Doubt;

/// Why no tag is chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoChoice {
    /// The field holds the newest.
    #[error("holds the newest tag, {tag}")]
    UpToDate {
        /// The tag.
        tag: Tag,
    },
    /// Everything in the registry is older than what the field holds.
    #[error("the newest tag in the registry, {newest}, is older than {held}; nothing is moved back")]
    OnlyOlder {
        /// What the field holds.
        held: Tag,
        /// The newest that the registry has.
        newest: Tag,
    },
    /// The tag of the field is what counts, and it has none.
    #[error("holds no tag whose digest could be followed; give it one, or the policy a rule under `tags`")]
    NothingHeld,
    /// The registry lists nothing.
    #[error("the registry has no tags of this image; push one")]
    NoTags,
    /// Nothing listed fits the policy.
    #[error("none of {count} tags fits the policy: {examples}")]
    NoneFits {
        /// How many there are.
        count: usize,
        /// Up to three of them with their reasons.
        examples: String,
    },
    /// No image has a place in the policy's order.
    #[error("{0}")]
    NoPositions(&'static str),
    /// All images claim to be built at one time, as reproducible builds do.
    #[error(
        "all {count} images say they were built at {at}, as reproducible builds do, so none is the newest; \
         set the annotation org.opencontainers.image.created when building, or use a policy by version or number"
    )]
    SameAges {
        /// How many.
        count: usize,
        /// When.
        at: Timestamp,
    },
    /// Two builds are the newest.
    #[error(
        "{one} and {other} are different builds and equally new, so neither is chosen; delete one, or set it by \
         `tagalong set`"
    )]
    Tie {
        /// One of them.
        one: Tag,
        /// Another.
        other: Tag,
    },
    /// What the field holds may be newer than anything in the registry.
    #[error("whether {newest} is newer than {held} is not known: {why}; set it once by `tagalong set`")]
    HeldPositionUnknown {
        /// What the field holds.
        held: Tag,
        /// The newest in the registry.
        newest: Tag,
        /// Why its age is not known.
        why: &'static str,
    },
    /// What the field holds may be newer than anything in the registry, which was not asked.
    #[error(
        "whether {newest} is newer than {held} is not known yet: the registry was not queried for {held}; the next cycle does so"
    )]
    HeldNotQueried {
        /// What the field holds.
        held: Tag,
        /// The newest in the registry.
        newest: Tag,
    },
    /// A newer build is not all there yet.
    #[error("{newest} is not chosen yet: {lacks}; if that never comes, set it once by `tagalong set`")]
    Unfinished {
        /// A tag of the newer build.
        newest: Tag,
        /// What is missing.
        lacks: &'static str,
    },
    /// The field holds the newest of what is known to be a commit.
    #[error("holds {held}, the newest that is known to be a commit, but {newer} may be newer: it {doubt}")]
    InDoubt {
        /// What the field holds.
        held: Tag,
        /// What may be newer.
        newer: Tag,
        /// Why it is not chosen.
        doubt: Doubt,
    },
}

impl NoChoice {
    /// Whether the field keeps its tag because nothing is known that could take its place.
    pub fn keeps_tag(&self) -> bool {
        matches!(self, NoChoice::UpToDate { .. } | NoChoice::InDoubt { .. } | NoChoice::Unfinished { .. })
    }
}
