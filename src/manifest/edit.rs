//! Sets fields to new versions, leaving all other bytes as they are.
//!
//! ```
//! use tagalong::image::Version;
//! use tagalong::manifest::edit::{FollowRefs, Move, edit};
//! use tagalong::manifest::field_rules::FieldRules;
//! use tagalong::manifest::find;
//!
//! let bytes = b"containers:\n- image: ghcr.io/acme/shop:v1 # ask before you change it\n";
//! let rules = FieldRules::default();
//! let facts = find::read("shop.yaml", bytes, &rules)?;
//! assert_eq!(facts.fields[0].path, "containers[0].image");
//!
//! let moves = [Move { field: &facts.fields[0], to: &Version::parse_tag("v2")? }];
//! let edited = edit("shop.yaml", bytes, &moves, FollowRefs::Yes, &rules)?;
//! assert_eq!(edited, b"containers:\n- image: ghcr.io/acme/shop:v2 # ask before you change it\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use crate::image::chart::version_of;
use crate::image::{Reference, Version};
use crate::yaml::node::{NodeId, ScanError};
use crate::yaml::scan::Scan;
use crate::yaml::splice::{self, Change};
use crate::yaml::splice_error::SpliceError;

use super::facts::FileFacts;
use super::field::{Field, Slots};
use super::field_rules::FieldRules;
use super::find;
use super::template;

/// A field and the version to set it to.
#[derive(Debug, Clone)]
pub struct Move<'f> {
    /// The field, as found in the same bytes.
    pub field: &'f Field,
    /// The version to set it to.
    pub to: &'f Version,
}

/// The reason why a file was not edited. Nothing in it was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages explain the fields")]
pub enum EditError {
    /// The file could not be read.
    #[error("not valid YAML")]
    Unreadable(#[source] ScanError),
    /// A SOPS file whose message authentication code an edit would break.
    #[error("encrypted by SOPS: editing a plaintext value would break its message authentication code")]
    Encrypted,
    /// A SOPS file whose message authentication code cannot be updated after an edit.
    #[error("encrypted by SOPS, and its message authentication code cannot be updated: {0}")]
    UpdateMac(String),
    /// A field that holds a tag was to be set to a digest alone.
    #[error("{path}: this value is a tag and cannot hold a digest alone; give the tag too")]
    NeedsTag { path: String },
    /// A field that holds a digest was to be set to a version without one, and its scalar cannot be removed.
    #[error("{path}: this value is a digest; give the digest too")]
    NeedsDigest { path: String },
    /// The version of a chart was to be set to a digest.
    #[error("{path}: this value is the version of a chart and cannot hold a digest; give the version alone")]
    NoDigest { path: String },
    /// The field no longer exists in these bytes.
    #[error("{path}: this field no longer exists")]
    Moved { path: String },
    /// The change could not be made, or its result could not be verified.
    #[error("the edit was refused")]
    Refused(#[source] SpliceError),
}

/// The handling of remote bases (`…?ref=SHA`) when the tag of their kustomization changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowRefs {
    /// A ref that equals the replaced tag is replaced as well.
    Yes,
    /// Refs are left alone.
    No,
}

/// Sets fields of one file. `bytes` are those in which the fields were found; fields that already hold their version
/// are left alone.
pub fn edit(
    path: &str,
    bytes: &[u8],
    moves: &[Move<'_>],
    follow: FollowRefs,
    field_rules: &FieldRules,
) -> Result<Vec<u8>, EditError> {
    let scan = match Scan::read(bytes) {
        Ok(scan) => scan,
        Err(error) => return template_edited(bytes, moves).unwrap_or(Err(EditError::Unreadable(error))),
    };
    let facts = find::read_scan(path, &scan, field_rules);
    if facts.encrypted {
        return Err(EditError::Encrypted);
    }
    edited(bytes, &scan, &facts, moves, follow)
}

/// Like [`edit`], for a SOPS file. The message authentication code of the result is outdated and must be updated.
pub fn edit_encrypted(
    path: &str,
    bytes: &[u8],
    moves: &[Move<'_>],
    follow: FollowRefs,
    field_rules: &FieldRules,
) -> Result<Vec<u8>, EditError> {
    let scan = Scan::read(bytes).map_err(EditError::Unreadable)?;
    let facts = find::read_scan(path, &scan, field_rules);
    edited(bytes, &scan, &facts, moves, follow)
}

fn edited(
    bytes: &[u8],
    scan: &Scan<'_>,
    facts: &FileFacts,
    moves: &[Move<'_>],
    follow: FollowRefs,
) -> Result<Vec<u8>, EditError> {
    let mut changes = Vec::new();
    let mut refs: BTreeMap<NodeId, Vec<(&str, &str)>> = BTreeMap::new();
    let mut nested: Nested<'_> = BTreeMap::new();
    for Move { field, to } in moves {
        if !facts.has(field) {
            return Err(EditError::Moved { path: field.path.clone() });
        }
        if field.holds(to) {
            continue;
        }
        if let Slots::Nested { scalar, inner } = &field.slots {
            nested.entry(*scalar).or_default().push((field, inner, to));
            continue;
        }
        change(scan, field, &field.slots, to, &mut changes)?;
        let (Slots::Entry { refs: remote, .. }, Some(old), Some(new)) = (&field.slots, &field.version.tag, &to.tag)
        else {
            continue;
        };
        for (node, pinned) in remote.iter().filter(|(_, pinned)| pinned == old.as_str() && old != new) {
            refs.entry(*node).or_default().push((pinned, new.as_str()));
        }
    }
    for (scalar, moves) in nested {
        changes.extend(within_text(scan, scalar, &moves)?);
    }
    if follow == FollowRefs::Yes {
        changes.extend(refs.iter().filter_map(|(node, asked)| follow_ref(scan, *node, asked)));
    }
    splice::apply(bytes, scan, &changes).map_err(EditError::Refused)
}

/// The moves within YAML that is the text of a scalar, by scalar.
type Nested<'m> = BTreeMap<NodeId, Vec<(&'m Field, &'m Slots, &'m Version)>>;

/// Adds the changes that set a field to a version.
fn change(
    scan: &Scan<'_>,
    field: &Field,
    slots: &Slots,
    to: &Version,
    changes: &mut Vec<Change>,
) -> Result<(), EditError> {
    match slots {
        Slots::Whole { scalar } => changes.push(whole(scan, *scalar, to)),
        Slots::Within { scalar, part } => changes.push(within(scan, *scalar, part, to)),
        Slots::Apart { tag, digest } => apart(field, *tag, *digest, to, changes)?,
        Slots::Siblings { tag, digest } => siblings(scan, field, *tag, *digest, to, changes)?,
        Slots::Chart { version } => match (&to.tag, &to.digest) {
            (Some(tag), None) => changes.push(value(*version, version_of(tag))),
            _ => return Err(EditError::NoDigest { path: field.path.clone() }),
        },
        Slots::Entry { tag_key, anchor_key, tag, digest, .. } => {
            entry(scan, *anchor_key, (tag_key, *tag), *digest, to, changes);
        }
        Slots::Line { .. } | Slots::Nested { .. } => return Err(EditError::Moved { path: field.path.clone() }),
    }
    Ok(())
}

/// Edits YAML that is the text of a scalar: each line that comes out differently is a change to that part of the text.
fn within_text(
    scan: &Scan<'_>,
    scalar: NodeId,
    moves: &[(&Field, &Slots, &Version)],
) -> Result<Vec<Change>, EditError> {
    let before = scan.scalar(scalar).unwrap_or_default();
    let inner = Scan::read(before.as_bytes()).map_err(EditError::Unreadable)?;
    let mut changes = Vec::new();
    for (field, slots, to) in moves {
        change(&inner, field, slots, to, &mut changes)?;
    }
    let after = splice::apply(before.as_bytes(), &inner, &changes).map_err(EditError::Refused)?;
    let refused = || EditError::Refused(SpliceError::NotEditable { path: scan.path(scalar) });
    let after = String::from_utf8(after).map_err(|_| refused())?;
    if before.lines().count() != after.lines().count() {
        return Err(refused());
    }
    let mut start = 0;
    let mut parts = Vec::new();
    for (old, new) in before.split_inclusive('\n').zip(after.split_inclusive('\n')) {
        if old != new {
            let (at, text) = difference(old, new);
            parts.push(Change::Part { node: scalar, at: start + at.start..start + at.end, text: text.to_owned() });
        }
        start += old.len();
    }
    Ok(parts)
}

/// Returns the words of a line that differ, and what they become.
fn difference<'n>(old: &str, new: &'n str) -> (Range<usize>, &'n str) {
    let same = |(a, b): &(char, char)| a == b;
    let start: usize = old.chars().zip(new.chars()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
    let start = old[..start].rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let rest = (&old[start..], &new[start..]);
    let end: usize = rest.0.chars().rev().zip(rest.1.chars().rev()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
    let tail = &old[old.len() - end..];
    let end = tail.find(char::is_whitespace).map_or(0, |at| tail.len() - at);
    (start..old.len() - end, &new[start..new.len() - end])
}

/// Edits a template; `None` if the file is not one.
fn template_edited(bytes: &[u8], moves: &[Move<'_>]) -> Option<Result<Vec<u8>, EditError>> {
    let fields = template::fields(bytes);
    if fields.is_empty() {
        return None;
    }
    let mut changes = Vec::new();
    for Move { field, to } in moves {
        match &field.slots {
            Slots::Line { part } if fields.contains(field) => {
                let old = std::str::from_utf8(&bytes[part.clone()]).unwrap_or_default();
                changes.push((part.clone(), renewed(old, to)));
            }
            _ => return Some(Err(EditError::Moved { path: field.path.clone() })),
        }
    }
    let refused = || EditError::Refused(SpliceError::Unverified { path: "a template".to_owned() });
    Some(template::replace(bytes, changes).ok_or_else(refused))
}

fn value(node: NodeId, text: impl ToString) -> Change {
    Change::Value { node, text: text.to_string() }
}

fn whole(scan: &Scan<'_>, scalar: NodeId, to: &Version) -> Change {
    value(scalar, renewed(scan.scalar(scalar).unwrap_or_default(), to))
}

fn within(scan: &Scan<'_>, scalar: NodeId, part: &Range<usize>, to: &Version) -> Change {
    let old = scan.scalar(scalar).and_then(|value| value.get(part.clone())).unwrap_or_default();
    Change::Part { node: scalar, at: part.clone(), text: renewed(old, to) }
}

/// Returns a reference with its name as written and another version.
fn renewed(reference: &str, to: &Version) -> String {
    let colon = if to.tag.is_some() { ":" } else { "" };
    format!("{}{colon}{to}", Reference::written_name(reference))
}

/// Edits scalars that markers or rules select. They are never removed: the marker would go with them.
fn apart(
    field: &Field,
    tag: Option<NodeId>,
    digest: Option<NodeId>,
    to: &Version,
    changes: &mut Vec<Change>,
) -> Result<(), EditError> {
    match (digest, &to.digest) {
        (Some(node), Some(digest)) => changes.push(value(node, digest)),
        (Some(_), None) if field.version.digest.is_some() => {
            return Err(EditError::NeedsDigest { path: field.path.clone() });
        }
        _ => {}
    }
    match (tag, &to.tag) {
        (Some(node), Some(tag)) if digest.is_some() => changes.push(value(node, tag)),
        (Some(node), Some(_)) => changes.push(value(node, to)),
        (Some(_), None) => return Err(EditError::NeedsTag { path: field.path.clone() }),
        (None, _) => {}
    }
    Ok(())
}

type Pair = (NodeId, NodeId);

fn siblings(
    scan: &Scan<'_>,
    field: &Field,
    tag: NodeId,
    digest: Option<Pair>,
    to: &Version,
    changes: &mut Vec<Change>,
) -> Result<(), EditError> {
    let Some(new_tag) = &to.tag else { return Err(EditError::NeedsTag { path: field.path.clone() }) };
    match (digest, &to.digest) {
        (Some((_, node)), Some(digest)) => changes.extend([value(tag, new_tag), value(node, digest)]),
        (Some((key, node)), None) => {
            changes.push(value(tag, new_tag));
            if scan.scalar(node) != Some("") {
                changes.push(Change::Remove { key });
            }
        }
        (None, _) => changes.push(value(tag, to)),
    }
    Ok(())
}

/// Edits an entry of a kustomization: existing keys take the new values, a missing one is added after its neighbour,
/// and one without a value is removed. A lone `digest` that becomes a tag (or the other way round) keeps its line.
fn entry(
    scan: &Scan<'_>,
    anchor_key: NodeId,
    (tag_key, tag): (&'static str, Option<Pair>),
    digest: Option<Pair>,
    to: &Version,
    changes: &mut Vec<Change>,
) {
    let insert = |after: NodeId, key: &'static str, text: String| Change::Insert { after, key, text };
    match (&to.tag, &to.digest) {
        (Some(new_tag), Some(new_digest)) => {
            match tag {
                Some((_, node)) => changes.push(value(node, new_tag)),
                None => changes.push(insert(anchor_key, tag_key, new_tag.to_string())),
            }
            match digest {
                Some((_, node)) => changes.push(value(node, new_digest)),
                None => {
                    let after = tag.map_or(anchor_key, |(key, _)| key);
                    changes.push(insert(after, "digest", new_digest.to_string()));
                }
            }
        }
        (Some(new), None) => only(scan, anchor_key, (tag_key, tag), digest, new.to_string(), changes),
        (None, Some(new)) => only(scan, anchor_key, ("digest", digest), tag, new.to_string(), changes),
        (None, None) => {}
    }
}

/// Leaves `key` as the only key of tag and digest.
fn only(
    scan: &Scan<'_>,
    anchor_key: NodeId,
    (key, wanted): (&'static str, Option<Pair>),
    other: Option<Pair>,
    text: String,
    changes: &mut Vec<Change>,
) {
    match (wanted, other) {
        (Some((_, node)), other) => {
            changes.push(value(node, text));
            if let Some((key, node)) = other
                && scan.scalar(node) != Some("")
            {
                changes.push(Change::Remove { key });
            }
        }
        (None, Some((other_key, node))) => changes.extend([value(other_key, key), value(node, text)]),
        (None, None) => changes.push(Change::Insert { after: anchor_key, key, text }),
    }
}

/// Sets the ref of a remote base; `None` if two images with the same old SHA get different tags, as it is unclear then
/// which of them the manifests belong to.
fn follow_ref(scan: &Scan<'_>, node: NodeId, asked: &[(&str, &str)]) -> Option<Change> {
    let (old, new) = asked.first()?;
    if asked.iter().any(|(_, other)| other != new) {
        return None;
    }
    let url = scan.scalar(node)?;
    let (base, query) = url.split_once('?')?;
    let pinned = format!("ref={old}");
    let moved: Vec<String> =
        query.split('&').map(|pair| if pair == pinned { format!("ref={new}") } else { pair.to_owned() }).collect();
    Some(value(node, format!("{base}?{}", moved.join("&"))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moved(bytes: &[u8], to: &str) -> Result<Vec<u8>, EditError> {
        let field_rules = FieldRules { embedded: true, ..FieldRules::default() };
        let facts = find::read("kustomization.yaml", bytes, &field_rules).map_err(EditError::Unreadable)?;
        let to = Version::parse_tag(to).expect("a version");
        let moves: Vec<Move<'_>> = facts.fields.iter().map(|field| Move { field, to: &to }).collect();
        edit("kustomization.yaml", bytes, &moves, FollowRefs::Yes, &field_rules)
    }

    /// One or more lines in shapes that people write, with `@` in place of the tag.
    fn shape() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "image: acme/app:@",
            "image: 'acme/app:@'   # note: it's \"quoted\"",
            "image: \"ghcr.io/acme/app:@\"\t# tail",
            "- {name: é, image: acme/app:@, args: [a, \"b # c\"]}",
            "values:\n  image:\n    registry: ghcr.io\n    repository: acme/app\n    tag: \"@\"",
            "values: {repository: acme/app, tag: '@'}",
            "images:\n- name: app\n  newName: ghcr.io/acme/app\n  newTag: '@'\n",
            "text: |\n  größer als\n   image: acme/app:no\nenv: [{name: X, value: acme/app:@}]",
            "a: &x acme/app:@\nb: *x",
            "d: &d {repository: acme/app, tag: '@'}\ne:\n  <<: *d\n  n: 1",
            "version: @ # tagalong: image=acme/app, field=tag",
            "args:\n- --image=acme/app:@ # why\nconfig: |\n  é: acme/app:@, # x\n   y: 1",
            "name: ghcr.io/acme/app # {\"$imagepolicy\": \"ns:app:name\"}\nv: '@' # {\"$imagepolicy\": \"ns:app:tag\"}",
        ])
    }

    /// A text around shapes: other keys, comments, blank lines, documents, with one kind of line ending.
    fn text() -> impl Strategy<Value = String> {
        let filler =
            prop::sample::select(vec!["", "# a comment: with image: x", "k: v", "list:\n- 1\n- two", "é: \"ü\""]);
        let document = (shape(), filler.clone(), filler, any::<bool>());
        let documents = prop::collection::vec(document, 1..4);
        let end = prop::sample::select(vec!["\n", "\r\n"]);
        (documents, end, any::<bool>(), any::<bool>()).prop_map(|(documents, end, bom, finished)| {
            let parts: Vec<String> = documents
                .iter()
                .map(|(shape, before, after, in_list)| {
                    // A list cannot be next to keys.
                    let alone = shape.starts_with("- ") || *in_list && before.is_empty() && after.is_empty();
                    if alone { (*shape).to_owned() } else { format!("{before}\n{shape}\nlast: 1\n") }
                })
                .collect();
            let text = parts.join("\n---\n").replace("\r", "").replace('\n', end);
            let text = if finished { format!("{}{end}", text.trim_end()) } else { text.trim_end().to_owned() };
            if bom { format!("\u{feff}{text}") } else { text }
        })
    }

    proptest! {
        #[test]
        fn there_and_back_gives_the_same_bytes(
            template in text(),
            one in "[a-f][0-9a-f]{6,12}",
            two in "v[0-9]{1,3}\\.[0-9]{1,3}(-rc\\.[0-9])?",
        ) {
            let with = |tag: &str| template.replace('@', tag).into_bytes();
            let there = moved(&with(&one), &two).expect("an edit");
            prop_assert_eq!(String::from_utf8(there.clone()), String::from_utf8(with(&two)));
            prop_assert_eq!(moved(&there, &one).expect("an edit"), with(&one));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = moved(&bytes, "v1");
        }

        #[test]
        fn no_yaml_like_text_makes_it_panic(text in "([a-z:&*!'\"|>#{}\\[\\],\\- \n\té?%@`]|image: a/b:c|tag: x|\n  )*") {
            let _ = moved(text.as_bytes(), "v1");
        }
    }
}
