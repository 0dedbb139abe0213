//! Patterns of paths within documents, in the notation of listings, with `*` for any key or any item:
//! `services.*.image.tag`, `spec.values["x.y/z"].tags[0]`, `apps[*].tag`.

use crate::yaml::node::NodeId;
use crate::yaml::scan::Scan;

/// A text that is not a valid path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid path within a document: {reason}")]
pub struct PatternError {
    text: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
    Any,
}

/// A pattern of paths within a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    steps: Vec<Step>,
}

/// A node that a path leads to, with the key or item number that each `*` matched.
pub type Match = (NodeId, Vec<String>);

impl PathPattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Result<PathPattern, PatternError> {
        let fail = |reason| PatternError { text: text.to_owned(), reason };
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix("[\"") {
                let (key, after) = inner.split_once("\"]").ok_or_else(|| fail("`[\"` without `\"]`"))?;
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            } else if let Some(inner) = rest.strip_prefix('[') {
                let (item, after) = inner.split_once(']').ok_or_else(|| fail("`[` without `]`"))?;
                let number = || item.parse().map_err(|_| fail("`[` and `]` must enclose a number from 0 or `*`"));
                steps.push(if item == "*" { Step::Any } else { Step::Item(number()?) });
                rest = after;
            } else {
                let rest_of_path = if steps.is_empty() { Some(rest) } else { rest.strip_prefix('.') };
                let key = rest_of_path.ok_or_else(|| fail("keys must be separated by `.`"))?;
                let end = key.find(['.', '[']).unwrap_or(key.len());
                match &key[..end] {
                    "" => return Err(fail("a key is missing")),
                    "*" => steps.push(Step::Any),
                    key => steps.push(Step::Key(key.to_owned())),
                }
                rest = &key[end..];
            }
        }
        if steps.is_empty() { Err(fail("it is empty")) } else { Ok(PathPattern { steps }) }
    }

    /// Returns the number of `*` in it.
    pub fn wildcards(&self) -> usize {
        self.steps.iter().filter(|step| **step == Step::Any).count()
    }

    /// Returns the nodes that it leads to from a root.
    pub fn find(&self, scan: &Scan<'_>, root: NodeId) -> Vec<Match> {
        let mut found = vec![(root, Vec::new())];
        for step in &self.steps {
            found = found.into_iter().flat_map(|(node, passed)| take(scan, node, step, &passed)).collect();
        }
        found
    }

    /// Returns the nodes that it leads to if its first `*` stand for what those of another pattern matched. All others
    /// match any key or item.
    pub fn expand(&self, scan: &Scan<'_>, root: NodeId, passed: &[String]) -> Vec<Match> {
        let mut found = vec![(root, Vec::new())];
        for step in &self.steps {
            let next = |(node, before): (NodeId, Vec<String>)| -> Vec<Match> {
                let known = passed.get(before.len()).filter(|_| *step == Step::Any);
                let is_known = |(_, now): &Match| known.is_none_or(|known| now.last() == Some(known));
                take(scan, node, step, &before).into_iter().filter(is_known).collect()
            };
            found = found.into_iter().flat_map(next).collect();
        }
        found
    }
}

fn take(scan: &Scan<'_>, node: NodeId, step: &Step, passed: &[String]) -> Vec<Match> {
    let by = |text: String| [passed, &[text]].concat();
    match step {
        Step::Key(key) => scan.get(node, key).map(|value| (value, passed.to_vec())).into_iter().collect(),
        Step::Item(item) => scan.items(node).nth(*item).map(|item| (item, passed.to_vec())).into_iter().collect(),
        Step::Any => {
            let values = scan.pairs(scan.resolve(node));
            let values = values.filter_map(|(key, value)| Some((value, by(scan.scalar(key)?.to_owned()))));
            let items = scan.items(node).enumerate().map(|(index, item)| (item, by(index.to_string())));
            values.chain(items).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, path: &str) -> Vec<String> {
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let (_, root) = scan.documents().next().expect("a document");
        let pattern = PathPattern::parse(path).expect(path);
        let shown = |(node, passed): Match| {
            format!("{}={} {}", scan.path(node), scan.scalar(node).unwrap_or("-"), passed.join(","))
        };
        pattern.find(&scan, root).into_iter().map(shown).collect()
    }

    #[test]
    fn paths_lead_to_nodes() {
        let text = "a:\n  b.c: [x, {d: y}]\ns:\n  one: {tag: 1}\n  two: {tag: 2}\n  three: {}\n";
        assert_eq!(found(text, "a[\"b.c\"][1].d"), ["a[\"b.c\"][1].d=y "]);
        assert_eq!(found(text, "a.*[0]"), ["a[\"b.c\"][0]=x b.c"]);
        assert_eq!(found(text, "s.*.tag"), ["s.one.tag=1 one", "s.two.tag=2 two"]);
        assert_eq!(found("- {t: 1}\n- {t: 2}\n", "[*].t"), ["[0].t=1 0", "[1].t=2 1"]);
        assert_eq!(found(text, "a.b"), Vec::<String>::new());
    }

    #[test]
    fn invalid_paths_are_refused() {
        for text in ["", ".", "a.", "a..b", "a[", "a[x]", "a[\"b", "[0]b", ".a"] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }
}
