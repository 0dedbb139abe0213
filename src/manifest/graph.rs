//! The graph of kustomizations: the files that each of them includes, and the fields that their `images` override.
//!
//! Paths are relative to the root of the repository, with `/`. Remote resources are not part of the graph.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::path::{Links, join, parent_of};

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
    /// Builds the graph from all files that were parsed, given in order. `exists` also knows files of other kinds; symbolic
    /// links within the tree are followed.
    pub fn build<'f>(
        files: impl Iterator<Item = (&'f Arc<str>, &'f FileFacts)>,
        exists: &dyn Fn(&str) -> bool,
        links: &Links,
    ) -> Graph {
        let named = files.filter(|(path, _)| has_kustomization_name(path));
        let kustomizations: Vec<(&Arc<str>, &Kustomization)> =
            named.filter_map(|(path, facts)| Some((path, facts.kustomization.as_ref()?))).collect();
        let by_folder: HashMap<&str, &Arc<str>> =
            kustomizations.iter().map(|(file, _)| (parent_of(file), *file)).collect();
        let mut closures = Closures::with_capacity(kustomizations.len());
        let (mut images, mut problems, mut included) = (HashMap::new(), Vec::new(), HashMap::new());
        for (file, kustomization) in &kustomizations {
            if !kustomization.images.is_empty() {
                images.insert(Arc::clone(file), kustomization.images.clone());
            }
            let target = |resource: &String| -> Option<Arc<str>> {
                let path = links.resolve(&join(parent_of(file), resource)?)?;
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
            included.insert(Arc::clone(file), resources.clone());
            let files = kustomization.files.iter().filter(|file| is_local(file)).filter_map(target);
            closures.add(file, resources, files.collect());
            let generated = kustomization.config_maps.iter().flat_map(|(_, files)| files);
            closures.add_config_maps(file, generated.filter(|file| is_local(file)).filter_map(target));
        }
        let suspects = in_or_below_cycles(&included);
        let suspects = kustomizations.iter().filter(|(file, _)| suspects.contains(&***file)).take(MOST_SUSPECTS);
        problems.extend(suspects.filter_map(|(file, _)| cycle(&closures, file)));
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

/// The number of kustomizations that are checked for cycles; one that is reported is enough.
const MOST_SUSPECTS: usize = 100;

/// Returns the kustomizations that are part of a cycle or included by one: those that remain after all that no other
/// includes were taken away, again and again. `links` are the resources of each.
fn in_or_below_cycles(links: &HashMap<Arc<str>, Vec<Arc<str>>>) -> HashSet<&str> {
    let mut parents: HashMap<&str, usize> = links.keys().map(|file| (&**file, 0)).collect();
    for target in links.values().flatten() {
        parents.entry(target).and_modify(|count| *count += 1);
    }
    let mut open: Vec<&str> = parents.iter().filter(|(_, count)| **count == 0).map(|(file, _)| *file).collect();
    while let Some(file) = open.pop() {
        parents.remove(file);
        for target in links.get(file).into_iter().flatten() {
            let Some(count) = parents.get_mut(&**target) else { continue };
            *count -= 1;
            if *count == 0 {
                open.push(target);
            }
        }
    }
    parents.into_keys().collect()
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
struct Walk<'g> {
    /// The first kustomization that overrides the field.
    nearest: Option<String>,
    /// The results so far, by file and name. An entry that is still being worked on counts as overridden, so that a
    /// cycle has no effect; and no pair is visited twice, however many paths lead to it.
    known: HashMap<Key<'g>, bool>,
}

impl<'g> Walk<'g> {
    /// Visits the kustomizations on all paths, depth first. Chains of kustomizations may be long, so it keeps its own
    /// stack.
    fn each_way_overrides(&mut self, graph: &'g Graph, file: &'g str, name: &'g str) -> bool {
        let mut open = vec![Visit::of(graph, (file, name))];
        let mut result = false;
        self.known.insert((file, name), true);
        while let Some(visit) = open.last_mut() {
            let (key, name) = (visit.key, visit.key.1);
            let Some(parent) = visit.parents.pop() else {
                result = visit.all;
                self.known.insert(key, result);
                open.pop();
                open.last_mut().into_iter().for_each(|below| below.all &= result);
                continue;
            };
            let entry = graph.images.get(parent).and_then(|images| images.iter().find(|entry| entry.name == name));
            match entry {
                Some(entry) if entry.overrides => {
                    self.nearest.get_or_insert_with(|| parent.to_string());
                }
                entry => {
                    let next = (&**parent, entry.map_or(name, |entry| &*entry.result));
                    match self.known.get(&next) {
                        Some(known) => visit.all &= known,
                        None => {
                            self.known.insert(next, true);
                            open.push(Visit::of(graph, next));
                        }
                    }
                }
            }
        }
        result
    }
}

/// A file and the name that an image has there.
type Key<'g> = (&'g str, &'g str);

/// A file that is being visited.
struct Visit<'g> {
    key: Key<'g>,
    /// The kustomizations that include it and were not visited yet, the first one last.
    parents: Vec<&'g Arc<str>>,
    /// False if some path leads to an outermost kustomization without being overridden.
    all: bool,
}

impl<'g> Visit<'g> {
    fn of(graph: &'g Graph, key: Key<'g>) -> Visit<'g> {
        let mut parents: Vec<&Arc<str>> = graph.closures.included_by(key.0).collect();
        parents.reverse();
        Visit { key, all: !parents.is_empty(), parents }
    }
}

fn is_local(resource: &str) -> bool {
    !resource.contains("://")
        && !resource.contains('?')
        && !resource.starts_with("git@")
        && !resource.starts_with("github.com/")
}
