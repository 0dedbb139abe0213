//! A proposed policy.

/// A proposed policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProposedPolicy {
    /// The reasons, one comment line each.
    pub because: Vec<String>,
    /// `images`.
    pub images: Vec<String>,
    /// The rule under `tags`.
    pub tags: ProposedTags,
    /// `allow`.
    pub allow: Vec<String>,
    /// `ignore`.
    pub ignore: Vec<String>,
    /// True for `fields: marked`.
    pub marked_only: bool,
    /// `pin` or `track`, which have the value `digest`.
    pub digest: Option<&'static str>,
}

/// A rule of tags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProposedTags {
    /// None: only digests are followed.
    #[default]
    None,
    /// Git commits, ordered by age.
    Sha,
    /// A rule with a main value, such as a range, and the part of a tag that is compared.
    Compared {
        /// `semver`, `calver`, `numerical` or `alphabetical`.
        rule: &'static str,
        /// The key and the text of its main value: `range`, `format` or `order`.
        value: Option<(&'static str, String)>,
        /// `pattern`.
        pattern: Option<String>,
        /// `extract`.
        extract: Option<String>,
    },
}
