//! The kinds of files and documents, by file name, `apiVersion` and `kind`.

use crate::yaml::node::{Kind, NodeId};
use crate::yaml::scan::Scan;

/// The names that make a file a kustomization for kustomize, even without a `kind`.
pub(super) const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Returns whether the name of a file makes it a kustomization, even without a `kind`.
pub fn has_kustomization_name(path: &str) -> bool {
    let is_named = |name: &str| path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    KUSTOMIZATION_NAMES.into_iter().any(is_named)
}

/// The repository's own file with policies, at its root.
pub const REPOSITORY_FILE: &str = "tagalong.yaml";

/// Returns whether the name of a file makes it the description of a chart.
pub fn is_chart(path: &str) -> bool {
    path.strip_suffix("Chart.yaml").is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Returns whether the name of a file makes it the overrides of an Argo CD application's source.
pub fn is_argo_override(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(".argocd-source"))
}

/// Returns whether a document is a kustomization.
pub(super) fn is_kustomization(path: &str, scan: &Scan<'_>, root: NodeId) -> bool {
    let version = scan.get_scalar(root, "apiVersion").unwrap_or_default();
    match scan.get_scalar(root, "kind") {
        Some("Kustomization" | "Component") => {
            version.starts_with("kustomize.config.k8s.io/") || has_kustomization_name(path)
        }
        None => has_kustomization_name(path) && matches!(scan.kind(root), Kind::Mapping),
        Some(_) => false,
    }
}

/// Returns whether a document is of a kind of an API group.
pub(super) fn is_kind(scan: &Scan<'_>, root: NodeId, kind: &str, group: &str) -> bool {
    let version = scan.get_scalar(root, "apiVersion").unwrap_or_default();
    scan.get_scalar(root, "kind") == Some(kind) && version.starts_with(group)
}

/// Returns whether a file can hold image fields at all, judging by its name.
pub fn is_manifest_name(path: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|extension| path.ends_with(extension)) || has_kustomization_name(path)
}
