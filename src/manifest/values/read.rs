//! Reads the values of a document: values files as a whole, and those of releases.

use std::collections::BTreeMap;

use crate::manifest::file_kind::is_kind;
use crate::yaml::node::{Kind, NodeId};
use crate::yaml::scan::Scan;

use super::facts::{Dependency, Location, Release, ValuesFacts};
use super::keys::{is_name_part, names_image};

/// The values in a document: the node below which they are, and what is known about them.
#[derive(Debug)]
pub(in crate::manifest) struct Values {
    pub root: Option<NodeId>,
    pub facts: ValuesFacts,
}

/// Reads the values of a document with a root. `argo_override` says that the document is the source of an Argo CD
/// application whose chart is in the same folder.
pub(in crate::manifest) fn values(scan: &Scan<'_>, root: NodeId, argo_override: bool) -> Vec<Values> {
    if !matches!(scan.kind(root), Kind::Mapping) {
        return Vec::new();
    }
    if argo_override {
        return vec![of_source(scan, root, Some(Location::FromFile(String::new())))];
    }
    if is_kind(scan, root, "HelmRelease", "helm.toolkit.fluxcd.io/") {
        return vec![of_helm_release(scan, root)];
    }
    let argo = sources(scan, root);
    if !argo.is_empty() {
        let folder = |source| scan.get_scalar(source, "path").map(|path| Location::FromRoot(path.to_owned()));
        return argo.into_iter().map(|source| of_source(scan, source, folder(source))).collect();
    }
    if scan.get(root, "apiVersion").is_some() {
        return Vec::new();
    }
    let mut found = helmfile(scan, root);
    found.push(of_root(scan, Some(root), None));
    found
}

/// Returns the sources of an Argo CD Application or ApplicationSet.
pub(in crate::manifest) fn sources(scan: &Scan<'_>, root: NodeId) -> Vec<NodeId> {
    let spec = match scan.get_scalar(root, "kind") {
        Some("Application") => scan.get(root, "spec"),
        Some("ApplicationSet") => scan
            .get(root, "spec")
            .and_then(|spec| scan.get(spec, "template"))
            .and_then(|template| scan.get(template, "spec")),
        _ => None,
    };
    let is_argo = scan.get_scalar(root, "apiVersion").is_some_and(|version| version.starts_with("argoproj.io/"));
    let Some(spec) = spec.filter(|_| is_argo) else { return Vec::new() };
    let several = scan.get(spec, "sources").map(|list| scan.items(list).collect::<Vec<_>>()).unwrap_or_default();
    scan.get(spec, "source").into_iter().chain(several).collect()
}

fn of_root(scan: &Scan<'_>, root: Option<NodeId>, release: Option<Release>) -> Values {
    let root = root.map(|root| scan.resolve(root));
    let names = root.map(|root| names(scan, root)).unwrap_or_default();
    Values { root, facts: ValuesFacts { names, release } }
}

/// Reads values that are the text of a scalar within a release.
pub(in crate::manifest) fn text_values(scan: &Scan<'_>, root: NodeId, release: Option<Release>) -> Option<Values> {
    matches!(scan.kind(root), Kind::Mapping).then(|| of_root(scan, Some(root), release))
}

fn of_source(scan: &Scan<'_>, source: NodeId, chart: Option<Location>) -> Values {
    let helm = scan.get(source, "helm");
    let files = helm.and_then(|helm| scan.get(helm, "valueFiles")).map(|list| texts(scan, list)).unwrap_or_default();
    // `$REF/PATH` is relative to the root of another source.
    let location = |path: String| match path.strip_prefix('$') {
        Some(rest) => Location::FromRoot(rest.split_once('/').map_or("", |(_, path)| path).to_owned()),
        None => Location::FromChart(path),
    };
    let files = files.into_iter().map(location).collect();
    let release = Release { chart, files, config_maps: Vec::new() };
    of_root(scan, helm.and_then(|helm| scan.get(helm, "valuesObject")), Some(release))
}

fn of_helm_release(scan: &Scan<'_>, root: NodeId) -> Values {
    let spec = scan.get(root, "spec");
    let get = |node: Option<NodeId>, key: &str| node.and_then(|node| scan.get(node, key));
    let chart = get(get(spec, "chart"), "spec");
    let kind = get(get(chart, "sourceRef"), "kind").and_then(|kind| scan.scalar(kind));
    let folder = get(chart, "chart").and_then(|chart| scan.scalar(chart));
    let is_local = kind.is_some_and(|kind| matches!(kind, "GitRepository" | "Bucket"));
    let folder = folder.filter(|_| is_local).map(|folder| Location::FromRoot(folder.to_owned()));
    let files = get(chart, "valuesFiles").map(|list| texts(scan, list)).unwrap_or_default();
    let files = if is_local { files.into_iter().map(Location::FromRoot).collect() } else { Vec::new() };
    let from = get(spec, "valuesFrom").map(|list| scan.items(list).collect::<Vec<_>>()).unwrap_or_default();
    let is_config_map = |item: &NodeId| scan.get_scalar(*item, "kind") == Some("ConfigMap");
    let config_maps = from.into_iter().filter(is_config_map).filter_map(|item| scan.get_scalar(item, "name"));
    let config_maps = config_maps.map(str::to_owned).collect();
    of_root(scan, get(spec, "values"), Some(Release { chart: folder, files, config_maps }))
}

/// Reads the releases of a helmfile.
fn helmfile(scan: &Scan<'_>, root: NodeId) -> Vec<Values> {
    let Some(releases) = scan.get(root, "releases") else { return Vec::new() };
    let release = |item: NodeId| {
        let chart = scan.get_scalar(item, "chart")?;
        let is_local = chart.starts_with("./") || chart.starts_with("../");
        let chart = is_local.then(|| Location::FromFile(chart.to_owned()));
        let files = scan.get(item, "values").map(|list| texts(scan, list)).unwrap_or_default();
        let files = files.into_iter().map(Location::FromFile).collect();
        Some(of_root(scan, None, Some(Release { chart, files, config_maps: Vec::new() })))
    };
    scan.items(releases).filter_map(release).collect()
}

/// Reads the dependencies of a chart from its `Chart.yaml`.
pub(in crate::manifest) fn dependencies(scan: &Scan<'_>, root: NodeId) -> Vec<Dependency> {
    let Some(list) = scan.get(root, "dependencies") else { return Vec::new() };
    let dependency = |item: NodeId| {
        let name = scan.get_scalar(item, "name")?.to_owned();
        let key = scan.get_scalar(item, "alias").unwrap_or(&name).to_owned();
        let folder = scan.get_scalar(item, "repository").and_then(|url| url.strip_prefix("file://"));
        Some(Dependency { folder: folder.map(str::to_owned), name, key })
    };
    scan.items(list).filter_map(dependency).collect()
}

fn texts(scan: &Scan<'_>, list: NodeId) -> Vec<String> {
    scan.items(list).filter_map(|item| scan.scalar(item)).map(str::to_owned).collect()
}

/// Returns the path from the root of the values to a node below it; `None` if it passes a list, because Helm does not
/// merge lists.
pub(in crate::manifest) fn path_of(scan: &Scan<'_>, root: NodeId, node: NodeId) -> Option<String> {
    let mut keys = Vec::new();
    let mut at = node;
    while at != root {
        let parent = scan.parent(at).filter(|parent| matches!(scan.kind(*parent), Kind::Mapping))?;
        keys.push(scan.scalar(scan.previous(at)?).filter(|key| is_step(key))?);
        at = parent;
    }
    keys.reverse();
    Some(keys.join("."))
}

/// Returns whether a key can be a part of a path whose parts are joined by dots.
fn is_step(key: &str) -> bool {
    !key.is_empty() && !key.contains('.')
}

/// Returns the scalars that can be a part of an image's name, by their path. Lists are not merged, so nothing in them
/// counts.
fn names(scan: &Scan<'_>, root: NodeId) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![(root, String::new(), false)];
    let mut visits = 0;
    while let Some((mapping, path, in_image)) = open.pop() {
        visits += 1;
        if visits > MOST_VISITS {
            break;
        }
        for (key, value) in scan.pairs(mapping) {
            let Some(key) = scan.scalar(key).filter(|key| is_step(key)) else { continue };
            let resolved = scan.resolve(value);
            let below = || if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            match scan.kind(resolved) {
                Kind::Mapping => open.push((resolved, below(), names_image(key))),
                Kind::Scalar { value, .. } if is_name_part(key, value, in_image) => {
                    found.insert(below(), value.clone());
                }
                _ => {}
            }
        }
    }
    found
}

/// The number of mappings that are visited at most: aliases could multiply them without bound.
const MOST_VISITS: usize = 100_000;
