//! Finds the image fields of one file, and its references to other files if it is a kustomization.
//!
//! Rules and markers come first, as they are explicit; then the usual shapes; then references inside longer texts.

use std::collections::HashSet;
use std::ops::Range;

use crate::yaml::comment::comments_with;
use crate::yaml::node::{Kind, NodeId, ScanError};
use crate::yaml::scan::Scan;

use super::facts::FileFacts;
use super::field::Slots;
use super::field_rules::FieldRules;
use super::file_kind::{REPOSITORY_FILE, is_argo_override, is_chart, is_kind, is_kustomization};
use super::flux::FluxObject;
use super::marker;
use super::shapes::finder::{Finder, MAX_FIELDS};
use super::template;
use super::values::read::{dependencies as dependencies_of, sources as sources_of, values as values_of};

/// Reads a file. `path` determines only whether a file without a `kind` is a kustomization, and which rules apply to
/// it.
pub fn read(path: &str, bytes: &[u8], field_rules: &FieldRules) -> Result<FileFacts, ScanError> {
    let facts = match Scan::read(bytes) {
        Ok(scan) => read_scan(path, &scan, field_rules),
        Err(error) => {
            let fields = template::fields(bytes);
            if fields.is_empty() {
                return Err(error);
            }
            FileFacts { fields, ..FileFacts::default() }
        }
    };
    let is_limited = facts.fields.len() + facts.pending.len() > MAX_FIELDS;
    if is_limited { Err(ScanError::TooManyFields { most: MAX_FIELDS }) } else { Ok(facts) }
}

/// Reads a file that has been parsed already.
pub(super) fn read_scan(path: &str, scan: &Scan<'_>, field_rules: &FieldRules) -> FileFacts {
    // The images in it are those of rules and policies.
    if path == REPOSITORY_FILE {
        return FileFacts::default();
    }
    let documents: Vec<(NodeId, NodeId)> = scan.documents().collect();
    let mut finder = Finder::new(scan, &documents);
    finder.ruled(path, field_rules);
    finder.marked_by_us();
    let mut facts = FileFacts::default();
    for (document, root) in &documents {
        facts.for_others.extend(field_rules.scalars_for_others(path, scan, *root));
        read_document(path, &mut finder, *document, *root, &mut facts);
    }
    finder.marked_by_flux();
    finder.forget_claimed();
    if field_rules.embedded {
        finder.embedded();
    }
    let Finder { mut fields, mut pending, problems, ranges, values, .. } = finder;
    let marked = marked_scalars(scan);
    if !marked.is_empty() {
        let is_marked = |slots: &Slots| slots.version_scalars().any(|id| marked.contains(&id));
        fields.iter_mut().for_each(|field| field.marked = is_marked(&field.slots));
        pending.iter_mut().for_each(|pending| pending.spot.marked = is_marked(&pending.spot.slots));
    }
    let aliases = aliases(scan);
    if !aliases.is_empty() {
        fields.iter_mut().for_each(|field| field.moves_along = moves_along(scan, &aliases, &field.slots, &field.path));
        for pending in &mut pending {
            pending.moves_along = moves_along(scan, &aliases, &pending.spot.slots, &pending.spot.path);
        }
    }
    fields.sort_by_key(|field| (field.document, field.place));
    // Facts are kept in memory, and most files have only one field.
    fields.shrink_to_fit();
    FileFacts { fields, pending, values, problems, ranges, ..facts }
}

/// Reads one document: its fields, and what it says about other files.
fn read_document(path: &str, finder: &mut Finder<'_, '_>, document: NodeId, root: NodeId, facts: &mut FileFacts) {
    let scan = finder.scan;
    facts.encrypted |= is_encrypted(scan, root);
    if let Some((object, names)) = FluxObject::read(scan, root) {
        facts.flux.push(object);
        finder.claim(names);
    }
    if is_chart(path) {
        facts.dependencies = dependencies_of(scan, root);
    }
    if is_kustomization(path, scan, root) {
        facts.kustomization = Some(finder.kustomization(root));
        finder.charts_of_kustomization(root);
        finder.walk(document);
        return;
    }
    finder.charts(path, root);
    let argo_override = is_argo_override(path);
    let first = finder.values.len();
    finder.add_values(values_of(scan, root, argo_override));
    let sources = if argo_override { vec![root] } else { sources_of(scan, root) };
    for (index, source) in sources.into_iter().enumerate() {
        finder.argo_source(source, first + index);
    }
    if is_kind(scan, root, "Kustomization", "kustomize.toolkit.fluxcd.io/")
        && let Some(spec) = scan.get(root, "spec")
    {
        finder.entries(spec, &[]);
    } else if is_kind(scan, root, "OCIRepository", "source.toolkit.fluxcd.io/") {
        finder.oci_repository(root);
    }
    finder.walk(document);
}

fn is_encrypted(scan: &Scan<'_>, root: NodeId) -> bool {
    let sops = scan.get(root, "sops").filter(|sops| scan.get(*sops, "mac").is_some());
    sops.is_some_and(|sops| scan.get_scalar(sops, "mac_only_encrypted") != Some("true"))
}

/// Returns the scalars next to a valid marker, tagalong's own or Flux's.
fn marked_scalars(scan: &Scan<'_>) -> HashSet<NodeId> {
    let own =
        comments_with(scan, marker::OWN).into_iter().filter(|comment| matches!(marker::own(comment.text), Some(Ok(_))));
    let flux = comments_with(scan, marker::FLUX);
    let flux = flux.into_iter().filter(|comment| matches!(marker::flux(comment.text), Some(Ok(_))));
    own.chain(flux).map(|comment| scan.resolve(comment.value)).collect()
}

/// Returns each alias with the nodes that it refers to.
fn aliases(scan: &Scan<'_>) -> Vec<(NodeId, Range<NodeId>)> {
    let target = |id: NodeId| match scan.kind(id) {
        Kind::Alias(Some(target)) => Some((id, scan.subtree(*target))),
        _ => None,
    };
    scan.ids().filter_map(target).collect()
}

/// Returns the other paths that refer to a field's scalar.
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
