//! Patterns of files whose names hold a part of an image's name: `image-tags/*/{app}`.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

use super::paths::{PathError, PathFilter};

/// A glob of files, in which `{name}` matches within one component and captures what it matched.
#[derive(Debug, Clone)]
pub struct FilePattern {
    filter: PathFilter,
    /// The glob without what it selects as a folder.
    exact: GlobMatcher,
    /// True if it ends in `**`, so that it names folders rather than files.
    is_folder: bool,
    captures: Option<Regex>,
}

impl FilePattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<FilePattern, PathError> {
        // This also refuses texts that are too long.
        PathFilter::new(&[text])?;
        let names = capture_names(text);
        let glob = names.iter().fold(text.to_owned(), |glob, name| glob.replace(&format!("{{{name}}}"), "*"));
        let filter = PathFilter::new(&[&glob])?;
        let fail = |reason: String| PathError::new(text, reason);
        let clean = glob.strip_prefix("./").unwrap_or(&glob).trim_end_matches('/');
        let exact = GlobBuilder::new(clean).literal_separator(true).build().map_err(|error| fail(error.to_string()))?;
        let captures = if names.is_empty() {
            None
        } else {
            let text = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
            Some(Regex::new(&expression(text)).map_err(|error| fail(error.to_string()))?)
        };
        Ok(FilePattern { filter, exact: exact.compile_matcher(), is_folder: clean.ends_with("**"), captures })
    }

    /// Returns whether a file is selected.
    pub fn wants(&self, path: &str) -> bool {
        self.filter.wants(path)
    }

    /// Returns whether a file is selected by its own name rather than by that of a folder.
    pub fn names(&self, path: &str) -> bool {
        !self.is_folder && self.exact.is_match(path)
    }

    /// Returns whether it captures parts of paths.
    pub fn has_captures(&self) -> bool {
        self.captures.is_some()
    }

    /// Returns whether it captures a part under a name.
    pub fn captures(&self, name: &str) -> bool {
        self.captures.as_ref().is_some_and(|regex| regex.capture_names().flatten().any(|captured| captured == name))
    }

    /// Returns the parts of a path that it captures.
    pub fn captured(&self, path: &str) -> BTreeMap<String, String> {
        let Some(regex) = &self.captures else { return BTreeMap::new() };
        let Some(found) = regex.captures(path) else { return BTreeMap::new() };
        let part = |name: &str| Some((name.to_owned(), found.name(name)?.as_str().to_owned()));
        regex.capture_names().flatten().filter_map(part).collect()
    }
}

/// Returns the names between `{` and `}`, which are not lists of alternatives.
fn capture_names(text: &str) -> Vec<&str> {
    let inner = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inner, _)| inner);
    let is_name = |inner: &&str| {
        inner.starts_with(|c: char| c.is_ascii_alphabetic())
            && inner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    inner.filter(is_name).collect()
}

/// Translates a glob with captures to a regular expression.
fn expression(text: &str) -> String {
    let names = capture_names(text);
    let mut pattern = String::from("^");
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let capture =
            names.iter().find(|name| rest[1..].strip_prefix(**name).is_some_and(|rest| rest.starts_with('}')));
        let (part, length) = match (first, capture) {
            ('{', Some(name)) => (format!("(?P<{name}>[^/]+)"), name.len() + 2),
            ('*', _) if rest.starts_with("**/") => ("(?:.*/)?".to_owned(), 3),
            ('*', _) if rest.starts_with("**") => (".*".to_owned(), 2),
            ('*', _) => ("[^/]*".to_owned(), 1),
            ('?', _) => ("[^/]".to_owned(), 1),
            ('{', _) => ("(?:".to_owned(), 1),
            ('}', _) => (")".to_owned(), 1),
            (',', _) => ("|".to_owned(), 1),
            ('[' | ']', _) => (first.to_string(), 1),
            _ => (regex::escape(&rest[..first.len_utf8()]), first.len_utf8()),
        };
        pattern.push_str(&part);
        rest = &rest[length..];
    }
    pattern + "(?:/.*)?$"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &str, path: &str) -> Vec<(String, String)> {
        FilePattern::parse(pattern).expect(pattern).captured(path).into_iter().collect()
    }

    #[test]
    fn parts_of_paths_are_captured() {
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(captured("image-tags/*/{app}", "image-tags/production/account-api"), [pair("app", "account-api")]);
        assert_eq!(captured("**/{env}/{app}.yaml", "a/b/prod/shop.yaml"), [pair("app", "shop"), pair("env", "prod")]);
        assert_eq!(captured("{app}/values.{yaml,yml}", "shop/values.yml"), [pair("app", "shop")]);
        assert_eq!(captured("apps/{app}", "apps/shop/values.yaml"), [pair("app", "shop")]);
        assert_eq!(captured("image-tags/*/{app}", "other/production/account-api"), []);
        assert_eq!(captured("apps/*", "apps/shop"), []);
    }

    #[test]
    fn files_of_any_extension_are_named_but_not_those_of_folders() {
        let names = |pattern: &str, path: &str| FilePattern::parse(pattern).expect(pattern).names(path);
        assert!(names("image-tags/*/{app}", "image-tags/production/api"));
        assert!(names("./versions/app.env", "versions/app.env"));
        assert!(!names("image-tags/**", "image-tags/README.md"));
        assert!(!names("apps/*", "apps/shop/README.md"));
    }
}
