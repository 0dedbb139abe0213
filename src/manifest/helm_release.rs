//! The HelmReleases of Flux that a file declares.

use std::collections::BTreeSet;

use memchr::memmem;

use crate::yaml::scan::Scan;

use super::file_kind::is_kind;

/// The kind of these objects.
const KIND: &str = "HelmRelease";

/// Returns the names of the HelmReleases in a file; none if it is not valid YAML.
pub fn names_in(bytes: &[u8]) -> BTreeSet<String> {
    if memmem::find(bytes, KIND.as_bytes()).is_none() {
        return BTreeSet::new();
    }
    let Ok(scan) = Scan::read(bytes) else { return BTreeSet::new() };
    let releases = scan.documents().filter(|(_, root)| is_kind(&scan, *root, KIND, "helm.toolkit.fluxcd.io/"));
    let names = releases.filter_map(|(_, root)| scan.get_scalar(scan.get(root, "metadata")?, "name"));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_helm_releases_count() {
        let release = |name: &str| {
            format!("apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{ name: {name} }}\n---\n")
        };
        let text =
            format!("{}kind: HelmRelease\nmetadata: {{ name: other }}\n---\n{}", release("shop"), release("cart"));
        assert_eq!(names_in(text.as_bytes()), ["cart", "shop"].map(str::to_owned).into());
        assert!(names_in(b"kind: HelmRelease: [").is_empty());
    }
}
