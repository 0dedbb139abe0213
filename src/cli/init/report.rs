//! What goes to stdout.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::cli::output;
use crate::survey::evidence::Evidence;
use crate::survey::findings::{FieldSummary, Findings, HistorySummary};
use crate::survey::flux::meaning::Meaning;
use crate::survey::mover::Mover;
use crate::survey::render::unresolved;
use crate::survey::stage_proposals::ProposedStage;
use crate::survey::surroundings::Surroundings;
use crate::survey::unnamed::PLACEHOLDER;

/// The number of unresolved values that people are shown.
const MOST_SHOWN: usize = 10;

/// The result, in the format that scripts rely on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Json<'f> {
    /// The file that was written; null with `--dry-run`.
    file: Option<String>,
    /// Its text.
    config: &'f str,
    history: &'f HistorySummary,
    fields: &'f FieldSummary,
    surroundings: &'f Surroundings,
    policies: Vec<Policy<'f>>,
    rules: Vec<Rule<'f>>,
    stages: &'f [ProposedStage],
    unresolved: Vec<Unresolved<'f>>,
    left_to: BTreeMap<Mover, Vec<&'f String>>,
    flux: &'f [Meaning],
    registries: &'f BTreeMap<String, String>,
    next: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Policy<'f> {
    images: &'f [String],
    because: &'f [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'f> {
    file: &'f str,
    path: &'f str,
    image: Option<&'f str>,
    incomplete: bool,
    because: &'f str,
    evidence: &'f Evidence,
}

#[derive(Debug, Serialize)]
struct Unresolved<'f> {
    file: &'f str,
    path: &'f str,
    reason: &'f str,
    evidence: &'f Evidence,
}

/// Returns the result for scripts. `git_url` is the repository that was read.
pub fn json<'f>(findings: &'f Findings, config: &'f str, file: Option<&Path>, git_url: &str) -> Json<'f> {
    let policies = findings.flux.policies.iter().chain(&findings.policies.policies);
    Json {
        file: file.map(|file| file.display().to_string()),
        config,
        history: &findings.history,
        fields: &findings.fields,
        surroundings: &findings.surroundings,
        policies: policies.map(|policy| Policy { images: &policy.images, because: &policy.because }).collect(),
        stages: &findings.stages,
        rules: findings
            .rules
            .iter()
            .map(|rule| Rule {
                file: &rule.file,
                path: &rule.path,
                image: rule.image.as_deref(),
                incomplete: rule.is_incomplete,
                because: &rule.because,
                evidence: &rule.evidence,
            })
            .collect(),
        unresolved: findings
            .unresolved
            .iter()
            .map(|one| Unresolved { file: &one.file, path: &one.path, reason: one.reason, evidence: &one.evidence })
            .collect(),
        left_to: findings.policies.left_to.iter().map(|(mover, images)| (*mover, images.iter().collect())).collect(),
        flux: &findings.flux.meanings,
        registries: &findings.registries,
        next: next(findings, file, git_url),
    }
}

/// Returns the result for people, after the file was written.
pub fn text(findings: &Findings, file: &Path, git_url: &str) -> String {
    let count = findings.policies.policies.len() + findings.flux.policies.len();
    let shapes: usize = findings.fields.shapes.values().sum();
    let mut text = format!(
        "wrote {}: {count} {}, {} {} under `fields`, from {} commits\n",
        file.display(),
        if count == 1 { "policy" } else { "policies" },
        findings.rules.len(),
        if findings.rules.len() == 1 { "rule" } else { "rules" },
        findings.history.commits
    );
    text.push_str(&format!("image fields: {shapes} without rules, {} more with them\n", findings.fields.added));
    if !findings.unresolved.is_empty() {
        text.push_str("not made out, and listed at the end of the file:\n");
        for one in findings.unresolved.iter().take(MOST_SHOWN) {
            text.push_str(&format!("{}\n", output::safe(&unresolved(one))));
        }
        if let Some(more) = findings.unresolved.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
            text.push_str(&format!("- and {more} more\n"));
        }
    }
    text.push_str("next:\n");
    for (index, step) in next(findings, Some(file), git_url).iter().enumerate() {
        text.push_str(&format!("  {}. {step}\n", index + 1));
    }
    text
}

/// Returns the steps that follow. They name the repository if the file does not.
fn next(findings: &Findings, file: Option<&Path>, git_url: &str) -> Vec<String> {
    let file = file.map_or_else(|| "tagalong.yaml".to_owned(), |file| word(&file.display().to_string()));
    let mut steps = Vec::new();
    if findings.rules.iter().any(|rule| rule.is_incomplete) {
        steps.push(format!("replace {} in {file} by your registry", PLACEHOLDER));
    }
    let is_unknown = findings.url.is_none() && findings.flux.url.is_none();
    let url = if is_unknown { format!(" --git-url {}", word(git_url)) } else { String::new() };
    steps.push(format!(
        "tagalong images --config {file}{url}    # which fields there are, and which policy governs them"
    ));
    steps.push(format!("tagalong check --config {file}{url}     # whether the registries and the git server respond"));
    steps.push(format!("tagalong sync --config {file}{url} --dry-run    # what would be committed"));
    steps
}

/// Quotes a text for a shell if it has to be.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+=,~".contains(c);
    let is_word = !text.is_empty() && text.chars().all(is_plain);
    if is_word { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
