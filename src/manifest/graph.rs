//! The graph of kustomizations: the files that each of them includes, and the fields that their `images` override.
//!
//! Paths are relative to the root of the repository, with `/`. Remote resources are not part of the graph.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::path::{join, parent_of};

use super::closure::Closures;
use super::facts::FileFacts;
use super::field::Field;
use super::file_kind::has_kustomization_name;
use super::kustomization::{ImageEntry, Kustomization};

/// A problem with the graph that is reported but never fatal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum GraphProblem {
    /// A local resource that does not exist.
    #[error("{file}: `{resource}` does not exist")]
    Missing { file: String, resource: String },
    /// Kustomizations that include each other.
    #[error("{file}: kustomizations include each other, through `{resource}`")]
    Cycle { file: String, resource: String },
}

/// The graph of all kustomizations of a tree. It is valid until a file is added or removed, or a kustomization changes.
#[derive(Debug, Default)]
pub struct Graph {
    images: HashMap<Arc<str>, Vec<ImageEntry>>,
    /// The files that each kustomization includes, and so those that are deployed together.
    pub closures: Arc<Closures>,
    /// The problems that were found, in the order of the files.
    pub problems: Vec<GraphProblem>,
}

impl Graph {
    /// Builds the graph from all files that were parsed, given in order. `exists` also knows files of other kinds.
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

    /// Returns the kustomization whose `images` override a field, if every path from the field to an outermost
    /// kustomization passes such a kustomization. Of several, the one nearest to the field is returned.
    pub fn shadowed_by(&self, file: &str, field: &Field) -> Option<String> {
        if !field.transformed {
            return None;
        }
        let mut walk = Walk::default();
        walk.each_way_overrides(self, file, &field.written_name).then_some(walk.nearest).flatten()
    }
}

/// Returns a problem if a kustomization includes itself, directly or through others.
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

/// A walk along all paths upwards from a file.
#[derive(Default)]
struct Walk {
    /// The first kustomization that overrides the field.
    nearest: Option<String>,
    /// The results so far, by file and name. An entry that is still being worked on counts as overridden, so that a
    /// cycle has no effect; and no pair is visited twice, however many paths lead to it.
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
