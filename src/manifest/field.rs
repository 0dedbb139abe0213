//! What an image field is: the place in a file that says which version of an image runs.

use std::fmt;

use serde::Serialize;

use crate::image::{Repository, Version};
use crate::yaml::node::NodeId;
use crate::yaml::place::Place;

/// The form that a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// `image:` of a container or of anything else that runs one.
    Workload,
    /// An entry of a kustomization's `images`.
    Kustomization,
    /// Siblings `repository` (and `registry`) with `tag` (and `digest`), as charts take them.
    Helm,
    /// `spec.ref` of a Flux OCIRepository.
    OciRepository,
    /// Any other scalar that is a whole reference.
    Value,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Workload => "workload",
            Shape::Kustomization => "kustomization",
            Shape::Helm => "helm",
            Shape::OciRepository => "oci-repository",
            Shape::Value => "value",
        })
    }
}

/// One image field of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Which document of the file, from 0.
    pub document: usize,
    /// The way to the scalar that holds the tag, such as `spec.template.spec.containers[0].image`.
    pub path: String,
    /// Where that scalar stands.
    pub place: Place,
    /// The form of the field.
    pub shape: Shape,
    /// The image, normalised.
    pub repository: Repository,
    /// The name by which a kustomization would match this field: as written, without tag and digest.
    pub written_name: String,
    /// Whether kustomize's image transformer looks at this field.
    pub transformed: bool,
    /// What the field holds now.
    pub version: Version,
    /// The scalars that make up the field.
    pub(super) slots: Slots,
}

/// The scalars that make up a field. Node ids hold for the very bytes that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slots {
    /// One scalar holds name, tag and digest.
    Whole {
        /// The scalar.
        scalar: NodeId,
    },
    /// An entry of a kustomization, or the `ref` of an OCIRepository.
    Entry {
        /// How the tag's key is called: `newTag` or `tag`.
        tag_key: &'static str,
        /// The key behind which missing keys are added.
        anchor_key: NodeId,
        /// Key and value of the tag.
        tag: Option<(NodeId, NodeId)>,
        /// Key and value of `digest`.
        digest: Option<(NodeId, NodeId)>,
        /// Remote resources of the same kustomization with their `?ref=`: scalar and the ref's text.
        refs: Vec<(NodeId, String)>,
    },
    /// Helm-style siblings.
    Siblings {
        /// The value of `tag`.
        tag: NodeId,
        /// Key and value of `digest`.
        digest: Option<(NodeId, NodeId)>,
    },
}
