//! Versions of Helm charts: in HelmReleases of Flux, applications of Argo CD, kustomizations, helmfiles, and the
//! dependencies of other charts.

use std::collections::BTreeMap;

use crate::image::chart::{exact, tag_of};
use crate::image::{Repository, Version};
use crate::manifest::facts::VersionRange;
use crate::manifest::field::{NameSource, Pending, Shape, Slots};
use crate::manifest::file_kind::{is_chart, is_kind};
use crate::manifest::flux::Name;
use crate::manifest::values::read::sources;
use crate::yaml::node::NodeId;

use super::finder::Finder;

/// The repository of a chart.
enum From<'u> {
    /// Its URL.
    Url(&'u str),
    /// A HelmRepository of Flux, which another file may define.
    Flux(Name),
}

impl Finder<'_, '_> {
    /// Adds the charts of a document that is not a kustomization.
    pub(in crate::manifest) fn charts(&mut self, path: &str, root: NodeId) {
        let scan = self.scan;
        if is_kind(scan, root, "HelmRelease", "helm.toolkit.fluxcd.io/") {
            self.chart_of_release(root);
        }
        for source in sources(scan, root) {
            self.chart_of_source(source);
        }
        if is_chart(path) {
            self.chart_list(root, "dependencies", ["name", "version", "repository"]);
        }
        if scan.get_scalar(root, "kind") == Some("HelmChartInflationGenerator") {
            self.listed_chart(root, ["name", "version", "repo"]);
        }
        if scan.get(root, "apiVersion").is_none() {
            self.charts_of_helmfile(root);
        }
    }

    /// Adds the charts of a kustomization.
    pub(in crate::manifest) fn charts_of_kustomization(&mut self, root: NodeId) {
        self.chart_list(root, "helmCharts", ["name", "version", "repo"]);
        self.chart_list(root, "helmChartInflationGenerator", ["chartName", "chartVersion", "chartRepoUrl"]);
    }

    /// Adds the chart of a HelmRelease, unless it is in a repository of git or in a bucket.
    fn chart_of_release(&mut self, root: NodeId) -> Option<()> {
        let scan = self.scan;
        let spec = scan.get(scan.get(scan.get(root, "spec")?, "chart")?, "spec")?;
        let source = scan.get(spec, "sourceRef")?;
        if scan.get_scalar(source, "kind") != Some("HelmRepository") {
            return None;
        }
        let own = scan.get(root, "metadata").and_then(|metadata| scan.get_scalar(metadata, "namespace"));
        let namespace = scan.get_scalar(source, "namespace").or(own).map(str::to_owned);
        let repository = (namespace, scan.get_scalar(source, "name")?.to_owned());
        let name = scan.get_scalar(spec, "chart")?;
        self.chart(From::Flux(repository), name, scan.get(spec, "version")?)
    }

    /// Adds the chart of a source of an Argo CD application, which names OCI registries without a scheme.
    fn chart_of_source(&mut self, source: NodeId) -> Option<()> {
        let scan = self.scan;
        let (name, url) = (scan.get_scalar(source, "chart")?, scan.get_scalar(source, "repoURL")?);
        let url = if url.contains("://") { url.to_owned() } else { format!("oci://{url}") };
        self.chart(From::Url(&url), name, scan.get(source, "targetRevision")?)
    }

    fn chart_list(&mut self, root: NodeId, list: &str, keys: [&str; 3]) {
        let scan = self.scan;
        let items: Vec<NodeId> = scan.get(root, list).map(|list| scan.items(list).collect()).unwrap_or_default();
        items.into_iter().for_each(|item| {
            self.listed_chart(item, keys);
        });
    }

    /// Adds a chart with the keys of its name, its version and its repository. One without a repository is local.
    fn listed_chart(&mut self, item: NodeId, [name, version, repository]: [&str; 3]) -> Option<()> {
        let scan = self.scan;
        let url = scan.get_scalar(item, repository)?;
        self.chart(From::Url(url), scan.get_scalar(item, name)?, scan.get(item, version)?)
    }

    /// Adds the charts of the releases of a helmfile. Its repositories may be in an earlier document.
    fn charts_of_helmfile(&mut self, root: NodeId) {
        let scan = self.scan;
        let Some(releases) = scan.get(root, "releases") else { return };
        let mut repositories: BTreeMap<&str, String> = BTreeMap::new();
        let lists = self.documents.iter().filter_map(|(_, root)| scan.get(*root, "repositories"));
        for item in lists.flat_map(|list| scan.items(list)) {
            let (Some(name), Some(url)) = (scan.get_scalar(item, "name"), scan.get_scalar(item, "url")) else {
                continue;
            };
            let is_oci = scan.get_scalar(item, "oci") == Some("true") && !url.contains("://");
            repositories.insert(name, if is_oci { format!("oci://{url}") } else { url.to_owned() });
        }
        for item in scan.items(releases).collect::<Vec<_>>() {
            let chart = scan.get_scalar(item, "chart").and_then(|chart| chart.rsplit_once('/'));
            let (Some((repository, name)), Some(version)) = (chart, scan.get(item, "version")) else { continue };
            let url = if repository.starts_with("oci://") {
                Some(repository)
            } else {
                repositories.get(repository).map(String::as_str)
            };
            if let Some(url) = url {
                self.chart(From::Url(url), name, version);
            }
        }
    }

    /// Adds a chart, unless its version is a range, from which others choose.
    fn chart(&mut self, from: From<'_>, name: &str, version: NodeId) -> Option<()> {
        let scan = self.scan;
        let text = scan.scalar(version).filter(|text| !text.is_empty() && !self.is_claimed(version))?;
        let repository = match &from {
            From::Url(url) => Some(Repository::of_chart(url, name).ok()?),
            From::Flux(_) => None,
        };
        let Some(tag) = exact(text).and_then(|_| tag_of(text).ok()) else {
            let place = scan.place(scan.resolve(version));
            self.ranges.push(VersionRange { place, chart: name.to_owned(), version: text.to_owned() });
            return None;
        };
        self.claim([version]);
        let slots = Slots::Chart { version: scan.resolve(version) };
        let spot = self.spot(Shape::Chart, version, Version::from(tag), slots);
        match (from, repository) {
            (From::Flux(repository), _) => {
                let name = NameSource::Chart { chart: name.to_owned(), repository };
                self.pending.push(Pending { name, spot, moves_along: Vec::new() });
            }
            (From::Url(_), repository) => self.fields.push(spot.field(repository?, name.to_owned(), false)),
        }
        Some(())
    }
}
