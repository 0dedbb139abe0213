//! All image fields of a tree: the fields of its files, and who shadows whom.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::image::Repository;
use crate::yaml::node::ScanError;

use super::closure::Closures;
use super::field::Field;
use super::find::{FieldProblem, FileFacts};
use super::flux::FluxPolicies;
use super::kustomize::{Graph, GraphProblem};
use super::paths::PathFilter;

/// What reading one file gave. Shared, because the facts of a blob are kept from one cycle to the next.
pub type Reading = Arc<Result<FileFacts, ScanError>>;

/// An image field and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The file, relative to the root, with `/`.
    pub file: String,
    /// The field.
    pub field: Field,
    /// The kustomization whose `images` overrides this field.
    pub shadowed_by: Option<String>,
    /// Whether the file is sealed by SOPS: no edit in clear text can be made.
    pub encrypted: bool,
}

/// A file that was named cannot be worked on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamedFileError {
    /// It is not there.
    #[error("{file}: there is no such file")]
    Missing {
        /// The file.
        file: String,
    },
    /// It is no YAML.
    #[error("{file}: cannot be read as YAML")]
    NotYaml {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: ScanError,
    },
}

/// Something about a tree that a person should know; never fatal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// About the kustomizations.
    #[error(transparent)]
    Graph(GraphProblem),
    /// A marker or a rule that cannot be followed.
    #[error("{file}: {problem}")]
    Field {
        /// The file.
        file: String,
        /// What is wrong.
        problem: FieldProblem,
    },
    /// A marker names a policy of Flux that the tree does not have.
    #[error(
        "{file}: line {line}: the marker names the policy {policy}, but nothing here tells its image; \
         write # tagalong: image=NAME, field=tag"
    )]
    Policy {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The policy.
        policy: String,
    },
}

/// As many files that were left alone are named one by one; a repository of charts has hundreds.
const NAMED: usize = 10;

/// All image fields of a tree.
#[derive(Debug, Default, PartialEq)]
pub struct Inventory {
    /// The fields, in the order of file, document and place.
    pub fields: Vec<Located>,
    /// Files that could not be read as YAML, with the reason. They are left alone.
    pub unreadable: Vec<(String, ScanError)>,
    /// What is deployed together.
    pub closures: Arc<Closures>,
    /// What is odd about the tree.
    pub problems: Vec<Problem>,
    /// A file that was named and is not there.
    missing: Option<String>,
}

impl Inventory {
    /// Takes stock of files that have been read, given in the order of their paths; `exists` tells of all files and
    /// folders of the tree, read or not. `paths` says which files' fields count: the others serve the graph alone.
    pub fn of(
        files: &[(Arc<str>, Reading)],
        graph: &Graph,
        exists: &dyn Fn(&str) -> bool,
        paths: &PathFilter,
    ) -> Inventory {
        let flux = FluxPolicies::of(readable(files).flat_map(|(_, facts)| &facts.flux));
        let mut inventory = Inventory { closures: Arc::clone(&graph.closures), ..Inventory::default() };
        for (file, reading) in files.iter().filter(|(path, _)| paths.wants(path)) {
            match reading.as_ref() {
                Ok(facts) => inventory.take(file, facts, graph, &flux),
                Err(error) => inventory.unreadable.push((file.to_string(), error.clone())),
            }
        }
        let odd = graph.problems.iter().cloned().map(Problem::Graph);
        inventory.problems = odd.chain(inventory.problems).collect();
        inventory.missing = paths.missing(exists).map(str::to_owned);
        inventory
    }

    /// Takes the fields of one file.
    fn take(&mut self, file: &str, facts: &FileFacts, graph: &Graph, flux: &FluxPolicies<'_>) {
        let mut fields = facts.fields.clone();
        for pending in &facts.pending {
            match flux.image(&pending.policy) {
                Some(image) => fields.push(pending.named(image.clone())),
                None => self.problems.push(Problem::Policy {
                    file: file.to_owned(),
                    line: pending.place().line,
                    policy: pending.policy.clone(),
                }),
            }
        }
        if !facts.pending.is_empty() {
            fields.sort_by_key(|field| (field.document, field.place));
        }
        let problem = |problem: &FieldProblem| Problem::Field { file: file.to_owned(), problem: problem.clone() };
        self.problems.extend(facts.problems.iter().map(problem));
        self.fields.extend(fields.into_iter().map(|field| Located {
            file: file.to_owned(),
            shadowed_by: graph.shadowed_by(file, &field),
            field,
            encrypted: facts.encrypted,
        }));
    }

    /// What a person should know of the tree besides its fields: files that were left alone, oddities of kustomizations.
    ///
    /// # Errors
    /// A file that was named by its very path is not there, or is one of those that were left alone.
    pub fn notes(&self, paths: &PathFilter) -> Result<Vec<String>, NamedFileError> {
        if let Some(file) = &self.missing {
            return Err(NamedFileError::Missing { file: file.clone() });
        }
        if let Some((file, source)) = self.unreadable.iter().find(|(file, _)| paths.names(file)) {
            return Err(NamedFileError::NotYaml { file: file.clone(), source: source.clone() });
        }
        let left = self.unreadable.iter().take(NAMED);
        let mut notes: Vec<String> =
            left.map(|(file, error)| format!("{file}: left alone, not valid YAML: {error}")).collect();
        if let Some(more) = self.unreadable.len().checked_sub(NAMED).filter(|more| *more > 0) {
            notes.push(format!("{more} more files are left alone, not valid YAML"));
        }
        notes.extend(self.problems.iter().map(ToString::to_string));
        Ok(notes)
    }

    /// The names in the tree that are most like a name that was not found, best first, five at most.
    pub fn closest(&self, wanted: &Repository) -> Vec<Repository> {
        let names: BTreeSet<&Repository> = self.fields.iter().map(|located| &located.field.repository).collect();
        let mut ranked: Vec<(usize, &Repository)> =
            names.into_iter().map(|name| (distance(wanted, name), name)).collect();
        ranked.sort();
        ranked.into_iter().take(5).map(|(_, name)| name.clone()).collect()
    }
}

/// The files that could be read, with what they say.
pub fn readable(files: &[(Arc<str>, Reading)]) -> impl Iterator<Item = (&Arc<str>, &FileFacts)> {
    files.iter().filter_map(|(path, reading)| Some((path, reading.as_ref().as_ref().ok()?)))
}

/// How unlike two names are. The last component is what people mistype least and mean most, so it counts double.
fn distance(a: &Repository, b: &Repository) -> usize {
    2 * edits(a.short_name(), b.short_name()) + edits(a.as_str(), b.as_str())
}

/// The Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::field_rules::FieldRules;
    use super::super::find;
    use super::*;

    fn inventory(files: &[(&str, &str)]) -> Inventory {
        let exists = |path: &str| files.iter().any(|(file, _)| *file == path);
        let readings: Vec<(Arc<str>, Reading)> = files
            .iter()
            .map(|(path, text)| ((*path).into(), Arc::new(find::read(path, text.as_bytes(), &FieldRules::default()))))
            .collect();
        Inventory::of(&readings, &Graph::build(readable(&readings), &exists), &exists, &PathFilter::default())
    }

    fn shadows(inventory: &Inventory) -> Vec<(&str, &str, Option<&str>)> {
        inventory.fields.iter().map(|l| (l.file.as_str(), l.field.path.as_str(), l.shadowed_by.as_deref())).collect()
    }

    const DEPLOYMENT: &str = "spec:\n  containers:\n  - name: a\n    image: app:v1\n";

    #[test]
    fn an_overlay_that_sets_the_tag_shadows_its_base() {
        let found = inventory(&[
            ("base/app.yaml", DEPLOYMENT),
            ("base/kustomization.yaml", "resources: [app.yaml]\n"),
            ("prod/kustomization.yaml", "resources: [../base]\nimages:\n- name: app\n  newTag: v2\n"),
        ]);
        assert_eq!(
            shadows(&found),
            [
                ("base/app.yaml", "spec.containers[0].image", Some("prod/kustomization.yaml")),
                ("prod/kustomization.yaml", "images[0].newTag", None),
            ]
        );
    }

    #[test]
    fn a_base_that_one_overlay_takes_as_it_is_is_not_shadowed() {
        let found = inventory(&[
            ("base/app.yaml", DEPLOYMENT),
            ("base/kustomization.yaml", "resources: [app.yaml]\n"),
            ("prod/kustomization.yaml", "resources: [../base]\nimages:\n- name: app\n  newTag: v2\n"),
            ("test/kustomization.yaml", "resources: [../base]\n"),
        ]);
        assert_eq!(shadows(&found)[0].2, None);
    }

    #[test]
    fn an_entry_that_only_renames_does_not_shadow_but_its_new_name_is_followed() {
        let base = ("base/app.yaml", DEPLOYMENT);
        let rename = ("base/kustomization.yaml", "resources: [app.yaml]\nimages:\n- name: app\n  newName: r.io/app\n");
        let found = inventory(&[base, rename]);
        assert_eq!(shadows(&found)[0], ("base/app.yaml", "spec.containers[0].image", None));
        assert_eq!(shadows(&found)[1], ("base/kustomization.yaml", "images[0].newTag", None));
        let overlay =
            ("prod/kustomization.yaml", "resources: [../base]\nimages:\n- name: r.io/app\n  digest: sha256:x\n");
        let found = inventory(&[base, rename, overlay]);
        assert!(
            shadows(&found).iter().all(|(_, _, by)| *by == Some("prod/kustomization.yaml")),
            "{:?}",
            shadows(&found)
        );
    }

    #[test]
    fn circles_and_missing_files_are_said_and_not_fatal() {
        let found = inventory(&[
            ("a/kustomization.yaml", "resources: [../b, gone.yaml, https://example.com/x?ref=v1]\n"),
            ("b/kustomization.yaml", "resources: [../a]\n"),
        ]);
        let said: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        assert!(said.contains(&"a/kustomization.yaml: `gone.yaml` does not exist".to_owned()), "{said:?}");
        assert!(said.iter().any(|text| text.contains("take each other in")), "{said:?}");
    }

    #[test]
    fn files_that_are_left_alone_are_said_and_many_are_counted() {
        let names: Vec<String> = (10..25).map(|n| format!("{n}.yaml")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{{ x }}\na: [\n")).collect();
        let found = inventory(&files);
        let notes = found.notes(&PathFilter::default()).expect("none was named");
        assert_eq!(notes.len(), NAMED + 1);
        assert!(notes[0].starts_with("10.yaml: left alone"), "{notes:?}");
        assert_eq!(notes[NAMED], "5 more files are left alone, not valid YAML");
        let named = PathFilter::new(&["24.yaml"]).expect("a path");
        assert!(matches!(found.notes(&named), Err(NamedFileError::NotYaml { file, .. }) if file == "24.yaml"));
    }

    #[test]
    fn the_closest_names_come_first() {
        let found =
            inventory(&[("a.yaml", "a: ghcr.io/acme/supervisor:v1\nb: ghcr.io/acme/worker:v1\nc: nginx:1.2\n")]);
        let wanted = "ghcr.io/acme/supervisr".parse().expect("a name");
        assert_eq!(found.closest(&wanted)[0].as_str(), "ghcr.io/acme/supervisor");
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
