//! Results of vulnerability scanners in attestations of cosign's type `vuln`: the JSON of Grype and of Trivy, and SARIF
//! 2.1.0. A result that says nothing about vulnerabilities is refused, never taken for one without any.

use std::collections::BTreeMap;

use serde_json::Value;

use super::flaw::Cause;
use super::foreign::shown;
use super::requirement::Severity;

/// The most vulnerabilities that are read.
const MOST: usize = 100_000;
/// The most vulnerabilities that messages name.
const SHOWN: usize = 5;

/// A vulnerability that a scanner found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vulnerability {
    /// The ids under which it is known; at least one.
    ids: Vec<String>,
    severity: Severity,
}

/// Reads the vulnerabilities of a predicate.
///
/// # Errors
/// The result is not in a form that is known.
pub(super) fn vulnerabilities(predicate: &Value) -> Result<Vec<Vulnerability>, Cause> {
    let refused = |reason: &str| Cause::UnreadableScan(reason.to_owned());
    let result = predicate.pointer("/scanner/result").ok_or_else(|| refused("it has no scanner.result"))?;
    let found = if result.get("matches").is_some() {
        of_grype(result)
    } else if result.get("runs").is_some() {
        of_sarif(result)
    } else if result.get("Results").is_some() {
        of_trivy(result)
    } else {
        return Err(refused("it has neither matches, nor Results, nor runs"));
    };
    let found = found.ok_or_else(|| refused("a part of it is missing or has an unexpected type"))?;
    if found.len() > MOST { Err(Cause::TooLarge("at most 100000 vulnerabilities are read")) } else { Ok(found) }
}

/// Checks that no vulnerability is worse than a limit, except those that are allowed by one of their ids.
///
/// # Errors
/// Some are.
pub(super) fn check(found: &[Vulnerability], limit: Severity, allowed: &[String]) -> Result<(), Cause> {
    let is_allowed = |one: &Vulnerability| one.ids.iter().any(|id| allowed.iter().any(|known| known == id));
    let mut worse: Vec<&Vulnerability> = found.iter().filter(|one| one.severity > limit && !is_allowed(one)).collect();
    if worse.is_empty() {
        return Ok(());
    }
    worse.sort_by(|one, other| other.severity.cmp(&one.severity).then_with(|| one.ids.cmp(&other.ids)));
    worse.dedup();
    let named = worse.iter().take(SHOWN).filter_map(|one| Some(format!("{} ({})", one.ids.first()?, one.severity)));
    let examples = shown(&named.collect::<Vec<_>>().join(", "));
    let more = if worse.len() > SHOWN { ", …" } else { "" };
    let count =
        if worse.len() == 1 { "1 vulnerability".to_owned() } else { format!("{} vulnerabilities", worse.len()) };
    Err(Cause::Vulnerable { count, limit, examples: format!("{examples}{more}") })
}

/// `{ "matches": [{ "vulnerability": { "id", "severity" }, "relatedVulnerabilities": [{ "id" }] }] }`
fn of_grype(result: &Value) -> Option<Vec<Vulnerability>> {
    let read = |found: &Value| {
        let id = found.pointer("/vulnerability/id")?.as_str()?.to_owned();
        let related = found.get("relatedVulnerabilities").and_then(Value::as_array).into_iter().flatten();
        let related = related.filter_map(|one| Some(one.get("id")?.as_str()?.to_owned()));
        let severity = named(found.pointer("/vulnerability/severity"));
        Some(Vulnerability { ids: std::iter::once(id).chain(related).collect(), severity })
    };
    result.get("matches")?.as_array()?.iter().map(read).collect()
}

/// `{ "Results": [{ "Vulnerabilities": [{ "VulnerabilityID", "Severity" }] }] }`; a target without vulnerabilities lacks
/// the list.
fn of_trivy(result: &Value) -> Option<Vec<Vulnerability>> {
    let read = |found: &Value| {
        let id = found.get("VulnerabilityID")?.as_str()?.to_owned();
        Some(Vulnerability { ids: vec![id], severity: named(found.get("Severity")) })
    };
    let mut all = Vec::new();
    for target in result.get("Results")?.as_array()? {
        target.as_object()?;
        match target.get("Vulnerabilities") {
            None | Some(Value::Null) => {}
            Some(list) => all.extend(list.as_array()?.iter().map(read).collect::<Option<Vec<_>>>()?),
        }
    }
    Some(all)
}

/// `{ "runs": [{ "tool": { "driver": { "rules": [{ "id", "properties": { "security-severity" } }] } }, "results": [{ "ruleId" }] }] }`
fn of_sarif(result: &Value) -> Option<Vec<Vulnerability>> {
    let runs = result.get("runs")?.as_array().filter(|runs| !runs.is_empty())?;
    let mut all = Vec::new();
    for run in runs {
        let rules = run.pointer("/tool/driver/rules").and_then(Value::as_array).into_iter().flatten();
        let scores: BTreeMap<&str, Severity> = rules
            .filter_map(|rule| {
                Some((rule.get("id")?.as_str()?, scored(rule.pointer("/properties/security-severity")?)?))
            })
            .collect();
        // Without the list, nothing was scanned (SARIF 2.1.0, section 3.14.23).
        for found in run.get("results")?.as_array()? {
            let rule = found.get("ruleId").or_else(|| found.pointer("/rule/id"))?.as_str()?;
            let severity = scores.get(rule).copied().unwrap_or(Severity::Critical);
            all.push(Vulnerability { ids: vec![rule.to_owned(), without_package(rule)], severity });
        }
    }
    Some(all)
}

/// Returns the id within the name of a rule: Grype writes that of the package behind it, as in `CVE-2024-1234-openssl`.
fn without_package(rule: &str) -> String {
    let parts = match rule.split_once('-').map(|(scheme, _)| scheme) {
        Some("GHSA") => 4,
        _ => 3,
    };
    rule.split('-').take(parts).collect::<Vec<_>>().join("-")
}

/// The severity that a scanner names; unknown ones count as critical.
fn named(severity: Option<&Value>) -> Severity {
    severity.and_then(Value::as_str).and_then(|name| Severity::parse(name).ok()).unwrap_or(Severity::Critical)
}

/// The severity of a CVSS score (CVSS 3.1, section 5), which is written as a text or as a number.
fn scored(score: &Value) -> Option<Severity> {
    let score = score.as_f64().or_else(|| score.as_str()?.parse().ok()).filter(|score| (0.0..=10.0).contains(score))?;
    Some(match score {
        9.0.. => Severity::Critical,
        7.0.. => Severity::High,
        4.0.. => Severity::Medium,
        0.1.. => Severity::Low,
        _ => Severity::Negligible,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(result: Value, limit: Severity, allowed: &[&str]) -> &'static str {
        let allowed: Vec<String> = allowed.iter().map(|id| (*id).to_owned()).collect();
        let found = vulnerabilities(&json!({ "scanner": { "uri": "x", "result": result } }));
        match found.and_then(|found| check(&found, limit, &allowed)) {
            Ok(()) => "fine",
            Err(cause) => cause.label(),
        }
    }

    fn grype(severity: &str) -> Value {
        json!({ "matches": [{ "vulnerability": { "id": "GHSA-aaaa-bbbb-cccc", "severity": severity }, "relatedVulnerabilities": [{ "id": "CVE-2024-1" }] }] })
    }

    #[test]
    fn grype_is_read() {
        assert_eq!(judged(grype("High"), Severity::High, &[]), "fine");
        assert_eq!(judged(grype("Critical"), Severity::High, &[]), "vulnerable");
        assert_eq!(judged(grype("Critical"), Severity::High, &["CVE-2024-1"]), "fine");
        assert_eq!(judged(grype("Critical"), Severity::High, &["CVE-2024"]), "vulnerable");
        assert_eq!(judged(grype("Unknown"), Severity::High, &[]), "vulnerable", "unknown may be anything");
        assert_eq!(judged(json!({ "matches": [] }), Severity::Negligible, &[]), "fine");
    }

    #[test]
    fn trivy_is_read() {
        let trivy = |severity: &str| json!({ "SchemaVersion": 2, "Results": [{ "Target": "a" }, { "Target": "b", "Vulnerabilities": [{ "VulnerabilityID": "CVE-2024-2", "Severity": severity }] }] });
        assert_eq!(judged(trivy("MEDIUM"), Severity::Medium, &[]), "fine");
        assert_eq!(judged(trivy("HIGH"), Severity::Medium, &[]), "vulnerable");
        assert_eq!(judged(trivy("HIGH"), Severity::Medium, &["CVE-2024-2"]), "fine");
    }

    #[test]
    fn sarif_is_read() {
        let sarif = |score: Value| {
            json!({ "version": "2.1.0", "runs": [{
                "tool": { "driver": { "name": "Grype", "rules": [{ "id": "CVE-2024-3-openssl", "properties": { "security-severity": score } }] } },
                "results": [{ "ruleId": "CVE-2024-3-openssl", "level": "note" }],
            }] })
        };
        assert_eq!(judged(sarif(json!("6.9")), Severity::Medium, &[]), "fine");
        assert_eq!(judged(sarif(json!(7.0)), Severity::Medium, &[]), "vulnerable");
        assert_eq!(judged(sarif(json!("9.8")), Severity::Medium, &["CVE-2024-3"]), "fine");
        assert_eq!(judged(sarif(json!("NaN")), Severity::High, &[]), "vulnerable", "no score may be any");
        assert_eq!(judged(sarif(Value::Null), Severity::High, &[]), "vulnerable");
    }

    #[test]
    fn what_says_nothing_is_not_taken_for_nothing_found() {
        for result in [
            json!({}),
            json!(null),
            json!("clean"),
            json!({ "matches": null }),
            json!({ "matches": [{ "vulnerability": {} }] }),
            json!({ "Results": null }),
            json!({ "Results": [{ "Vulnerabilities": [{ "Severity": "LOW" }] }] }),
            json!({ "Results": [{ "Vulnerabilities": "none" }] }),
            json!({ "Results": ["a"] }),
            json!({ "SchemaVersion": 2, "ArtifactName": "a" }),
            json!({ "runs": [] }),
            json!({ "runs": [{ "tool": {} }] }),
            json!({ "runs": [{ "results": [{ "level": "none" }] }] }),
        ] {
            assert_eq!(judged(result.clone(), Severity::Critical, &[]), "unreadable-scan", "{result}");
        }
        assert!(vulnerabilities(&json!({ "matches": [] })).is_err(), "the result of another kind of predicate");
    }
}
