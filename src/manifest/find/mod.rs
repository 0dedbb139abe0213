//! The image fields of one file, and what the file says as a kustomization.
//!
//! Rules and markers come first, for they are meant; then the shapes that everyone uses; then what is left over.
//!
//! - [`entries`]: kustomizations and OCIRepositories
//! - [`siblings`]: values of charts
//! - [`marked`]: what rules and markers name
//! - [`embedded`]: references inside longer texts
//! - [`file_references`]: of a kustomization only what ties it to other files

mod embedded;
mod entries;
pub mod file_references;
mod marked;
mod siblings;

use std::collections::HashSet;
use std::ops::Range;

use crate::image::{Reference, Repository, Version};
use crate::yaml::node::{Kind, NodeId, ScanError};
use crate::yaml::place::Place;
use crate::yaml::scan::Scan;

use super::field::{Field, Pending, Shape, Slots, Spot};
use super::field_rules::{FieldRuleError, FieldRules};
use super::flux::FluxObject;
use super::kustomize::Kustomization;
use super::marker::MarkerError;
use super::value::{bare_reference, reference};

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

/// Reads a file. `path` decides only whether a file without a kind is a kustomization, and which rules concern it.
pub fn read(path: &str, bytes: &[u8], field_rules: &FieldRules) -> Result<FileFacts, ScanError> {
    let scan = Scan::read(bytes)?;
    Ok(read_scan(path, &scan, field_rules))
}

/// Reads a file that has been scanned already.
pub(super) fn read_scan(path: &str, scan: &Scan<'_>, field_rules: &FieldRules) -> FileFacts {
    let documents: Vec<(NodeId, NodeId)> = scan.documents().collect();
    let mut finder = Finder::new(scan, &documents);
    finder.ruled(path, field_rules);
    finder.marked_by_us();
    let mut kustomization = None;
    let mut encrypted = false;
    let mut flux = Vec::new();
    for (document, root) in &documents {
        let (document, root) = (*document, *root);
        encrypted |= is_encrypted(scan, root);
        if let Some((object, names)) = FluxObject::read(scan, root) {
            flux.push(object);
            finder.claim(names);
        }
        if is_kustomization(path, scan, root) {
            kustomization = Some(finder.kustomization(root));
        } else if is_kind(scan, root, "Kustomization", "kustomize.toolkit.fluxcd.io/")
            && let Some(spec) = scan.get(root, "spec")
        {
            finder.entries(spec, &[]);
        } else if is_kind(scan, root, "OCIRepository", "source.toolkit.fluxcd.io/") {
            finder.oci_repository(root);
        }
        finder.walk(document);
    }
    finder.marked_by_flux();
    if field_rules.embedded {
        finder.embedded();
    }
    let Finder { mut fields, mut pending, problems, .. } = finder;
    let aliases = aliases(scan);
    if !aliases.is_empty() {
        fields.iter_mut().for_each(|field| field.moves_along = moves_along(scan, &aliases, &field.slots, &field.path));
        for pending in &mut pending {
            pending.moves_along = moves_along(scan, &aliases, &pending.spot.slots, &pending.spot.path);
        }
    }
    fields.sort_by_key(|field| (field.document, field.place));
    // Kept as long as the file is, of which there are many with one field.
    fields.shrink_to_fit();
    FileFacts { fields, pending, kustomization, flux, problems, encrypted }
}

/// Names that make a file a kustomization even without a kind, as kustomize has them.
pub(super) const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Whether a file of this name is a kustomization even without a kind.
pub fn has_kustomization_name(path: &str) -> bool {
    let is_named = |name: &str| path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    KUSTOMIZATION_NAMES.into_iter().any(is_named)
}

fn is_kustomization(path: &str, scan: &Scan<'_>, root: NodeId) -> bool {
    let version = scan.get_scalar(root, "apiVersion").unwrap_or_default();
    match scan.get_scalar(root, "kind") {
        Some("Kustomization" | "Component") => {
            version.starts_with("kustomize.config.k8s.io/") || has_kustomization_name(path)
        }
        None => has_kustomization_name(path) && matches!(scan.kind(root), Kind::Mapping),
        Some(_) => false,
    }
}

/// Whether a document is of a kind of an API group.
pub(super) fn is_kind(scan: &Scan<'_>, root: NodeId, kind: &str, group: &str) -> bool {
    let version = scan.get_scalar(root, "apiVersion").unwrap_or_default();
    scan.get_scalar(root, "kind") == Some(kind) && version.starts_with(group)
}

fn is_encrypted(scan: &Scan<'_>, root: NodeId) -> bool {
    let sops = scan.get(root, "sops").filter(|sops| scan.get(*sops, "mac").is_some());
    sops.is_some_and(|sops| scan.get_scalar(sops, "mac_only_encrypted") != Some("true"))
}

/// Each alias with the nodes that it stands for.
fn aliases(scan: &Scan<'_>) -> Vec<(NodeId, Range<NodeId>)> {
    let target = |id: NodeId| match scan.kind(id) {
        Kind::Alias(Some(target)) => Some((id, scan.subtree(*target))),
        _ => None,
    };
    scan.ids().filter_map(target).collect()
}

/// The other places that read a field's scalar.
fn moves_along(scan: &Scan<'_>, aliases: &[(NodeId, Range<NodeId>)], slots: &Slots, own: &str) -> Vec<String> {
    let Some(scalar) = slots.scalar() else { return Vec::new() };
    let reading = aliases.iter().filter(|(_, target)| target.contains(&scalar)).map(|(alias, _)| scan.path(*alias));
    let mut places: Vec<String> = reading.collect();
    if !places.is_empty() {
        places.insert(0, scan.path(scalar));
    }
    places.retain(|place| place != own);
    places
}

struct Finder<'s, 'a> {
    scan: &'s Scan<'a>,
    documents: &'s [(NodeId, NodeId)],
    /// Scalars that belong to a field already.
    claimed: HashSet<NodeId>,
    fields: Vec<Field>,
    pending: Vec<Pending>,
    problems: Vec<FieldProblem>,
}

impl<'s, 'a> Finder<'s, 'a> {
    fn new(scan: &'s Scan<'a>, documents: &'s [(NodeId, NodeId)]) -> Self {
        let (claimed, fields, pending, problems) = Default::default();
        Finder { scan, documents, claimed, fields, pending, problems }
    }

    /// Looks at every mapping and sequence of a document once.
    fn walk(&mut self, document: NodeId) {
        let scan = self.scan;
        for id in scan.descendants(document) {
            match scan.kind(id) {
                Kind::Mapping => {
                    self.siblings(id);
                    for (key, value) in scan.pairs(id) {
                        let key = scan.scalar(key).unwrap_or_default();
                        self.scalar(Some(key), value);
                    }
                }
                Kind::Sequence => scan.children(id).for_each(|item| self.scalar(None, item)),
                _ => {}
            }
        }
    }

    /// A scalar that is a whole reference.
    fn scalar(&mut self, key: Option<&str>, node: NodeId) {
        let Kind::Scalar { value, .. } = self.scan.kind(node) else { return };
        if self.is_claimed(node) {
            return;
        }
        let found = reference(key, value).or_else(|| key.and_then(|key| bare_reference(key, value)));
        let Some(found) = found else { return };
        self.claim([node]);
        let shape = if key == Some("image") { Shape::Workload } else { Shape::Value };
        self.whole(shape, node, found);
    }

    /// A field of a scalar that holds a whole reference.
    fn whole(&mut self, shape: Shape, node: NodeId, found: Reference) {
        let value = self.scan.scalar(node).unwrap_or_default();
        let written_name = Reference::written_name(value).to_owned();
        let transformed = shape == Shape::Workload && self.is_transformed(node);
        let spot = self.spot(shape, node, found.version, Slots::Whole { scalar: self.scan.resolve(node) });
        self.fields.push(spot.field(found.repository, written_name, transformed));
    }

    /// Whether kustomize's image transformer looks at an `image`: the one of an item of `containers` or
    /// `initContainers`, at any depth of any kind.
    fn is_transformed(&self, image: NodeId) -> bool {
        let scan = self.scan;
        let list = scan.parent(image).and_then(|container| scan.parent(container));
        let list = list.filter(|list| matches!(scan.kind(*list), Kind::Sequence));
        let key = list.and_then(|list| scan.previous(list)).and_then(|key| scan.scalar(key));
        matches!(key, Some("containers" | "initContainers"))
    }

    fn spot(&self, shape: Shape, node: NodeId, version: Version, slots: Slots) -> Spot {
        let scan = self.scan;
        let document = self.documents.partition_point(|(document, _)| *document <= node).saturating_sub(1);
        Spot { document, path: scan.path(node), place: scan.place(scan.resolve(node)), shape, version, slots }
    }

    fn claim(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        self.claimed.extend(nodes);
    }

    fn is_claimed(&self, node: NodeId) -> bool {
        self.claimed.contains(&node)
    }
}

/// What `tag` or `newTag` holds: nothing, `TAG` or `TAG@DIGEST`; `None` when it is something else.
fn version_of(text: &str) -> Option<Version> {
    if matches!(text, "" | "~" | "null") {
        return Some(Version::default());
    }
    Version::parse_tag(text).ok()
}

/// The image that a text names, when it names nothing else.
fn name_of(text: &str) -> Option<Repository> {
    let reference: Reference = text.parse().ok()?;
    reference.version.is_empty().then_some(reference.repository)
}
