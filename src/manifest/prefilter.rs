//! Rules out files that cannot hold an image of interest by searching their bytes, at a fraction of the cost of
//! parsing.

use memchr::memmem::Finder;

use crate::image::Repository;

use super::field_rules::FieldRules;
use super::file_kind::{has_kustomization_name, is_chart};
use super::flux;
use super::marker;
use super::values::outline::{Outline, outline};

/// The images of interest, as words that a file with one of them contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefilter {
    /// Every image, and every file that cannot be read.
    Everything,
    /// What files contain.
    Words {
        /// The words of each image or pattern of images, all of which must occur.
        images: Vec<Vec<String>>,
        /// True if files with charts are of interest.
        charts: bool,
    },
}

impl Prefilter {
    /// Makes a filter from the words of each image's name; an image without words could be in any file. The name of a
    /// chart is rarely in one piece, so either all charts are of interest or none.
    pub fn from_words(images: impl Iterator<Item = Vec<String>>, charts: bool) -> Prefilter {
        let images: Vec<Vec<String>> = images.collect();
        if images.iter().any(Vec::is_empty) { Prefilter::Everything } else { Prefilter::Words { images, charts } }
    }

    /// Makes a filter from the names of images.
    pub fn from_images<'i>(images: impl Iterator<Item = &'i Repository>) -> Prefilter {
        let (charts, images): (Vec<&Repository>, Vec<&Repository>) = images.partition(|image| image.is_chart());
        Prefilter::from_words(images.into_iter().map(|image| words(image.as_str())), !charts.is_empty())
    }

    /// Returns a search for these images.
    pub fn search(&self) -> Search<'_> {
        let finders = |words: &'_ Vec<String>| words.iter().map(|word| Finder::new(word).into_owned()).collect();
        match self {
            Prefilter::Everything => Search { images: None, always: Vec::new(), values: ValuesSearch::default() },
            Prefilter::Words { images, charts } => Search {
                images: Some(images.iter().map(finders).collect()),
                always: ALWAYS.iter().chain(CHARTS.iter().filter(|_| *charts)).map(|word| Finder::new(*word)).collect(),
                values: ValuesSearch::default(),
            },
        }
    }
}

/// The words that make a file relevant whatever its images are: markers and policies that name no image, and templates,
/// which are reported.
const ALWAYS: [&str; 3] = [marker::FLUX, flux::GROUP, "{{"];

/// The words of files with charts, and of those that define their repositories.
const CHARTS: [&str; 6] = ["HelmRelease", "HelmRepository", "targetRevision", "elmChart", "dependencies:", "releases:"];

/// Returns the words that occur in every file with a name, or with a name that matches a pattern: its literal
/// components, except those of Docker Hub, which people leave out.
pub fn words(name: &str) -> Vec<String> {
    let is_spelt_out = |part: &&str| !part.is_empty() && !part.contains(['*', '?', '[', ']', '{', '}', '\\']);
    let hub = name.starts_with("docker.io/");
    let parts = name.split('/').filter(is_spelt_out).filter(|part| !hub || !matches!(*part, "docker.io" | "library"));
    parts.map(str::to_owned).collect()
}

/// The part of a file that has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it cannot hold an image of interest.
    Nothing,
    /// Only its references as a kustomization, which connect the files of the tree whatever images they hold.
    FileReferences,
    /// The whole file.
    Whole,
}

/// A search through files.
#[derive(Debug)]
pub struct Search<'i> {
    images: Option<Vec<Vec<Finder<'static>>>>,
    always: Vec<Finder<'i>>,
    values: ValuesSearch,
}

/// A search for files that are merged with others, so that they matter although they do not name an image of interest.
#[derive(Debug)]
struct ValuesSearch {
    api_version: Finder<'static>,
    application: Vec<Finder<'static>>,
    helm_release: Finder<'static>,
    local: Vec<Finder<'static>>,
    dependencies: Finder<'static>,
    releases: Finder<'static>,
    registry: Finder<'static>,
}

impl Default for ValuesSearch {
    fn default() -> ValuesSearch {
        ValuesSearch {
            api_version: Finder::new("apiVersion"),
            application: ["argoproj.io/", "kind: Application"].map(Finder::new).into(),
            helm_release: Finder::new("HelmRelease"),
            local: ["GitRepository", "valuesFrom:"].map(Finder::new).into(),
            dependencies: Finder::new("dependencies:"),
            releases: Finder::new("releases:"),
            registry: Finder::new("egistry:"),
        }
    }
}

impl ValuesSearch {
    /// Returns whether a file holds values that may be merged with those of an image of interest, or says which files
    /// do.
    fn wants(&self, path: &str, bytes: &[u8], images: &[Vec<Finder<'static>>]) -> bool {
        let is_yaml = [".yaml", ".yml"].iter().any(|extension| path.ends_with(extension));
        if !is_yaml || has_kustomization_name(path) {
            return false;
        }
        let has = |finder: &Finder<'_>| finder.find(bytes).is_some();
        if has(&self.api_version) {
            return is_chart(path) && has(&self.dependencies)
                || has(&self.helm_release) && self.local.iter().any(has)
                || self.application.iter().all(has);
        }
        // The first word is the host, if it is spelled out. Another file may hold it, or may hold all the others.
        let is_host = |word: &Finder<'_>| word.needle().iter().any(|byte| matches!(byte, b'.' | b':'));
        let without_host = |words: &[Finder<'static>]| usize::from(words.first().is_some_and(is_host));
        let has_path = || images.iter().any(|words| words[without_host(words)..].iter().all(has));
        let has_registry = || has(&self.registry) && images.iter().any(|words| words.first().is_some_and(has));
        match outline(bytes) {
            Outline::WithoutName => true,
            Outline::WithoutHost => has_path() || has(&self.releases),
            Outline::Complete => has_registry() || has(&self.releases),
        }
    }
}

impl Search<'_> {
    /// The part of a file that has to be read.
    pub fn need(&self, path: &str, bytes: &[u8], field_rules: &FieldRules) -> Need {
        let Some(images) = &self.images else { return Need::Whole };
        let holds = |finder: &Finder<'_>| finder.find(bytes).is_some();
        let is_wanted = images.iter().any(|words| words.iter().all(holds))
            || self.always.iter().any(holds)
            || field_rules.rules.iter().any(|rule| rule.concerns(path))
            || !images.is_empty() && self.values.wants(path, bytes, images);
        if is_wanted {
            Need::Whole
        } else if has_kustomization_name(path) {
            Need::FileReferences
        } else {
            Need::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_the_words_are_passed_over() {
        let images = ["ghcr.io/acme/app", "nginx"].map(|name| name.parse().expect(name));
        let prefilter = Prefilter::from_images(images.iter());
        let need = |path: &str, text: &str| prefilter.search().need(path, text.as_bytes(), &FieldRules::default());
        let wants = |path: &str, text: &str| need(path, text) == Need::Whole;
        assert!(wants("a.yaml", "image: ghcr.io/acme/app:v1"));
        assert!(wants("a.yaml", "registry: ghcr.io/acme\nname: app"));
        assert!(wants("a.yaml", "image: nginx:1.27"));
        assert!(!wants("a.yaml", "image: ghcr.io/acme/other:v1"));
        assert_eq!(need("a/kustomization.yaml", "namespace: a"), Need::FileReferences);
        assert_eq!(need("a.yaml", "namespace: a"), Need::Nothing);
        assert!(wants("a/kustomization.yaml", "images: [{name: ghcr.io/acme/app}]"));
        assert!(wants("a.yaml", "x: 1 # {\"$imagepolicy\": \"a:b:tag\"}"));
        assert!(wants("a.yaml", "image: {{ .Values.image }}"));
        assert!(wants("values-prod.yaml", "image:\n  tag: v1"));
        assert!(wants("values.yaml", "image:\n  repository: acme/app\n  tag: v1"));
        assert!(wants("values.yaml", "global:\n  imageRegistry: ghcr.io\n"));
        assert!(!wants("values.yaml", "image:\n  repository: acme/other\n  tag: v1"));
        assert!(!wants("values.yaml", "image:\n  repository: quay.io/acme/app\n  tag: v1"));
        assert!(wants("Chart.yaml", "apiVersion: v2\ndependencies: []"));
        assert!(wants("a.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Application"));
        assert!(wants("a.yaml", "apiVersion: x/v1\nkind: HelmRelease\nkind: GitRepository"));
        assert!(!wants("a.yaml", "apiVersion: x/v1\nkind: HelmRelease\nkind: HelmRepository\ntag: v1"));
        assert!(!wants("a.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\ntag: v1"));
        assert!(!wants("a.json", "{\"tag\": 1, \"tags\": []}"));
    }

    #[test]
    fn files_with_charts_are_read_if_a_chart_is_of_interest() {
        let chart = Repository::of_chart("oci://ghcr.io/acme", "shop").expect("a name");
        let (charts, none) =
            (Prefilter::from_images([&chart].into_iter()), Prefilter::from_words(std::iter::empty(), false));
        let need = |prefilter: &Prefilter, path: &str, text: &str| {
            prefilter.search().need(path, text.as_bytes(), &FieldRules::default())
        };
        for (path, text) in [
            ("a.yaml", "kind: HelmRelease"),
            ("a.yaml", "kind: HelmRepository"),
            ("a.yaml", "targetRevision: 1.2.3"),
            ("a/kustomization.yaml", "helmCharts: []"),
            ("a/Chart.yaml", "dependencies:\n- name: shop"),
            ("helmfile.yaml", "releases:\n- name: shop"),
        ] {
            assert_eq!(need(&charts, path, text), Need::Whole, "{text}");
            assert_ne!(need(&none, path, text), Need::Whole, "{text}");
        }
        assert_eq!(need(&charts, "a.yaml", "kind: Deployment"), Need::Nothing);
    }

    #[test]
    fn patterns_are_searched_by_their_literal_components() {
        assert_eq!(words("ghcr.io/acme/*"), ["ghcr.io", "acme"]);
        assert_eq!(words("docker.io/library/nginx"), ["nginx"]);
        assert_eq!(Prefilter::from_words([words("docker.io/library/*")].into_iter(), false), Prefilter::Everything);
        assert_eq!(Prefilter::from_words([words("**")].into_iter(), false), Prefilter::Everything);
        let nothing = Prefilter::from_words(std::iter::empty(), false);
        assert_eq!(nothing.search().need("a.yaml", b"image: a/b:1", &FieldRules::default()), Need::Nothing);
    }
}
