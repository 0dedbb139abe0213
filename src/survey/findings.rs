//! Everything that a survey found, and the proposals that follow from it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::manifest::inventory::Inventory;

use super::field_proposals::{FieldProposals, Unresolved};
use super::flux::convert::FluxSettings;
use super::movements::Movements;
use super::mover::Mover;
use super::policy_proposals::PolicyProposals;
use super::proposed_field::ProposedField;
use super::stage_proposals::ProposedStage;
use super::surroundings::Surroundings;
use super::tree::KnownFields;

/// Everything that a survey found.
#[derive(Debug, Default)]
pub struct Findings {
    /// `git.url`, if it is known.
    pub url: Option<String>,
    /// The branch.
    pub branch: String,
    /// The history.
    pub history: HistorySummary,
    /// The image fields by their shapes, before and after the rules.
    pub fields: FieldSummary,
    /// The character of the repository.
    pub surroundings: Surroundings,
    /// Proposed rules under `fields`.
    pub rules: Vec<ProposedField>,
    /// Values that no rule was found for.
    pub unresolved: Vec<Unresolved>,
    /// Proposed policies.
    pub policies: PolicyProposals,
    /// Proposed stages, the earliest first.
    pub stages: Vec<ProposedStage>,
    /// What became of Flux's objects.
    pub flux: FluxSettings,
    /// What registries answered, by host.
    pub registries: BTreeMap<String, String>,
}

/// The part of the history that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HistorySummary {
    /// The number of commits.
    pub commits: usize,
    /// The time of the oldest.
    pub since: Option<Timestamp>,
    /// The number of moves of image fields by each mover.
    pub movers: BTreeMap<Mover, usize>,
}

/// The image fields of the tip.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FieldSummary {
    /// The number of fields that are found without rules, by shape.
    pub shapes: BTreeMap<String, usize>,
    /// The number of images.
    pub images: usize,
    /// The number of fields that the proposed rules add.
    pub added: usize,
    /// The registries, with the number of their images.
    pub hosts: BTreeMap<String, usize>,
}

impl FieldSummary {
    /// Sums up the inventories without and with the proposed rules.
    pub fn of(before: &Inventory, after: &Inventory) -> FieldSummary {
        let mut summary =
            FieldSummary { added: after.fields.len().saturating_sub(before.fields.len()), ..Default::default() };
        for located in &before.fields {
            *summary.shapes.entry(located.field.shape.to_string()).or_default() += 1;
        }
        let repositories = after.fields.iter().map(|located| &located.field.repository);
        let mut images: Vec<_> = repositories.filter(|repository| !repository.is_chart()).collect();
        images.sort();
        images.dedup();
        summary.images = images.len();
        for image in images {
            *summary.hosts.entry(image.host().to_owned()).or_default() += 1;
        }
        summary
    }
}

impl HistorySummary {
    /// Sums up the moves of the fields of an inventory.
    pub fn of(movements: &Movements, known: &KnownFields) -> HistorySummary {
        let mut movers = BTreeMap::new();
        for (_, movement) in movements.places.iter().filter(|(place, movement)| known.cover(place, movement)) {
            for (mover, count) in &movement.by {
                *movers.entry(*mover).or_default() += count;
            }
        }
        HistorySummary { commits: movements.commits, since: movements.since, movers }
    }
}

/// Keeps the rules that work: those with which at least one of the places that they were made from becomes a field. The
/// rest is unresolved.
pub fn proved(proposals: FieldProposals, known: &KnownFields) -> FieldProposals {
    let FieldProposals { rules, mut unresolved } = proposals;
    let (works, fails): (Vec<ProposedField>, Vec<ProposedField>) =
        rules.into_iter().partition(|rule| rule.places.iter().any(|place| known.has(place)));
    unresolved.extend(fails.into_iter().map(|rule| Unresolved {
        file: rule.file,
        path: rule.path,
        reason: "a rule for it yields no field",
        evidence: rule.evidence,
    }));
    unresolved.sort_by_key(|one| std::cmp::Reverse(one.evidence.moves));
    FieldProposals { rules: works, unresolved }
}
