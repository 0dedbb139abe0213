//! The manifests of `deploy/`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::yaml;

/// A file or folder of `deploy/`.
pub fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// All documents that a kustomization includes, with their files.
fn taken_in(folder: &Path) -> Vec<(PathBuf, Value)> {
    let kustomization = yaml::file(&folder.join("kustomization.yaml"));
    let mut found = Vec::new();
    for name in [&kustomization["resources"], &kustomization["components"]].into_iter().flat_map(yaml::texts) {
        let path = folder.join(name);
        if path.is_dir() {
            found.extend(taken_in(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.extend(yaml::documents(&text).into_iter().map(|document| (path.clone(), document)));
        }
    }
    found
}

/// All documents in the manifests.
pub fn everything() -> Vec<(PathBuf, Value)> {
    taken_in(&deploy("example"))
}

/// The only document with a kind and name.
#[track_caller]
pub fn the(kind: &str, name: &str) -> Value {
    let all = everything();
    let mut found = all
        .into_iter()
        .map(|(_, document)| document)
        .filter(|document| document["kind"] == kind && document["metadata"]["name"] == name);
    let one = found.next().unwrap_or_else(|| panic!("there is no {kind} {name}"));
    assert!(found.next().is_none(), "{kind} {name} is there twice");
    one
}
