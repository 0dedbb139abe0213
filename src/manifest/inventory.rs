//! All image fields of a tree, and the kustomizations that override them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strsim::levenshtein;

use crate::image::Repository;
use crate::path::{child_of, parent_of};
use crate::yaml::node::ScanError;

use super::closure::Closures;
use super::deployed_from::{self, DeployedFrom};
use super::facts::{FieldProblem, FieldProblemReason, FileFacts, VersionRange};
use super::field::{Field, Pending, Shape};
use super::graph::{Graph, GraphProblem};
use super::names::{Names, NoName};
use super::paths::PathFilter;

/// The result of reading one file. Shared, because the facts of a blob are kept from one cycle to the next.
pub type Reading = Arc<Result<FileFacts, ScanError>>;

/// An image field and its location.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The file, relative to the root, with `/`.
    pub file: String,
    /// The field.
    pub field: Field,
    /// The kustomization whose `images` override this field.
    pub shadowed_by: Option<String>,
    /// True if the file is encrypted by SOPS, with a message authentication code that an edit would break.
    pub encrypted: bool,
}

/// The reason why a file that was named explicitly cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum NamedFileError {
    /// It does not exist.
    #[error("{file}: no such file")]
    Missing { file: String },
    /// It is not valid YAML, or too large or too deep.
    #[error("{file}: cannot be read as YAML")]
    NotYaml {
        file: String,
        #[source]
        source: ScanError,
    },
}

/// A problem with a tree that is reported but never fatal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum Problem {
    /// A problem with the kustomizations.
    #[error(transparent)]
    Graph(GraphProblem),
    /// A marker or a rule that cannot be applied.
    #[error("{file}: {problem}")]
    Field { file: String, problem: FieldProblem },
    /// A marker refers to a Flux policy that the tree does not define.
    #[error(
        "{file}: line {line}: the marker refers to the policy {policy}, but no file here defines its image; \
         write # tagalong: image=NAME, field=tag"
    )]
    Policy { file: String, line: usize, policy: String },
}

/// A value that looks like the tag of an image which nothing names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nameless {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The path to the value.
    pub path: String,
}

/// The number of files that are reported individually when they are left alone; a repository of charts has hundreds.
const NAMED: usize = 10;

/// All image fields of a tree.
#[derive(Debug, Default, PartialEq)]
pub struct Inventory {
    /// The fields, ordered by file, document and position.
    pub fields: Vec<Located>,
    /// Files that could not be parsed as YAML, or are too large or too deep, with the reason. They are left alone.
    pub unreadable: Vec<(String, ScanError)>,
    /// The files that are deployed together.
    pub closures: Arc<Closures>,
    /// The problems that were found.
    pub problems: Vec<Problem>,
    /// Values that look like the tag of an image which nothing names.
    pub nameless: Vec<Nameless>,
    /// Charts that are left alone, because their version is a range or nothing defines their repository: the file with
    /// the reason.
    charts_left_alone: Vec<(String, String)>,
    /// A file that was named explicitly and does not exist.
    missing: Option<String>,
    /// The files with fields that belong to charts.
    in_charts: BTreeSet<String>,
}

impl Inventory {
    /// Collects the fields of files that have been read, given in the order of their paths. `exists` knows all files
    /// and folders of the tree, read or not. Only the fields of files that `paths` selects are included; the others
    /// only matter for the graph.
    pub fn of(
        files: &[(Arc<str>, Reading)],
        graph: &Graph,
        exists: &dyn Fn(&str) -> bool,
        paths: &PathFilter,
    ) -> Inventory {
        let names = Names::of(readable(files), exists);
        let mut inventory = Inventory { closures: Arc::clone(&graph.closures), ..Inventory::default() };
        for (file, reading) in files.iter().filter(|(path, _)| paths.wants(path)) {
            match reading.as_ref() {
                Ok(facts) => inventory.take(file, facts, graph, &names),
                Err(error) => inventory.unreadable.push((file.to_string(), error.clone())),
            }
        }
        let odd = graph.problems.iter().cloned().map(Problem::Graph);
        inventory.problems = odd.chain(inventory.problems).collect();
        inventory.missing = paths.missing(exists).map(str::to_owned);
        inventory.in_charts = in_charts(&inventory.fields, exists);
        inventory
    }

    /// Returns the folders from which a file is deployed.
    pub fn deployed_from(&self, file: &str) -> DeployedFrom {
        let is_manifest = |located: &Located| matches!(located.field.shape, Shape::Workload | Shape::OciRepository);
        let from = self.fields.partition_point(|located| located.file.as_str() < file);
        let mut own = self.fields[from..].iter().take_while(|located| located.file == file).peekable();
        // A manifest is applied if a kustomization says so, and values are read in many ways.
        let is_loose = own.peek().is_none() || own.any(|located| !is_manifest(located));
        let folders = deployed_from::folders(&self.closures, file, is_loose);
        DeployedFrom { folders, is_in_chart: self.in_charts.contains(file) }
    }

    /// Adds the fields of one file.
    fn take(&mut self, file: &Arc<str>, facts: &FileFacts, graph: &Graph, names: &Names<'_>) {
        let (fields, nameless) = names.fields(file, facts);
        for (pending, none) in nameless {
            self.note_nameless(file, pending, none);
        }
        let range = |VersionRange { place, chart, version }: &VersionRange| {
            let reason = format!("`{version}` in line {} is a range of versions of the chart {chart}", place.line);
            (file.to_string(), reason)
        };
        self.charts_left_alone.extend(facts.ranges.iter().map(range));
        let problem = |problem: &FieldProblem| Problem::Field { file: file.to_string(), problem: problem.clone() };
        self.problems.extend(facts.problems.iter().map(problem));
        self.fields.extend(fields.into_iter().map(|field| Located {
            file: file.to_string(),
            shadowed_by: graph.shadowed_by(file, &field),
            field,
            encrypted: facts.encrypted,
        }));
    }

    fn note_nameless(&mut self, file: &Arc<str>, pending: &Pending, none: NoName) {
        let (file, place) = (file.to_string(), pending.place());
        match none {
            NoName::Policy(policy) => self.problems.push(Problem::Policy { file, line: place.line, policy }),
            NoName::Chart(repository) => {
                let reason = format!(
                    "the chart in line {} comes from the HelmRepository {repository}, which no file here defines",
                    place.line
                );
                self.charts_left_alone.push((file, reason));
            }
            NoName::Rule(error) => {
                let problem = FieldProblem { place, reason: FieldProblemReason::Rule(error) };
                self.problems.push(Problem::Field { file, problem });
            }
            NoName::Values { is_likely: true } => {
                self.nameless.push(Nameless { file, line: place.line, path: pending.path().to_owned() });
            }
            NoName::Values { is_likely: false } => {}
        }
    }

    /// Returns notes for the user: files that were left alone, and problems with kustomizations.
    ///
    /// # Errors
    /// Fails if a file that was named by its exact path does not exist, or is one of those that were left alone.
    pub fn notes(&self, paths: &PathFilter) -> Result<Vec<String>, NamedFileError> {
        if let Some(file) = &self.missing {
            return Err(NamedFileError::Missing { file: file.clone() });
        }
        if let Some((file, source)) = self.unreadable.iter().find(|(file, _)| paths.names(file)) {
            return Err(NamedFileError::NotYaml { file: file.clone(), source: source.clone() });
        }
        let (limited, invalid): (Vec<_>, Vec<_>) = self.unreadable.iter().partition(|(_, error)| error.is_limit());
        let mut notes = left_alone(&limited, "cannot be read");
        notes.extend(left_alone(&invalid, "not valid YAML"));
        notes.extend(self.problems.iter().map(ToString::to_string));
        Ok(notes)
    }

    /// Returns notes about files with values that look like the tag of an image which nothing names.
    pub fn nameless_notes(&self) -> Vec<String> {
        let mut by_file: BTreeMap<&str, Vec<&Nameless>> = BTreeMap::new();
        for nameless in &self.nameless {
            by_file.entry(&nameless.file).or_default().push(nameless);
        }
        let note = |(file, all): (&&str, &Vec<&Nameless>)| {
            let first = all.first().map(|first| format!("{} in line {}", first.path, first.line)).unwrap_or_default();
            let more = if all.len() > 1 { format!(" and {} more", all.len() - 1) } else { String::new() };
            format!(
                "{file}: no field for {first}{more}: it looks like the tag of an image, but no file names the image"
            )
        };
        let mut notes: Vec<String> = by_file.iter().take(NAMED).map(note).collect();
        if let Some(more) = by_file.len().checked_sub(NAMED).filter(|more| *more > 0) {
            notes.push(format!("{more} more files have values that look like tags of images which no file names"));
        }
        notes
    }

    /// Returns notes about charts that are left alone.
    pub fn chart_notes(&self) -> Vec<String> {
        let note = |(file, reason): &(String, String)| format!("{file}: left alone: {reason}");
        let mut notes: Vec<String> = self.charts_left_alone.iter().take(NAMED).map(note).collect();
        if let Some(more) = self.charts_left_alone.len().checked_sub(NAMED).filter(|more| *more > 0) {
            notes.push(format!("{more} more charts are left alone"));
        }
        notes
    }

    /// Returns the up to five names in the tree that are most similar to a name that was not found, best first.
    pub fn closest(&self, wanted: &Repository) -> Vec<Repository> {
        let names: BTreeSet<&Repository> = self.fields.iter().map(|located| &located.field.repository).collect();
        let mut ranked: Vec<(usize, &Repository)> =
            names.into_iter().map(|name| (distance(wanted, name), name)).collect();
        ranked.sort();
        ranked.into_iter().take(5).map(|(_, name)| name.clone()).collect()
    }
}

/// Returns notes for files that were left alone for a reason. Many files are counted rather than named.
fn left_alone(files: &[&(String, ScanError)], reason: &str) -> Vec<String> {
    let named = files.iter().take(NAMED).map(|(file, error)| format!("{file}: left alone, {reason}: {error}"));
    let more = files.len().checked_sub(NAMED).filter(|more| *more > 0);
    named.chain(more.map(|more| format!("{more} more files left alone, {reason}"))).collect()
}

/// Returns the files that could be parsed, with their facts.
pub fn readable(files: &[(Arc<str>, Reading)]) -> impl Iterator<Item = (&Arc<str>, &FileFacts)> + Clone {
    files.iter().filter_map(|(path, reading)| Some((path, reading.as_ref().as_ref().ok()?)))
}

/// Returns the distance between two names. The last component counts double: people mistype it least, and it says most.
fn distance(a: &Repository, b: &Repository) -> usize {
    2 * levenshtein(a.short_name(), b.short_name()) + levenshtein(a.as_str(), b.as_str())
}

/// Returns the files of fields that belong to charts.
fn in_charts(fields: &[Located], exists: &dyn Fn(&str) -> bool) -> BTreeSet<String> {
    let mut folders: BTreeMap<&str, bool> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for located in fields {
        let mut folder = parent_of(&located.file);
        loop {
            let is_chart = folders.entry(folder).or_insert_with(|| exists(&child_of(folder, "Chart.yaml")));
            if *is_chart {
                found.insert(located.file.clone());
            }
            if *is_chart || folder.is_empty() {
                break;
            }
            folder = parent_of(folder);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::field_rules::FieldRules;
    use super::super::find;
    use super::*;
    use crate::path::Links;

    fn inventory(files: &[(&str, &str)]) -> Inventory {
        let exists = |path: &str| files.iter().any(|(file, _)| *file == path);
        let readings: Vec<(Arc<str>, Reading)> = files
            .iter()
            .map(|(path, text)| ((*path).into(), Arc::new(find::read(path, text.as_bytes(), &FieldRules::default()))))
            .collect();
        Inventory::of(
            &readings,
            &Graph::build(readable(&readings), &exists, &Links::default()),
            &exists,
            &PathFilter::default(),
        )
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
    fn a_long_chain_of_kustomizations_is_followed_to_its_end() {
        let length = 20_000;
        let mut files: Vec<(String, String)> = (0..length)
            .map(|n| (format!("k{n}/kustomization.yaml"), format!("resources: [../k{}]\n", n + 1)))
            .collect();
        files[0].1.push_str("images:\n- name: app\n  newTag: v2\n");
        files.push((format!("k{length}/kustomization.yaml"), "resources: [app.yaml]\n".to_owned()));
        files.push((format!("k{length}/app.yaml"), DEPLOYMENT.to_owned()));
        let readings: Vec<(Arc<str>, Reading)> = files
            .iter()
            .map(|(path, text)| {
                (path.as_str().into(), Arc::new(find::read(path, text.as_bytes(), &FieldRules::default())))
            })
            .collect();
        let graph = Graph::build(readable(&readings), &|_| true, &Links::default());
        let found = Inventory::of(&readings, &graph, &|_| true, &PathFilter::default());
        let field = found.fields.iter().find(|located| located.file.ends_with("app.yaml")).expect("a field");
        assert_eq!(field.shadowed_by.as_deref(), Some("k0/kustomization.yaml"));
        assert_eq!(found.problems, []);
    }

    #[test]
    fn a_file_with_too_many_fields_is_left_alone() {
        let text = "- image: a/b:1\n".repeat(10_001);
        let notes = inventory(&[("a.yaml", &text)]).notes(&PathFilter::default()).expect("none was named");
        assert_eq!(
            notes,
            ["a.yaml: left alone, cannot be read: too large: files with up to 10000 image fields are read"]
        );
        assert_eq!(inventory(&[("a.yaml", &text[15..])]).fields.len(), 10_000);
    }

    #[test]
    fn cycles_and_missing_files_are_reported_and_not_fatal() {
        let found = inventory(&[
            ("a/kustomization.yaml", "resources: [../b, gone.yaml, https://example.com/x?ref=v1]\n"),
            ("b/kustomization.yaml", "resources: [../a]\n"),
        ]);
        let said: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        assert!(said.contains(&"a/kustomization.yaml: `gone.yaml` does not exist".to_owned()), "{said:?}");
        assert!(said.iter().any(|text| text.contains("include each other")), "{said:?}");
    }

    #[test]
    fn files_that_are_left_alone_are_listed_and_many_are_counted() {
        let names: Vec<String> = (10..25).map(|n| format!("{n}.yaml")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{{ x }}\na: [\n")).collect();
        let found = inventory(&files);
        let notes = found.notes(&PathFilter::default()).expect("none was named");
        assert_eq!(notes.len(), NAMED + 1);
        assert!(notes[0].starts_with("10.yaml: left alone"), "{notes:?}");
        assert_eq!(notes[NAMED], "5 more files left alone, not valid YAML");
        let named = PathFilter::new(&["24.yaml"]).expect("a path");
        assert!(matches!(found.notes(&named), Err(NamedFileError::NotYaml { file, .. }) if file == "24.yaml"));
    }

    #[test]
    fn files_beyond_a_limit_are_not_called_invalid() {
        let deep = "- ".repeat(1_000);
        let notes =
            inventory(&[("a.yaml", "a: [\n"), ("b.yaml", &deep)]).notes(&PathFilter::default()).expect("none named");
        assert!(notes[0].starts_with("b.yaml: left alone, cannot be read: line 1, column 401: nested"), "{notes:?}");
        assert!(notes[1].starts_with("a.yaml: left alone, not valid YAML: "), "{notes:?}");
    }

    #[test]
    fn the_closest_names_come_first() {
        let found =
            inventory(&[("a.yaml", "a: ghcr.io/acme/supervisor:v1\nb: ghcr.io/acme/worker:v1\nc: nginx:1.2\n")]);
        let wanted = "ghcr.io/acme/supervisr".parse().expect("a name");
        assert_eq!(found.closest(&wanted)[0].as_str(), "ghcr.io/acme/supervisor");
    }
}
