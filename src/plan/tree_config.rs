//! The configuration of a tree.

use crate::manifest::field_rules::FieldRules;
use crate::manifest::prefilter::{Prefilter, words};
use crate::policy::rule::PolicySet;
use crate::stage::stages::Stages;

/// The configuration of a tree.
#[derive(Debug, Clone, Default)]
pub struct TreeConfig {
    /// The policies, which say which images follow which tags.
    pub policies: PolicySet,
    /// The rules for what is an image field.
    pub field_rules: FieldRules,
    /// The stages that releases pass.
    pub stages: Stages,
}

impl TreeConfig {
    /// Returns a prefilter for the images that any policy governs.
    pub fn prefilter(&self) -> Prefilter {
        let patterns = self.policies.rules.iter().flat_map(|rule| &rule.images);
        Prefilter::from_words(patterns.map(|pattern| words(pattern.as_str())))
    }
}
