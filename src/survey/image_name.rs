//! The name of the image whose tag a value is: from the keys next to it, or from the same place in another file.

use crate::image::{Reference, Repository};
use crate::manifest::pattern::PathPattern;
use crate::path::{join, parent_of};
use crate::yaml::node::NodeId;
use crate::yaml::scan::Scan;

use super::line::{DocumentPath, Step};
use super::tree::Tree;

/// The name of an image, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageName {
    /// The text of a rule: `{image.registry}/{image.name}`.
    Text(String),
    /// A name that another file gives.
    Elsewhere {
        /// The name.
        image: Repository,
        /// The file.
        file: String,
    },
}

/// Keys whose value may be the name of the image next to its tag.
const NAME_KEYS: [&str; 9] =
    ["repository", "image", "imageRepository", "image_repository", "imageName", "image_name", "repo", "img", "name"];
/// Keys whose value may be the registry in front of it.
const REGISTRY_KEYS: [&str; 4] = ["registry", "imageRegistry", "image_registry", "registryHost"];
/// Files that give the values which others override, next to them or in a folder above.
const BASES: [&str; 8] = [
    "values.yaml",
    "values.yml",
    "values-common.yaml",
    "common.yaml",
    "base.yaml",
    "default.yaml",
    "defaults.yaml",
    "values.base.yaml",
];
/// The number of folders above a file in which such files are looked for.
const LEVELS: usize = 3;

/// Returns the name of the image whose tag is at a path of a file.
pub fn of(file: &str, path: &DocumentPath, tree: &Tree<'_>) -> Option<ImageName> {
    let bytes = (tree.read)(file)?;
    let scan = Scan::read(&bytes).ok()?;
    let beside = scan.documents().find_map(|(_, root)| beside(&scan, root, path));
    beside.map(|beside| ImageName::Text(beside.text)).or_else(|| elsewhere(file, path, tree))
}

/// The name of an image from the keys next to its tag.
struct Beside {
    /// The text of a rule.
    text: String,
    /// The name itself.
    image: Repository,
}

fn beside(scan: &Scan<'_>, root: NodeId, path: &DocumentPath) -> Option<Beside> {
    let own = named_by(scan, root, path);
    // `api.tag` next to `image.repository`: several tags of one image.
    own.or_else(|| named_by(scan, root, &path.parent().sibling("image").child("tag")))
}

/// Takes the name from the mapping that a path is in.
fn named_by(scan: &Scan<'_>, root: NodeId, path: &DocumentPath) -> Option<Beside> {
    let mapping = match path.0.last()? {
        Step::Key(_) => first(scan, root, &path.parent())?,
        Step::Item | Step::AnyKey => return None,
    };
    let place = |key: &str| format!("{{{}}}", path.sibling(key).pattern());
    let registry = REGISTRY_KEYS.iter().find_map(|key| {
        let value = scan.get_scalar(mapping, key).filter(|value| !value.is_empty())?;
        Some((*key, value))
    });
    candidates(path.last_key()?).find_map(|key| {
        let value = scan.get_scalar(mapping, &key)?;
        let (text, name) = match registry {
            Some((registry, host)) => (format!("{}/{}", place(registry), place(&key)), format!("{host}/{value}")),
            None => (place(&key), value.to_owned()),
        };
        // Many things have a name; a registry or a slash makes it that of an image.
        let is_sure = registry.is_some() || value.contains('/') || !matches!(key.as_str(), "name" | "repo");
        let reference: Reference = name.parse().ok().filter(|_| is_sure && !value.contains("://"))?;
        reference.version.is_empty().then_some(Beside { text, image: reference.repository })
    })
}

/// Returns the keys that may hold the name if this one holds the tag: `apiImage` for `apiImageTag`, then the usual ones.
fn candidates(key: &str) -> impl Iterator<Item = String> {
    let endings = ["Tag", "_tag", "-tag", "Version", "_version", "-version"];
    let stem = endings.iter().find_map(|ending| key.strip_suffix(ending)).filter(|stem| !stem.is_empty());
    let own = stem.into_iter().flat_map(|stem| {
        ["", "Repository", "_repository", "-repository", "Name", "_name", "Image", "_image"]
            .map(|end| format!("{stem}{end}"))
    });
    own.chain(NAME_KEYS.into_iter().map(str::to_owned))
}

fn first(scan: &Scan<'_>, root: NodeId, path: &DocumentPath) -> Option<NodeId> {
    if path.0.is_empty() {
        return Some(root);
    }
    let pattern = PathPattern::parse(&path.pattern()).ok()?;
    pattern.find(scan, root).first().map(|(node, _)| *node)
}

/// Looks at the same path of the files whose values this one overrides, and of the charts that it gives values to.
fn elsewhere(file: &str, path: &DocumentPath, tree: &Tree<'_>) -> Option<ImageName> {
    let mut folder = parent_of(file);
    for _ in 0..LEVELS {
        let bases = BASES.iter().filter_map(|base| join(folder, base)).filter(|base| base != file);
        if let Some(found) = bases.into_iter().find_map(|base| in_file(&base, path, tree)) {
            return Some(found);
        }
        if folder.is_empty() {
            break;
        }
        folder = parent_of(folder);
    }
    let Some(Step::Key(chart)) = path.0.first() else { return None };
    let inner = DocumentPath(path.0[1..].to_vec());
    charts(parent_of(file), chart, tree).into_iter().find_map(|values| in_file(&values, &inner, tree))
}

fn in_file(file: &str, path: &DocumentPath, tree: &Tree<'_>) -> Option<ImageName> {
    let bytes = tree.files.contains(file).then(|| (tree.read)(file)).flatten()?;
    let scan = Scan::read(&bytes).ok()?;
    let beside = scan.documents().find_map(|(_, root)| beside(&scan, root, path))?;
    Some(ImageName::Elsewhere { image: beside.image, file: file.to_owned() })
}

/// Returns the values files of the charts that a key of a chart's values may refer to: dependencies, by name or alias.
fn charts(folder: &str, key: &str, tree: &Tree<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let chart = join(folder, "Chart.yaml").filter(|chart| tree.files.contains(chart));
    if let Some(bytes) = chart.and_then(|chart| (tree.read)(&chart))
        && let Ok(scan) = Scan::read(&bytes)
        && let Some((_, root)) = scan.documents().next()
        && let Some(dependencies) = scan.get(root, "dependencies")
    {
        for dependency in scan.items(dependencies) {
            let text = |name: &str| scan.get_scalar(dependency, name);
            if text("alias").or(text("name")) == Some(key) {
                let local = text("repository").and_then(|url| url.strip_prefix("file://"));
                found.extend(local.and_then(|local| join(folder, local)));
                found.extend(text("name").and_then(|name| join(folder, &format!("charts/{name}"))));
            }
        }
    }
    let ending = format!("charts/{key}");
    let anywhere = tree.files.iter().filter_map(|file| file.strip_suffix("/values.yaml"));
    found.extend(anywhere.filter(|folder| folder.ends_with(&ending)).map(str::to_owned));
    found.into_iter().map(|folder| format!("{folder}/values.yaml")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::manifest::inventory::Inventory;

    fn name(files: &[(&str, &str)], path: &str) -> Option<String> {
        let paths: BTreeSet<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let read = |path: &str| Some(files.iter().find(|(file, _)| *file == path)?.1.as_bytes().to_vec());
        let inventory = Inventory::default();
        let tree = Tree { files: &paths, inventory: &inventory, name_templates: &[], read: &read };
        of(files[0].0, &DocumentPath::of_listing(path), &tree).map(|name| match name {
            ImageName::Text(text) => text,
            ImageName::Elsewhere { image, file } => format!("{image} in {file}"),
        })
    }

    #[test]
    fn names_stand_next_to_tags() {
        let of = |text: &str, path: &str| name(&[("a.yaml", text)], path);
        assert_eq!(of("a: {image: ghcr.io/x/y, version: v1}\n", "a.version").as_deref(), Some("{a.image}"));
        assert_eq!(
            of("apiImage: x/y\napiImageTag: v1\nimage: other/z\n", "apiImageTag").as_deref(),
            Some("{apiImage}")
        );
        assert_eq!(
            of("l:\n- {registry: r.io, name: y, tag: v1}\n", "l[0].tag").as_deref(),
            Some("{l[*].registry}/{l[*].name}")
        );
        assert_eq!(of("name: web\ntag: v1\n", "tag"), None, "anything has a name");
        assert_eq!(of("repository: https://github.com/a/b\ntag: v1\n", "tag"), None);
    }

    #[test]
    fn names_stand_in_the_files_that_are_overridden() {
        let base = "web:\n  image:\n    repository: ghcr.io/x/web\n";
        let over = "web:\n  image:\n    tag: v1\n";
        assert_eq!(
            name(&[("app/env/prod.yaml", over), ("app/values.yaml", base)], "web.image.tag").as_deref(),
            Some("ghcr.io/x/web in app/values.yaml")
        );
        let inner = "image:\n  repository: ghcr.io/x/web\n";
        let chart = "dependencies:\n- {name: service, alias: web, repository: file://../../charts/service}\n";
        assert_eq!(
            name(
                &[("apps/a/prod.yaml", over), ("apps/a/Chart.yaml", chart), ("charts/service/values.yaml", inner)],
                "web.image.tag"
            )
            .as_deref(),
            Some("ghcr.io/x/web in charts/service/values.yaml")
        );
    }
}
