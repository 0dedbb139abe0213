//! The files that are deployed together with a file: everything that the kustomizations around it include.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::path::{child_of, parent_of};

use super::file_kind::KUSTOMIZATION_NAMES;

/// The files that each kustomization of a tree includes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Closures {
    /// The files that each kustomization includes, other kustomizations among them.
    includes: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// The kustomizations that include each file directly.
    parents: HashMap<Arc<str>, Vec<Parent>>,
    /// The kustomizations that put each file into a ConfigMap.
    generators: HashMap<Arc<str>, Vec<Arc<str>>>,
}

/// A kustomization that includes a file.
#[derive(Debug, Clone, PartialEq)]
struct Parent {
    file: Arc<str>,
    /// True if the file is one of its resources, rather than a patch or the input of a generator.
    as_resource: bool,
}

impl Closures {
    /// Makes an empty set with room for a number of kustomizations.
    pub(super) fn with_capacity(kustomizations: usize) -> Closures {
        let (includes, parents) = (HashMap::with_capacity(kustomizations), HashMap::with_capacity(kustomizations));
        Closures { includes, parents, generators: HashMap::new() }
    }

    /// Adds a kustomization with its resources and the other files that it includes.
    pub(super) fn add(&mut self, kustomization: &Arc<str>, mut resources: Vec<Arc<str>>, files: Vec<Arc<str>>) {
        for (targets, as_resource) in [(&resources, true), (&files, false)] {
            for target in targets {
                let parent = Parent { file: Arc::clone(kustomization), as_resource };
                self.parents.entry(Arc::clone(target)).or_default().push(parent);
            }
        }
        resources.extend(files);
        self.includes.insert(Arc::clone(kustomization), resources);
    }

    /// Adds the files that a kustomization puts into ConfigMaps. They are deployed with it, but no Secrets belong to them.
    pub(super) fn add_config_maps(&mut self, kustomization: &Arc<str>, files: impl Iterator<Item = Arc<str>>) {
        for file in files {
            self.generators.entry(file).or_default().push(Arc::clone(kustomization));
        }
    }

    /// Returns the kustomizations that deploy a file in any form.
    pub(super) fn deployed_by(&self, file: &str) -> impl Iterator<Item = &str> {
        let generators = self.generators.get(file).into_iter().flatten().map(AsRef::as_ref);
        self.parents_of(file).chain(generators)
    }

    /// Returns the kustomization of a folder.
    pub(super) fn kustomization_in(&self, folder: &str) -> Option<&str> {
        let named = |name: &&str| self.includes.get_key_value(child_of(folder, name).as_str());
        KUSTOMIZATION_NAMES.iter().find_map(named).map(|(file, _)| file.as_ref())
    }

    /// Returns the kustomizations that have a file among their resources.
    pub(super) fn included_by(&self, file: &str) -> impl Iterator<Item = &Arc<str>> + use<'_> {
        let parents = self.parents.get(file).into_iter().flatten();
        parents.filter(|parent| parent.as_resource).map(|parent| &parent.file)
    }

    /// Returns the files, out of all files of a tree, that are deployed together with a file: those of its
    /// kustomizations, or of its folder if it has none.
    pub fn around<'l>(&'l self, file: &'l str, all: impl Iterator<Item = &'l str>) -> BTreeSet<&'l str> {
        let own = match self.includes.get_key_value(file) {
            Some((file, _)) => vec![file.as_ref()],
            None => self.parents_of(file).collect(),
        };
        if own.is_empty() {
            return all.filter(|other| self.shares_folder(file, other)).collect();
        }
        let mut roots: BTreeSet<&str> = BTreeSet::new();
        let mut lists: Vec<&str> = Vec::new();
        let mut open = own;
        while let Some(next) = open.pop() {
            if roots.insert(next) {
                // A kustomization that includes several others is a list of apps; a flaw in one app must not block the
                // others.
                let (list, app): (Vec<&str>, Vec<&str>) =
                    self.parents_of(next).partition(|parent| self.kustomizations_in(parent) > 1);
                open.extend(app);
                lists.extend(list);
            }
        }
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = roots.into_iter().collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.includes.get(next).into_iter().flatten().map(AsRef::as_ref));
            }
        }
        found.extend(self.files_of_lists(lists));
        found
    }

    /// Returns lists of apps, and whatever includes them, each with the files that belong to no app.
    fn files_of_lists<'l>(&'l self, mut open: Vec<&'l str>) -> BTreeSet<&'l str> {
        let mut found = BTreeSet::new();
        while let Some(list) = open.pop() {
            if found.insert(list) {
                let included = self.includes.get(list).into_iter().flatten();
                found.extend(included.filter(|file| !self.includes.contains_key(*file)).map(AsRef::as_ref));
                open.extend(self.parents_of(list));
            }
        }
        found
    }

    /// Like `around`, for each of several files.
    pub fn around_each<'l>(
        &'l self,
        files: &BTreeSet<&'l str>,
        all: impl Iterator<Item = &'l str> + Clone,
    ) -> BTreeMap<&'l str, BTreeSet<&'l str>> {
        files.iter().map(|file| (*file, self.around(file, all.clone()))).collect()
    }

    fn parents_of(&self, file: &str) -> impl Iterator<Item = &str> {
        self.parents.get(file).into_iter().flatten().map(|parent| parent.file.as_ref())
    }

    fn kustomizations_in(&self, file: &str) -> usize {
        let taken = self.includes.get(file).into_iter().flatten();
        taken.filter(|target| self.includes.contains_key(*target)).count()
    }

    /// Returns whether two files are deployed together although no kustomization says so: Flux deploys a folder with
    /// everything below it, except for folders with kustomizations of their own. The folder that it starts from can be
    /// any of those above the file; the files right in these folders count, but not the apps next to this one. The root
    /// is not an app, so files below it do not count.
    fn shares_folder(&self, file: &str, other: &str) -> bool {
        let (folder, other) = (parent_of(file), parent_of(other));
        if folder.is_empty() || other.is_empty() {
            return folder == other;
        }
        let is_above = folder.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'));
        let (upper, mut inner) = if is_above { (other, folder) } else { (folder, other) };
        while inner.len() > upper.len() {
            if self.has_kustomization(inner) {
                return false;
            }
            inner = parent_of(inner);
        }
        inner == upper && !(is_above && self.has_kustomization(upper))
    }

    pub(super) fn is_kustomization(&self, file: &str) -> bool {
        self.includes.contains_key(file)
    }

    pub(super) fn has_kustomization(&self, folder: &str) -> bool {
        self.kustomization_in(folder).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::facts::FileFacts;
    use crate::manifest::field_rules::FieldRules;
    use crate::manifest::find;
    use crate::manifest::graph::Graph;
    use crate::path::Links;

    fn around(files: &[(&str, &str)], file: &str) -> Vec<String> {
        let read: Vec<(Arc<str>, FileFacts)> = files
            .iter()
            .map(|(path, text)| {
                ((*path).into(), find::read(path, text.as_bytes(), &FieldRules::default()).expect("YAML"))
            })
            .collect();
        let graph = Graph::build(read.iter().map(|(path, facts)| (path, facts)), &|_| true, &Links::default());
        graph.closures.around(file, files.iter().map(|(path, _)| *path)).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn bases_components_and_generated_secrets_belong_and_neighbours_do_not() {
        let files = [
            ("apps/kustomization.yaml", "resources: [a/prod, b, quota.yaml]\n"),
            ("apps/a/base/deploy.yaml", "image: x/y:1\n"),
            ("apps/a/base/kustomization.yaml", "resources: [deploy.yaml, ../../../shared.yaml]\n"),
            (
                "apps/a/prod/kustomization.yaml",
                "resources: [../base, https://example.com/x]\ncomponents: [../c]\nsecretGenerator: [{ name: s, envs: [s.env], files: [k=t.key] }]\npatches: [{ path: p.yaml }]\n",
            ),
            ("apps/a/c/kustomization.yaml", "kind: Component\nresources: [secret.yaml]\n"),
            ("apps/b/kustomization.yaml", "resources: [secret.yaml]\n"),
        ];
        let closure = around(&files, "apps/a/prod/kustomization.yaml");
        assert_eq!(
            closure,
            [
                "apps/a/base/deploy.yaml",
                "apps/a/base/kustomization.yaml",
                "apps/a/c/kustomization.yaml",
                "apps/a/c/secret.yaml",
                "apps/a/prod/kustomization.yaml",
                "apps/a/prod/p.yaml",
                "apps/a/prod/s.env",
                "apps/a/prod/t.key",
                "apps/kustomization.yaml",
                "apps/quota.yaml",
                "shared.yaml",
            ]
        );
        assert_eq!(
            around(&files, "apps/b/kustomization.yaml"),
            ["apps/b/kustomization.yaml", "apps/b/secret.yaml", "apps/kustomization.yaml", "apps/quota.yaml"]
        );
    }

    #[test]
    fn an_overlay_of_one_base_belongs_to_the_base() {
        let files = [
            ("base/deploy.yaml", "image: x/y:1\n"),
            ("base/kustomization.yaml", "resources: [deploy.yaml]\n"),
            ("prod/kustomization.yaml", "resources: [../base, secret.yaml]\n"),
        ];
        assert!(around(&files, "base/deploy.yaml").contains(&"prod/secret.yaml".to_owned()));
    }

    #[test]
    fn without_kustomizations_a_folder_belongs_together() {
        let files = [
            ("a.yaml", "image: x/y:1\n"),
            ("b.yaml", ""),
            ("apps/a/deploy.yaml", "image: x/y:1\n"),
            ("apps/a/more/secret.yaml", ""),
            ("apps/a/own/kustomization.yaml", "resources: [secret.yaml]\n"),
            ("apps/a/own/secret.yaml", ""),
            ("apps/ab/secret.yaml", ""),
            ("apps/secret.yaml", ""),
        ];
        assert_eq!(around(&files, "a.yaml"), ["a.yaml", "b.yaml"]);
        assert_eq!(
            around(&files, "apps/a/deploy.yaml"),
            ["apps/a/deploy.yaml", "apps/a/more/secret.yaml", "apps/secret.yaml"]
        );
    }
}
