//! The files whose values are merged with those of a file, and the names of images that result.
//!
//! Helm merges the values of a chart's dependencies, of the chart, and of the files that a release lists, each over the
//! ones before. Which files those are is taken from releases where they are in the repository, else from where the files
//! are: next to or below a `values.yaml`, or under the name of a chart.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::image::{DEFAULT_HOST, Repository};
use crate::manifest::facts::FileFacts;
use crate::manifest::field::{Field, Shape};
use crate::path::{child_of, join, parent_of};

use super::facts::{Location, Release, ValuesPlace};
use super::keys::{SiblingKeys, names_image};

/// The values of a tree.
pub(in crate::manifest) struct Layers<'f> {
    /// Knows all files of the tree, read or not.
    exists: &'f dyn Fn(&str) -> bool,
    files: HashMap<&'f str, (&'f Arc<str>, &'f FileFacts)>,
    /// The values that come before each file which a release lists.
    listed: HashMap<String, Vec<Below>>,
    /// The files of generated ConfigMaps, by name, with the folder of their kustomization.
    config_maps: HashMap<&'f str, Vec<(&'f str, Vec<String>)>>,
}

/// The values that a file's own are merged over.
#[derive(Debug, Clone, Default)]
struct Below {
    /// Files, the one that counts most first.
    files: Vec<String>,
    /// The folder of the chart.
    chart: Option<String>,
}

/// A scalar and the file that holds it.
type Found<'f> = (&'f str, &'f Arc<str>);

/// The name of an image, and the file that holds the last part of it.
pub(in crate::manifest) type Named = (Repository, Arc<str>);

/// The number of folders above a file in which its chart is looked for, and of charts that depend on each other.
const DEEPEST: usize = 5;

impl<'f> Layers<'f> {
    /// Collects the values of all files that were read.
    pub fn of(
        files: impl Iterator<Item = (&'f Arc<str>, &'f FileFacts)> + Clone,
        exists: &'f dyn Fn(&str) -> bool,
    ) -> Layers<'f> {
        let (by_path, listed, config_maps) = Default::default();
        let mut layers = Layers { exists, files: by_path, listed, config_maps };
        for (path, facts) in files.clone() {
            let generated = facts.kustomization.iter().flat_map(|kustomization| &kustomization.config_maps);
            for (name, sources) in generated {
                let folder = parent_of(path);
                let sources = sources.iter().filter_map(|source| join(folder, source)).collect();
                layers.config_maps.entry(name).or_default().push((folder, sources));
            }
            if !facts.values.is_empty() || !facts.dependencies.is_empty() {
                layers.files.insert(path, (path, facts));
            }
        }
        for (path, facts) in files {
            for release in facts.values.iter().filter_map(|values| values.release.as_ref()) {
                let all = layers.below(path, release);
                for (index, file) in all.files.iter().enumerate() {
                    let below = Below { files: all.files[index + 1..].to_vec(), chart: all.chart.clone() };
                    layers.listed.entry(file.clone()).or_default().push(below);
                }
            }
        }
        layers
    }

    /// Returns the name of the image whose tag a file holds. `None` if no file names it, or if releases disagree.
    pub fn name(&self, file: &str, facts: &FileFacts, place: &ValuesPlace) -> Option<Named> {
        let keys = SiblingKeys::of(&place.tag_key)?;
        let own = facts.values.get(place.values)?;
        let of = |below: &Below| self.name_over(file, place, &keys, below);
        if let Some(release) = &own.release {
            return of(&self.below(file, release));
        }
        let listed: BTreeSet<Named> = self.listed.get(file).into_iter().flatten().filter_map(of).collect();
        match listed.len() {
            0 => implied(file).iter().find_map(of),
            1 => listed.into_iter().next(),
            _ => {
                let mut names = listed.into_iter();
                let first = names.next()?;
                names.all(|(name, _)| name == first.0).then_some(first)
            }
        }
    }

    /// Returns a field with the registry that other files give it; `None` if it has the one of its own file.
    pub fn prefixed(&self, file: &str, facts: &FileFacts, field: &Field) -> Option<Field> {
        let is_open = field.shape == Shape::Helm && field.repository.host() == DEFAULT_HOST;
        if !is_open || field.written_name.starts_with(DEFAULT_HOST) || facts.values.is_empty() {
            return None;
        }
        let (mapping, tag_key) = field.path.rsplit_once('.').unwrap_or(("", &field.path));
        let (mapping, tag_key) = (mapping.to_owned(), tag_key.to_owned());
        let in_image = names_image(mapping.rsplit('.').next()?);
        let values = facts.values.iter().position(|values| values.release.is_none())?;
        let (repository, named_in) = self.name(file, facts, &ValuesPlace { values, mapping, tag_key, in_image })?;
        let rest = repository.as_str().strip_suffix(&field.written_name)?;
        let named_in = Some(named_in);
        let written_name = repository.to_string();
        (rest.ends_with('/') && repository != field.repository).then(|| Field {
            repository,
            written_name,
            named_in,
            ..field.clone()
        })
    }

    fn name_over(&self, file: &str, place: &ValuesPlace, keys: &SiblingKeys, below: &Below) -> Option<Named> {
        let own = self.files.get(file);
        let find = |path: &str| -> Option<Found<'f>> {
            let own =
                own.and_then(|(file, facts)| Some((facts.values.get(place.values)?.names.get(path)?.as_str(), *file)));
            own.or_else(|| self.find(below, path))
        };
        let text = |path: &str| find(path).map(|(text, _)| text);
        let (key, name) = keys.name(|key| text(&place.sibling(key)), text, place.in_image)?;
        let (_, named_in) = find(&place.sibling(key))?;
        Some((name.parse().ok()?, Arc::clone(named_in)))
    }

    fn find(&self, below: &Below, path: &str) -> Option<Found<'f>> {
        let in_files = below.files.iter().find_map(|file| self.scalar(file, path));
        in_files.or_else(|| self.in_chart(below.chart.as_deref()?, path, 0))
    }

    fn scalar(&self, file: &str, path: &str) -> Option<Found<'f>> {
        let (file, facts) = self.files.get(file)?;
        facts.values.iter().find_map(|values| Some((values.names.get(path)?.as_str(), *file)))
    }

    /// Returns a scalar of a chart's values, or of those of its dependencies.
    fn in_chart(&self, folder: &str, path: &str, depth: usize) -> Option<Found<'f>> {
        let own = ["values.yaml", "values.yml"].into_iter().find_map(|name| self.scalar(&child_of(folder, name), path));
        if own.is_some() || depth == DEEPEST {
            return own;
        }
        let (key, rest) = path.split_once('.')?;
        let dependencies =
            self.files.get(child_of(folder, "Chart.yaml").as_str()).map(|(_, facts)| &facts.dependencies);
        let dependency = dependencies.into_iter().flatten().find(|dependency| dependency.key == key);
        let name = dependency.map_or(key, |dependency| dependency.name.as_str());
        let elsewhere = dependency.and_then(|dependency| join(folder, dependency.folder.as_deref()?));
        let is_chart = (self.exists)(&child_of(folder, "Chart.yaml"));
        let vendored = is_chart.then(|| child_of(&child_of(folder, "charts"), name));
        [elsewhere, vendored].into_iter().flatten().find_map(|folder| self.in_chart(&folder, rest, depth + 1))
    }

    /// Returns the values below a release's own.
    fn below(&self, file: &str, release: &Release) -> Below {
        let folder = parent_of(file);
        let chart = release.chart.as_ref().and_then(|chart| resolve(chart, folder, None));
        let listed = release.files.iter().filter_map(|path| resolve(path, folder, chart.as_deref()));
        let generated = release.config_maps.iter().flat_map(|name| self.config_map(name, folder));
        let mut files: Vec<String> = listed.chain(generated).collect();
        files.reverse();
        Below { files, chart }
    }

    /// Returns the files of a generated ConfigMap: that of a kustomization in the same folder, else the only one of its
    /// name.
    fn config_map(&self, name: &str, folder: &str) -> Vec<String> {
        let all = self.config_maps.get(name).map(Vec::as_slice).unwrap_or_default();
        let own = all.iter().find(|(of, _)| *of == folder);
        let only = || match all {
            [only] => Some(only),
            _ => None,
        };
        own.or_else(only).map(|(_, files)| files.clone()).unwrap_or_default()
    }
}

/// Returns the path of a location, from the root of the repository.
fn resolve(location: &Location, folder: &str, chart: Option<&str>) -> Option<String> {
    match location {
        Location::FromRoot(path) => join("", path),
        Location::FromFile(path) => join(folder, path),
        Location::FromChart(path) => join(chart?, path),
    }
}

/// The names of values that others are merged over.
const BASES: [&str; 7] = ["base", "common", "default", "defaults", "global", "shared", "all"];

/// Returns the values that a file's own are probably merged over, judging by where it is, nearest first.
fn implied(file: &str) -> Vec<Below> {
    let folder = parent_of(file);
    let name = file[folder.len()..].trim_start_matches('/');
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let stem = stem.trim_end_matches("values").trim_start_matches("values").trim_matches(['-', '_', '.']);
    let chart = |folder: &str| Some(folder.to_owned());
    let mut found = vec![Below { files: Vec::new(), chart: chart(folder) }];
    for base in BASES {
        let names = [
            format!("values-{base}.yaml"),
            format!("{base}.yaml"),
            format!("{base}.values.yaml"),
            format!("{base}-values.yaml"),
        ];
        let files = names.iter().map(|name| child_of(folder, name)).filter(|path| path != file).collect();
        found.push(Below { files, chart: None });
    }
    let mut inner = folder;
    for _ in 0..DEEPEST {
        if inner.is_empty() {
            break;
        }
        let outer = parent_of(inner);
        let last = inner[outer.len()..].trim_start_matches('/');
        found.push(Below { files: Vec::new(), chart: chart(outer) });
        let same_name = BASES.iter().map(|base| child_of(&child_of(outer, base), name)).collect();
        found.push(Below { files: same_name, chart: None });
        for app in [stem, last, "."].into_iter().filter(|app| !app.is_empty()) {
            for charts in ["charts", "chart", "helm"] {
                found.extend(
                    join(&child_of(outer, charts), app).map(|folder| Below { files: Vec::new(), chart: Some(folder) }),
                );
            }
        }
        inner = outer;
    }
    found
}
