//! What an image field is: the place in a file that says which version of an image runs.

use std::fmt;
use std::ops::Range;

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
    /// Any other scalar that is a whole reference, or a reference within one.
    Value,
    /// A scalar that a marker or a rule of the configuration names.
    Marker,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shape::Workload => "workload",
            Shape::Kustomization => "kustomization",
            Shape::Helm => "helm",
            Shape::OciRepository => "oci-repository",
            Shape::Value => "value",
            Shape::Marker => "marker",
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
    /// Other places that read the same scalar, by an anchor and its aliases: they move along.
    pub moves_along: Vec<String>,
    /// The scalars that make up the field.
    pub(super) slots: Slots,
}

impl Field {
    /// Whether the field holds a version already, as far as it has a place for it: one that holds a digest alone knows
    /// nothing of tags.
    pub fn holds(&self, version: &Version) -> bool {
        match &self.slots {
            Slots::Apart { tag: None, .. } => self.version.digest == version.digest,
            _ => self.version == *version,
        }
    }

    /// Whether an edit of this field would change another one as well, because they share a scalar. Both are of one file.
    pub fn shares_scalar_with(&self, other: &Field) -> bool {
        let (own, others) = (self.slots.scalar(), other.slots.scalar());
        own.is_some() && own == others
    }
}

/// A field whose image is not known from its own file: it stands behind a marker that names a policy of Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// `NAMESPACE:NAME` of the ImagePolicy.
    pub policy: String,
    /// All but the image.
    pub(super) spot: Spot,
    /// As in [`Field::moves_along`].
    pub(super) moves_along: Vec<String>,
}

impl Pending {
    /// Where it stands.
    pub fn place(&self) -> Place {
        self.spot.place
    }

    /// The way to the scalar that holds the tag.
    pub fn path(&self) -> &str {
        &self.spot.path
    }

    /// What it holds now.
    pub fn version(&self) -> &Version {
        &self.spot.version
    }

    /// The field, once its image is known.
    pub fn named(&self, image: Repository) -> Field {
        let moves_along = self.moves_along.clone();
        Field { moves_along, ..self.spot.clone().field(image.clone(), image.to_string(), false) }
    }
}

/// What is known of a field apart from its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub document: usize,
    pub path: String,
    pub place: Place,
    pub shape: Shape,
    pub version: Version,
    pub slots: Slots,
}

impl Spot {
    pub(super) fn field(self, repository: Repository, written_name: String, transformed: bool) -> Field {
        let Spot { document, path, place, shape, version, slots } = self;
        Field {
            document,
            path,
            place,
            shape,
            repository,
            written_name,
            transformed,
            version,
            moves_along: Vec::new(),
            slots,
        }
    }
}

/// The scalars that make up a field. Node ids hold for the very bytes that were read; those of values are resolved, so
/// never those of aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slots {
    /// One scalar holds name, tag and digest.
    Whole {
        /// The scalar.
        scalar: NodeId,
    },
    /// A part of a scalar holds name, tag and digest.
    Within {
        /// The scalar.
        scalar: NodeId,
        /// Which bytes of its value.
        part: Range<usize>,
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
    /// Scalars that markers or rules name. At least one is there, and none is ever taken away.
    Apart {
        /// The one that holds the tag.
        tag: Option<NodeId>,
        /// The one that holds the digest.
        digest: Option<NodeId>,
    },
}

impl Slots {
    /// The scalar that an edit changes first.
    pub(super) fn scalar(&self) -> Option<NodeId> {
        match self {
            Slots::Whole { scalar } => Some(*scalar),
            // Two parts of one scalar are edited side by side.
            Slots::Within { .. } => None,
            Slots::Entry { tag, digest, .. } => tag.or(*digest).map(|(_, value)| value),
            Slots::Siblings { tag, .. } => Some(*tag),
            Slots::Apart { tag, digest } => tag.or(*digest),
        }
    }
}
