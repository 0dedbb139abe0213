//! Reads files by their role.

use crate::sops::format::Format;

use super::finding::Findings;
use super::patches::{self, Use};
use super::reference::{PatchTarget, Role};
use super::text::{self, Unread};
use super::{field_specs, kustomization, objects, plugins, replacements};

/// The names that make a file a kustomization.
pub const KUSTOMIZATION_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The result of reading a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The findings.
    pub findings: Findings,
    /// The first document that could not be read, although it may concern a Secret.
    pub unread: Option<Unread>,
    /// True if the file looks like a template.
    pub is_template: bool,
}

/// Returns whether the name of a file makes it a kustomization.
pub fn is_kustomization_name(path: &str) -> bool {
    KUSTOMIZATION_NAMES.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// Returns whether the name of a file makes it a manifest.
pub fn is_manifest_name(path: &str) -> bool {
    matches!(Format::from_path(path), Format::Yaml | Format::Json) || is_kustomization_name(path)
}

/// Reads a file by its name alone; one that is not named like a manifest is not read.
pub fn by_name(path: &str, bytes: &[u8]) -> Reading {
    if is_kustomization_name(path) {
        by_role(bytes, Role::Kustomization)
    } else if is_manifest_name(path) {
        by_role(bytes, Role::Manifest)
    } else {
        Reading::default()
    }
}

/// Reads a file that a kustomization refers to.
pub fn by_role(bytes: &[u8], role: Role) -> Reading {
    if role == Role::Source {
        return Reading::default();
    }
    let text = match text::decode(bytes) {
        Ok(text) => text,
        Err(reason) => {
            let text = String::from_utf8_lossy(bytes);
            let unread = must_be_read(&text, role).then_some(Unread { document: 0, reason });
            return Reading { unread, ..Reading::default() };
        }
    };
    if role == Role::Manifest && !text::may_matter(&text) {
        return Reading::default();
    }
    let mut findings = Findings::default();
    let unread = text::each_document(&text, |document, view, root| {
        findings.document = document;
        let found = &mut findings;
        match role {
            Role::Kustomization => kustomization::read(view, root, found),
            Role::PluginFolder => kustomization::read_plugins(view, root, found),
            Role::Manifest | Role::Plugin => {
                objects::find(view, root, "a Secret", found);
                plugins::read(view, root, found);
            }
            Role::Patch { target, changes_kind } => {
                patches::read(view, root, Use { target, changes_kind }, "the patch", found);
            }
            Role::Replacements => replacements::file(view, root, found),
            Role::Configuration => field_specs::read(view, root, "the configuration", found),
            Role::Source => {}
        }
    });
    let unread = unread.filter(|_| must_be_read(&text, role));
    Reading { findings, unread, is_template: text.contains("{{") }
}

/// Returns whether a text that cannot be read may concern a Secret.
fn must_be_read(text: &str, role: Role) -> bool {
    match role {
        Role::Source => false,
        Role::Manifest | Role::Patch { target: PatchTarget::Own | PatchTarget::Others, .. } => {
            text::looks_like_secret(text)
        }
        Role::Kustomization
        | Role::Plugin
        | Role::PluginFolder
        | Role::Patch { .. }
        | Role::Replacements
        | Role::Configuration => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROLES: [Role; 8] = [
        Role::Manifest,
        Role::Plugin,
        Role::PluginFolder,
        Role::Kustomization,
        Role::Source,
        Role::Patch { target: PatchTarget::Any, changes_kind: true },
        Role::Replacements,
        Role::Configuration,
    ];

    /// A piece of a kustomization, a patch or a manifest.
    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "kind: Secret\n",
            "apiVersion: v1\n",
            "apiVersion: builtin\n",
            "stringData: &a {<<: *a, b: x}\n",
            "data:\n",
            "<<: *a\n",
            "patches:\n",
            "- target: {kind: '('}\n  patch: |\n    - {op: add, path: /data, value: *a}\n",
            "- {op: copy, path: '', from: [x]}\n",
            "items: [*a, {items: []}]\n",
            "replacements:\n- targets: [{select: [], fieldPaths: [kind, '']}]\n",
            "secretGenerator: [{literals: [a, =, 'b=\t'], files: ['=']}]\n",
            "transformers: ['{', \"kind: \\x53ecret\\n\"]\n",
            "---\n",
            "...\n",
            "--- # x\n",
            "\u{85}",
            "\t",
            "\\ud83d",
            "!!binary x",
            "é",
        ])
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..12)) {
            for role in ROLES {
                let _ = by_role(pieces.concat().as_bytes(), role);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(mark in prop::sample::select(vec![&b""[..], b"\xff\xfe", b"\xfe\xff", b"Secret"]),
            bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            for role in ROLES {
                let _ = by_role(&[mark, &bytes].concat(), role);
            }
        }
    }
}
