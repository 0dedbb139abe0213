//! Which files can hold an image of interest at all, told by their bytes: a search costs a fraction of a reading.

use memchr::memmem::Finder;

use crate::image::Repository;

use super::field_rules::FieldRules;
use super::find::has_kustomization_name;
use super::flux;
use super::marker;

/// The images that matter, as words that a file with one of them holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefilter {
    /// Every image, and every file that cannot be read.
    Everything,
    /// For each image, or kind of images, words that all have to be there.
    Words(Vec<Vec<String>>),
}

impl Prefilter {
    /// Images by the words that each one's name is made of; an image without words could stand anywhere.
    pub fn of_words(images: impl Iterator<Item = Vec<String>>) -> Prefilter {
        let words: Vec<Vec<String>> = images.collect();
        if words.iter().any(Vec::is_empty) { Prefilter::Everything } else { Prefilter::Words(words) }
    }

    /// Images by name.
    pub fn of_images<'i>(images: impl Iterator<Item = &'i Repository>) -> Prefilter {
        Prefilter::of_words(images.map(|image| words(image.as_str())))
    }

    /// A search for these images.
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

/// What makes a file worth reading whatever its images: markers and policies that name none, and templates, which are
/// reported.
const ALWAYS: [&str; 3] = [marker::FLUX, flux::GROUP, "{{"];

/// The words of a name, or of a pattern of names, that stand in every file that holds it: its components as far as they
/// are spelt out, but for Docker Hub's, which people leave away.
pub fn words(name: &str) -> Vec<String> {
    let is_spelt_out = |part: &&str| !part.is_empty() && !part.contains(['*', '?', '[', ']', '{', '}', '\\']);
    let hub = name.starts_with("docker.io/");
    let parts = name.split('/').filter(is_spelt_out).filter(|part| !hub || !matches!(*part, "docker.io" | "library"));
    parts.map(str::to_owned).collect()
}

/// How much of a file has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It cannot hold an image of interest.
    Nothing,
    /// Only what it says as a kustomization: those tie the tree together, whatever images they hold.
    FileReferences,
    /// All of it.
    Whole,
}

/// A search through files.
#[derive(Debug)]
pub struct Search<'i> {
    images: Option<Vec<Vec<Finder<'static>>>>,
    always: Vec<Finder<'i>>,
}

impl Search<'_> {
    /// How much of a file has to be read.
    pub fn need(&self, path: &str, bytes: &[u8], field_rules: &FieldRules) -> Need {
        let Some(images) = &self.images else { return Need::Whole };
        let holds = |finder: &Finder<'_>| finder.find(bytes).is_some();
        let is_wanted = images.iter().any(|words| words.iter().all(holds))
            || self.always.iter().any(holds)
            || field_rules.rules.iter().any(|rule| rule.concerns(path));
        match is_wanted {
            true => Need::Whole,
            false if has_kustomization_name(path) => Need::FileReferences,
            false => Need::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_the_words_are_passed_over() {
        let images = ["ghcr.io/acme/app", "nginx"].map(|name| name.parse().expect(name));
        let prefilter = Prefilter::of_images(images.iter());
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
    fn patterns_are_searched_by_what_they_spell_out() {
        assert_eq!(words("ghcr.io/acme/*"), ["ghcr.io", "acme"]);
        assert_eq!(words("docker.io/library/nginx"), ["nginx"]);
        assert_eq!(Prefilter::of_words([words("docker.io/library/*")].into_iter()), Prefilter::Everything);
        assert_eq!(Prefilter::of_words([words("**")].into_iter()), Prefilter::Everything);
        let nothing = Prefilter::of_words(std::iter::empty());
        assert_eq!(nothing.search().need("a.yaml", b"image: a/b:1", &FieldRules::default()), Need::Nothing);
    }
}
