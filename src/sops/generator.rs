//! `secretGenerator` of kustomizations: the values that it contains, and the files that it refers to.

use super::tree::{Item, Node};

/// The plaintext values in the generators of a kustomization, and the files that they refer to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generated {
    /// The paths to plaintext literals, with the name of each.
    pub literals: Vec<String>,
    /// The files, as written.
    pub files: Vec<String>,
}

/// Reads the generators of a kustomization. Empty literals, and those that Flux substitutes (`${NAME}`), do not count.
pub fn generated(document: &[Item]) -> Generated {
    let mut found = Generated::default();
    for (index, generator) in maps(value(document, "secretGenerator")).enumerate() {
        for (at, literal) in texts(value(generator, "literals")).into_iter().enumerate() {
            let (name, text) = literal.split_once('=').unwrap_or((&literal, ""));
            let text = text.trim_matches(['"', '\'']);
            let substituted = text.starts_with("${") && text.ends_with('}');
            if !text.is_empty() && !substituted {
                found.literals.push(format!("secretGenerator[{index}].literals[{at}] ({name})"));
            }
        }
        found.files.extend(texts(value(generator, "envs")));
        found.files.extend(value(generator, "env").and_then(text));
        // `files` may give the key: `KEY=FILE`.
        let files = texts(value(generator, "files")).into_iter();
        found.files.extend(files.map(|file| file.split_once('=').map_or(file.clone(), |(_, file)| file.to_owned())));
    }
    found.files.retain(|file| !file.is_empty());
    found
}

fn value<'i>(items: &'i [Item], key: &str) -> Option<&'i Node> {
    items.iter().find_map(|item| match item {
        Item::Pair(name, node) if name == key => Some(node),
        _ => None,
    })
}

fn elements(node: Option<&Node>) -> impl Iterator<Item = &Node> {
    let items = match node {
        Some(Node::List(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter().filter_map(|item| match item {
        Item::Element(node) => Some(node),
        _ => None,
    })
}

fn maps(node: Option<&Node>) -> impl Iterator<Item = &[Item]> {
    elements(node).filter_map(|node| match node {
        Node::Map(items) => Some(items.as_slice()),
        _ => None,
    })
}

fn texts(node: Option<&Node>) -> Vec<String> {
    elements(node).filter_map(text).collect()
}

fn text(node: &Node) -> Option<String> {
    match node {
        Node::Leaf(leaf) => Some(String::from_utf8_lossy(leaf.plain.expose()).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sops::format::Format;
    use crate::sops::parse::file::parse;

    #[test]
    fn literals_and_files_are_found_and_values_are_not_repeated() {
        let text = "secretGenerator:\n- name: a\n  literals: [user=me, password=hunter2, 'empty=', 'later=${PASSWORD}']\n  \
                    envs: [a.env]\n- { name: b, env: b.env, files: [tls.key=keys/tls.key, plain.txt] }\nconfigMapGenerator:\n\
                    - { name: c, literals: [a=b], envs: [c.env] }\n";
        let parsed = parse(text.as_bytes(), Format::Yaml).expect("YAML");
        let found = generated(&parsed.documents[0]);
        assert_eq!(
            found.literals,
            ["secretGenerator[0].literals[0] (user)", "secretGenerator[0].literals[1] (password)"]
        );
        assert_eq!(found.files, ["a.env", "b.env", "keys/tls.key", "plain.txt"]);
    }
}
