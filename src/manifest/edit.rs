//! Fields to new versions, byte for byte.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::image::{Reference, Version};
use crate::yaml::node::{NodeId, ScanError};
use crate::yaml::scan::Scan;
use crate::yaml::splice::{self, Change, SpliceError};

use super::field::{Field, Slots};
use super::field_rules::FieldRules;
use super::find::{self, FileFacts};

/// A field and the version that it shall hold.
#[derive(Debug, Clone)]
pub struct Move<'f> {
    /// The field, as found in the same bytes.
    pub field: &'f Field,
    /// What it shall hold.
    pub to: &'f Version,
}

/// Why a file was not edited. Nothing of it is changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The file could not be read.
    #[error("not valid YAML")]
    Unreadable(#[source] ScanError),
    /// A SOPS file: an edit would break its message authentication code.
    #[error("encrypted by SOPS: an edit in clear text would break its message authentication code")]
    Encrypted,
    /// A SOPS file that was edited, but cannot be given a new message authentication code.
    #[error("encrypted by SOPS, and its message authentication code cannot be made anew: {0}")]
    UpdateMac(String),
    /// A field that is a tag was asked to hold a digest without one.
    #[error("{path}: this value is a tag and cannot hold a digest alone; give the tag as well")]
    NeedsTag {
        /// The field.
        path: String,
    },
    /// A field that holds a digest was asked to hold none, and its scalar cannot go.
    #[error("{path}: this value is a digest; give the digest as well")]
    NeedsDigest {
        /// The field.
        path: String,
    },
    /// The field is not in these bytes.
    #[error("{path}: the field is not there any more")]
    Moved {
        /// The field.
        path: String,
    },
    /// The change could not be made or not be proved.
    #[error("the edit was refused")]
    Refused(#[source] SpliceError),
}

/// Whether remote bases (`…?ref=SHA`) follow the tag of their kustomization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowRefs {
    /// A ref that equals the tag being replaced is replaced too.
    Yes,
    /// Refs stay.
    No,
}

/// Moves fields of one file. `bytes` are those in which the fields were found; fields that hold their version already
/// change nothing.
pub fn edit(
    path: &str,
    bytes: &[u8],
    moves: &[Move<'_>],
    follow: FollowRefs,
    field_rules: &FieldRules,
) -> Result<Vec<u8>, EditError> {
    let scan = Scan::read(bytes).map_err(EditError::Unreadable)?;
    let facts = find::read_scan(path, &scan, field_rules);
    if facts.encrypted {
        return Err(EditError::Encrypted);
    }
    edited(bytes, &scan, &facts, moves, follow)
}

/// The same for a SOPS file. What comes out has a message authentication code that does not hold any more.
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
    for Move { field, to } in moves {
        if !facts.has(field) {
            return Err(EditError::Moved { path: field.path.clone() });
        }
        if field.holds(to) {
            continue;
        }
        match &field.slots {
            Slots::Whole { scalar } => changes.push(whole(scan, *scalar, to)),
            Slots::Within { scalar, part } => changes.push(within(scan, *scalar, part, to)),
            Slots::Apart { tag, digest } => apart(field, *tag, *digest, to, &mut changes)?,
            Slots::Siblings { tag, digest } => siblings(scan, field, *tag, *digest, to, &mut changes)?,
            Slots::Entry { tag_key, anchor_key, tag, digest, refs: remote } => {
                entry(scan, *anchor_key, (tag_key, *tag), *digest, to, &mut changes);
                let (Some(old), Some(new)) = (&field.version.tag, &to.tag) else { continue };
                for (node, pinned) in remote.iter().filter(|(_, pinned)| pinned == old.as_str() && old != new) {
                    refs.entry(*node).or_default().push((pinned, new.as_str()));
                }
            }
        }
    }
    if follow == FollowRefs::Yes {
        changes.extend(refs.iter().filter_map(|(node, asked)| follow_ref(scan, *node, asked)));
    }
    splice::apply(bytes, scan, &changes).map_err(EditError::Refused)
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

/// A reference with its name as it stood and another version.
fn renewed(reference: &str, to: &Version) -> String {
    let colon = if to.tag.is_some() { ":" } else { "" };
    format!("{}{colon}{to}", Reference::written_name(reference))
}

/// Scalars that markers or rules name are never taken away, for the marker would go with them.
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

/// An entry of a kustomization: keys that are there take the new values, a missing one is added behind its neighbour,
/// one that has no value any more goes. A sole `digest` that becomes a tag (or the other way round) keeps its line.
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

/// Leaves `key` as the only one of tag and digest.
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

/// The remote base with its new ref; none when two images of one old SHA part ways, for then no one can say which of
/// them the manifests belong to.
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

    /// A line or a few, with `@` where the tag stands, in shapes that people write.
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

    /// A text around shapes: other keys, comments, blank lines, documents; with one kind of line end.
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
                    // A list cannot stand beside keys.
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
