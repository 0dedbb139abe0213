//! The fields that transformers write to. Labels, annotations, prefixes and the like can be written to any field.

use crate::yaml::node::NodeId;

use super::finding::Findings;
use super::objects::{SECRET, VALUES};
use super::view::View;

/// Reports field specifications anywhere below a node that can select values of Secrets, or the kind of an object.
pub fn read(view: View<'_, '_>, below: NodeId, place: &str, findings: &mut Findings) {
    for spec in view.descendants(below) {
        let may_be_secret = view.field_texts(spec, "kind").iter().all(|kind| kind == SECRET);
        for path in ["path", "fieldPath"].iter().flat_map(|key| view.field_texts(spec, key)) {
            let first = path.trim_start_matches('/').split(['/', '.', '[']).next().unwrap_or_default();
            if first == "kind" || first == "apiVersion" && may_be_secret {
                findings.unverified(format!("{place} can turn an object into a Secret"));
            } else if may_be_secret && VALUES.contains(&first) {
                findings.unverified(format!("{place} can write to the values of a Secret"));
            }
        }
    }
}
