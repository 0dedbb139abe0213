//! Edits of bytes. Each change replaces a scalar, adds a pair or removes one, and all of them are verified by parsing
//! the result: it holds the same documents with exactly the requested changes, or there is no result.
//!
//! ```
//! use tagalong::yaml::scan::Scan;
//! use tagalong::yaml::splice::{Change, apply};
//!
//! let bytes = b"image:\n  name: nginx # the web server\n  tag: '1.26'\n";
//! let scan = Scan::read(bytes)?;
//! let (_, root) = scan.documents().next().ok_or("no document")?;
//! let tag = scan.get(root, "image").and_then(|image| scan.get(image, "tag")).ok_or("no tag")?;
//!
//! let edited = apply(bytes, &scan, &[Change::Value { node: tag, text: "1.27".to_owned() }])?;
//! assert_eq!(edited, b"image:\n  name: nginx # the web server\n  tag: '1.27'\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::node::{Kind, NodeId};
use super::patch::{Patch, insert, not_editable, remove, replace, replace_part, value_of};
use super::scan::Scan;
use super::splice_error::SpliceError;

/// One change to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replaces the value of a scalar.
    Value {
        /// The scalar, key or value.
        node: NodeId,
        /// The new value, as text.
        text: String,
    },
    /// Replaces a part of a scalar.
    Part {
        /// The scalar.
        node: NodeId,
        /// The bytes of its value that are replaced.
        at: Range<usize>,
        /// The new text of that part.
        text: String,
    },
    /// Adds a pair to a mapping, right after an existing one.
    Insert {
        /// The key of the existing pair.
        after: NodeId,
        /// The new key.
        key: &'static str,
        /// The new value, as text.
        text: String,
    },
    /// Removes a pair.
    Remove {
        /// Its key.
        key: NodeId,
    },
}

/// Makes the changes and verifies the result. Identical changes are made once.
pub fn apply(bytes: &[u8], scan: &Scan<'_>, changes: &[Change]) -> Result<Vec<u8>, SpliceError> {
    let requested = Requested::gather(scan, changes)?;
    let mut patches = requested.patches(bytes, scan)?;
    patches.sort_by_key(|(range, _)| (range.start, range.end));
    let mut edited = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0;
    for (range, text) in &patches {
        if range.start < at {
            return Err(SpliceError::Unverified { path: format!("byte {}", range.start) });
        }
        edited.extend_from_slice(&bytes[at..range.start]);
        edited.extend_from_slice(text.as_bytes());
        at = range.end;
    }
    edited.extend_from_slice(&bytes[at..]);
    requested.verify(scan, &edited)?;
    Ok(edited)
}

/// The changes, by the node that they affect.
#[derive(Default)]
struct Requested<'a> {
    values: BTreeMap<NodeId, &'a str>,
    parts: BTreeMap<NodeId, BTreeMap<(usize, usize), &'a str>>,
    inserts: BTreeMap<NodeId, Vec<(&'static str, &'a str)>>,
    removals: BTreeMap<NodeId, NodeId>,
}

impl<'a> Requested<'a> {
    fn gather(scan: &Scan<'_>, changes: &'a [Change]) -> Result<Requested<'a>, SpliceError> {
        let mut requested = Requested::default();
        for change in changes {
            match change {
                Change::Value { node, text } => {
                    let node = scan.resolve(*node);
                    let before = requested.values.insert(node, text);
                    if let Some(one) = before.filter(|one| one != text) {
                        let (one, other) = (one.to_owned(), text.clone());
                        return Err(SpliceError::Conflict { path: scan.path(node), one, other });
                    }
                }
                Change::Part { node, at, text } => {
                    let node = scan.resolve(*node);
                    let before = requested.parts.entry(node).or_default().insert((at.start, at.end), text);
                    if let Some(one) = before.filter(|one| one != text) {
                        let (one, other) = (one.to_owned(), text.clone());
                        return Err(SpliceError::Conflict { path: scan.path(node), one, other });
                    }
                }
                Change::Insert { after, key, text } => {
                    let pairs = requested.inserts.entry(*after).or_default();
                    if !pairs.contains(&(*key, text.as_str())) {
                        pairs.push((key, text));
                    }
                }
                Change::Remove { key } => {
                    let value = value_of(scan, *key);
                    requested.removals.insert(*key, value.ok_or_else(|| not_editable(scan, *key))?);
                }
            }
        }
        requested.values.retain(|node, _| !requested.removals.values().any(|value| value == node));
        Ok(requested)
    }

    fn patches(&self, bytes: &[u8], scan: &Scan<'_>) -> Result<Vec<Patch>, SpliceError> {
        let mut patches = Vec::new();
        for (node, text) in &self.values {
            patches.push(replace(scan, *node, text)?);
        }
        for (node, parts) in &self.parts {
            for ((start, end), text) in parts {
                patches.push(replace_part(scan, *node, *start..*end, text)?);
            }
        }
        for (after, pairs) in &self.inserts {
            patches.push(insert(bytes, scan, *after, pairs)?);
        }
        for (key, value) in &self.removals {
            patches.push(remove(bytes, scan, *key, *value)?);
        }
        Ok(patches)
    }

    /// Returns the expected value of a scalar that changes; `None` for all other nodes.
    fn expected(&self, before: &Scan<'_>, id: NodeId) -> Option<Cow<'a, str>> {
        if let Some(text) = self.values.get(&id) {
            return Some(Cow::Borrowed(text));
        }
        let mut value = before.scalar(id).filter(|_| self.parts.contains_key(&id))?.to_owned();
        for ((start, end), text) in self.parts.get(&id)?.iter().rev() {
            value.get(*start..*end)?;
            value.replace_range(*start..*end, text);
        }
        Some(Cow::Owned(value))
    }

    /// Parses the result and walks both versions side by side.
    fn verify(&self, before: &Scan<'_>, edited: &[u8]) -> Result<(), SpliceError> {
        let after = Scan::read(edited).map_err(SpliceError::Unreadable)?;
        let fail = |id: NodeId| Err(SpliceError::Unverified { path: before.path(id) });
        let mut fresh = after.ids();
        // The new node for each old one, unless it was removed.
        let mut twins: Vec<Option<NodeId>> = Vec::new();
        let mut gone: u32 = 0;
        let mut inserted: BTreeMap<u32, &Vec<(&'static str, &str)>> = BTreeMap::new();
        for (index, id) in before.ids().enumerate() {
            if let Some(pairs) = inserted.remove(&(index as u32)) {
                expect_pairs(pairs, &after, &mut fresh).map_or_else(|| fail(id), Ok)?;
            }
            if let Some(value) = self.removals.get(&id) {
                gone = before.size(id) + before.size(*value);
            }
            if let (Some(pairs), Some(value)) = (self.inserts.get(&id), value_of(before, id)) {
                inserted.insert(index as u32 + before.size(id) + before.size(value), pairs);
            }
            if gone > 0 {
                gone -= 1;
                twins.push(None);
                continue;
            }
            let Some(twin) = fresh.next() else { return fail(id) };
            let same = match self.expected(before, id) {
                Some(text) => after.scalar(twin) == Some(&text) && before.same_properties(id, &after, twin),
                None => before.same_but_for_place(id, &after, twin),
            };
            if !same {
                return fail(id);
            }
            twins.push(Some(twin));
        }
        let at_end = inserted.values().all(|pairs| expect_pairs(pairs, &after, &mut fresh).is_some());
        if !at_end || fresh.next().is_some() {
            return Err(SpliceError::Unverified { path: "end of the file".to_owned() });
        }
        self.verify_structure(before, &after, &twins)
    }

    /// Verifies that each collection has the expected number of children, and that aliases refer to the same nodes.
    fn verify_structure(
        &self,
        before: &Scan<'_>,
        after: &Scan<'_>,
        twins: &[Option<NodeId>],
    ) -> Result<(), SpliceError> {
        for (id, twin) in before.ids().zip(twins) {
            let Some(twin) = twin else { continue };
            let kept = |child: &NodeId| {
                let removed = self.removals.contains_key(child) || self.removals.values().any(|value| value == child);
                !removed
            };
            let added: usize =
                before.children(id).filter_map(|child| self.inserts.get(&child)).map(|p| p.len() * 2).sum();
            let same_children = before.children(id).filter(kept).count() + added == after.children(*twin).count();
            let same_target = match (before.kind(id), after.kind(*twin)) {
                (Kind::Alias(Some(a)), Kind::Alias(Some(b))) => twins.get(a.index()).copied().flatten() == Some(*b),
                _ => true,
            };
            if !same_children || !same_target {
                return Err(SpliceError::Unverified { path: before.path(id) });
            }
        }
        Ok(())
    }
}

/// Consumes the nodes of inserted pairs; `None` if they are not the expected ones.
fn expect_pairs(
    pairs: &[(&'static str, &str)],
    after: &Scan<'_>,
    fresh: &mut impl Iterator<Item = NodeId>,
) -> Option<()> {
    for (key, text) in pairs {
        (after.scalar(fresh.next()?)? == *key).then_some(())?;
        (after.scalar(fresh.next()?)? == *text).then_some(())?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(scan: &Scan<'_>, path: &str, nth: usize) -> NodeId {
        let found: Vec<NodeId> = scan.ids().filter(|id| scan.path(*id) == path).collect();
        // A key and its value share a path; a mapping's own document has the empty one.
        found[nth]
    }

    fn set(text: &str, path: &str, value: &str) -> Result<String, SpliceError> {
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let change = Change::Value { node: node(&scan, path, 1), text: value.to_owned() };
        apply(text.as_bytes(), &scan, &[change]).map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    fn add(text: &str, path: &str, value: &str) -> String {
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let change = Change::Insert { after: node(&scan, path, 0), key: "newTag", text: value.to_owned() };
        String::from_utf8(apply(text.as_bytes(), &scan, &[change]).expect("editable")).expect("text")
    }

    fn drop(text: &str, path: &str) -> Result<String, SpliceError> {
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let change = Change::Remove { key: node(&scan, path, 0) };
        apply(text.as_bytes(), &scan, &[change]).map(|bytes| String::from_utf8(bytes).expect("text"))
    }

    #[test]
    fn only_the_value_changes() {
        assert_eq!(set("a:  x   # c\r\nb: y", "a", "z").as_deref(), Ok("a:  z   # c\r\nb: y"));
        assert_eq!(set("a: 'x'\n", "a", "1.10").as_deref(), Ok("a: '1.10'\n"));
        assert_eq!(set("a: x\n", "a", "1.10").as_deref(), Ok("a: \"1.10\"\n"));
        assert_eq!(set("a: x\nb: 'y'\n", "a", "1e5").as_deref(), Ok("a: '1e5'\nb: 'y'\n"));
        assert_eq!(set("a: \"\"\n", "a", "v1").as_deref(), Ok("a: \"v1\"\n"));
        assert_eq!(set("a:\nb: c\n", "a", "v1").as_deref(), Ok("a: v1\nb: c\n"));
        assert_eq!(set("a: # none yet\n", "a", "v1").as_deref(), Ok("a: v1 # none yet\n"));
        assert_eq!(set("a: |-\n  x:1\nb: c\n", "a", "x:2").as_deref(), Ok("a: |-\n  x:2\nb: c\n"));
        assert_eq!(set("{a: x, b: y}", "a", "v1").as_deref(), Ok("{a: v1, b: y}"));
        assert_eq!(set("a: !!str 1.10\n", "a", "1.20").as_deref(), Ok("a: !!str 1.20\n"));
        assert_eq!(set("a: &v x\nb: *v\n", "b", "z").as_deref(), Ok("a: &v z\nb: *v\n"));
    }

    #[test]
    fn parts_of_values_change_in_place() {
        let change = |text: &str, parts: &[(&str, usize)]| {
            let scan = Scan::read(text.as_bytes()).expect("valid YAML");
            let value = node(&scan, "a", 1);
            let held = scan.scalar(value).expect("a scalar").to_owned();
            let at = |(old, nth): &(&str, usize)| held.match_indices(old).nth(*nth).expect("there").0;
            let part = |p: &(&str, usize)| Change::Part { node: value, at: at(p)..at(p) + p.0.len(), text: "N".into() };
            let parts: Vec<Change> = parts.iter().map(part).collect();
            apply(text.as_bytes(), &scan, &parts).map(|bytes| String::from_utf8(bytes).expect("text"))
        };
        assert_eq!(change("a: --x=o # o\n", &[("o", 0)]).as_deref(), Ok("a: --x=N # o\n"));
        assert_eq!(change("a: 'o o o'\n", &[("o", 2), ("o", 0)]).as_deref(), Ok("a: 'N o N'\n"));
        assert_eq!(change("a: |\n   é o\n     o\nb: o\n", &[("o", 1)]).as_deref(), Ok("a: |\n   é o\n     N\nb: o\n"));
        assert_eq!(change("a: >-\n  o\n  o\n", &[("o", 1)]).as_deref(), Ok("a: >-\n  o\n  N\n"));
        assert!(change("a: \"\\x6f o\"\n", &[("o", 1)]).is_err());
    }

    #[test]
    fn a_value_that_cannot_be_written_is_refused() {
        assert!(matches!(set("a: x\n", "a", "it's"), Err(SpliceError::Unwritable { .. })));
        assert!(matches!(set("a: x\n", "a", ""), Err(SpliceError::Unwritable { .. })));
        assert!(matches!(set("a: \"x\\ty\"\n", "a", "v"), Err(SpliceError::NotEditable { .. })));
        assert!(matches!(set("a: x\n  y\n", "a", "v"), Err(SpliceError::NotEditable { .. })));
    }

    #[test]
    fn a_pair_is_added_in_the_manner_of_its_neighbours() {
        assert_eq!(add("i:\n- name: a\n- name: b\n", "i[0].name", "v1"), "i:\n- name: a\n  newTag: v1\n- name: b\n");
        assert_eq!(
            add("i:\r\n  - name: 'a' # x\r\n    z: 1\r\n", "i[0].name", "1.10"),
            "i:\r\n  - name: 'a' # x\r\n    newTag: '1.10'\r\n    z: 1\r\n"
        );
        assert_eq!(add("- name: a", "[0].name", "1e5"), "- name: a\n  newTag: \"1e5\"");
        assert_eq!(add("[{name: a}]\n", "[0].name", "v1"), "[{name: a, newTag: v1}]\n");
        assert_eq!(add("[{\"name\": \"a\"}]\n", "[0].name", "v1"), "[{\"name\": \"a\", \"newTag\": \"v1\"}]\n");
        assert_eq!(add("{\n  \"name\": \"a\"\n}\n", "name", "v1"), "{\n  \"name\": \"a\",\n  \"newTag\": \"v1\"\n}\n");
    }

    #[test]
    fn a_pair_is_taken_away_with_its_line() {
        assert_eq!(drop("- n: a\n  d: x # c\n  t: b\n", "[0].d").as_deref(), Ok("- n: a\n  t: b\n"));
        assert_eq!(drop("- d: x\n  n: a\n", "[0].d").as_deref(), Ok("- n: a\n"));
        assert_eq!(drop("- n: a\r\n  d: x", "[0].d").as_deref(), Ok("- n: a"));
        assert_eq!(drop("[{d: x, n: a}]", "[0].d").as_deref(), Ok("[{n: a}]"));
        assert_eq!(drop("[{n: a, d: x}]", "[0].d").as_deref(), Ok("[{n: a}]"));
        assert!(matches!(drop("- d: x\n", "[0].d"), Err(SpliceError::NotEditable { .. })));
    }

    #[test]
    fn pairs_with_tags_or_anchors_on_them_are_left() {
        let insert = |text: &str| {
            let scan = Scan::read(text.as_bytes()).expect("valid YAML");
            let change = Change::Insert { after: node(&scan, "[0].name", 0), key: "newTag", text: "v1".to_owned() };
            apply(text.as_bytes(), &scan, &[change])
        };
        assert!(insert("-   name: a\n").is_ok());
        for text in ["- ! name: a\n", "- &k name: a\n", "- ? name\n  : a\n"] {
            assert!(matches!(insert(text), Err(SpliceError::NotEditable { .. })), "{text}");
        }
        for text in ["- n: a\n  d: &v x\n  t: *v\n", "- n: a\n  ! d: x\n", "- n: a\n  &d d: x\n"] {
            assert!(matches!(drop(text, "[0].d"), Err(SpliceError::NotEditable { .. })), "{text}");
        }
    }

    #[test]
    fn conflicting_changes_are_refused() {
        let text = "a: &v x\nb: *v\n";
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let change = |path: &str, text: &str| Change::Value { node: node(&scan, path, 1), text: text.to_owned() };
        assert!(apply(text.as_bytes(), &scan, &[change("a", "1.0.0"), change("b", "1.0.0")]).is_ok());
        let error = apply(text.as_bytes(), &scan, &[change("a", "one"), change("b", "two")]).expect_err("conflict");
        assert_eq!(error.to_string(), "a: conflicting changes, `one` and `two`");
    }
}
