//! Everything that is known about one file once it has been parsed.

use std::collections::BTreeMap;

use crate::image::{Repository, Version};
use crate::yaml::place::Place;

use super::field::{Field, Pending};
use super::flux::FluxObject;
use super::kustomization::Kustomization;
use super::marker::MarkerError;
use super::rule_image::FieldRuleError;
use super::values::facts::{Dependency, ValuesFacts};

/// Everything that is known about one file once it has been parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileFacts {
    /// Its image fields, in the order of document and place.
    pub fields: Vec<Field>,
    /// Fields whose image is defined by another file.
    pub pending: Vec<Pending>,
    /// Its references to files and images, if it is a kustomization.
    pub kustomization: Option<Kustomization>,
    /// The values of charts in it: one for each document and release that has any.
    pub values: Vec<ValuesFacts>,
    /// The dependencies of the chart that it describes.
    pub dependencies: Vec<Dependency>,
    /// The Flux policies, image repositories and Helm repositories in it.
    pub flux: Vec<FluxObject>,
    /// The scalars that rules insert into the names of images in other files, by path.
    pub for_others: BTreeMap<String, String>,
    /// Markers and rules that cannot be applied.
    pub problems: Vec<FieldProblem>,
    /// Charts whose version is a range, which are left alone.
    pub ranges: Vec<VersionRange>,
    /// True if it is a SOPS file whose message authentication code also covers plaintext values, so that editing one
    /// would make the file unreadable.
    pub encrypted: bool,
}

/// A chart whose version is a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    /// The position of the range.
    pub place: Place,
    /// The name of the chart.
    pub chart: String,
    /// The range.
    pub version: String,
}

/// A marker or a rule that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {reason}", place.line, place.column)]
#[allow(missing_docs, reason = "the message explains the fields")]
pub struct FieldProblem {
    pub place: Place,
    pub reason: FieldProblemReason,
}

/// The reason why a marker or a rule cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum FieldProblemReason {
    /// The marker is not valid.
    #[error("this marker cannot be read: {0}")]
    Marker(MarkerError),
    /// The image of a rule cannot be determined.
    #[error("a rule in `fields` selects this value, but its image cannot be determined: {0}")]
    Rule(FieldRuleError),
    /// The value is not what the marker or rule expects.
    #[error("a marker or rule selects this value, but `{value}` is not {wanted}")]
    Value { value: String, wanted: &'static str },
}

impl FileFacts {
    /// Returns the version that the file holds of an image at a path. Lists grow and shrink over the years, so the path
    /// does not matter if all fields of the image hold the same version.
    pub fn version_of(&self, image: &Repository, path: &str) -> Option<&Version> {
        let mut versions = self.fields.iter().filter(|field| field.repository == *image);
        let exact = versions.clone().find(|field| field.path == path).map(|field| &field.version);
        let is_pending = |pending: &&Pending| pending.path() == path && pending.can_be(image);
        let pending = || self.pending.iter().find(is_pending).map(Pending::version);
        // The registry may be in another file.
        let ends_alike = |field: &&Field| {
            let rest = image.as_str().strip_suffix(field.repository.path());
            field.path == path && rest.is_some_and(|rest| rest.ends_with('/'))
        };
        let unprefixed = || self.fields.iter().find(ends_alike).map(|field| &field.version);
        exact.or_else(pending).or_else(unprefixed).or_else(|| {
            let first = &versions.next()?.version;
            versions.all(|field| field.version == *first).then_some(first)
        })
    }

    /// Returns whether a field is in this file.
    pub(super) fn has(&self, field: &Field) -> bool {
        let pending = |pending: &Pending| {
            pending.place() == field.place && pending.named(field.repository.clone(), None).is_same(field)
        };
        let own = |own: &Field| own.place == field.place && own.is_same(field);
        self.fields.iter().any(own) || self.pending.iter().any(pending)
    }
}
