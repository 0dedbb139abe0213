//! Paths within a tree, relative to its root and separated by `/`.

use std::collections::BTreeMap;

use memchr::memrchr;

/// Returns the folder of a file; empty for the root.
pub fn parent_of(path: &str) -> &str {
    &path[..memrchr(b'/', path.as_bytes()).unwrap_or(0)]
}

/// Returns the path of an entry of a folder.
pub fn child_of(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { [folder, "/", name].concat() }
}

/// Resolves a relative path against a folder; `None` if it leads out of the tree.
pub fn join(folder: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') {
        return None;
    }
    let mut path = String::with_capacity(folder.len() + 1 + relative.len());
    path.push_str(folder);
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." if path.is_empty() => return None,
            ".." => path.truncate(parent_of(&path).len()),
            part => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(part);
            }
        }
    }
    Some(path)
}

/// The symbolic links of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// The target of each link, as written, by its path.
    targets: BTreeMap<String, String>,
}

/// The number of links that are followed for one path, as on Linux.
const MOST_LINKS: usize = 40;

impl Links {
    /// Makes links from their paths and targets.
    pub fn new(targets: impl IntoIterator<Item = (String, String)>) -> Links {
        Links { targets: targets.into_iter().collect() }
    }

    /// Returns the paths of all links.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// Returns a path with all links in it followed; `None` if they lead out of the tree or in a circle.
    pub fn resolve(&self, path: &str) -> Option<String> {
        if self.targets.is_empty() {
            return Some(path.to_owned());
        }
        let mut open: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let (mut resolved, mut followed) = (String::new(), 0);
        while let Some(part) = open.pop() {
            let next = join(&resolved, &part)?;
            match self.targets.get(&next) {
                None => resolved = next,
                Some(_) if followed == MOST_LINKS => return None,
                Some(target) if target.starts_with('/') => return None,
                Some(target) => {
                    followed += 1;
                    open.extend(target.rsplit('/').map(str::to_owned));
                }
            }
        }
        Some(resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_within_the_tree_only() {
        let links = [
            ("a/file", "../b/file"),
            ("a/base", "../b"),
            ("b/next", "file"),
            ("c", "a/base"),
            ("out", "../x"),
            ("root", "/etc"),
            ("circle", "circle"),
        ];
        let links = Links::new(links.map(|(path, target)| (path.to_owned(), target.to_owned())));
        let resolved = |path: &str| links.resolve(path);
        let is = |path: &str| Some(path.to_owned());
        assert_eq!((resolved("a/file"), resolved("a/other")), (is("b/file"), is("a/other")));
        assert_eq!((resolved("c/next"), resolved("a/base/../z")), (is("b/file"), is("z")));
        assert_eq!((resolved("out"), resolved("root/x"), resolved("circle")), (None, None, None));
    }
}
