//! Paths within a tree, relative to its root and separated by `/`.

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
