//! A verdict for each file: whether it decrypts, and whether all is encrypted that should be, to whom it should be.

use super::cipher;
use super::clear;
use super::envelope::{self, Envelope};
use super::error::{SopsError, ValueProblem};
use super::format::{self, Format};
use super::keyring::Keyring;
use super::open;
use super::plain::Type;
use super::rules::Rules;
use super::tree::{self, Visit};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The file decrypts, its MAC holds, and its recipients are those of `.sops.yaml`.
    Ok,
    /// The file is broken.
    Failed,
    /// Something is in clear text that should not be.
    Plaintext,
    /// The file decrypts, but its recipients are not those of `.sops.yaml`.
    WrongRecipients,
    /// No identity at hand opens it, so nothing more can be said.
    NoKey,
}

impl Status {
    /// The name in `--output json`.
    pub fn label(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Failed => "failed",
            Status::Plaintext => "plaintext",
            Status::WrongRecipients => "wrong-recipients",
            Status::NoKey => "no-key",
        }
    }
}

/// What is said of a file, or of one of its documents. It never holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The file's path, as it was given.
    pub file: String,
    /// The document that the reason is about, from 0.
    pub document: usize,
    /// What was found.
    pub status: Status,
    /// The format, of a SOPS file.
    pub format: Option<Format>,
    /// What is wrong, and where; none when nothing is.
    pub reason: Option<String>,
    /// To whom the file is encrypted.
    pub recipients: Vec<String>,
}

/// Judges a file. `path` is the one from the folder of the `.sops.yaml` that `rules` come from. A file that is no SOPS
/// file, and need not be one, gets no verdict.
pub fn audit(path: &str, bytes: &[u8], keyring: &Keyring, rules: Option<&Rules>) -> Vec<Verdict> {
    let verdict = |document, status, reason: String| Verdict {
        file: path.to_owned(),
        document,
        status,
        format: None,
        reason: Some(reason),
        recipients: Vec::new(),
    };
    let Some(format) = envelope::detect(bytes) else {
        return match lost(path, bytes) {
            Some(reason) => vec![verdict(0, Status::Failed, reason)],
            None => {
                in_clear(path, bytes, rules).into_iter().map(|(d, why)| verdict(d, Status::Plaintext, why)).collect()
            }
        };
    };
    let envelope = match envelope::read(bytes, format) {
        Ok(envelope) => envelope,
        Err(error) => {
            let found = verdict(document_of(&error), Status::Failed, error.to_string());
            return vec![Verdict { format: Some(format), ..found }];
        }
    };
    let found = judge(path, &envelope, keyring, rules);
    let complete = |(document, status, reason)| Verdict {
        file: path.to_owned(),
        document,
        status,
        format: Some(format),
        reason,
        recipients: envelope.metadata.recipients(),
    };
    found.into_iter().map(complete).collect()
}

type Finding = (usize, Status, Option<String>);

/// Judges a SOPS file: first what can be seen without a key, then the rest.
fn judge(path: &str, envelope: &Envelope, keyring: &Keyring, rules: Option<&Rules>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for (document, items) in envelope.documents.iter().enumerate() {
        for place in clear::secret_values(items) {
            found.push((document, Status::Plaintext, Some(format!("{place} of a Secret is in clear"))));
        }
    }
    if let Some(error) = visible_problem(envelope) {
        let problem = finding(&error);
        if !found.iter().any(|(document, status, _)| (*document, *status) == (problem.0, problem.1)) {
            found.push(problem);
        }
    }
    if !found.is_empty() {
        return found;
    }
    let opened = keyring.open(&envelope.metadata).and_then(|key| open::verify(envelope, &key));
    let difference = rules.and_then(|rules| rules.rule_for(path)).and_then(|rule| rule.difference(&envelope.metadata));
    let wrong = difference.map(|difference| (0, Status::WrongRecipients, Some(difference)));
    match opened {
        Ok(()) => vec![wrong.unwrap_or((0, Status::Ok, None))],
        Err(error) => [Some(finding(&error)), wrong].into_iter().flatten().collect(),
    }
}

/// What is wrong with the values of a file whether or not a key is at hand.
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
                _ => Some(ValueProblem::InClear),
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

fn finding(error: &SopsError) -> Finding {
    let status = match error {
        SopsError::NoIdentity { .. } | SopsError::TooFewGroups { .. } => Status::NoKey,
        SopsError::Value { problem: ValueProblem::InClear, .. } => Status::Plaintext,
        _ => Status::Failed,
    };
    (document_of(error), status, Some(error.to_string()))
}

fn document_of(error: &SopsError) -> usize {
    match error {
        SopsError::Value { document, .. } => *document,
        _ => 0,
    }
}

/// Why a file without readable metadata is a SOPS file all the same.
fn lost(path: &str, bytes: &[u8]) -> Option<String> {
    envelope::lost_metadata(bytes).then_some(())?;
    let format = Format::of_path(path);
    let parsed = format::read(bytes, format);
    let encrypted = |items: &Vec<tree::Item>| {
        let everything = super::selection::Selection::default();
        tree::walk(items, &everything, &mut |visit: Visit<'_, '_>| {
            let encrypted = visit.leaf.plain.expose().starts_with(cipher::PREFIX.as_bytes());
            if encrypted && !visit.is_comment { Err(visit.place()) } else { Ok(()) }
        })
        .err()
    };
    match parsed {
        Ok(parsed) => {
            let place = parsed.documents.iter().find_map(encrypted)?;
            Some(format!("{place} is encrypted, but the file has no sops metadata: it was cut off or edited by hand"))
        }
        // Text that mentions encrypted values is no SOPS file; what has the form of one, but cannot be read, is.
        Err(error) => {
            let has_block =
                bytes.windows(5).any(|window| window == b"sops:" || window == b"sops\"" || window == b"sops_");
            let looks = format != Format::Binary && (has_block || bytes.windows(9).any(|w| w == b": ENC[AES"));
            looks.then(|| format!("it holds encrypted values, but {error}"))
        }
    }
}

/// What is in clear in a file that is no SOPS file, by document.
fn in_clear(path: &str, bytes: &[u8], rules: Option<&Rules>) -> Vec<(usize, String)> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let demanded = rules.and_then(|rules| rules.demands(path)).filter(|_| !matches!(name, ".sops.yaml" | ".sops.yml"));
    let mentions_secret = bytes.windows(6).any(|window| window == b"Secret");
    let format = Format::of_path(path);
    if demanded.is_none() && (!mentions_secret || !matches!(format, Format::Yaml | Format::Json)) {
        return Vec::new();
    }
    let by_rule = || vec![(0, "by .sops.yaml this file is encrypted, but it is in clear".to_owned())];
    let Ok(parsed) = format::read(bytes, format) else {
        let whole = demanded.is_some() && format == Format::Binary && !bytes.is_empty();
        return if whole { by_rule() } else { Vec::new() };
    };
    let mut found = Vec::new();
    for (document, items) in parsed.documents.iter().enumerate() {
        let places = clear::secret_values(items);
        if let Some(first) = places.first() {
            let more = if places.len() > 1 { format!(" and {} more", places.len() - 1) } else { String::new() };
            found.push((document, format!("{first}{more} of a Secret in clear text")));
        }
    }
    if !found.is_empty() {
        return found;
    }
    let wanted = |rule: &super::rules::Rule| {
        parsed.documents.iter().filter(|items| !clear::is_kubernetes(items)).any(|items| {
            let visit = &mut |visit: Visit<'_, '_>| {
                if visit.selected && !visit.is_comment && !visit.leaf.plain.is_empty() { Err(()) } else { Ok(()) }
            };
            tree::walk(items, &rule.selection, visit).is_err()
        })
    };
    if demanded.is_some_and(wanted) { by_rule() } else { Vec::new() }
}
