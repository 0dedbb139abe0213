//! Secrets and lists of them.

use std::collections::HashSet;

use crate::yaml::node::NodeId;

use super::finding::Findings;
use super::view::View;

/// The fields of a Secret that hold its values.
pub const VALUES: [&str; 2] = ["data", "stringData"];

/// The kind whose values are secret.
pub const SECRET: &str = "Secret";

/// Returns whether an object is a Secret. If a key occurs twice, each of its values counts. Flux can substitute the kind
/// as well.
pub fn is_secret(view: View<'_, '_>, object: NodeId) -> bool {
    let has = |key: &str, wanted: &str| {
        let texts = view.values(object, key).into_iter().filter_map(|id| view.text(id));
        texts.into_iter().any(|text| text.trim() == wanted || text.contains("${") && text.contains(wanted))
    };
    has("kind", SECRET) && has("apiVersion", "v1")
}

/// Returns whether a node has a text, apart from blanks.
pub fn is_text(view: View<'_, '_>, id: NodeId, wanted: &str) -> bool {
    view.text(id).is_some_and(|text| text.trim() == wanted)
}

/// Finds the plaintext values of Secrets in a document, also within lists of any kind.
pub fn find(view: View<'_, '_>, root: NodeId, what: &str, findings: &mut Findings) {
    let mut places = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(root, String::new())];
    while let Some((object, prefix)) = open.pop() {
        if !seen.insert(object) {
            continue;
        }
        if is_secret(view, object) {
            for key in VALUES {
                let values = view.values(object, key).into_iter();
                places.extend(values.flat_map(|values| view.exposed_in(values, &format!("{prefix}{key}"))));
            }
        }
        let kinds = view.values(object, "kind").into_iter().filter_map(|id| view.text(id));
        if kinds.into_iter().any(|kind| kind.trim().ends_with("List")) {
            let items = view.list(object, "items").into_iter().enumerate();
            open.extend(items.map(|(index, item)| (item, format!("{prefix}items[{index}]."))));
        }
    }
    findings.plaintext(what, &places);
}

#[cfg(test)]
mod tests {
    use super::super::read::by_name;

    fn found(text: &str) -> Vec<String> {
        let reading = by_name("a.yaml", text.as_bytes());
        assert_eq!(reading.unread, None);
        reading.findings.list.into_iter().map(|finding| format!("{} {}", finding.document, finding.reason)).collect()
    }

    #[test]
    fn plaintext_values_are_found_everywhere() {
        let secret = "apiVersion: v1\nkind: Secret\nstringData:\n  a: x\n  b: ''\n  c: ${C}\n  d: 5\ndata:\n  e:\n";
        assert_eq!(found(secret), ["0 plaintext in a Secret: stringData.a and 1 more"]);
        assert_eq!(found(&format!("a: 1\n---\n{secret}")), ["1 plaintext in a Secret: stringData.a and 1 more"]);
        let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, data: {a: b}}\n\
                    - {apiVersion: v1, kind: Secret, data: {a: b}}\n";
        assert_eq!(found(list), ["0 plaintext in a Secret: items[1].data.a"]);
        let substituted = "apiVersion: v1\nkind: ${K:=Secret}\nstringData: {a: b}\n";
        assert_eq!(found(substituted), ["0 plaintext in a Secret: stringData.a"]);
    }

    #[test]
    fn other_objects_are_left_alone() {
        for text in [
            "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: Secret\n",
            "apiVersion: x/v1\nkind: Secret\ndata:\n  a: x\n",
            "kind: Secret\ndata:\n  a: x\n",
            "apiVersion: v1\nkind: Secret\ndata:\n  a: ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]\n",
            "apiVersion: v1\nkind: Secret\ndata:\n  {{ toYaml .Values }}\n",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn aliases_that_contain_themselves_end() {
        let text = "apiVersion: v1\nkind: Secret\ndata: &a\n  <<: *a\n  b: *a\n  c: [*a]\nitems: &i [*i]\n";
        assert_eq!(found(text), Vec::<String>::new());
    }
}
