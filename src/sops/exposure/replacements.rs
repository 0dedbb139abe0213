//! Replacements: values that are copied from one object into another.

use crate::yaml::node::NodeId;

use super::finding::Findings;
use super::objects::{SECRET, VALUES};
use super::patches;
use super::reference::{PatchTarget, Role, Wanted};
use super::substitution::is_covered;
use super::view::View;

/// Reads entries of `replacements`, which may refer to files.
pub fn entries(view: View<'_, '_>, entries: &[NodeId], findings: &mut Findings) {
    for (at, entry) in entries.iter().enumerate() {
        let paths = view.field_texts(*entry, "path").into_iter();
        findings.wanted.extend(paths.map(|path| Wanted { path: path.into_owned(), role: Role::Replacements }));
        replacement(view, *entry, &format!("replacements[{at}]"), findings);
    }
}

/// Reads a file of replacements: one, or a list.
pub fn file(view: View<'_, '_>, root: NodeId, findings: &mut Findings) {
    if view.is_mapping(root) {
        replacement(view, root, "a replacement", findings)
    } else {
        entries(view, &view.items(root), findings)
    }
}

fn replacement(view: View<'_, '_>, entry: NodeId, place: &str, findings: &mut Findings) {
    let sources = view.fields(entry, "source");
    let kinds: Vec<_> = sources.iter().flat_map(|source| view.field_texts(*source, "kind")).collect();
    let value = view.field_texts(entry, "sourceValue");
    // The values of Secrets are verified where they are.
    let is_harmless = value.iter().all(|value| is_covered(value))
        && (sources.is_empty() || !kinds.is_empty() && kinds.iter().all(|kind| kind == SECRET));
    for selected in view.list(entry, "targets") {
        let may_be_secret = patches::target(view, &view.fields(selected, "select")) != PatchTarget::Others;
        for path in view.list_texts(selected, "fieldPaths") {
            let first = path.split(['.', '[']).next().unwrap_or_default();
            if first == "kind" || first == "apiVersion" && may_be_secret {
                findings.unverified(format!("{place} can turn an object into a Secret"));
            } else if may_be_secret && !is_harmless && (VALUES.contains(&first) || first.starts_with('*')) {
                findings.unverified(format!("{place} copies a value into a Secret"));
            }
        }
    }
}
