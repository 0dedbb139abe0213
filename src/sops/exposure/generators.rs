//! Generators of Secrets: the values that they contain, and the files that they refer to.

use crate::yaml::node::NodeId;

use super::finding::Findings;
use super::reference::{Role, Wanted};
use super::substitution::is_covered;
use super::view::View;

/// Reads a generator of a Secret. `place` leads to it; empty for an object of its own.
pub fn read(view: View<'_, '_>, generator: NodeId, place: &str, findings: &mut Findings) {
    let mut literals = Vec::new();
    for (at, literal) in view.list_texts(generator, "literals").iter().enumerate() {
        let (name, text) = literal.split_once('=').unwrap_or((literal, ""));
        if !is_covered(text.trim_matches(['"', '\''])) {
            let name: String = name.chars().take(80).collect();
            literals.push(format!("{place}literals[{at}] ({name})"));
        }
    }
    findings.plaintext("a generated Secret", &literals);
    let mut files = [view.list_texts(generator, "envs"), view.field_texts(generator, "env")].concat();
    // `files` may give the key: `KEY=FILE`.
    let named = view.list_texts(generator, "files").into_iter();
    files.extend(named.map(|file| match file.split_once('=') {
        Some((_, file)) => file.to_owned().into(),
        None => file,
    }));
    let files = files.into_iter().filter(|file| !file.is_empty());
    findings.wanted.extend(files.map(|file| Wanted { path: file.into_owned(), role: Role::Source }));
}
