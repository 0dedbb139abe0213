//! The configuration of a tree.

use crate::manifest::field::Field;
use crate::manifest::field_rules::FieldRules;
use crate::manifest::inventory::{Inventory, Located};
use crate::manifest::prefilter::{Prefilter, words};
use crate::policy::rule::{ImagePattern, PolicySet, Rule};
use crate::stage::definition::Stage;
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
    /// Returns the fields that follow a registry: not shadowed, matched by a policy, and in no stage that other stages come
    /// before.
    pub fn governed<'c, 'i>(&'c self, inventory: &'i Inventory) -> impl Iterator<Item = (&'i Located, &'c Rule)> {
        let free = inventory.fields.iter().filter(|located| located.shadowed_by.is_none());
        let follows = free.filter(|located| self.stages.follows_registry(&located.file));
        follows.filter_map(|located| Some((located, policy_of(&located.field, &self.policies)?)))
    }

    /// Returns the fields whose versions come from other stages, with their stage.
    pub fn promoted<'c, 'i>(&'c self, inventory: &'i Inventory) -> impl Iterator<Item = (&'i Located, &'c Stage)> {
        let free = inventory.fields.iter().filter(|located| located.shadowed_by.is_none());
        free.filter_map(|located| {
            let stage = self.stages.of(&located.file).filter(|stage| stage.from.is_some())?;
            Some((located, stage))
        })
    }

    /// Returns a prefilter for the images that any policy or stage governs.
    pub fn prefilter(&self) -> Prefilter {
        if !self.stages.is_empty() {
            return Prefilter::Everything;
        }
        let patterns = || self.policies.rules.iter().flat_map(|rule| &rule.images);
        let of_images = patterns().filter(|pattern| !pattern.is_of_charts());
        let charts = patterns().any(ImagePattern::is_of_charts);
        Prefilter::from_words(of_images.map(|pattern| words(pattern.as_str())), charts)
    }
}

/// Returns the policy that a field follows, unless something shadows it.
pub fn policy_of<'p>(field: &Field, policies: &'p PolicySet) -> Option<&'p Rule> {
    policies.rule_for(&field.repository).filter(|rule| field.marked || !rule.marked_only)
}
