//! One attestation: does what it says satisfy a rule?

use serde_json::Value;
use sigstore_verify::types::SignatureContent;

use super::evidence::Evidence;
use super::flaw::Cause;
use super::foreign::shown;
use super::matcher::Matcher;
use super::provenance::Provenance;
use super::requirement::{AttestationRule, Condition, PredicateType};
use super::scan;
use super::source_repository::SourceRepository;
use super::statement::Statement;
use super::subject::Subject;
use super::verdict::{Attested, SignedBy};

/// Judges an attestation whose signature counts.
///
/// # Errors
/// It does not satisfy the rule.
pub(super) fn judge(
    rule: &AttestationRule,
    subject: &Subject,
    evidence: &Evidence,
    predicate_type: &str,
    signature: SignedBy,
) -> Result<Attested, Cause> {
    let SignatureContent::DsseEnvelope(envelope) = &evidence.bundle.content else {
        return Err(Cause::Unreadable("it is not in an envelope".to_owned()));
    };
    let statement = Statement::read(envelope)?;
    let predicate = statement.predicate();
    let mut attested = Attested {
        signature,
        predicate: shown(predicate_type),
        builder: None,
        source: None,
        commit: None,
        vulnerabilities: None,
    };
    match rule.predicate {
        PredicateType::SlsaProvenance1 | PredicateType::SlsaProvenance02 => {
            let provenance = Provenance::read(&rule.predicate, predicate)?;
            check_provenance(rule, subject, &provenance)?;
            attested.builder = provenance.builder.as_deref().map(shown);
            attested.source = Some(shown(provenance.source.as_str()));
            attested.commit = Some(provenance.commit);
        }
        _ if rule.builder.is_some() => return Err(Cause::Misplaced("a builder")),
        _ if rule.source.is_some() => return Err(Cause::Misplaced("a source")),
        PredicateType::Vuln => {
            let found = scan::vulnerabilities(predicate)?;
            attested.vulnerabilities = Some(found.len());
            rule.max_severity.map_or(Ok(()), |limit| scan::check(&found, limit, &rule.allowed))?;
        }
        _ if rule.max_severity.is_some() => return Err(Cause::Misplaced("a severity")),
        _ => {}
    }
    rule.conditions.iter().try_for_each(|condition| check_condition(condition, predicate))?;
    Ok(attested)
}

fn check_provenance(rule: &AttestationRule, subject: &Subject, provenance: &Provenance) -> Result<(), Cause> {
    if let Some(wanted) = &rule.builder {
        let found = provenance.builder.as_deref().unwrap_or("nobody");
        if provenance.builder.is_none() || !wanted.matches(found) {
            return Err(Cause::OtherBuilder { found: shown(found), wanted: wanted.to_string() });
        }
    }
    let other = |wanted: String| Cause::OtherSource { found: shown(provenance.source.as_str()), wanted };
    match &rule.source {
        Some(wanted) if !is_source(wanted, &provenance.source) => return Err(other(wanted.to_string())),
        None if !subject.sources.is_empty() && !subject.sources.contains(&provenance.source) => {
            let all: Vec<&str> = subject.sources.iter().map(SourceRepository::as_str).collect();
            return Err(other(all.join(" or ")));
        }
        _ => {}
    }
    subject.commit.as_deref().map_or(Ok(()), |commit| provenance.check_commit(commit))
}

fn is_source(wanted: &Matcher, found: &SourceRepository) -> bool {
    if wanted.is_pattern() {
        return wanted.matches(found.as_str());
    }
    SourceRepository::parse(wanted.as_str()).is_some_and(|wanted| wanted == *found)
}

fn check_condition(condition: &Condition, predicate: &Value) -> Result<(), Cause> {
    let step = |value: &'_ Value, key: &String| match value {
        Value::Array(list) => key.parse().ok().and_then(|place: usize| list.get(place).cloned()),
        _ => value.get(key.as_str()).cloned(),
    };
    let mut value = Some(predicate.clone());
    for key in &condition.path {
        value = value.and_then(|value| step(&value, key));
    }
    let found = match value {
        Some(Value::String(text)) => Some(text),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
        _ => None,
    };
    if found.as_deref().is_some_and(|found| condition.wanted.matches(found)) {
        return Ok(());
    }
    let found = found.map_or_else(|| "missing".to_owned(), |found| shown(&found));
    Err(Cause::Condition { path: condition.path.join("."), found, wanted: condition.wanted.to_string() })
}
