//! What is known of one file once its bytes have been read.

use crate::image::{Repository, Version};
use crate::yaml::place::Place;

use super::field::{Field, Pending};
use super::field_rules::FieldRuleError;
use super::flux::FluxObject;
use super::kustomization::Kustomization;
use super::marker::MarkerError;

/// What is known of one file once its bytes have been read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileFacts {
    /// Its image fields, in the order of document and place.
    pub fields: Vec<Field>,
    /// Fields whose image another file has to tell.
    pub pending: Vec<Pending>,
    /// What it says as a kustomization, if it is one.
    pub kustomization: Option<Kustomization>,
    /// What it says about policies of Flux.
    pub flux: Vec<FluxObject>,
    /// Markers and rules that cannot be followed here.
    pub problems: Vec<FieldProblem>,
    /// Whether it is a SOPS file whose message authentication code covers values in clear text, so that an edit of
    /// any of them would make it unreadable.
    pub encrypted: bool,
}

/// A marker or a rule that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {reason}", place.line, place.column)]
pub struct FieldProblem {
    /// Where.
    pub place: Place,
    /// Why.
    pub reason: FieldProblemReason,
}

/// Why a marker or a rule cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblemReason {
    /// The marker cannot be read.
    #[error("this marker cannot be read: {0}")]
    Marker(MarkerError),
    /// The image of a rule cannot be told.
    #[error("a rule of `fields` names this value, but its image cannot be told: {0}")]
    Rule(FieldRuleError),
    /// The value is not what the marker or rule says.
    #[error("a marker or a rule names this value, but `{value}` is not {wanted}")]
    Value {
        /// What is there.
        value: String,
        /// What should be.
        wanted: &'static str,
    },
}

impl FileFacts {
    /// What the file holds of an image at a path. Lists grow and shrink over the years, so where all fields of the image
    /// hold one version, the path does not matter.
    pub fn version_of(&self, image: &Repository, path: &str) -> Option<&Version> {
        let mut versions = self.fields.iter().filter(|field| field.repository == *image);
        let exact = versions.clone().find(|field| field.path == path).map(|field| &field.version);
        let pending = || self.pending.iter().find(|pending| pending.path() == path).map(Pending::version);
        exact.or_else(pending).or_else(|| {
            let first = &versions.next()?.version;
            versions.all(|field| field.version == *first).then_some(first)
        })
    }

    /// Whether a field is one of this file's.
    pub(super) fn has(&self, field: &Field) -> bool {
        let pending =
            |pending: &Pending| pending.place() == field.place && pending.named(field.repository.clone()) == *field;
        self.fields.contains(field) || self.pending.iter().any(pending)
    }
}
