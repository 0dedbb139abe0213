//! The `.sops.yaml` files of a tree: the nearest one above a file applies.

use std::collections::BTreeMap;

use crate::path::{child_of, parent_of};
use crate::yaml::node::ScanError;

use super::rules::CreationRules;
use super::rules_error::RulesError;

/// The name of a file with rules.
pub const RULES_FILE: &str = ".sops.yaml";

/// The rules of a tree, by the folder of their file.
#[derive(Debug, Clone, Default)]
pub struct RuleBook {
    folders: BTreeMap<String, Result<CreationRules, RulesError>>,
    /// Rules above the tree, and the path from there to the root of the tree.
    above: Option<(String, CreationRules)>,
}

/// A `.sops.yaml` that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields speak for themselves")]
pub struct BrokenRules<'b> {
    pub file: String,
    pub error: &'b RulesError,
}

impl RuleBook {
    /// Returns whether a file of a tree contains rules.
    pub fn is_rules(path: &str) -> bool {
        path.rsplit('/').next() == Some(RULES_FILE)
    }

    /// Adds a `.sops.yaml` by its path from the root.
    pub fn add(&mut self, path: &str, bytes: &[u8]) {
        self.folders.insert(parent_of(path).to_owned(), CreationRules::parse(bytes));
    }

    /// Adds a `.sops.yaml` that is too large to be read.
    pub fn add_too_large(&mut self, path: &str, size: u64) {
        let error = RulesError::Unreadable(ScanError::TooLarge { size }.to_string());
        self.folders.insert(parent_of(path).to_owned(), Err(error));
    }

    /// Adds a `.sops.yaml` from above the root; `way` leads from its folder to the root.
    pub fn add_above(&mut self, way: &str, bytes: &[u8]) -> Result<(), RulesError> {
        self.above = Some((way.trim_matches('/').to_owned(), CreationRules::parse(bytes)?));
        Ok(())
    }

    /// Returns the rules for a file, and the path of the file from their folder.
    ///
    /// # Errors
    /// Fails if the nearest rules cannot be read, as those further up are not meant.
    pub fn rules_for(&self, path: &str) -> Result<Option<(&CreationRules, String)>, BrokenRules<'_>> {
        let mut folder = path;
        while !folder.is_empty() {
            folder = parent_of(folder);
            match self.folders.get(folder) {
                Some(Ok(rules)) => {
                    let rest = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
                    return Ok(Some((rules, rest.to_owned())));
                }
                Some(Err(error)) => {
                    return Err(BrokenRules { file: child_of(folder, RULES_FILE), error });
                }
                None => {}
            }
        }
        Ok(self.above.as_ref().map(|(way, rules)| (rules, child_of(way, path))))
    }

    /// Returns the reason why the rules in a file cannot be read, if it contains any.
    pub fn error(&self, path: &str) -> Option<&RulesError> {
        self.folders.get(parent_of(path)).filter(|_| RuleBook::is_rules(path))?.as_ref().err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rules_count_and_paths_are_theirs() {
        let mut book = RuleBook::default();
        let path = |book: &RuleBook, file: &str| {
            book.rules_for(file).map(|found| found.map(|(_, path)| path)).map_err(|broken| broken.file)
        };
        let is = |path: &str| Ok(Some(path.to_owned()));
        assert_eq!(path(&book, "a.yaml"), Ok(None));
        book.add_above("infra/prod", b"creation_rules: [{ age: x }]").expect("rules");
        assert_eq!(path(&book, "a/b.yaml"), is("infra/prod/a/b.yaml"));
        book.add(".sops.yaml", b"creation_rules: []");
        book.add("apps/.sops.yaml", b"creation_rules: []");
        book.add("broken/.sops.yaml", b"creation_rules: [{ path_regex: '(' }]");
        assert_eq!(path(&book, "a.yaml"), is("a.yaml"));
        assert_eq!(path(&book, "apps/a/b.yaml"), is("a/b.yaml"));
        assert_eq!(path(&book, "appsy/b.yaml"), is("appsy/b.yaml"));
        assert_eq!(path(&book, "broken/b.yaml"), Err("broken/.sops.yaml".to_owned()));
        assert!(book.error("broken/.sops.yaml").is_some() && book.error("apps/.sops.yaml").is_none());
    }
}
