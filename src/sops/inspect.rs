//! Judges the files of a tree: SOPS files, plaintext Secrets, and files that kustomizations generate Secrets from.

use crate::path::{join, parent_of};
use crate::yaml::node::ScanError;

use super::audit::{self, FileStatus, FileVerdict};
use super::envelope;
use super::format::Format;
use super::generator::{self, Generated};
use super::keyring::Keyring;
use super::parse::file::parse;
use super::rulebook::RuleBook;

/// The result of inspecting one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The verdicts on the file; none if it has nothing to do with secrets.
    pub verdicts: Vec<FileVerdict>,
    /// The files that the kustomization generates Secrets from, relative to the root. They must not be in plaintext.
    pub sources: Vec<String>,
}

/// Judges one file by its path from the root of the tree.
pub fn inspect(path: &str, bytes: &[u8], keyring: &Keyring, rules: &RuleBook) -> Inspection {
    if let Some(error) = rules.error(path) {
        return Inspection {
            verdicts: vec![verdict(path, 0, FileStatus::Failed, error.to_string())],
            sources: Vec::new(),
        };
    }
    let mut verdicts = match rules.rules_for(path) {
        Ok(Some((rules, from_there))) => audit::audit(&from_there, bytes, keyring, Some(rules)),
        // Rules that cannot be read are reported for their own file.
        Ok(None) | Err(_) => audit::audit(path, bytes, keyring, None),
    };
    verdicts.iter_mut().for_each(|verdict| verdict.file = path.to_owned());
    let mut sources = Vec::new();
    for (document, Generated { literals, files }) in generators(path, bytes).into_iter().enumerate() {
        if let Some(first) = literals.first() {
            let more = if literals.len() > 1 { format!(" and {} more", literals.len() - 1) } else { String::new() };
            let reason = format!("plaintext in a generated Secret: {first}{more}");
            verdicts.push(verdict(path, document, FileStatus::Plaintext, reason));
        }
        sources.extend(files.iter().filter_map(|file| join(parent_of(path), file)));
    }
    Inspection { verdicts, sources }
}

/// Judges a file that a kustomization generates a Secret from: it must be a SOPS file, or empty. `inspect` covers
/// everything else.
pub fn inspect_source(path: &str, bytes: &[u8], kustomization: &str) -> Option<FileVerdict> {
    let is_plaintext = !bytes.is_empty() && envelope::detect(bytes).is_none();
    let reason = || format!("{kustomization} generates a Secret from this file, but it is in plaintext");
    is_plaintext.then(|| verdict(path, 0, FileStatus::Plaintext, reason()))
}

/// Returns the verdict on a file with secrets that is too large to be read.
pub fn too_large(path: &str, size: u64) -> FileVerdict {
    verdict(path, 0, FileStatus::Failed, ScanError::TooLarge { size }.to_string())
}

fn verdict(path: &str, document: usize, status: FileStatus, reason: String) -> FileVerdict {
    FileVerdict { file: path.to_owned(), document, status, format: None, reason: Some(reason), recipients: Vec::new() }
}

fn generators(path: &str, bytes: &[u8]) -> Vec<Generated> {
    let wanted = b"secretGenerator";
    let mentions = || bytes.windows(wanted.len()).any(|window| window == wanted);
    let is_yaml = Format::from_path(path) == Format::Yaml || path.rsplit('/').next() == Some("Kustomization");
    if !is_yaml || !mentions() {
        return Vec::new();
    }
    let parsed = parse(bytes, Format::Yaml);
    parsed.map(|parsed| parsed.documents.iter().map(|items| generator::generated(items)).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, text: &str, rules: &RuleBook) -> Vec<String> {
        let found = inspect(path, text.as_bytes(), &Keyring::new(), rules);
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        let shown = |v: FileVerdict| format!("{} {} {}", v.file, v.status.label(), v.reason.unwrap_or_default());
        found.verdicts.into_iter().map(shown).collect()
    }

    #[test]
    fn rules_judge_by_their_own_paths_and_verdicts_name_those_of_the_tree() {
        let mut rules = RuleBook::default();
        rules.add("apps/.sops.yaml", b"creation_rules: [{ path_regex: '^a/secret', age: age1x }]");
        rules.add("broken/.sops.yaml", b"creation_rules: [{ path_regex: '(' }]");
        let text = "password: hunter2\n";
        assert_eq!(
            said("apps/a/secret.yaml", text, &rules),
            ["apps/a/secret.yaml plaintext .sops.yaml says that this file is encrypted, but it is in plaintext"]
        );
        assert_eq!(said("a/secret.yaml", text, &rules), Vec::<String>::new());
        assert!(said("broken/.sops.yaml", "", &rules)[0].starts_with("broken/.sops.yaml failed rule 1: "));
    }

    #[test]
    fn sources_of_generated_secrets_are_named_from_the_root() {
        let text = "secretGenerator:\n- { name: a, envs: [../x.env], literals: [a=hunter2, b=hunter2] }\n";
        let rules = RuleBook::default();
        let found = inspect("apps/a/kustomization.yaml", text.as_bytes(), &Keyring::new(), &rules);
        assert_eq!(found.sources, ["apps/x.env"]);
        assert_eq!(
            said("apps/a/kustomization.yaml", text, &rules),
            [
                "apps/a/kustomization.yaml plaintext plaintext in a generated Secret: secretGenerator[0].literals[0] (a) and 1 more"
            ]
        );
        assert!(inspect_source("x.env", b"A=b\n", "k").is_some());
        assert!(inspect_source("x.env", b"", "k").is_none());
    }
}
