//! Patterns for sets of files, as rules write them, with the least that they have to leave open.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::{child_of, parent_of};

/// A pattern with the files that it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileGlob {
    /// The pattern.
    pub pattern: String,
    /// The files.
    pub files: BTreeSet<String>,
}

/// Returns one pattern for the files of each folder: `app/values-*.yaml`.
pub fn by_folder(files: &BTreeSet<String>) -> Vec<FileGlob> {
    let mut folders: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        folders.entry(parent_of(file)).or_default().insert(file.clone());
    }
    let glob = |(folder, files): (&str, BTreeSet<String>)| {
        let names: Vec<&str> = files.iter().map(|file| name_of(file)).collect();
        FileGlob { pattern: child_of(folder, &of_words(&names)), files }
    };
    folders.into_iter().map(glob).collect()
}

/// Returns one pattern for all files of the same depth, if they are in several folders: `apps/*/values.yaml`.
pub fn across_folders(files: &BTreeSet<String>) -> Vec<FileGlob> {
    let mut depths: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        depths.entry(file.matches('/').count()).or_default().insert(file.clone());
    }
    let glob = |files: BTreeSet<String>| {
        let paths: Vec<Vec<&str>> = files.iter().map(|file| file.split('/').collect()).collect();
        let count = paths.first().map_or(0, Vec::len);
        let word = |index: usize| of_words(&paths.iter().map(|path| path[index]).collect::<Vec<&str>>());
        FileGlob { pattern: (0..count).map(word).collect::<Vec<String>>().join("/"), files }
    };
    depths.into_values().map(glob).collect()
}

/// Returns a pattern for each file.
pub fn each(files: &BTreeSet<String>) -> Vec<FileGlob> {
    files.iter().map(|file| FileGlob { pattern: escape(file), files: BTreeSet::from([file.clone()]) }).collect()
}

/// Returns what words have in common at both ends, with `*` between.
pub fn of_words(words: &[&str]) -> String {
    let (head, tail) = common(words);
    match words {
        [] => String::new(),
        [first, rest @ ..] if rest.iter().all(|word| word == first) => escape(first),
        [first, ..] => format!("{}*{}", escape(&first[..head]), escape(&first[first.len() - tail..])),
    }
}

/// Returns how many bytes words have in common at the beginning and at the end, cut where a word in them ends, so that
/// files to come match too.
pub fn common(words: &[&str]) -> (usize, usize) {
    let Some((first, rest)) = words.split_first() else { return (0, 0) };
    let ends = |text: &str, at: usize| text.is_char_boundary(at);
    let mut head = rest.iter().fold(first.len(), |head, word| {
        head.min(first.bytes().zip(word.bytes()).take_while(|(one, other)| one == other).count())
    });
    let is_joint = |byte: u8| !byte.is_ascii_alphanumeric();
    while head > 0 && !(ends(first, head) && is_joint(first.as_bytes()[head - 1])) {
        head -= 1;
    }
    let shortest = words.iter().map(|word| word.len()).min().unwrap_or_default();
    let mut tail = rest.iter().fold(shortest.saturating_sub(head), |tail, word| {
        tail.min(first.bytes().rev().zip(word.bytes().rev()).take_while(|(one, other)| one == other).count())
    });
    while tail > 0 && !(ends(first, first.len() - tail) && is_joint(first.as_bytes()[first.len() - tail])) {
        tail -= 1;
    }
    (head, tail)
}

/// Returns the name of a file without its folder.
pub fn name_of(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// Writes a text as a pattern that only matches it.
pub fn escape(text: &str) -> String {
    let special = |c: char| matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[&str]) -> BTreeSet<String> {
        files.iter().map(|file| (*file).to_owned()).collect()
    }

    fn patterns(globs: Vec<FileGlob>) -> Vec<String> {
        globs.into_iter().map(|glob| glob.pattern).collect()
    }

    #[test]
    fn patterns_leave_open_what_differs() {
        let files = set(&["apps/a/values-prod.yaml", "apps/a/values-dev.yaml", "apps/b/values-dev.yaml", "x.yaml"]);
        assert_eq!(patterns(by_folder(&files)), ["x.yaml", "apps/a/values-*.yaml", "apps/b/values-dev.yaml"]);
        assert_eq!(patterns(across_folders(&files)), ["x.yaml", "apps/*/values-*.yaml"]);
        assert_eq!(of_words(&["api", "app"]), "*", "no file to come is known to begin with `ap`");
        assert_eq!(of_words(&["a-1.yaml", "a-2.yaml"]), "a-*.yaml");
        assert_eq!(of_words(&["a[1]", "a[1]"]), "a\\[1\\]");
    }
}
