//! Image fields: the places in files that determine which version of an image runs.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::image::{Repository, Version};
use crate::yaml::node::NodeId;
use crate::yaml::place::Place;

use super::flux::Name;
use super::rule_image::NamePart;
use super::values::facts::ValuesPlace;

/// The form of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// `image:` of a container or of anything else that runs an image.
    Workload,
    /// An entry of a kustomization's `images`.
    Kustomization,
    /// Siblings `repository` (and `registry`) with `tag` (and `digest`), as charts have them.
    Helm,
    /// `spec.ref` of a Flux OCIRepository.
    OciRepository,
    /// Any other scalar that is a complete reference, or a reference within a scalar.
    Value,
    /// A scalar that a marker or a rule in the configuration selects.
    Marker,
    /// A complete reference on a line of a template that is the same however the template is rendered.
    Template,
    /// The version of a Helm chart.
    Chart,
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
            Shape::Template => "template",
            Shape::Chart => "chart",
        })
    }
}

/// An image field of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The document of the file, from 0.
    pub document: usize,
    /// The path to the scalar that holds the tag, such as `spec.template.spec.containers[0].image`.
    pub path: String,
    /// The position of that scalar.
    pub place: Place,
    /// The form of the field.
    pub shape: Shape,
    /// The image, normalised.
    pub repository: Repository,
    /// The name by which a kustomization would match this field: as written, without tag and digest.
    pub written_name: String,
    /// True if kustomize's image transformer applies to this field.
    pub transformed: bool,
    /// The version that the field holds.
    pub version: Version,
    /// True if a marker comment stands next to its tag or its digest.
    pub marked: bool,
    /// Other paths that refer to the same scalar through an anchor and its aliases: they change with it.
    pub moves_along: Vec<String>,
    /// The other images whose tag is the same scalar, according to the rule that selects it.
    pub serves_also: Vec<Repository>,
    /// The file that names the image, if it is not the field's own.
    pub named_in: Option<Arc<str>>,
    /// The scalars that make up the field.
    pub(super) slots: Slots,
}

impl Field {
    /// Returns whether the field already holds a version, as far as it has room for it: a field of only a digest
    /// ignores tags.
    pub fn holds(&self, version: &Version) -> bool {
        match &self.slots {
            Slots::Apart { tag: None, .. } => self.version.digest == version.digest,
            _ => self.version == *version,
        }
    }

    /// Returns whether this is the same field as another one, apart from what other files say about its image.
    pub(super) fn is_same(&self, other: &Field) -> bool {
        let is_prefixed = other.named_in.is_some() && other.repository.as_str().ends_with(&self.written_name);
        let own = Field { serves_also: other.serves_also.clone(), named_in: other.named_in.clone(), ..self.clone() };
        own == *other
            || is_prefixed
                && Field { repository: other.repository.clone(), written_name: other.written_name.clone(), ..own }
                    == *other
    }

    /// Returns whether an edit of this field would also change another field of the same file, because they share a
    /// scalar.
    pub fn shares_scalar_with(&self, other: &Field) -> bool {
        let (own, others) = (self.slots.scalar(), other.slots.scalar());
        own.is_some() && own == others
    }
}

/// The definition of an image outside the field's own file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameSource {
    /// An ImagePolicy of Flux, as `NAMESPACE:NAME`.
    Policy(String),
    /// The values of a chart that are merged with those of the file.
    Values {
        /// The mapping that holds the tag.
        place: ValuesPlace,
        /// True if the tag is that of an image even if nothing names the image.
        is_likely: bool,
    },
    /// A HelmRepository of Flux, which contains a chart.
    Chart {
        /// The chart.
        chart: String,
        /// The repository.
        repository: Name,
    },
    /// A rule whose image depends on scalars of other files.
    Rule(Vec<NamePart>),
}

/// A field whose image is not defined in its own file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The definition of the image.
    pub name: NameSource,
    /// Everything except the image.
    pub(super) spot: Spot,
    /// See [`Field::moves_along`].
    pub(super) moves_along: Vec<String>,
}

impl Pending {
    /// Returns its position.
    pub fn place(&self) -> Place {
        self.spot.place
    }

    /// Returns the path to the scalar that holds the tag.
    pub fn path(&self) -> &str {
        &self.spot.path
    }

    /// Returns the version that it holds.
    pub fn version(&self) -> &Version {
        &self.spot.version
    }

    /// Returns whether it can be a field of an image or a chart. A file often has several releases, so those have the
    /// same path.
    pub fn can_be(&self, image: &Repository) -> bool {
        match &self.name {
            NameSource::Chart { chart, .. } => image.is_chart() && image.short_name() == chart,
            _ => !image.is_chart(),
        }
    }

    /// Returns the field for its image, which a file of values may have named.
    pub fn named(&self, image: Repository, named_in: Option<Arc<str>>) -> Field {
        let moves_along = self.moves_along.clone();
        Field { moves_along, named_in, ..self.spot.clone().field(image.clone(), image.to_string(), false) }
    }
}

/// Everything about a field except its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub document: usize,
    pub path: String,
    pub place: Place,
    pub shape: Shape,
    pub version: Version,
    /// See [`Field::marked`].
    pub marked: bool,
    pub slots: Slots,
}

impl Spot {
    pub(super) fn field(self, repository: Repository, written_name: String, transformed: bool) -> Field {
        let Spot { document, path, place, shape, version, marked, slots } = self;
        Field {
            document,
            path,
            place,
            shape,
            repository,
            written_name,
            transformed,
            version,
            marked,
            moves_along: Vec::new(),
            serves_also: Vec::new(),
            named_in: None,
            slots,
        }
    }
}

/// The scalars that make up a field. Node ids are valid only for the bytes that were parsed; those of values are
/// resolved, so they are never aliases.
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
        /// The bytes of its value.
        part: Range<usize>,
    },
    /// An entry of a kustomization, or the `ref` of an OCIRepository.
    Entry {
        /// The name of the tag's key: `newTag` or `tag`.
        tag_key: &'static str,
        /// The key after which missing keys are added.
        anchor_key: NodeId,
        /// Key and value of the tag.
        tag: Option<(NodeId, NodeId)>,
        /// Key and value of `digest`.
        digest: Option<(NodeId, NodeId)>,
        /// Remote resources of the same kustomization with a `?ref=`: the scalar and the text of the ref.
        refs: Vec<(NodeId, String)>,
    },
    /// Helm-style siblings.
    Siblings {
        /// The value of `tag`.
        tag: NodeId,
        /// Key and value of `digest`.
        digest: Option<(NodeId, NodeId)>,
    },
    /// The version of a chart, which is written with `+` and has no digest.
    Chart {
        /// The scalar.
        version: NodeId,
    },
    /// A part of a line of a file that is not YAML: name, tag and digest.
    Line {
        /// The bytes of the file.
        part: Range<usize>,
    },
    /// The slots of a field within YAML that is itself the value of a scalar.
    Nested {
        /// The scalar.
        scalar: NodeId,
        /// The slots, whose nodes are those of the inner YAML.
        inner: Box<Slots>,
    },
    /// Scalars that markers or rules select. There is at least one, and none is ever removed.
    Apart {
        /// The one that holds the tag.
        tag: Option<NodeId>,
        /// The one that holds the digest.
        digest: Option<NodeId>,
    },
}

impl Slots {
    /// Returns the scalars that hold the version.
    pub(super) fn version_scalars(&self) -> impl Iterator<Item = NodeId> {
        let (first, second) = match self {
            Slots::Whole { scalar } | Slots::Within { scalar, .. } | Slots::Nested { scalar, .. } => {
                (Some(*scalar), None)
            }
            Slots::Chart { version } => (Some(*version), None),
            Slots::Line { .. } => (None, None),
            Slots::Entry { tag, digest, .. } => (tag.map(|(_, value)| value), digest.map(|(_, value)| value)),
            Slots::Siblings { tag, digest } => (Some(*tag), digest.map(|(_, value)| value)),
            Slots::Apart { tag, digest } => (*tag, *digest),
        };
        first.into_iter().chain(second)
    }

    /// Returns the scalar that an edit changes first.
    pub(super) fn scalar(&self) -> Option<NodeId> {
        match self {
            Slots::Whole { scalar } => Some(*scalar),
            // Several parts of one scalar can be edited independently.
            Slots::Within { .. } | Slots::Line { .. } | Slots::Nested { .. } => None,
            Slots::Entry { tag, digest, .. } => tag.or(*digest).map(|(_, value)| value),
            Slots::Siblings { tag, .. } => Some(*tag),
            Slots::Chart { version } => Some(*version),
            Slots::Apart { tag, digest } => tag.or(*digest),
        }
    }
}
