//! Finds Kubernetes Secrets in plaintext.

use super::cipher;
use super::plaintext::Type;
use super::tree::{Item, Leaf, Node};

/// Returns the paths to plaintext values in the Secrets of a document: those below `data` and `stringData` of an object
/// of kind `Secret`, also within a `List`. Empty values, and those that Flux substitutes (`${NAME}`), do not count.
pub fn secret_values(document: &[Item]) -> Vec<String> {
    let mut found = Vec::new();
    object(document, "", &mut found);
    found
}

/// Returns whether a document is a Kubernetes object.
pub fn is_kubernetes(document: &[Item]) -> bool {
    text(document, "apiVersion").is_some() && text(document, "kind").is_some()
}

fn object(items: &[Item], place: &str, found: &mut Vec<String>) {
    match (text(items, "apiVersion"), text(items, "kind")) {
        (Some(b"v1"), Some(b"Secret")) => {
            for key in ["data", "stringData"] {
                if let Some(Node::Map(values)) = value(items, key) {
                    plaintext_in(values, &format!("{place}{key}"), found);
                }
            }
        }
        (Some(b"v1"), Some(b"List" | b"SecretList")) => {
            let Some(Node::List(list)) = value(items, "items") else { return };
            let objects = list.iter().filter_map(|item| match item {
                Item::Element(Node::Map(items)) => Some(items),
                _ => None,
            });
            for (index, items) in objects.enumerate() {
                object(items, &format!("{place}items[{index}]."), found);
            }
        }
        _ => {}
    }
}

fn plaintext_in(values: &[Item], place: &str, found: &mut Vec<String>) {
    for item in values {
        let Item::Pair(key, Node::Leaf(leaf)) = item else { continue };
        if !is_covered(leaf) {
            found.push(format!("{place}.{key}"));
        }
    }
}

fn is_covered(leaf: &Leaf) -> bool {
    let bytes = leaf.plain.expose();
    let substituted = bytes.starts_with(b"${") && bytes.ends_with(b"}");
    bytes.is_empty() || substituted || (leaf.plain.kind == Type::Str && bytes.starts_with(cipher::PREFIX.as_bytes()))
}

/// Returns the value of a key. If the key occurs twice, the last one counts, as for kubectl.
fn value<'i>(items: &'i [Item], key: &str) -> Option<&'i Node> {
    items.iter().rev().find_map(|item| match item {
        Item::Pair(name, node) if name == key => Some(node),
        _ => None,
    })
}

fn text<'i>(items: &'i [Item], key: &str) -> Option<&'i [u8]> {
    match value(items, key)? {
        Node::Leaf(leaf) => Some(leaf.plain.expose()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::format::Format;
    use crate::sops::parse::file::parse;

    fn found(text: &str) -> Vec<String> {
        let parsed = parse(text.as_bytes(), Format::Yaml).expect("YAML");
        parsed.documents.iter().flat_map(|items| secret_values(items)).collect()
    }

    #[test]
    fn plaintext_secrets_are_found_everywhere() {
        let secret = "apiVersion: v1\nkind: Secret\nstringData:\n  a: x\n  b: ''\n  c: ${C}\n  d: 5\ndata:\n  e:\n";
        assert_eq!(found(secret), ["stringData.a", "stringData.d"]);
        assert_eq!(found(&format!("a: 1\n---\n{secret}")), ["stringData.a", "stringData.d"]);
        let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, data: {a: b}}\n\
                    - {apiVersion: v1, kind: Secret, data: {a: b}}\n";
        assert_eq!(found(list), ["items[1].data.a"]);
    }

    #[test]
    fn other_objects_are_left_alone() {
        assert_eq!(found("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: x\n"), Vec::<String>::new());
        assert_eq!(found("apiVersion: x/v1\nkind: Secret\ndata:\n  a: x\n"), Vec::<String>::new());
        assert_eq!(found("apiVersion: v1\nkind: Secret\ndata:\n  a: ENC[AES256_GCM,data:x]\n"), Vec::<String>::new());
    }
}
