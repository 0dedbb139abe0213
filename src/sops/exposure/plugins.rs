//! Generators and transformers that are objects of their own, among them all that kustomize has built in; and the same
//! parts in objects of Flux.

use crate::yaml::node::NodeId;

use super::finding::Findings;
use super::objects::is_text;
use super::patches::{self, Use};
use super::reference::{PatchTarget, Role, Wanted};
use super::view::View;
use super::{field_specs, generators, replacements};

/// Reads an object, which does nothing unless it is a plugin.
pub fn read(view: View<'_, '_>, root: NodeId, findings: &mut Findings) {
    let versions = view.values(root, "apiVersion");
    let kinds = view.values(root, "kind");
    let is_flux =
        versions.iter().filter_map(|id| view.text(*id)).any(|text| text.starts_with("kustomize.toolkit.fluxcd.io/"));
    if is_flux {
        for (at, patch) in view.fields(root, "spec").iter().flat_map(|spec| view.list(*spec, "patches")).enumerate() {
            patches::entry(view, patch, &format!("spec.patches[{at}]"), findings);
        }
    }
    if !versions.iter().any(|version| is_text(view, *version, "builtin")) {
        return;
    }
    for kind in kinds.iter().filter_map(|id| view.text(*id)) {
        match kind.trim() {
            "SecretGenerator" => generators::read(view, root, "", findings),
            "PatchTransformer" | "PatchJson6902Transformer" => patches::entry(view, root, "the patch", findings),
            "PatchStrategicMergeTransformer" => {
                merge_patches(view, &view.fields(root, "patches"), "patches", findings);
                merge_patches(view, &view.list(root, "paths"), "paths", findings);
            }
            "ReplacementTransformer" => replacements::entries(view, &view.list(root, "replacements"), findings),
            kind => {
                field_specs::read(view, root, &format!("the {}", kind.chars().take(40).collect::<String>()), findings)
            }
        }
    }
}

/// Reads merge patches without targets: each is a patch or the path of one, or a list of them.
pub fn merge_patches(view: View<'_, '_>, patches: &[NodeId], place: &str, findings: &mut Findings) {
    let of = Use { target: PatchTarget::Own, changes_kind: false };
    let items =
        patches.iter().flat_map(|patch| if view.text(*patch).is_some() { vec![*patch] } else { view.items(*patch) });
    for (at, patch) in items.enumerate() {
        match view.text(patch) {
            Some(text) if is_inline(&text) => patches::inline(&text, of, &format!("{place}[{at}]"), findings),
            Some(path) => {
                let role = Role::Patch { target: of.target, changes_kind: of.changes_kind };
                findings.wanted.push(Wanted { path: path.into_owned(), role });
            }
            None => {}
        }
    }
}

/// Returns whether a text is content rather than the path of a file.
pub fn is_inline(text: &str) -> bool {
    text.contains(['\n', '{']) || text.contains(": ")
}
