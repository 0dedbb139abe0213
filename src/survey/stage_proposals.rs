//! Stages for folders and files that are named like some: `env/prod/**`, `apps/*/values-prod.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::image::Repository;

use super::stage;

/// A proposed stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProposedStage {
    /// Its name.
    pub name: String,
    /// The pattern for its files.
    pub path: String,
    /// The number of its files that have image fields.
    pub files: usize,
    /// The number of its images that another stage has as well.
    pub shared: usize,
}

/// The place of a stage's name in paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The number of folders before it.
    depth: usize,
    /// The text around it in the name of the file or folder.
    around: (String, String),
    /// True if it is in the name of the file.
    is_file: bool,
}

/// What is below the names of stages at a place.
#[derive(Debug, Default)]
struct Below {
    /// The folders before it, of each file.
    folders: BTreeSet<Vec<String>>,
    /// The files and images of each stage.
    stages: BTreeMap<String, (BTreeSet<String>, BTreeSet<Repository>)>,
}

/// Proposes the stages that share the most images, the earliest first, given the files and images of all fields. None are
/// proposed unless an image is in two of them.
pub fn propose<'f>(fields: impl Iterator<Item = (&'f str, &'f Repository)>) -> Vec<ProposedStage> {
    let mut places: BTreeMap<Place, Below> = BTreeMap::new();
    for (file, image) in fields {
        for (place, name, folders) in stages_in(file) {
            let below = places.entry(place).or_default();
            below.folders.insert(folders);
            let (files, images) = below.stages.entry(name).or_default();
            files.insert(file.to_owned());
            images.insert(image.clone());
        }
    }
    let proposals = places.iter().map(|(place, below)| below.proposal(place));
    proposals.max_by_key(|stages| stages.iter().map(|stage| stage.shared).sum::<usize>()).unwrap_or_default()
}

impl Below {
    fn proposal(&self, place: &Place) -> Vec<ProposedStage> {
        let shared = |name: &String, images: &BTreeSet<Repository>| {
            let others = || self.stages.iter().filter(|(other, _)| *other != name);
            images.iter().filter(|image| others().any(|(_, (_, images))| images.contains(image))).count()
        };
        let stage = |(name, (files, images)): (&String, &(BTreeSet<String>, BTreeSet<Repository>))| ProposedStage {
            name: name.clone(),
            path: self.pattern(place, name),
            files: files.len(),
            shared: shared(name, images),
        };
        let mut stages: Vec<ProposedStage> = self.stages.iter().map(stage).filter(|stage| stage.shared > 0).collect();
        stages.sort_by_key(|stage| stage::order(&stage.name));
        stages
    }

    /// Returns the pattern for the files of a stage. Folders that differ from file to file become `*`.
    fn pattern(&self, place: &Place, name: &str) -> String {
        let folder = |depth: usize| {
            let names: BTreeSet<&String> = self.folders.iter().filter_map(|folders| folders.get(depth)).collect();
            match names.first() {
                Some(only) if names.len() == 1 => (*only).clone(),
                _ => "*".to_owned(),
            }
        };
        let (before, after) = &place.around;
        let mut parts: Vec<String> = (0..place.depth).map(folder).collect();
        parts.push(format!("{before}{name}{after}"));
        parts.extend((!place.is_file).then(|| "**".to_owned()));
        parts.join("/")
    }
}

/// Returns the names of stages in a path, each with its place and the folders before it.
fn stages_in(file: &str) -> Vec<(Place, String, Vec<String>)> {
    let segments: Vec<&str> = file.split('/').collect();
    let mut found = Vec::new();
    for (depth, segment) in segments.iter().enumerate() {
        let is_file = depth + 1 == segments.len();
        for word in segment.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| stage::is(word)) {
            let Some((before, after)) = segment.split_once(word) else { continue };
            let around = (before.to_owned(), after.to_owned());
            let folders = segments[..depth].iter().map(|folder| (*folder).to_owned()).collect();
            found.push((Place { depth, around, is_file }, word.to_owned(), folders));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(files: &[&str]) -> Vec<String> {
        let image: Repository = "ghcr.io/acme/app".parse().expect("an image");
        let stages = propose(files.iter().map(|file| (*file, &image)));
        stages.into_iter().map(|stage| format!("{} {} {}", stage.name, stage.path, stage.files)).collect()
    }

    #[test]
    fn folders_and_files_with_the_same_images_become_stages() {
        assert_eq!(
            proposed(&["apps/a/values-prod.yaml", "apps/a/values-dev.yaml", "apps/b/values-dev.yaml"]),
            ["dev apps/*/values-dev.yaml 2", "prod apps/*/values-prod.yaml 1"]
        );
        assert_eq!(
            proposed(&["env/live/app.yaml", "env/beta/x/app.yaml", "env/paper/app.yaml"]),
            ["beta env/beta/** 1", "paper env/paper/** 1", "live env/live/** 1"]
        );
        assert!(proposed(&["env/prod/app.yaml", "docs/app.yaml"]).is_empty(), "a single one is just a name");
    }
}
