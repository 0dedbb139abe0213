//! Complete references, and other shapes that can be anywhere in a document.

use crate::manifest::field::Shape;
use crate::manifest::value::{bare_reference, reference};
use crate::yaml::node::{Kind, NodeId};

use super::finder::{Finder, MAX_FIELDS};

impl Finder<'_, '_> {
    /// Visits every mapping and sequence of a document once.
    pub(in crate::manifest) fn walk(&mut self, document: NodeId) {
        let scan = self.scan;
        for id in scan.descendants(document) {
            if self.fields.len() + self.pending.len() > MAX_FIELDS {
                break;
            }
            match scan.kind(id) {
                Kind::Mapping => {
                    self.siblings(id);
                    for (key, value) in scan.pairs(id) {
                        let key = scan.scalar(key).unwrap_or_default();
                        self.scalar(Some(key), value);
                    }
                }
                Kind::Sequence => scan.children(id).for_each(|item| self.scalar(None, item)),
                _ => {}
            }
        }
    }

    /// Adds a field for a scalar that is a complete reference.
    fn scalar(&mut self, key: Option<&str>, node: NodeId) {
        let Kind::Scalar { value, .. } = self.scan.kind(node) else { return };
        if self.is_claimed(node) {
            return;
        }
        let found = reference(key, value).or_else(|| key.and_then(|key| bare_reference(key, value)));
        let Some(found) = found else { return };
        self.claim([node]);
        let shape = if key == Some("image") { Shape::Workload } else { Shape::Value };
        self.whole(shape, node, found);
    }
}
