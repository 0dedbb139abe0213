//! The configuration of a tree.

use crate::manifest::field_rules::FieldRules;
use crate::manifest::prefilter::{Prefilter, words};
use crate::policy::rule::{ImagePattern, PolicySet};

/// The configuration of a tree.
#[derive(Debug, Clone, Default)]
pub struct TreeConfig {
    /// The policies, which say which images follow which tags.
    pub policies: PolicySet,
    /// The rules for what is an image field.
    pub field_rules: FieldRules,
}

impl TreeConfig {
    /// Returns a prefilter for the images that any policy governs.
    pub fn prefilter(&self) -> Prefilter {
        let patterns = || self.policies.rules.iter().flat_map(|rule| &rule.images);
        let of_images = patterns().filter(|pattern| !pattern.is_of_charts());
        let charts = patterns().any(ImagePattern::is_of_charts);
        Prefilter::from_words(of_images.map(|pattern| words(pattern.as_str())), charts)
    }
}
