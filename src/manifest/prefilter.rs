//! Rules out files that cannot hold an image of interest by searching their bytes, at a fraction of the cost of
//! parsing.

use memchr::memmem::Finder;

use crate::image::Repository;

use super::field_rules::FieldRules;
use super::file_kind::has_kustomization_name;
use super::flux;
use super::marker;

/// The images of interest, as words that a file with one of them contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefilter {
    /// Every image, and every file that cannot be read.
    Everything,
    /// The words of each image or pattern of images, all of which must occur.
    Words(Vec<Vec<String>>),
}

impl Prefilter {
    /// Makes a filter from the words of each image's name; an image without words could be in any file.
    pub fn from_words(images: impl Iterator<Item = Vec<String>>) -> Prefilter {
        let words: Vec<Vec<String>> = images.collect();
        if words.iter().any(Vec::is_empty) { Prefilter::Everything } else { Prefilter::Words(words) }
    }

    /// Makes a filter from the names of images.
    pub fn from_images<'i>(images: impl Iterator<Item = &'i Repository>) -> Prefilter {
        Prefilter::from_words(images.map(|image| words(image.as_str())))
    }

    /// Returns a search for these images.
    pub fn search(&self) -> Search<'_> {
        let finders = |words: &'_ Vec<String>| words.iter().map(|word| Finder::new(word).into_owned()).collect();
        match self {
            Prefilter::Everything => Search { images: None, always: Vec::new() },
            Prefilter::Words(images) => Search {
                images: Some(images.iter().map(finders).collect()),
                always: ALWAYS.iter().map(|word| Finder::new(*word)).collect(),
            },
        }
    }
}

/// The words that make a file relevant whatever its images are: markers and policies that name no image, and templates,
/// which are reported.
const ALWAYS: [&str; 3] = [marker::FLUX, flux::GROUP, "{{"];

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
}

impl Search<'_> {
    /// The part of a file that has to be read.
    pub fn need(&self, path: &str, bytes: &[u8], field_rules: &FieldRules) -> Need {
        let Some(images) = &self.images else { return Need::Whole };
        let holds = |finder: &Finder<'_>| finder.find(bytes).is_some();
        let is_wanted = images.iter().any(|words| words.iter().all(holds))
            || self.always.iter().any(holds)
            || field_rules.rules.iter().any(|rule| rule.concerns(path));
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
    }

    #[test]
    fn patterns_are_searched_by_their_literal_components() {
        assert_eq!(words("ghcr.io/acme/*"), ["ghcr.io", "acme"]);
        assert_eq!(words("docker.io/library/nginx"), ["nginx"]);
        assert_eq!(Prefilter::from_words([words("docker.io/library/*")].into_iter()), Prefilter::Everything);
        assert_eq!(Prefilter::from_words([words("**")].into_iter()), Prefilter::Everything);
        let nothing = Prefilter::from_words(std::iter::empty());
        assert_eq!(nothing.search().need("a.yaml", b"image: a/b:1", &FieldRules::default()), Need::Nothing);
    }
}
