//! Policies that govern nothing, which is a mistake more often than not, with the images that they may mean.

use std::collections::BTreeSet;

use strsim::levenshtein;

use crate::image::Repository;
use crate::manifest::inventory::Inventory;
use crate::policy::rule::{ImagePattern, PolicySet, Rule};

use super::tree_config::policy_of;

/// The number of similar images that are named.
const MOST: usize = 3;

/// A policy that governs no field, and the reason.
#[derive(Debug, Clone)]
pub struct Unmatched<'p> {
    /// The policy.
    pub rule: &'p Rule,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// No field has one of its images.
    NoField,
    /// Earlier policies govern all of its images.
    Preceded,
    /// None of the fields of its images has a marker.
    NoMarker,
    /// Kustomizations override all of the fields of its images.
    Overridden,
}

/// Returns the policies that govern no field.
pub fn unmatched<'p>(policies: &'p PolicySet, inventory: &Inventory) -> Vec<Unmatched<'p>> {
    let reason = |rule: &Rule| {
        let own = |name: &Repository| rule.images.iter().any(|pattern| pattern.matches(name));
        let fields: Vec<_> = inventory.fields.iter().filter(|located| own(&located.field.repository)).collect();
        let first = |image| policies.rule_for(image).is_some_and(|first| std::ptr::eq(first, rule));
        let governed: Vec<_> = fields.iter().filter(|located| first(&located.field.repository)).collect();
        if fields.is_empty() {
            Some(Reason::NoField)
        } else if governed.is_empty() {
            Some(Reason::Preceded)
        } else if governed.iter().all(|located| policy_of(&located.field, policies).is_none()) {
            Some(Reason::NoMarker)
        } else {
            governed.iter().all(|located| located.shadowed_by.is_some()).then_some(Reason::Overridden)
        }
    };
    policies.rules.iter().filter_map(|rule| Some(Unmatched { rule, reason: reason(rule)? })).collect()
}

impl Unmatched<'_> {
    /// Returns whether the names of other images help.
    pub fn may_be_misspelled(&self) -> bool {
        self.reason == Reason::NoField
    }

    /// Describes it, with the images of an inventory that are most similar, if it has them all.
    pub fn describe(&self, inventory: Option<&Inventory>) -> String {
        match self.reason {
            Reason::NoField => {
                let similar = inventory.map(|inventory| similar(self.rule, inventory)).unwrap_or_default();
                let similar = match (inventory, similar.as_slice()) {
                    (None, _) => String::new(),
                    (Some(_), []) => "; there are no image fields".to_owned(),
                    (Some(_), similar) => format!("; the most similar images are {}", similar.join(", ")),
                };
                format!("matches no image field{similar}")
            }
            Reason::Preceded => "governs nothing: earlier policies match all of its images".to_owned(),
            Reason::NoMarker => {
                "governs nothing: no field of its images has a marker, as `fields: marked` requires".to_owned()
            }
            Reason::Overridden => "governs nothing: kustomizations override all fields of its images".to_owned(),
        }
    }

    /// Returns a note for people.
    pub fn note(&self, inventory: Option<&Inventory>) -> String {
        format!("the policy {} {}", self.rule.name, self.describe(inventory))
    }
}

/// Returns the images of an inventory whose names are most similar to the patterns of a policy.
fn similar(rule: &Rule, inventory: &Inventory) -> Vec<String> {
    let images: BTreeSet<&Repository> = inventory.fields.iter().map(|located| &located.field.repository).collect();
    let nearest = |image: &Repository| rule.images.iter().map(|pattern| distance(pattern, image)).min();
    let mut ranked: Vec<(usize, &Repository)> =
        images.into_iter().filter_map(|image| Some((nearest(image)?, image))).collect();
    ranked.sort();
    ranked.into_iter().take(MOST).map(|(_, image)| image.to_string()).collect()
}

/// Returns the edit distance between a pattern and a name. What a `*` stands for at the end does not count.
fn distance(pattern: &ImagePattern, image: &Repository) -> usize {
    let (pattern, name) = (pattern.as_str(), image.name());
    match pattern.strip_suffix("/**").or_else(|| pattern.strip_suffix("/*")) {
        Some(above) => {
            let count = above.split('/').count();
            let start: Vec<&str> = name.split('/').take(count).collect();
            levenshtein(above, &start.join("/"))
        }
        None => levenshtein(pattern, name),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manifest::field_rules::FieldRules;
    use crate::manifest::find;
    use crate::manifest::graph::Graph;
    use crate::manifest::inventory::{Reading, readable};
    use crate::manifest::paths::PathFilter;
    use crate::path::Links;
    use crate::policy::rule::INSPECT_LIMIT;
    use crate::policy::tag_patterns::TagPatterns;
    use crate::policy::tags::TagRule;

    fn rule(pattern: &str, marked_only: bool) -> Rule {
        Rule {
            name: pattern.to_owned(),
            images: vec![ImagePattern::parse(pattern).expect(pattern)],
            tags: TagRule::Held,
            marked_only,
            pin: false,
            track: true,
            tag_patterns: TagPatterns::default(),
            minimum_age: None,
            inspect_limit: INSPECT_LIMIT,
            platforms: Vec::new(),
            fallback: false,
            keep: None,
            origin: None,
        }
    }

    fn inventory(files: &[(&str, &str)]) -> Inventory {
        let exists = |path: &str| files.iter().any(|(file, _)| *file == path);
        let read = |(path, text): &(&str, &str)| {
            let facts = find::read(path, text.as_bytes(), &FieldRules::default());
            ((*path).into(), Arc::new(facts))
        };
        let readings: Vec<(Arc<str>, Reading)> = files.iter().map(read).collect();
        let graph = Graph::build(readable(&readings), &exists, &Links::default());
        Inventory::of(&readings, &graph, &exists, &PathFilter::default())
    }

    #[test]
    fn each_policy_without_a_field_says_why() {
        let found = inventory(&[
            ("a.yaml", "image: ghcr.io/acme/app:v1\n"),
            ("b.yaml", "image: zzz.io/acmf/web:v1 # {\"$imagepolicy\": \"a:b\"}\n"),
            ("c.yaml", "image: aaa.io/other/thing:v1\n"),
        ]);
        let rules = vec![
            rule("ghcr.io/acme/app", false),
            rule("ghcr.io/acme/*", false),
            rule("zzz.io/acme/*", false),
            rule("zzz.io/acmf/*", true),
            rule("aaa.io/other/*", true),
        ];
        let policies = PolicySet { rules };
        let notes: Vec<String> = unmatched(&policies, &found).iter().map(|one| one.note(Some(&found))).collect();
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes[0].contains("earlier policies match all of its images"), "{notes:?}");
        assert_eq!(
            notes[1],
            "the policy zzz.io/acme/* matches no image field; the most similar images are zzz.io/acmf/web, \
             ghcr.io/acme/app, aaa.io/other/thing",
            "by distance, not by alphabet"
        );
        assert!(notes[2].contains("no field of its images has a marker"), "{notes:?}");
    }
}
