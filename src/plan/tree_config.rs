//! What is configured for a tree.

use crate::manifest::conventions::Conventions;
use crate::manifest::interest::{Interest, words};
use crate::policy::rule::PolicySet;

/// What is configured for a tree.
#[derive(Debug, Clone, Default)]
pub struct TreeConfig {
    /// Which images follow which tags.
    pub policies: PolicySet,
    /// What counts as an image field.
    pub conventions: Conventions,
}

impl TreeConfig {
    /// Returns the images that any policy governs.
    pub fn interest(&self) -> Interest {
        let patterns = self.policies.rules.iter().flat_map(|rule| &rule.images);
        Interest::in_words(patterns.map(|pattern| words(pattern.as_str())))
    }
}
