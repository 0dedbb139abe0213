//! Patches of both kinds: those that are merged into objects, and lists of operations (RFC 6902).

use crate::sops::go_regex;
use crate::yaml::node::NodeId;

use super::finding::Findings;
use super::objects::{self, SECRET, VALUES, is_text};
use super::reference::{PatchTarget, Role, Wanted};
use super::text;
use super::view::View;

/// The use of a patch.
#[derive(Clone, Copy)]
pub struct Use {
    /// The objects that it is applied to.
    pub target: PatchTarget,
    /// True if it may change their kind.
    pub changes_kind: bool,
}

/// Returns the objects that a selector selects, as far as their kind tells.
pub fn target(view: View<'_, '_>, selectors: &[NodeId]) -> PatchTarget {
    let kinds: Vec<_> = selectors.iter().flat_map(|selector| view.field_texts(*selector, "kind")).collect();
    let matches = |kind: &str| {
        let pattern = go_regex::compile(&format!("^(?:{kind})$"));
        pattern.map_or(true, |pattern| pattern.is_match(SECRET))
    };
    match (selectors, kinds.as_slice()) {
        ([], _) => PatchTarget::Own,
        (_, []) => PatchTarget::Any,
        (_, kinds) if kinds.iter().any(|kind| matches(kind)) => PatchTarget::Secrets,
        _ => PatchTarget::Others,
    }
}

/// Reads an entry of `patches` or `patchesJson6902`, or a transformer with the same keys.
pub fn entry(view: View<'_, '_>, entry: NodeId, place: &str, findings: &mut Findings) {
    let options = view.fields(entry, "options");
    let allowed = options.iter().flat_map(|options| view.field_texts(*options, "allowKindChange"));
    let changes_kind = allowed.into_iter().any(|text| text != "false");
    let of = Use { target: target(view, &view.fields(entry, "target")), changes_kind };
    for patch in ["patch", "jsonOp"].iter().flat_map(|key| view.field_texts(entry, key)) {
        inline(&patch, of, place, findings);
    }
    let role = Role::Patch { target: of.target, changes_kind };
    let paths = view.field_texts(entry, "path").into_iter();
    findings.wanted.extend(paths.map(|path| Wanted { path: path.into_owned(), role }));
}

/// Reads a patch within a kustomization.
pub fn inline(patch: &str, of: Use, place: &str, findings: &mut Findings) {
    let mut found = Findings { document: findings.document, ..Findings::default() };
    let unread = text::each_document(patch, |_, view, root| read(view, root, of, place, &mut found));
    if let Some(unread) = unread
        && (of.target != PatchTarget::Others || text::looks_like_secret(patch))
    {
        found.unverified(format!("{place} cannot be read: {}", unread.reason));
    }
    findings.absorb(found);
}

/// Reads a document of a patch. `place` names the patch.
pub fn read(view: View<'_, '_>, root: NodeId, of: Use, place: &str, findings: &mut Findings) {
    let operations = view.items(root);
    if operations.is_empty() {
        merged(view, root, of, place, findings);
    }
    for (at, operation) in operations.into_iter().enumerate() {
        self::operation(view, operation, of, &format!("{place}, operation {at}"), findings);
    }
}

/// Reads a patch that is merged into objects.
fn merged(view: View<'_, '_>, root: NodeId, of: Use, place: &str, findings: &mut Findings) {
    objects::find(view, root, &format!("a patch of a Secret ({place})"), findings);
    let is_secret = view.values(root, "kind").into_iter().any(|kind| is_text(view, kind, SECRET));
    if is_secret && of.changes_kind {
        findings.unverified(format!("{place} can turn an object into a Secret"));
    }
    if !objects::is_secret(view, root) {
        for key in VALUES {
            values(view, &view.values(root, key), key, of, place, findings);
        }
    }
}

/// Reports the values that a patch writes to `data` or `stringData` of its target.
fn values(view: View<'_, '_>, ids: &[NodeId], key: &str, of: Use, place: &str, findings: &mut Findings) {
    let places: Vec<String> = ids.iter().flat_map(|values| view.exposed_in(*values, key)).collect();
    match (of.target, key) {
        _ if places.is_empty() => {}
        (PatchTarget::Secrets, _) | (PatchTarget::Any, "stringData") => {
            findings.plaintext(&format!("a patch of a Secret ({place})"), &places);
        }
        (PatchTarget::Any, _) => {
            findings.unverified(format!("{place} can write to a Secret: its target does not give a kind"));
        }
        (PatchTarget::Own | PatchTarget::Others, _) => {}
    }
}

/// Reads an operation of a patch.
fn operation(view: View<'_, '_>, operation: NodeId, of: Use, place: &str, findings: &mut Findings) {
    let text = |key: &str| view.field_texts(operation, key).into_iter().next().unwrap_or_default().into_owned();
    let (kind, path, from) = (text("op"), text("path"), text("from"));
    if matches!(kind.as_str(), "test" | "remove") {
        return;
    }
    let copies = matches!(kind.as_str(), "copy" | "move");
    let ids = view.fields(operation, "value");
    let is_value = |wanted: &str| copies || ids.iter().any(|id| is_text(view, *id, wanted));
    let may_be_secret = !matches!(of.target, PatchTarget::Others);
    match first_key(&path).as_str() {
        "" if copies => findings.unverified(format!("{place} can turn an object into a Secret")),
        "" => {
            let of = Use { changes_kind: true, ..of };
            ids.into_iter().for_each(|value| merged(view, value, of, place, findings));
        }
        "kind" if is_value(SECRET) => findings.unverified(format!("{place} can turn an object into a Secret")),
        "apiVersion" if may_be_secret && is_value("v1") => {
            findings.unverified(format!("{place} can turn an object into a Secret"));
        }
        key if VALUES.contains(&key) && may_be_secret => {
            let is_own = VALUES.contains(&first_key(&from).as_str());
            if copies && !is_own {
                findings.unverified(format!("{place} copies a value into a Secret"));
            }
            // A list of operations is not applied without a target.
            let target = if of.target == PatchTarget::Own { PatchTarget::Any } else { of.target };
            values(view, &ids, key, Use { target, ..of }, place, findings);
        }
        _ => {}
    }
}

/// Returns the first key of a JSON pointer (RFC 6901).
fn first_key(pointer: &str) -> String {
    let first = pointer.strip_prefix('/').unwrap_or(pointer).split('/').next().unwrap_or_default();
    first.replace("~1", "/").replace("~0", "~")
}
