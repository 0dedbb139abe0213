//! Kustomizations: the parts of them that values of Secrets can come from, and the files that they refer to.

use crate::yaml::node::NodeId;

use super::finding::Findings;
use super::reference::{Role, Wanted};
use super::view::View;
use super::{field_specs, generators, objects, patches, plugins, replacements, text};

/// Reads a kustomization.
pub fn read(view: View<'_, '_>, root: NodeId, findings: &mut Findings) {
    for (at, generator) in view.list(root, "secretGenerator").into_iter().enumerate() {
        generators::read(view, generator, &format!("secretGenerator[{at}]."), findings);
    }
    for key in ["patches", "patchesJson6902"] {
        for (at, patch) in view.list(root, key).into_iter().enumerate() {
            patches::entry(view, patch, &format!("{key}[{at}]"), findings);
        }
    }
    plugins::merge_patches(view, &view.list(root, "patchesStrategicMerge"), "patchesStrategicMerge", findings);
    replacements::entries(view, &view.list(root, "replacements"), findings);
    for labels in view.fields(root, "labels") {
        field_specs::read(view, labels, "labels", findings);
    }
    for key in ["generators", "transformers", "validators"] {
        for (at, plugin) in view.list_texts(root, key).into_iter().enumerate() {
            if plugins::is_inline(&plugin) {
                inline(&plugin, &format!("{key}[{at}]"), findings);
            } else {
                findings.wanted.push(Wanted { path: plugin.into_owned(), role: Role::Plugin });
            }
        }
    }
    let files = ["resources", "bases", "components"].map(|key| (key, Role::Manifest));
    for (key, role) in files.into_iter().chain([("configurations", Role::Configuration)]) {
        let paths = view.list_texts(root, key).into_iter();
        findings.wanted.extend(paths.map(|path| Wanted { path: path.into_owned(), role }));
    }
}

/// Reads a kustomization whose objects are generators or transformers. If it does more than list them, they can be
/// different from what is written.
pub fn read_plugins(view: View<'_, '_>, root: NodeId, findings: &mut Findings) {
    for key in ["resources", "bases"] {
        let paths = view.list_texts(root, key).into_iter();
        findings.wanted.extend(paths.map(|path| Wanted { path: path.into_owned(), role: Role::Plugin }));
    }
    let known = ["apiversion", "kind", "metadata", "resources", "bases"];
    let others = view.pairs(root).into_iter().map(|(key, _)| view.name(key));
    if let Some(other) = others.into_iter().find(|key| !known.contains(&key.to_lowercase().as_str())) {
        findings.unverified(format!("`{other}` can change the generators and transformers here"));
    }
}

/// Reads a generator or transformer within a kustomization.
fn inline(plugin: &str, place: &str, findings: &mut Findings) {
    let mut found = Findings { document: findings.document, ..Findings::default() };
    let unread = text::each_document(plugin, |_, view, root| {
        objects::find(view, root, &format!("a Secret ({place})"), &mut found);
        plugins::read(view, root, &mut found);
    });
    if let Some(unread) = unread {
        found.unverified(format!("{place} cannot be read: {}", unread.reason));
    }
    findings.absorb(found);
}
