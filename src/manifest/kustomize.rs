//! The graph of kustomizations: which file an overlay takes in, and whose `images` override whose field.
//!
//! Paths are relative to the root of the repository, with `/`. Remote resources are no part of the graph.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::path::{join, parent_of};

use super::closure::Closures;
use super::field::Field;
use super::find::{FileFacts, has_kustomization_name};

/// What a kustomization file says about other files and about images.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kustomization {
    /// `resources`, `bases` and `components`, as written.
    pub resources: Vec<String>,
    /// Other files that it reads, as written: those that Secrets are generated from, patches, generators, transformers.
    pub files: Vec<String>,
    /// The entries of `images`.
    pub images: Vec<ImageEntry>,
}

/// An entry of `images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEntry {
    /// The name that it matches.
    pub name: String,
    /// The name that comes out: `newName`, else `name`.
    pub result: String,
    /// Whether it sets the version (`newTag` or `digest`), not only the name.
    pub overrides: bool,
}

/// Something about the graph that a person should know; never fatal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphProblem {
    /// A local resource that is not there.
    #[error("{file}: `{resource}` does not exist")]
    Missing {
        /// The kustomization.
        file: String,
        /// The resource, as written.
        resource: String,
    },
    /// Kustomizations that take each other in.
    #[error("{file}: kustomizations take each other in, by `{resource}`")]
    Cycle {
        /// The kustomization that closes the circle.
        file: String,
        /// The resource, as written.
        resource: String,
    },
}

/// The graph of all kustomizations of a tree. It holds as long as no file comes or goes and no kustomization changes.
#[derive(Debug, Default)]
pub struct Graph {
    images: HashMap<Arc<str>, Vec<ImageEntry>>,
    /// Who takes in what, and so what is deployed together.
    pub closures: Arc<Closures>,
    /// What was found odd, in the order of the files.
    pub problems: Vec<GraphProblem>,
}

impl Graph {
    /// Builds the graph from all files that were read, given in order. `exists` tells of files that were not (other kinds
    /// of files).
    pub fn build<'f>(
        files: impl Iterator<Item = (&'f Arc<str>, &'f FileFacts)>,
        exists: &dyn Fn(&str) -> bool,
    ) -> Graph {
        let named = files.filter(|(path, _)| has_kustomization_name(path));
        let kustomizations: Vec<(&Arc<str>, &Kustomization)> =
            named.filter_map(|(path, facts)| Some((path, facts.kustomization.as_ref()?))).collect();
        let by_folder: HashMap<&str, &Arc<str>> =
            kustomizations.iter().map(|(file, _)| (parent_of(file), *file)).collect();
        let mut closures = Closures::with_capacity(kustomizations.len());
        let (mut images, mut problems) = (HashMap::new(), Vec::new());
        for (file, kustomization) in &kustomizations {
            if !kustomization.images.is_empty() {
                images.insert(Arc::clone(file), kustomization.images.clone());
            }
            let target = |resource: &String| -> Option<Arc<str>> {
                let path = join(parent_of(file), resource)?;
                let inner = by_folder.get(path.as_str());
                Some(inner.map_or_else(|| path.as_str().into(), |inner| Arc::clone(inner)))
            };
            let mut resources = Vec::with_capacity(kustomization.resources.len());
            for resource in kustomization.resources.iter().filter(|resource| is_local(resource)) {
                match target(resource).filter(|target| exists(target)) {
                    Some(target) => resources.push(target),
                    None => problems.push(GraphProblem::Missing { file: file.to_string(), resource: resource.clone() }),
                }
            }
            let files = kustomization.files.iter().filter(|file| is_local(file)).filter_map(target);
            closures.add(file, resources, files.collect());
        }
        problems.extend(kustomizations.iter().filter_map(|(file, _)| cycle(&closures, file)));
        Graph { images, closures: Arc::new(closures), problems }
    }

    /// The kustomization whose `images` decides the version of a field, when each way from the field to an outermost
    /// kustomization passes one that does. The nearest to the field is named.
    pub fn shadowed_by(&self, file: &str, field: &Field) -> Option<String> {
        if !field.transformed {
            return None;
        }
        let mut walk = Walk::default();
        walk.each_way_overrides(self, file, &field.written_name).then_some(walk.nearest).flatten()
    }
}

/// A kustomization that is among its own forebears.
fn cycle(closures: &Closures, file: &str) -> Option<GraphProblem> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut open: Vec<&Arc<str>> = closures.included_by(file).collect();
    while let Some(next) = open.pop() {
        if **next == *file {
            return Some(GraphProblem::Cycle { file: file.to_owned(), resource: parent_of(file).to_owned() });
        }
        if seen.insert(next) {
            open.extend(closures.included_by(next));
        }
    }
    None
}

/// The ways from a file upwards.
#[derive(Default)]
struct Walk {
    /// The first kustomization that overrides.
    nearest: Option<String>,
    /// What was found out of a file and a name. One that is being looked at counts as overridden, so that a circle decides
    /// nothing; and no pair is looked at twice, however many ways lead to it.
    known: HashMap<(String, String), bool>,
}

impl Walk {
    fn each_way_overrides(&mut self, graph: &Graph, file: &str, name: &str) -> bool {
        let mut parents = graph.closures.included_by(file).peekable();
        if parents.peek().is_none() {
            return false;
        }
        let key = (file.to_owned(), name.to_owned());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        self.known.insert(key.clone(), true);
        let mut all = true;
        for parent in parents {
            let entry = graph.images.get(parent).and_then(|images| images.iter().find(|entry| entry.name == name));
            all &= match entry {
                Some(entry) if entry.overrides => {
                    self.nearest.get_or_insert_with(|| parent.to_string());
                    true
                }
                entry => self.each_way_overrides(graph, parent, entry.map_or(name, |entry| &entry.result)),
            };
        }
        self.known.insert(key, all);
        all
    }
}

fn is_local(resource: &str) -> bool {
    !resource.contains("://")
        && !resource.contains('?')
        && !resource.starts_with("git@")
        && !resource.starts_with("github.com/")
}

/// Whether a file may hold image fields at all, by its name.
pub fn is_manifest_name(path: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|extension| path.ends_with(extension)) || has_kustomization_name(path)
}
