//! The fields that were found in a file so far, and the scalars that belong to them.

use std::collections::HashSet;

use crate::image::{Reference, Repository, Version};
use crate::manifest::facts::{FieldProblem, VersionRange};
use crate::manifest::field::{Field, NameSource, Pending, Shape, Slots, Spot};
use crate::manifest::values::facts::ValuesFacts;
use crate::manifest::values::read::Values;
use crate::yaml::node::{Kind, NodeId};
use crate::yaml::scan::Scan;

/// The number of image fields of a file that is read. Each takes a kilobyte of memory for as long as the program runs.
pub(in crate::manifest) const MAX_FIELDS: usize = 10_000;

/// Finds the fields of one file.
pub(in crate::manifest) struct Finder<'s, 'a> {
    pub(in crate::manifest) scan: &'s Scan<'a>,
    pub(super) documents: &'s [(NodeId, NodeId)],
    /// Scalars that already belong to a field.
    claimed: HashSet<NodeId>,
    pub(in crate::manifest) fields: Vec<Field>,
    pub(in crate::manifest) pending: Vec<Pending>,
    pub(in crate::manifest) problems: Vec<FieldProblem>,
    pub(in crate::manifest) ranges: Vec<VersionRange>,
    /// The values that were read so far, and the nodes below which they are.
    pub(in crate::manifest) values: Vec<ValuesFacts>,
    value_roots: Vec<(usize, NodeId)>,
}

impl<'s, 'a> Finder<'s, 'a> {
    pub(in crate::manifest) fn new(scan: &'s Scan<'a>, documents: &'s [(NodeId, NodeId)]) -> Self {
        let (claimed, fields, pending, problems, ranges, values, value_roots) = Default::default();
        Finder { scan, documents, claimed, fields, pending, problems, ranges, values, value_roots }
    }

    /// Adds the values of a document, before its fields are looked for.
    pub(in crate::manifest) fn add_values(&mut self, values: impl IntoIterator<Item = Values>) {
        for Values { root, facts } in values {
            self.value_roots.extend(root.map(|root| (self.values.len(), root)));
            self.values.push(facts);
        }
    }

    /// Returns the values that contain a node: their index and their root.
    pub(super) fn values_around(&self, node: NodeId) -> Option<(usize, NodeId)> {
        self.value_roots.iter().copied().find(|(_, root)| self.scan.subtree(*root).contains(&node))
    }

    /// Returns the scalar at a path from the root of some values.
    pub(super) fn global(&self, values: usize, path: &str) -> Option<&str> {
        self.values.get(values)?.names.get(path).map(String::as_str)
    }

    /// Adds a field for a scalar that is a complete reference.
    pub(super) fn whole(&mut self, shape: Shape, node: NodeId, found: Reference) {
        let value = self.scan.scalar(node).unwrap_or_default();
        let written_name = Reference::written_name(value).to_owned();
        let transformed = shape == Shape::Workload && self.is_transformed(node);
        let spot = self.spot(shape, node, found.version, Slots::Whole { scalar: self.scan.resolve(node) });
        self.fields.push(spot.field(found.repository, written_name, transformed));
    }

    /// Returns whether kustomize's image transformer applies to an `image`: to that of an item of `containers` or
    /// `initContainers`, at any depth and in any kind of object.
    fn is_transformed(&self, image: NodeId) -> bool {
        let scan = self.scan;
        let list = scan.parent(image).and_then(|container| scan.parent(container));
        let list = list.filter(|list| matches!(scan.kind(*list), Kind::Sequence));
        let key = list.and_then(|list| scan.previous(list)).and_then(|key| scan.scalar(key));
        matches!(key, Some("containers" | "initContainers"))
    }

    pub(super) fn spot(&self, shape: Shape, node: NodeId, version: Version, slots: Slots) -> Spot {
        let scan = self.scan;
        let document = self.documents.partition_point(|(document, _)| *document <= node).saturating_sub(1);
        let place = scan.place(scan.resolve(node));
        Spot { document, path: scan.path(node), place, shape, version, marked: false, slots }
    }

    pub(in crate::manifest) fn claim(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        self.claimed.extend(nodes);
    }

    /// Forgets tags without a name that belong to another shape after all.
    pub(in crate::manifest) fn forget_claimed(&mut self) {
        let is_free = |pending: &Pending| {
            let node = pending.spot.slots.scalar();
            !matches!(pending.name, NameSource::Values { .. }) || node.is_none_or(|node| !self.claimed.contains(&node))
        };
        self.pending.retain(is_free);
    }

    pub(super) fn is_claimed(&self, node: NodeId) -> bool {
        self.claimed.contains(&node)
    }
}

/// Parses the value of `tag` or `newTag`: nothing, `TAG` or `TAG@DIGEST`; `None` if it is anything else.
pub(super) fn version_of(text: &str) -> Option<Version> {
    if matches!(text, "" | "~" | "null") {
        return Some(Version::default());
    }
    Version::parse_tag(text).ok()
}

/// Parses an image name without tag and digest.
pub(super) fn name_of(text: &str) -> Option<Repository> {
    let reference: Reference = text.parse().ok()?;
    reference.version.is_empty().then_some(reference.repository)
}
