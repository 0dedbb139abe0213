//! What the repository is like: the tools that deploy it, its secrets, its stages.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::file_traits::FileTraits;
use super::glob::name_of;
use super::stage;

/// The character of the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Surroundings {
    /// The number of files.
    pub files: usize,
    /// The number of files with objects of Flux.
    pub flux_files: usize,
    /// The number of files with objects of Argo CD.
    pub argo_cd_files: usize,
    /// The number of files that are encrypted with SOPS.
    pub encrypted_files: usize,
    /// The files with rules of SOPS.
    pub sops_rules: Vec<String>,
    /// Stages, the earliest first, with the number of files below their folders or with their name.
    pub stages: Vec<(String, usize)>,
}

/// The number of files that make a name a stage.
const FEWEST: usize = 2;

impl Surroundings {
    /// Sums up the files of a tree.
    pub fn of(files: &BTreeSet<String>, traits: &[FileTraits]) -> Surroundings {
        let count = |is: fn(&FileTraits) -> bool| traits.iter().filter(|file| is(file)).count();
        Surroundings {
            files: files.len(),
            flux_files: count(|file| file.is_flux),
            argo_cd_files: count(|file| file.is_argo_cd),
            encrypted_files: count(|file| file.is_encrypted),
            sops_rules: files.iter().filter(|file| name_of(file) == ".sops.yaml").cloned().collect(),
            stages: stages(files),
        }
    }
}

fn stages(files: &BTreeSet<String>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files {
        let stem = file.strip_suffix(".yaml").or_else(|| file.strip_suffix(".yml")).unwrap_or(file);
        let words: BTreeSet<&str> = stem.split(['/', '.', '-', '_']).filter(|word| stage::is(word)).collect();
        // `test` and the like also name folders of source code.
        let is_manifest = file.ends_with(".yaml") || file.ends_with(".yml") || !name_of(file).contains('.');
        words.into_iter().filter(|_| is_manifest).for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let mut stages: Vec<(String, usize)> = counts
        .into_iter()
        .filter(|(_, count)| *count >= FEWEST)
        .map(|(word, count)| (word.to_owned(), count))
        .collect();
    stages.sort_by_key(|(word, _)| stage::order(word));
    // A single one is just a name.
    if stages.len() > 1 { stages } else { Vec::new() }
}
