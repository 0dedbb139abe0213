//! Lines of YAML, read without a parser: the key and the value of a line, and its path by the indentation of the lines
//! above it. A history has too many versions of too many files to parse them all, and templates do not parse at all.

use std::fmt::Write;

/// A step of a path within a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A key.
    Key(String),
    /// Any item of a list.
    Item,
    /// Any key.
    AnyKey,
}

/// A path within a document, in which all items of a list are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentPath(pub Vec<Step>);

/// A line with a key, an item of a list, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'t> {
    /// The column of the first dash, if the line begins an item.
    pub dash: Option<usize>,
    /// The column of the key, or of the value if there is no key.
    pub column: usize,
    /// The key, without quotes.
    pub key: Option<&'t str>,
    /// The value, without quotes, anchors and comments.
    pub value: &'t str,
}

impl<'t> Line<'t> {
    /// Reads a line; `None` if it is blank, a comment, or the start of a document.
    pub fn read(text: &'t str) -> Option<Line<'t>> {
        let text = text.trim_end();
        let mut column = text.len() - text.trim_start_matches(' ').len();
        let (mut rest, mut dash) = (&text[column..], None);
        if rest.is_empty() || rest.starts_with('#') || rest == "---" || rest == "..." {
            return None;
        }
        while let Some(after) = rest.strip_prefix('-').filter(|after| after.is_empty() || after.starts_with(' ')) {
            dash = dash.or(Some(column));
            let inner = after.trim_start_matches(' ');
            column += rest.len() - inner.len();
            rest = inner;
        }
        let (key, value) = match split_key(rest) {
            Some((key, value)) => (Some(key), value),
            None => (None, rest),
        };
        Some(Line { dash, column, key, value: plain(value) })
    }

    /// Returns whether the value is on the following lines.
    fn opens(&self) -> bool {
        self.value.is_empty() || self.is_text() || matches!(self.value, "{" | "[")
    }

    /// Returns whether a block scalar follows.
    fn is_text(&self) -> bool {
        self.value.starts_with(['|', '>']) && self.value.len() <= 3
    }
}

/// Splits `key: value`; quotes around the key are removed.
fn split_key(text: &str) -> Option<(&str, &str)> {
    if let Some(quote) = text.chars().next().filter(|first| matches!(first, '"' | '\'')) {
        let (key, rest) = text[1..].split_once(quote)?;
        return Some((key, rest.trim_start().strip_prefix(':')?));
    }
    let (at, _) = text.match_indices(':').find(|(at, _)| {
        let after = &text[at + 1..];
        after.is_empty() || after.starts_with([' ', '\t'])
    })?;
    let key = text[..at].trim_end();
    (!key.is_empty() && !key.starts_with(['{', '[', '&', '*', '!'])).then_some((key, &text[at + 1..]))
}

/// Removes comments, anchors, quotes, and the comma of JSON.
fn plain(value: &str) -> &str {
    let mut value = value.trim();
    while let Some(rest) = value.strip_prefix(['&', '!']) {
        value = rest.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
    }
    if let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) {
        return value[1..].split_once(quote).map_or(value, |(inner, _)| inner);
    }
    if value.starts_with('#') {
        return "";
    }
    let value = value.split_once(" #").map_or(value, |(value, _)| value.trim_end());
    value.strip_suffix(',').unwrap_or(value)
}

impl DocumentPath {
    /// Returns the path of a line by its indentation; `None` if the line has neither a key nor an item.
    pub fn of_line(lines: &[&str], at: usize) -> Option<DocumentPath> {
        let own = Line::read(lines.get(at)?)?;
        let mut steps = Vec::new();
        steps.extend(own.key.map(|key| Step::Key(key.to_owned())));
        // The column of the mapping that is left, or that of the dashes of the list that is left.
        let (mut column, mut in_list) = (own.column, own.dash);
        if in_list.is_some() {
            steps.push(Step::Item);
            column = in_list.unwrap_or(column);
        }
        if steps.is_empty() {
            return None;
        }
        for text in lines[..at].iter().rev() {
            if text.starts_with("---") || column == 0 && in_list.is_none() {
                break;
            }
            let Some(line) = Line::read(text) else { continue };
            let is_above = if in_list.is_some() {
                // The key of a list may have the same indentation as its dashes.
                line.column <= column && (line.dash.is_none() || line.column < column) && line.key.is_some()
            } else {
                line.column < column && line.key.is_some() || line.dash.is_some() && line.column == column
            };
            if !is_above {
                continue;
            }
            if line.column < column || in_list.is_some() {
                if !line.opens() {
                    return None;
                }
                steps.extend(line.key.map(|key| Step::Key(key.to_owned())));
            }
            (column, in_list) = (line.column, line.dash);
            if let Some(dash) = line.dash {
                steps.push(Step::Item);
                column = dash;
            }
        }
        steps.reverse();
        Some(DocumentPath(steps))
    }

    /// Reads a path as listings write it, with any index as any item.
    pub fn of_listing(path: &str) -> DocumentPath {
        let (mut steps, mut rest) = (Vec::new(), path);
        while !rest.is_empty() {
            if let Some((key, after)) = rest.strip_prefix("[\"").and_then(|inner| inner.split_once("\"]")) {
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            } else if let Some((_, after)) = rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
                steps.push(Step::Item);
                rest = after;
            } else {
                let key = rest.strip_prefix('.').unwrap_or(rest);
                let end = key.find(['.', '[']).unwrap_or(key.len());
                steps.push(Step::Key(key[..end].to_owned()));
                rest = &key[end..];
            }
        }
        DocumentPath(steps)
    }

    /// Returns the last key.
    pub fn last_key(&self) -> Option<&str> {
        self.keys().next_back()
    }

    /// Returns the keys, from the root on.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Item | Step::AnyKey => None,
        })
    }

    /// Returns the path with another last key.
    pub fn sibling(&self, key: &str) -> DocumentPath {
        let mut steps = self.0.clone();
        steps.pop();
        steps.push(Step::Key(key.to_owned()));
        DocumentPath(steps)
    }

    /// Returns the path with one more key.
    pub fn child(&self, key: &str) -> DocumentPath {
        DocumentPath(self.0.iter().cloned().chain([Step::Key(key.to_owned())]).collect())
    }

    /// Returns the path of the mapping that contains this one.
    pub fn parent(&self) -> DocumentPath {
        DocumentPath(self.0[..self.0.len().saturating_sub(1)].to_vec())
    }

    /// Returns the number of the first `*` that stands for any key, as `{1}` in a rule counts them.
    pub fn wildcard(&self) -> usize {
        self.0.iter().take_while(|step| **step != Step::AnyKey).filter(|step| **step == Step::Item).count() + 1
    }

    /// Returns the path as rules write it.
    pub fn pattern(&self) -> String {
        let mut text = String::new();
        for step in &self.0 {
            let dot = if text.is_empty() { "" } else { "." };
            // Writing to a string does not fail.
            let _ = match step {
                Step::Item => write!(text, "[*]"),
                Step::AnyKey => write!(text, "{dot}*"),
                Step::Key(key) if key.is_empty() || key == "*" || key.contains(['.', '[', ']', '"', '{', '}']) => {
                    write!(text, "[\"{key}\"]")
                }
                Step::Key(key) => write!(text, "{dot}{key}"),
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
apps:
- name: web
  image:
    # the tag
    tag: \"1.2\" # why
- name: api
  list:
    - x
    -   tag: v2
other:
  \"a.b\":

    version: 3
---
top: {
  'tag': 'x',
";

    fn path(at: usize) -> Option<String> {
        let lines: Vec<&str> = TEXT.lines().collect();
        DocumentPath::of_line(&lines, at).map(|path| path.pattern())
    }

    #[test]
    fn paths_follow_from_indentation() {
        let found: Vec<Option<String>> = (0..TEXT.lines().count()).map(path).collect();
        let expected = [
            Some("apps"),
            Some("apps[*].name"),
            Some("apps[*].image"),
            None,
            Some("apps[*].image.tag"),
            Some("apps[*].name"),
            Some("apps[*].list"),
            Some("apps[*].list[*]"),
            Some("apps[*].list[*].tag"),
            Some("other"),
            Some("other[\"a.b\"]"),
            None,
            Some("other[\"a.b\"].version"),
            None,
            Some("top"),
            Some("top.tag"),
        ];
        assert_eq!(found, expected.map(|path| path.map(str::to_owned)));
    }

    #[test]
    fn values_are_read_without_what_surrounds_them() {
        let value = |text| Line::read(text).map(|line| (line.key, line.value));
        assert_eq!(value("  tag: \"1.2\"  # why"), Some((Some("tag"), "1.2")));
        assert_eq!(value("- tag: &t v1"), Some((Some("tag"), "v1")));
        assert_eq!(value("\"tag\": 'x',"), Some((Some("tag"), "x")));
        assert_eq!(value("- ghcr.io/a/b:v1"), Some((None, "ghcr.io/a/b:v1")));
        assert_eq!(value("image: a/b:v1#x # y"), Some((Some("image"), "a/b:v1#x")));
        assert_eq!(value("# tag: v1"), None);
        assert_eq!(value("   "), None);
    }

    #[test]
    fn listings_and_lines_agree() {
        for path in ["apps[*].image.tag", "a[\"x.y\"].b", "[*].tag", "tag"] {
            assert_eq!(DocumentPath::of_listing(path).pattern(), path);
        }
        assert_eq!(DocumentPath::of_listing("apps[3].tag").pattern(), "apps[*].tag");
    }
}
