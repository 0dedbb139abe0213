//! Judges files: whether they decrypt, whether everything that should be encrypted is, and whether the recipients are
//! right.

use super::age::file;
use super::bounds;
use super::cipher;
use super::envelope::{self, Envelope};
use super::error::{SopsError, ValueProblem};
use super::exposure::finding::{Exposed, Finding};
use super::format::Format;
use super::keyring::Keyring;
use super::metadata::{MasterKey, Metadata};
use super::open;
use super::parse::file::parse;
use super::plaintext::Type;
use super::rules::{CreationRule, CreationRules};
use super::selection::Selection;
use super::tree::{self, Item, Node, Visit};

/// The status of a file, or of one of its documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStatus {
    /// The file decrypts, its MAC holds, and its recipients are those of `.sops.yaml`.
    Ok,
    /// The file is broken.
    Failed,
    /// Something is in plaintext that should not be.
    Plaintext,
    /// The file decrypts, but its recipients are not those of `.sops.yaml`.
    WrongRecipients,
    /// No available identity can decrypt it, so nothing more is known.
    NoKey,
    /// It may contain a Secret in plaintext, but cannot be read or followed.
    Unverified,
}

impl FileStatus {
    /// Returns the name in `--output json`.
    pub fn label(self) -> &'static str {
        match self {
            FileStatus::Ok => "ok",
            FileStatus::Failed => "failed",
            FileStatus::Plaintext => "plaintext",
            FileStatus::WrongRecipients => "wrong-recipients",
            FileStatus::NoKey => "no-key",
            FileStatus::Unverified => "unverified",
        }
    }
}

/// The verdict on a file, or on one of its documents. It never contains a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVerdict {
    /// The file's path, as given.
    pub file: String,
    /// The document that the reason is about, from 0.
    pub document: usize,
    /// The status of a file, or of one of its documents.
    pub status: FileStatus,
    /// The format, if it is a SOPS file.
    pub format: Option<Format>,
    /// The problem and its location; `None` if there is none.
    pub reason: Option<String>,
    /// The recipients that the file is encrypted to.
    pub recipients: Vec<String>,
}

/// Judges a file. `path` is relative to the folder of the `.sops.yaml` that `rules` come from; `exposed` is what was found
/// in it as a manifest. A file that is not a SOPS file, and need not be one, gets no verdict.
pub fn audit(
    path: &str,
    bytes: &[u8],
    exposed: &[Finding],
    keyring: &Keyring,
    rules: Option<&CreationRules>,
) -> Vec<FileVerdict> {
    let (found, format, recipients) = match envelope::detect(bytes) {
        None => (without_metadata(path, bytes, exposed, rules), None, Vec::new()),
        Some(detected) => {
            let format = detected.format;
            match detected.into_envelope() {
                Ok(envelope) => {
                    let found = judge(path, &envelope, exposed, keyring, rules);
                    (found, Some(format), envelope.metadata.recipients())
                }
                Err(error) => {
                    let found = (document_of(&error), FileStatus::Failed, Some(error.to_string()));
                    (vec![found], Some(format), Vec::new())
                }
            }
        }
    };
    let complete = |(document, status, reason)| FileVerdict {
        file: path.to_owned(),
        document,
        status,
        format,
        reason,
        recipients: recipients.clone(),
    };
    found.into_iter().map(complete).collect()
}

/// A document, its status, and the reason for it.
type Judgment = (usize, FileStatus, Option<String>);

/// Returns the verdict for something that was found in a manifest.
pub(super) fn of_finding(finding: &Finding) -> Judgment {
    let status = match finding.exposed {
        Exposed::Plaintext => FileStatus::Plaintext,
        Exposed::Unverified => FileStatus::Unverified,
    };
    (finding.document, status, Some(finding.reason.clone()))
}

/// Judges a file without metadata that can be read.
fn without_metadata(path: &str, bytes: &[u8], exposed: &[Finding], rules: Option<&CreationRules>) -> Vec<Judgment> {
    let mut found: Vec<Judgment> = exposed.iter().map(of_finding).collect();
    if bounds::is_too_large_for_sops(bytes) && envelope::lost_metadata(bytes) {
        found.push((0, FileStatus::Unverified, Some("it contains encrypted values, but is too large".to_owned())));
    } else if let Some(reason) = lost(path, bytes) {
        found.push((0, FileStatus::Failed, Some(reason)));
    } else if found.is_empty() && is_demanded(path, bytes, rules) {
        let reason = ".sops.yaml says that this file is encrypted, but it is in plaintext";
        found.push((0, FileStatus::Plaintext, Some(reason.to_owned())));
    }
    found
}

/// Judges a SOPS file, beginning with the problems that are visible without a key.
fn judge(
    path: &str,
    envelope: &Envelope,
    exposed: &[Finding],
    keyring: &Keyring,
    rules: Option<&CreationRules>,
) -> Vec<Judgment> {
    let mut found: Vec<Judgment> = exposed.iter().map(of_finding).collect();
    if let Some(error) = visible_problem(envelope) {
        let problem = finding(&error);
        // A damaged value is not in plaintext, although it no longer looks encrypted.
        found.retain(|(document, ..)| problem.1 != FileStatus::Failed || *document != problem.0);
        if !found.iter().any(|(document, status, _)| (*document, *status) == (problem.0, problem.1)) {
            found.push(problem);
        }
    }
    if !found.is_empty() {
        return found;
    }
    let opened = keyring.open(&envelope.metadata).and_then(|key| open::verify(envelope, &key));
    let difference = rules.and_then(|rules| rules.rule_for(path)).and_then(|rule| rule.difference(&envelope.metadata));
    let difference = difference.or_else(|| hidden_recipient(&envelope.metadata));
    let wrong = difference.map(|difference| (0, FileStatus::WrongRecipients, Some(difference)));
    match opened {
        Ok(()) => vec![wrong.unwrap_or((0, FileStatus::Ok, None))],
        Err(error) => [Some(finding(&error)), wrong].into_iter().flatten().collect(),
    }
}

/// Returns the problem with an entry that more recipients can decrypt than the one that the metadata lists for it.
fn hidden_recipient(metadata: &Metadata) -> Option<String> {
    metadata.keys().find_map(|key| {
        let MasterKey::Age { recipient, enc } = key else { return None };
        let recipients = file::count_recipients(enc.as_bytes());
        (recipients > 1).then(|| {
            format!("its entry for {recipient} is encrypted to {recipients} recipients, and the metadata lists only this one")
        })
    })
}

/// Returns the first problem with a file's values that is visible without a key.
fn visible_problem(envelope: &Envelope) -> Option<SopsError> {
    let mut first = None;
    for (document, items) in envelope.documents.iter().enumerate() {
        let _ = tree::walk(items, &envelope.metadata.selection, &mut |visit: Visit<'_, '_>| {
            let plain = &visit.leaf.plain;
            if visit.is_comment || !visit.selected || plain.is_empty() {
                return Ok(());
            }
            let text = std::str::from_utf8(plain.expose()).unwrap_or_default();
            let problem = match plain.kind {
                Type::Str if text.starts_with("ENC[") => cipher::check_form(text).err().map(ValueProblem::Cipher),
                _ => Some(ValueProblem::Plaintext),
            };
            let Some(problem) = problem else { return Ok(()) };
            first = Some(SopsError::Value { document, place: visit.place(), problem });
            Err(())
        });
        if first.is_some() {
            break;
        }
    }
    first
}

fn finding(error: &SopsError) -> Judgment {
    let status = match error {
        SopsError::NoIdentity { .. } | SopsError::TooFewGroups { .. } | SopsError::Foreign { .. } => FileStatus::NoKey,
        SopsError::Value { problem: ValueProblem::Plaintext, .. } => FileStatus::Plaintext,
        _ => FileStatus::Failed,
    };
    (document_of(error), status, Some(error.to_string()))
}

fn document_of(error: &SopsError) -> usize {
    match error {
        SopsError::Value { document, .. } => *document,
        _ => 0,
    }
}

/// The extensions of texts that may show encrypted values without being SOPS files.
const PROSE: [&str; 5] = [".md", ".markdown", ".rst", ".adoc", ".html"];

/// Returns the reason why a file without readable metadata is a SOPS file nevertheless.
fn lost(path: &str, bytes: &[u8]) -> Option<String> {
    if !envelope::lost_metadata(bytes) || PROSE.iter().any(|extension| path.ends_with(extension)) {
        return None;
    }
    let format = Format::from_path(path);
    let is_object = bytes.trim_ascii_start().starts_with(b"{");
    let has_sections = bytes.trim_ascii_start().starts_with(b"[");
    let formats: &[Format] = match format {
        // The name does not tell.
        Format::Binary if is_object => &[Format::Json],
        Format::Binary if has_sections => &[Format::Ini],
        Format::Binary => &[Format::Yaml, Format::Dotenv],
        _ => &[format],
    };
    let (mut place, mut error) = (None, None);
    // The last line of a truncated file may be incomplete.
    let whole_lines = &bytes[..memchr::memrchr(b'\n', bytes).unwrap_or(0)];
    for format in formats {
        let parsed = parse(bytes, *format).or_else(|unreadable| {
            error = Some(unreadable.clone());
            parse(whole_lines, *format)
        });
        place = place.or_else(|| parsed.ok()?.documents.iter().find_map(|items| first_encrypted(items)));
    }
    if let Some(place) = place {
        return Some(format!(
            "{place} is encrypted, but the file has no sops metadata: it was truncated or edited by hand"
        ));
    }
    // A text that mentions encrypted values is not a SOPS file; an unreadable file that looks like one is.
    let contains = |needle: &[u8]| memchr::memmem::find(bytes, needle).is_some();
    let has_block = || [&b"sops:"[..], b"sops\"", b"sops_"].into_iter().any(contains);
    let has_value =
        || [&b": ENC[AES"[..], b"=ENC[AES", b"= ENC[AES", b"- ENC[AES", b"\"ENC[AES"].into_iter().any(contains);
    let error = error.filter(|_| (format != Format::Binary || is_object) && (has_block() || has_value()))?;
    Some(format!("it contains encrypted values, but {error}"))
}

/// Returns the place of the first encrypted value of a document.
fn first_encrypted(items: &[Item]) -> Option<String> {
    let everything = Selection::default();
    let visit = &mut |visit: Visit<'_, '_>| {
        let encrypted = visit.leaf.plain.expose().starts_with(cipher::PREFIX.as_bytes());
        if encrypted && !visit.is_comment { Err(visit.place()) } else { Ok(()) }
    };
    tree::walk(items, &everything, visit).err()
}

/// Returns whether the rules say by its name that a file without metadata is encrypted, and it has something to encrypt.
fn is_demanded(path: &str, bytes: &[u8], rules: Option<&CreationRules>) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let demanded = rules.and_then(|rules| rules.demands(path)).filter(|_| !matches!(name, ".sops.yaml" | ".sops.yml"));
    let Some(rule) = demanded else { return false };
    let format = Format::from_path(path);
    if bounds::is_too_large_for_sops(bytes) {
        return true;
    }
    let Ok(parsed) = parse(bytes, format) else { return format == Format::Binary && !bytes.is_empty() };
    parsed.documents.iter().filter(|items| !is_kubernetes(items)).any(|items| has_selected(items, rule))
}

/// Returns whether a document contains a value that a rule encrypts.
fn has_selected(items: &[Item], rule: &CreationRule) -> bool {
    let visit = &mut |visit: Visit<'_, '_>| {
        if visit.selected && !visit.is_comment && !visit.leaf.plain.is_empty() { Err(()) } else { Ok(()) }
    };
    tree::walk(items, &rule.selection, visit).is_err()
}

/// Returns whether a document is a Kubernetes object.
fn is_kubernetes(items: &[Item]) -> bool {
    let has = |key: &str| items.iter().any(|item| matches!(item, Item::Pair(name, Node::Leaf(_)) if name == key));
    has("apiVersion") && has("kind")
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;
    use crate::secret::Secret;
    use crate::sops::age::bech32;
    use crate::sops::age::identity::Identity;
    use crate::sops::encrypt::{Recipe, encrypt};
    use crate::sops::exposure::read;
    use crate::sops::recipients::Recipients;

    fn key(seed: u8) -> (String, Keyring) {
        let identity = bech32::encode("age-secret-key-", &[seed; 32]).expect("a key").to_ascii_uppercase();
        let recipient = Identity::parse(&identity).expect("an identity").recipient().written();
        let mut keyring = Keyring::new();
        keyring.add_file(&Secret::new(identity)).expect("an identity");
        (recipient, keyring)
    }

    fn encrypted(text: &str, pattern: &str, recipients: &[String]) -> String {
        let recipe = Recipe {
            recipients: Recipients { groups: vec![recipients.to_vec()], threshold: None },
            selection: Selection::of("encrypted_regex", pattern).expect("a rule").expect("a pattern"),
            mac_only_encrypted: false,
        };
        let time = "2026-11-21T08:00:00Z";
        let file = encrypt(text.as_bytes(), Format::Yaml, &recipe, time, &mut UnwrapErr(SysRng)).expect("encrypted");
        String::from_utf8(file).expect("text")
    }

    const SECRET: &str =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  password: hunter2\n  user: me\n";
    const RULE: &str = "^(data|stringData)$";

    fn said(path: &str, text: &str, keyring: &Keyring, rules: Option<&CreationRules>) -> Vec<String> {
        let shown = |v: FileVerdict| format!("{} {}: {}", v.document, v.status.label(), v.reason.unwrap_or_default());
        let exposed = read::by_name(path, text.as_bytes()).findings.list;
        let verdicts = audit(path, text.as_bytes(), &exposed, keyring, rules);
        verdicts.iter().for_each(|verdict| assert!(!format!("{verdict:?}").contains("hunter2"), "{verdict:?}"));
        verdicts.into_iter().map(shown).collect()
    }

    #[test]
    fn a_good_file_is_ok() {
        let (recipient, keyring) = key(1);
        let file = encrypted(SECRET, RULE, std::slice::from_ref(&recipient));
        let verdicts = audit("a.yaml", file.as_bytes(), &[], &keyring, None);
        assert_eq!((verdicts.len(), verdicts[0].status, verdicts[0].format), (1, FileStatus::Ok, Some(Format::Yaml)));
        assert_eq!(verdicts[0].recipients, [recipient]);
        assert_eq!(verdicts[0].reason, None);
    }

    #[test]
    fn problems_are_reported_with_their_place() {
        let (recipient, keyring) = key(1);
        let file = encrypted(SECRET, RULE, &[recipient]);
        let line = |key: &str| file.lines().find(|line| line.contains(key)).expect("a line").to_owned();
        let value = |key: &str| line(key).split_once(": ").expect("a value").1.to_owned();
        let check = |text: &str, expected: &str| {
            let found = said("a.yaml", text, &keyring, None);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}, not {expected}");
        };
        let (password, user) = (value("password"), value("user"));
        check(&file.replace(&password, "hunter2"), "0 plaintext: plaintext in a Secret: stringData.password");
        let swapped = file.replace(&password, "*").replace(&user, &password).replace('*', &user);
        check(&swapped, "0 failed: stringData.password was moved here from stringData.user");
        check(&file.replace(",data:", ",data:*"), "0 failed: stringData.password has a part `data`");
        check(&file.replace("name: app", "name: other"), "0 failed: its MAC does not match");
        check(&file.replace("2026-11-21", "2026-11-20"), "0 failed: its `mac` does not decrypt");
        check(
            &file[..file.find("sops:").expect("a block")],
            "0 failed: stringData.password is encrypted, but the file",
        );
        check(&file[..file.len() / 2], "0 failed: ");
        check(
            &file.replace("stringData:", "strings:"),
            "0 failed: strings.password is encrypted, but the file's rules",
        );
        check(&file.replace("version: 3", "version: x"), "0 failed: its `version`");
    }

    #[test]
    fn without_the_identity_only_visible_problems_are_reported() {
        let (recipient, _) = key(1);
        let (_, other) = key(2);
        let file = encrypted(SECRET, RULE, std::slice::from_ref(&recipient));
        let none = format!("0 no-key: there is no age identity to decrypt it with; it is encrypted to {recipient}");
        assert_eq!(said("a.yaml", &file, &Keyring::new(), None), [none]);
        let wrong = said("a.yaml", &file, &other, None);
        assert!(wrong[0].starts_with("0 no-key: the only available identity, that of age1"), "{wrong:?}");
        let clear = file.replace("  user: ENC", "  more: hunter2\n  user: ENC");
        let found = said("a.yaml", &clear, &other, None);
        assert_eq!(found, ["0 plaintext: plaintext in a Secret: stringData.more"]);
        let pgp = file.replace("age:", "pgp:").replace("recipient:", "fp:");
        assert_eq!(
            said("a.yaml", &pgp, &other, None),
            [format!("0 no-key: it is encrypted only to pgp {recipient}, which is not supported")]
        );
    }

    #[test]
    fn a_recipient_whose_identity_does_not_decrypt_is_a_failure() {
        let (recipient, keyring) = key(1);
        let (other, _) = key(2);
        let file = encrypted(SECRET, RULE, std::slice::from_ref(&other)).replace(&other, &recipient);
        let found = said("a.yaml", &file, &keyring, None);
        assert_eq!(
            found,
            [format!(
                "0 failed: its entry for {recipient} does not contain the data key: the file was truncated or edited by hand"
            )]
        );
    }

    #[test]
    fn recipients_are_those_of_the_rules() {
        let (one, keyring) = key(1);
        let (two, _) = key(2);
        let file = encrypted(SECRET, RULE, std::slice::from_ref(&one));
        let rules = |keys: &str| {
            CreationRules::parse(format!("creation_rules: [{{age: '{keys}'}}]").as_bytes()).expect("rules")
        };
        assert_eq!(said("a.yaml", &file, &keyring, Some(&rules(&one))), ["0 ok: "]);
        assert_eq!(
            said("a.yaml", &file, &keyring, Some(&rules(&format!("{one},{two}")))),
            [format!("0 wrong-recipients: differs from .sops.yaml: it is not encrypted to {two}")]
        );
        assert_eq!(
            said("a.yaml", &file, &keyring, Some(&rules(&two))),
            [format!(
                "0 wrong-recipients: differs from .sops.yaml: it is not encrypted to {two}; it is also encrypted to {one}"
            )]
        );
    }

    #[test]
    fn plaintext_secrets_are_found() {
        let keyring = Keyring::new();
        let many = format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: b\n---\n{SECRET}");
        assert_eq!(
            said("a.yaml", &many, &keyring, None),
            ["1 plaintext: plaintext in a Secret: stringData.password and 1 more"]
        );
        let json = r#"{"apiVersion": "v1", "kind": "Secret", "data": {"a": "aHVudGVyMg=="}}"#;
        assert_eq!(said("a.json", json, &keyring, None), ["0 plaintext: plaintext in a Secret: data.a"]);
        assert_eq!(said("a.yaml", "{{ if x }}\nkind: Secret\n", &keyring, None), Vec::<String>::new());
        assert_eq!(said("docs.md", SECRET, &keyring, None), Vec::<String>::new());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            for path in ["a.yaml", "a.json", "a.env", "a.ini", "a"] {
                let _ = audit(path, &bytes, &[], &Keyring::new(), None);
            }
        }

        #[test]
        fn no_text_like_sops_makes_it_panic(
            text in "([a-z:&*!'\"|>#{}\\[\\],\\- \n\té=;]|sops:|sops_mac=|\\[sops\\]|\"sops\": |mac: |lastmodified: |ENC\\[AES256_GCM,data:|type:str\\]|\n  )*",
        ) {
            for format in [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini] {
                let _ = envelope::read(text.as_bytes(), format);
            }
            let _ = audit("a.yaml", text.as_bytes(), &[], &Keyring::new(), None);
        }
    }

    #[test]
    fn files_that_the_rules_name_must_be_encrypted() {
        let keyring = Keyring::new();
        let rules = "creation_rules:\n- path_regex: secrets/\n  encrypted_regex: ^pass\n  age: x\n- age: x\n";
        let rules = CreationRules::parse(rules.as_bytes()).expect("rules");
        let said = |path: &str, text: &str| said(path, text, &keyring, Some(&rules));
        assert_eq!(said("secrets/a.yaml", "password: hunter2\n").len(), 1);
        assert_eq!(said("secrets/a.env", "password=hunter2\n").len(), 1);
        assert_eq!(said("secrets/a.yaml", "other: x\npassword: ''\n"), Vec::<String>::new());
        assert_eq!(said("secrets/kustomization.yaml", "apiVersion: a\nkind: b\npass: x\n"), Vec::<String>::new());
        assert_eq!(said("values.yaml", "password: hunter2\n"), Vec::<String>::new());
    }
}
