//! Judges the files of a tree: SOPS files, plaintext Secrets, and the files that kustomizations make into Secrets.

use crate::path::{join, parent_of};
use crate::yaml::node::ScanError;

use super::audit::{self, FileStatus, FileVerdict};
use super::bounds;
use super::envelope;
use super::exposure::finding::{Finding, Findings};
use super::exposure::read::{self, Reading};
use super::exposure::reference::{Reference, Role, Wanted};
use super::keyring::Keyring;
use super::rulebook::RuleBook;

/// The result of inspecting one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The verdicts on the file; none if it has nothing to do with secrets.
    pub verdicts: Vec<FileVerdict>,
    /// The verdict if the file may contain a Secret but could not be read.
    pub unread: Option<FileVerdict>,
    /// True if it looks like a template, which may be part of a chart and not deployed by itself.
    pub is_template: bool,
    /// The files that it refers to, by their paths from the root.
    pub references: Vec<Reference>,
}

/// Judges one file by its path from the root of the tree.
pub fn inspect(path: &str, bytes: &[u8], keyring: &Keyring, rules: &RuleBook) -> Inspection {
    if let Some(error) = rules.error(path) {
        let verdicts = vec![verdict(path, 0, FileStatus::Failed, error.to_string())];
        return Inspection { verdicts, ..Inspection::default() };
    }
    let reading = read::by_name(path, bytes);
    let exposed: &[Finding] = &reading.findings.list;
    let mut verdicts = match rules.rules_for(path) {
        Ok(Some((rules, from_there))) => audit::audit(&from_there, bytes, exposed, keyring, Some(rules)),
        // Rules that cannot be read are reported for their own file.
        Ok(None) | Err(_) => audit::audit(path, bytes, exposed, keyring, None),
    };
    verdicts.iter_mut().for_each(|verdict| verdict.file = path.to_owned());
    let base = parent_of(path);
    // A SOPS file that is broken has a verdict that says so.
    let unread = unread(path, &reading).filter(|_| verdicts.is_empty());
    let references = references(&reading.findings, base, path);
    Inspection { verdicts, unread, is_template: reading.is_template, references }
}

/// Judges a file by its use in a kustomization; `inspect` covers everything else.
pub fn inspect_reference(reference: &Reference, bytes: &[u8]) -> Inspection {
    let Reference { path, role, by } = reference;
    if *role == Role::Source {
        return Inspection { verdicts: source(path, bytes, by).into_iter().collect(), ..Inspection::default() };
    }
    let reading = read::by_role(bytes, *role);
    let found = reading.findings.list.iter().map(|finding| {
        let (document, status, reason) = audit::of_finding(finding);
        verdict(path, document, status, format!("{} (used by {by})", reason.unwrap_or_default()))
    });
    let verdicts = found.chain(unread(path, &reading)).collect();
    let base = parent_of(if *role == Role::PluginFolder { path } else { by });
    let references = references(&reading.findings, base, by);
    Inspection { verdicts, unread: None, is_template: false, references }
}

/// Judges a file that a kustomization generates a Secret from: it must be a SOPS file, or empty.
fn source(path: &str, bytes: &[u8], kustomization: &str) -> Option<FileVerdict> {
    if bytes.is_empty() {
        return None;
    }
    if bounds::is_too_large_for_sops(bytes) && envelope::lost_metadata(bytes) {
        let reason = format!("{kustomization} generates a Secret from this file, but it is too large to be verified");
        return Some(verdict(path, 0, FileStatus::Unverified, reason));
    }
    let reason = || format!("{kustomization} generates a Secret from this file, but it is in plaintext");
    envelope::detect(bytes).is_none().then(|| verdict(path, 0, FileStatus::Plaintext, reason()))
}

fn unread(path: &str, reading: &Reading) -> Option<FileVerdict> {
    let unread = reading.unread.as_ref()?;
    let reason = format!("it cannot be checked for Secrets: {}", unread.reason);
    Some(verdict(path, unread.document, FileStatus::Unverified, reason))
}

/// Returns the references that leave from a folder and do not leave the tree.
fn references(findings: &Findings, base: &str, by: &str) -> Vec<Reference> {
    let reference =
        |wanted: &Wanted| Some(Reference { path: join(base, &wanted.path)?, role: wanted.role, by: by.to_owned() });
    findings.wanted.iter().filter_map(reference).collect()
}

/// Judges a file that is too large to be read. Files that are not manifests become part of a Secret only through a
/// kustomization, and are then judged by their use.
pub fn inspect_large(path: &str, size: u64) -> Inspection {
    let verdicts = if read::is_manifest_name(path) { vec![too_large(path, size)] } else { Vec::new() };
    Inspection { verdicts, ..Inspection::default() }
}

/// Judges a file that is too large to be read by its use in a kustomization.
pub fn inspect_large_reference(reference: &Reference, size: u64) -> Inspection {
    Inspection { verdicts: vec![too_large(&reference.path, size)], ..Inspection::default() }
}

fn too_large(path: &str, size: u64) -> FileVerdict {
    verdict(path, 0, FileStatus::Unverified, ScanError::TooLarge { size }.to_string())
}

/// Makes a verdict on a file that is not a SOPS file.
pub fn verdict(path: &str, document: usize, status: FileStatus, reason: String) -> FileVerdict {
    FileVerdict { file: path.to_owned(), document, status, format: None, reason: Some(reason), recipients: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, text: &str, rules: &RuleBook) -> Vec<String> {
        let found = inspect(path, text.as_bytes(), &Keyring::new(), rules);
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
        let shown = |v: FileVerdict| format!("{} {} {}", v.file, v.status.label(), v.reason.unwrap_or_default());
        found.verdicts.into_iter().chain(found.unread).map(shown).collect()
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
        let reference = |bytes: &[u8]| inspect_reference(&found.references[0], bytes).verdicts.len();
        assert_eq!((found.references[0].path.as_str(), found.references[0].role), ("apps/x.env", Role::Source));
        assert_eq!(
            said("apps/a/kustomization.yaml", text, &rules),
            [
                "apps/a/kustomization.yaml plaintext plaintext in a generated Secret: secretGenerator[0].literals[0] (a) and 1 more"
            ]
        );
        assert_eq!((reference(b"A=b\n"), reference(b"")), (1, 0));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_unverified_only_if_it_can_concern_a_secret() {
        let rules = RuleBook::default();
        let found = |path: &str, text: &str| said(path, text, &rules).len();
        assert_eq!(found("a.yaml", "kind: Secret\ndata: [\n"), 1);
        assert_eq!(found("a.yaml", "kind: ConfigMap\ndata: [\n"), 0);
        assert_eq!(found("a.yaml", "name: SecretStore\ndata: [\n"), 0);
        assert_eq!(found("kustomization.yaml", "resources: [\n"), 1);
        assert_eq!(found("a.txt", "kind: Secret\ndata: [\n"), 0);
    }
}
