//! Selects files of a tree by globs over their paths from the root.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A text that is not a valid glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid path pattern: {reason}")]
pub struct PathError {
    text: String,
    reason: String,
}

/// The length of the longest pattern. Nested alternatives are compiled by recursion.
const MAX_PATTERN: usize = 1_000;

const TOO_LONG: &str = "patterns may have up to 1000 bytes";

impl PathError {
    pub(super) fn new(text: &str, reason: String) -> PathError {
        PathError { text: text.to_owned(), reason }
    }
}

/// A selection of files. Without any pattern, all files are selected.
#[derive(Debug, Clone, Default)]
pub struct PathFilter {
    patterns: Option<GlobSet>,
    /// Each pattern by itself, as it was written.
    each: Vec<(String, GlobSet)>,
    named: BTreeSet<String>,
}

impl PathFilter {
    /// Makes a filter from globs: `*` matches within one component, `**` across components; a folder selects everything
    /// below it.
    pub fn new<T: AsRef<str>>(globs: &[T]) -> Result<PathFilter, PathError> {
        if globs.is_empty() {
            return Ok(PathFilter::default());
        }
        let mut builder = GlobSetBuilder::new();
        let (mut named, mut each) = (BTreeSet::new(), Vec::new());
        for text in globs.iter().map(AsRef::as_ref) {
            let fail = |reason: String| PathError { text: text.to_owned(), reason };
            let clean = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
            if clean.is_empty() || clean.starts_with('/') || clean.split('/').any(|part| part == "..") {
                return Err(fail("paths must be relative to the root and stay below it".to_owned()));
            }
            if text.len() > MAX_PATTERN {
                return Err(PathError {
                    text: text.chars().take(40).collect::<String>() + "…",
                    reason: TOO_LONG.to_owned(),
                });
            }
            let mut own = GlobSetBuilder::new();
            for glob in [clean.to_owned(), format!("{clean}/**")] {
                let built = GlobBuilder::new(&glob).literal_separator(true).build();
                let built = built.map_err(|error| fail(error.to_string()))?;
                builder.add(built.clone());
                own.add(built);
            }
            each.push((text.to_owned(), own.build().map_err(|error| fail(error.to_string()))?));
            if !clean.contains(['*', '?', '[', '{']) {
                named.insert(clean.to_owned());
            }
        }
        let patterns = builder.build().map_err(|error| PathError { text: String::new(), reason: error.to_string() })?;
        Ok(PathFilter { patterns: Some(patterns), each, named })
    }

    /// Returns whether a file is selected.
    pub fn wants(&self, path: &str) -> bool {
        self.patterns.as_ref().is_none_or(|patterns| patterns.is_match(path))
    }

    /// Returns whether it selects all files.
    pub fn is_everything(&self) -> bool {
        self.patterns.is_none()
    }

    /// Returns the patterns, as they were written.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.each.iter().map(|(text, _)| text.as_str())
    }

    /// Returns the patterns that select none of these files.
    pub fn unmatched<'f>(&self, files: impl Iterator<Item = &'f str> + Clone) -> Vec<&str> {
        let is_idle = |glob: &GlobSet| !files.clone().any(|file| glob.is_match(file));
        self.each.iter().filter(|(_, glob)| is_idle(glob)).map(|(text, _)| text.as_str()).collect()
    }

    /// Returns the first file or folder that is named by its exact path but does not exist in a tree.
    pub fn missing(&self, exists: &dyn Fn(&str) -> bool) -> Option<&str> {
        self.named.iter().find(|name| !exists(name)).map(String::as_str)
    }

    /// Returns whether a file is named by its exact path.
    pub fn names(&self, path: &str) -> bool {
        self.named.contains(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_and_folders_and_names() {
        let filter = PathFilter::new(&["apps/**", "./clusters/a/x.yaml", "infra", "*.yml"]).expect("globs");
        for path in ["apps/a/b.yaml", "clusters/a/x.yaml", "infra/deep/down.yaml", "top.yml"] {
            assert!(filter.wants(path), "{path}");
        }
        for path in ["other/a.yaml", "clusters/a/y.yaml", "deep/top.yml"] {
            assert!(!filter.wants(path), "{path}");
        }
        assert!(filter.names("clusters/a/x.yaml") && !filter.names("apps/a/b.yaml"));
        assert_eq!(filter.missing(&|path| path != "infra"), Some("infra"));
        assert_eq!(filter.unmatched(["apps/a/b.yaml", "x.yml"].into_iter()), ["./clusters/a/x.yaml", "infra"]);
        assert!(PathFilter::new::<&str>(&[]).expect("empty").wants("anything"));
    }

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for text in ["", "/etc/passwd", "../x", "a/../../x", "a[", "./"] {
            assert!(PathFilter::new(&[text]).is_err(), "{text}");
        }
    }

    #[test]
    fn nested_alternatives_do_not_exhaust_the_stack() {
        let nested = |depth: usize| "{a,".repeat(depth) + "b" + &"}".repeat(depth);
        assert!(PathFilter::new(&[nested(10)]).expect("a glob").wants("b"));
        // Nested less deeply, they exceed a limit of the regular expressions that they become.
        for depth in [249, 250, 100_000] {
            assert!(PathFilter::new(&[nested(depth)]).is_err(), "{depth}");
        }
    }
}
