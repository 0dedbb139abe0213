//! The folders from which a file is deployed: those that a Kustomization of Flux or an Application of Argo CD can have as
//! its path, so that it applies the file.

use std::collections::{BTreeSet, HashSet};

use crate::path::parent_of;

use super::closure::Closures;

/// The folders from which a file is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeployedFrom {
    /// The folders. The root is empty.
    pub folders: BTreeSet<String>,
    /// True if the file belongs to a chart, which is also deployed from wherever a release refers to it.
    pub is_in_chart: bool,
}

/// Returns the folders from which a file is deployed: those of the kustomizations that include it, directly or through
/// others. A folder without a kustomization is applied with everything below it, up to folders that have one, which are
/// applied as that says. A file that no kustomization mentions belongs to the nearest one above it if `is_loose`: it may be
/// read in a way that the tree does not show.
pub(super) fn folders(closures: &Closures, file: &str, is_loose: bool) -> BTreeSet<String> {
    let (mut folders, mut seen, mut open) = (BTreeSet::new(), HashSet::new(), vec![file]);
    if is_loose && closures.deployed_by(file).next().is_none() {
        open.extend(nearest(closures, file));
    }
    while let Some(next) = open.pop() {
        if !seen.insert(next) {
            continue;
        }
        open.extend(closures.deployed_by(next));
        let mut folder = parent_of(next);
        if closures.is_kustomization(next) {
            folders.insert(folder.to_owned());
            if folder.is_empty() {
                continue;
            }
            folder = parent_of(folder);
        }
        while !closures.has_kustomization(folder) {
            folders.insert(folder.to_owned());
            if folder.is_empty() {
                break;
            }
            folder = parent_of(folder);
        }
    }
    folders
}

/// Returns the kustomization in the nearest folder at or above a file.
fn nearest<'c>(closures: &'c Closures, file: &str) -> Option<&'c str> {
    let mut folder = parent_of(file);
    loop {
        let found = closures.kustomization_in(folder);
        if found.is_some() || folder.is_empty() {
            return found;
        }
        folder = parent_of(folder);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manifest::facts::FileFacts;
    use crate::manifest::field_rules::FieldRules;
    use crate::manifest::find;
    use crate::manifest::graph::Graph;
    use crate::path::Links;

    fn from(files: &[(&str, &str)], file: &str) -> Vec<String> {
        let read = |(path, text): &(&str, &str)| {
            let facts = find::read(path, text.as_bytes(), &FieldRules::default()).expect("YAML");
            (Arc::<str>::from(*path), facts)
        };
        let read: Vec<(Arc<str>, FileFacts)> = files.iter().map(read).collect();
        let graph = Graph::build(read.iter().map(|(path, facts)| (path, facts)), &|_| true, &Links::default());
        folders(&graph.closures, file, file.ends_with("values.yaml")).into_iter().collect()
    }

    #[test]
    fn a_base_is_deployed_from_the_overlays_that_include_it_and_from_what_is_above_them() {
        let files = [
            ("base/shop/deploy.yaml", "image: x/y:1\n"),
            ("base/shop/kustomization.yaml", "resources: [deploy.yaml]\n"),
            ("base/shop/unused.yaml", "image: x/y:1\n"),
            ("clusters/live/apps/shop/kustomization.yaml", "resources: [../../../../base/shop]\n"),
            ("clusters/beta/kustomization.yaml", "resources: [shop]\n"),
            ("clusters/beta/shop/kustomization.yaml", "resources: [../../../base/shop]\npatches: [{ path: p.yaml }]\n"),
        ];
        let live = ["clusters/live", "clusters/live/apps", "clusters/live/apps/shop"];
        let found = from(&files, "base/shop/deploy.yaml");
        assert_eq!(
            found,
            [&["", "base", "base/shop", "clusters", "clusters/beta", "clusters/beta/shop"], &live[..]].concat()
        );
        // A folder with a kustomization applies what that includes, and nothing else.
        assert_eq!(from(&files, "clusters/beta/shop/p.yaml"), ["", "clusters", "clusters/beta", "clusters/beta/shop"]);
        assert_eq!(from(&files, "base/shop/unused.yaml"), [""; 0]);
    }

    #[test]
    fn values_belong_to_the_kustomization_that_generates_a_config_map_from_them_or_to_the_nearest() {
        let generator = "configMapGenerator: [{ name: values, files: [values.yaml=../../base/values.yaml] }]\n";
        let files = [
            ("base/values.yaml", "image: x/y:1\n"),
            ("apps/shop/kustomization.yaml", generator),
            ("apps/cart/kustomization.yaml", "resources: []\n"),
            ("apps/cart/config/values.yaml", "image: x/y:1\n"),
        ];
        assert_eq!(from(&files, "base/values.yaml"), ["", "apps", "apps/shop", "base"]);
        assert_eq!(from(&files, "apps/cart/config/values.yaml"), ["", "apps", "apps/cart", "apps/cart/config"]);
    }

    #[test]
    fn without_kustomizations_every_folder_above_a_file_deploys_it() {
        let files = [("apps/shop/x.yaml", "image: x/y:1\n"), ("other/kustomization.yaml", "resources: []\n")];
        assert_eq!(from(&files, "apps/shop/x.yaml"), ["", "apps", "apps/shop"]);
        let listed = [files[0], ("apps/kustomization.yaml", "resources: [shop/x.yaml]\n")];
        assert_eq!(from(&listed, "apps/shop/x.yaml"), ["", "apps", "apps/shop"]);
        let left_out = [files[0], ("apps/kustomization.yaml", "resources: [cart]\n")];
        assert_eq!(from(&left_out, "apps/shop/x.yaml"), ["apps/shop"]);
    }
}
