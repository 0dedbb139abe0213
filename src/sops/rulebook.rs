//! The `.sops.yaml` files of a tree: the nearest one above a file counts.

use std::collections::BTreeMap;

use super::rules::{Rules, RulesError};

/// The name of the file with the rules.
pub const RULES_FILE: &str = ".sops.yaml";

/// The rules of a tree, by the folder that they stand in.
#[derive(Debug, Clone, Default)]
pub struct RuleBook {
    folders: BTreeMap<String, Result<Rules, RulesError>>,
    /// Rules above the tree, and the way from there to the tree's root.
    above: Option<(String, Rules)>,
}

impl RuleBook {
    /// Whether a file of a tree holds rules.
    pub fn is_rules(path: &str) -> bool {
        path.rsplit('/').next() == Some(RULES_FILE)
    }

    /// Adds a `.sops.yaml` by its path from the root.
    pub fn add(&mut self, path: &str, bytes: &[u8]) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.folders.insert(folder.to_owned(), Rules::parse(bytes));
    }

    /// Adds a `.sops.yaml` that stands above the root; `way` leads from its folder to the root.
    pub fn add_above(&mut self, way: &str, bytes: &[u8]) -> Result<(), RulesError> {
        self.above = Some((way.trim_matches('/').to_owned(), Rules::parse(bytes)?));
        Ok(())
    }

    /// The rules that hold for a file, and its path from where they stand. There are none below rules that cannot be
    /// read: which ones were meant is not known.
    pub fn rules_for(&self, path: &str) -> Option<(&Rules, String)> {
        let mut folder = path;
        while !folder.is_empty() {
            folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            match self.folders.get(folder) {
                Some(Ok(rules)) => {
                    let rest = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
                    return Some((rules, rest.to_owned()));
                }
                Some(Err(_)) => return None,
                None => {}
            }
        }
        let (way, rules) = self.above.as_ref()?;
        Some((rules, if way.is_empty() { path.to_owned() } else { format!("{way}/{path}") }))
    }

    /// Why the rules of a file cannot be read, if it holds such.
    pub fn error(&self, path: &str) -> Option<&RulesError> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.folders.get(folder).filter(|_| RuleBook::is_rules(path))?.as_ref().err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rules_count_and_paths_are_theirs() {
        let mut book = RuleBook::default();
        assert!(book.rules_for("a.yaml").is_none());
        book.add_above("infra/prod", b"creation_rules: [{ age: x }]").expect("rules");
        assert_eq!(book.rules_for("a/b.yaml").expect("rules").1, "infra/prod/a/b.yaml");
        book.add(".sops.yaml", b"creation_rules: []");
        book.add("apps/.sops.yaml", b"creation_rules: []");
        book.add("broken/.sops.yaml", b"creation_rules: [{ path_regex: '(' }]");
        let path = |file: &str| book.rules_for(file).map(|(_, path)| path);
        assert_eq!(path("a.yaml").as_deref(), Some("a.yaml"));
        assert_eq!(path("apps/a/b.yaml").as_deref(), Some("a/b.yaml"));
        assert_eq!(path("appsy/b.yaml").as_deref(), Some("appsy/b.yaml"));
        assert_eq!(path("broken/b.yaml"), None);
        assert!(book.error("broken/.sops.yaml").is_some() && book.error("apps/.sops.yaml").is_none());
    }
}
