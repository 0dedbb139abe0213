//! A tree of kustomizations, each file after a line `# path`: the files deployed with a file include it and everything
//! that its kustomization includes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tagalong::manifest::facts::FileFacts;
use tagalong::manifest::field_rules::FieldRules;
use tagalong::manifest::file_kind::has_kustomization_name;
use tagalong::manifest::find;
use tagalong::manifest::graph::Graph;
use tagalong::path::{Links, join, parent_of};

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let files = files(text);
    let all = || files.keys().map(AsRef::as_ref);
    let graph = Graph::build(files.iter(), &|path| files.contains_key(path), &Links::default());
    // Asking about all of them would take longer than reading them.
    for (path, facts) in files.iter().take(100) {
        let around = graph.closures.around(path, all());
        assert!(around.contains(path.as_ref()), "{path}");
        if has_kustomization_name(path) {
            for file in included(path, facts).filter(|file| files.contains_key(file.as_str())) {
                assert!(around.contains(file.as_str()), "{path} includes {file}");
            }
        }
        for field in facts.fields.iter().take(20) {
            let shadow = graph.shadowed_by(path, field);
            assert!(shadow.is_none_or(|kustomization| files.contains_key(kustomization.as_str())));
        }
    }
    assert!(graph.problems.len() <= text.len());
}

/// The files that a kustomization names.
fn included(path: &str, facts: &FileFacts) -> impl Iterator<Item = String> {
    let resources = facts.kustomization.iter().flat_map(|kustomization| &kustomization.resources);
    let is_local = |resource: &&String| !resource.contains([':', '?', '@']) && !resource.starts_with("github.com/");
    resources.filter(is_local).filter_map(move |resource| join(parent_of(path), resource))
}

fn files(text: &str) -> BTreeMap<Arc<str>, FileFacts> {
    let mut files = BTreeMap::new();
    for part in text.split("\n# ").take(20_000) {
        let (path, content) = part.split_once('\n').unwrap_or((part, ""));
        if let Ok(facts) = find::read(path, content.as_bytes(), &FieldRules::default()) {
            files.insert(Arc::from(path), facts);
        }
    }
    // In a tree, nothing is a file and a folder.
    let folders: BTreeSet<String> = files.keys().flat_map(|path| folders_of(path)).map(str::to_owned).collect();
    files.retain(|path, _| !folders.contains(path.as_ref()));
    files
}

fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(slash, _)| &path[..slash])
}
