//! What the configuration names and the tree does not have: policies that govern nothing, and paths that select nothing.

use std::collections::BTreeSet;

use strsim::levenshtein;

use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::path::parent_of;
use crate::plan::tree_config::TreeConfig;
use crate::plan::unmatched::unmatched;
use crate::repo::error::RepoError;

use super::tip::Tip;

/// The number of similar paths that are named.
const MOST: usize = 3;

/// The amount that may be read to name similar images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    /// Nothing: a cycle follows another.
    Quick,
    /// The whole tree: a person is waiting for the answer.
    WithSimilar,
}

/// Returns a note for each policy and each path without effect.
pub fn notes(
    tip: &Tip,
    config: &TreeConfig,
    inventory: &Inventory,
    paths: &PathFilter,
    thoroughness: Thoroughness,
) -> Result<Vec<String>, RepoError> {
    let idle = unmatched(&config.policies, inventory);
    let is_thorough = thoroughness == Thoroughness::WithSimilar;
    let needs_all = is_thorough && idle.iter().any(|policy| policy.may_be_misspelled());
    let all = needs_all.then(|| tip.inventory(&config.field_rules, &Prefilter::Everything)).transpose()?;
    let mut notes: Vec<String> = idle.iter().map(|policy| policy.note(all.as_deref())).collect();
    if is_thorough {
        notes.extend(path_notes(tip, config, inventory, paths)?);
    }
    Ok(notes)
}

fn path_notes(
    tip: &Tip,
    config: &TreeConfig,
    inventory: &Inventory,
    paths: &PathFilter,
) -> Result<Vec<String>, RepoError> {
    let followed = config.governed(inventory).map(|(located, _)| located);
    let governed: BTreeSet<&str> = followed
        .chain(config.promoted(inventory).map(|(located, _)| located))
        .map(|located| located.file.as_str())
        .collect();
    let idle = paths.unmatched(governed.iter().copied());
    if idle.is_empty() {
        return Ok(Vec::new());
    }
    let listing = tip.listing()?;
    let files = || listing.keys().map(String::as_str);
    let without_files = paths.unmatched(files());
    let note = |pattern: &str| match without_files.contains(&pattern) {
        true => match similar(pattern, files()).as_slice() {
            [] => format!("the path {pattern} matches no file; the branch has none"),
            similar => format!("the path {pattern} matches no file; the most similar paths are {}", similar.join(", ")),
        },
        false => format!("the path {pattern} selects no image field that a policy or a stage governs"),
    };
    Ok(idle.into_iter().map(note).collect())
}

/// Returns the files and folders whose paths are most similar to a pattern.
fn similar<'f>(pattern: &str, files: impl Iterator<Item = &'f str>) -> Vec<&'f str> {
    let clean = pattern.trim_start_matches("./").trim_end_matches("/**").trim_end_matches("/*").trim_end_matches('/');
    let mut paths = BTreeSet::new();
    for file in files {
        let mut path = file;
        while !path.is_empty() && paths.insert(path) {
            path = parent_of(path);
        }
    }
    let mut ranked: Vec<(usize, &str)> = paths.into_iter().map(|path| (levenshtein(clean, path), path)).collect();
    ranked.sort();
    ranked.into_iter().take(MOST).map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_paths_are_files_and_folders() {
        let files = ["apps/shop/app.yaml", "clusters/prod/x.yaml", "aaa.yaml"];
        assert_eq!(similar("app/**", files.into_iter())[0], "apps");
        assert_eq!(similar("./apps/shop/ap.yaml", files.into_iter())[0], "apps/shop/app.yaml");
    }
}
