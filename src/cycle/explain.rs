//! Explains the state of an image step by step: fields, policy, tags, order, holds, gates, and the result.

use std::cmp::Reverse;

use serde::Serialize;

use crate::clock;
use crate::image::{Digest, Repository, Tag, Version};
use crate::manifest::field::Shape;
use crate::manifest::inventory::Located;
use crate::plan::candidates::Candidates;
use crate::plan::findings::NoFindings;
use crate::plan::gate::Verification;
use crate::plan::skip::{Address, Reason, Skipped};
use crate::policy::build::Kind;
use crate::policy::minimum_age::too_young;
use crate::policy::rule::Rule;
use crate::policy::seen::Seen;
use crate::policy::tags::Rank;
use crate::registry::client::Client;
use crate::stage::name::Name;
use crate::stage::request;

use super::candidates::round::ScanDetail;
use super::decision::Decision;
use super::engine::Engine;
use super::error::CycleError;
use super::operations::follow::FollowOne;
use super::stage_gates::{self, ExplainedStage};
use super::state::CycleState;
use super::status::{HoldStatus, Inputs};

/// The explanation of an image's state.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The image.
    pub image: Repository,
    /// The policy that governs it.
    pub policy: Option<Policy>,
    /// Its fields, with the result for each.
    pub fields: Vec<ExplainedField>,
    /// The tags that can be chosen, the newest first.
    pub tags: Vec<ExplainedTag>,
    /// The tags that cannot be chosen, each with the rule that drops it.
    pub dropped: Vec<DroppedTag>,
    /// The error of the registry, if it failed.
    pub registry_error: Option<String>,
    /// True if the registry could not be queried, so that something is missing here.
    #[serde(skip)]
    pub is_incomplete: bool,
    /// The holds on the image.
    pub holds: Vec<HoldStatus>,
    /// The stages that have fields of the image, with what the release that comes next waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<ExplainedStage>,
    /// The results of the gates for versions that were chosen.
    pub gates: Vec<GateResult>,
    /// Notes for people.
    pub notes: Vec<String>,
}

/// A policy.
#[derive(Debug, Clone, Serialize)]
pub struct Policy {
    /// The name in listings.
    pub name: String,
    /// The rule for tags.
    pub tags: String,
}

/// A field with the result for it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedField {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The path in the file.
    pub path: String,
    /// The shape.
    pub shape: Shape,
    /// The tag that it holds.
    pub tag: Option<Tag>,
    /// The digest that it holds.
    pub digest: Option<Digest>,
    /// The kustomization that overrides it, so that it has no effect.
    pub shadowed_by: Option<String>,
    /// The version to which it moves.
    pub moves_to: Option<String>,
    /// The reasons why it stays.
    pub stays: Vec<FieldReason>,
}

/// A reason why a field stays.
#[derive(Debug, Clone, Serialize)]
pub struct FieldReason {
    /// The reason as a machine-readable name.
    pub reason: Reason,
    /// The reason in plain text.
    pub detail: String,
}

/// A tag that can be chosen.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedTag {
    /// The tag.
    pub tag: Tag,
    /// Its position in the policy's order, if its name alone does not determine it.
    pub order: Option<String>,
    /// The tag of the same build that is preferred over it, if there is one.
    pub note: Option<String>,
}

/// A tag that cannot be chosen.
#[derive(Debug, Clone, Serialize)]
pub struct DroppedTag {
    /// The tag.
    pub tag: Tag,
    /// The rule that drops it.
    pub rule: String,
}

/// The result of the gates for a version.
#[derive(Debug, Clone, Serialize)]
pub struct GateResult {
    /// The version.
    pub version: String,
    /// True if it may be written.
    pub passed: bool,
    /// The details.
    pub detail: String,
}

/// Explains the state of an image, in all stages or in one. Nothing is written.
pub async fn explain(engine: &Engine, image: &Repository, stage: Option<&Name>) -> Result<Explanation, CycleError> {
    let mut state = CycleState::default();
    state.detail = ScanDetail::AllTags;
    let decision = engine.decide(&FollowOne(image), &mut state).await?;
    let Inputs { config, holds, named, .. } = &decision.inputs;
    stage.map(|stage| request::stage(&config.stages, stage)).transpose()?;
    let is_asked = |name: Option<&Name>| stage.is_none_or(|stage| name == Some(stage));
    let rule = config.policies.rule_for(image);
    let mut explanation = Explanation {
        image: image.clone(),
        policy: rule.map(|rule| Policy { name: rule.name.clone(), tags: rule.tags.to_string() }),
        fields: fields(&decision, image, &|file| is_asked(config.stages.of(file).map(|stage| &stage.name))),
        tags: Vec::new(),
        dropped: Vec::new(),
        registry_error: None,
        is_incomplete: false,
        holds: Vec::new(),
        stages: Vec::new(),
        gates: gates(&state, rule, image, &engine.services().registry),
        notes: decision.notes.clone(),
    };
    explanation.stages = stage_gates::explain(&decision.board, &config.stages, |cell| {
        is_asked(Some(&cell.stage)) && explanation.fields.iter().any(|field| cell.has(&field.file, &field.path))
    });
    for hold in holds.iter().chain(named.all()).filter(|hold| hold.target.image == *image) {
        let held = HoldStatus::from(hold);
        if !explanation.holds.contains(&held) {
            explanation.holds.push(held);
        }
    }
    let is_unanswered = |stay: &FieldReason| stay.reason == Reason::RegistryError;
    explanation.is_incomplete = explanation.fields.iter().flat_map(|field| &field.stays).any(is_unanswered);
    let Some(rule) = rule else { return Ok(explanation) };
    match engine.services().registry.tags(image).await {
        Ok(listed) => explanation.dropped = listed.iter().filter_map(|tag| dropped(rule, tag)).collect(),
        Err(error) => {
            explanation.is_incomplete |= !error.is_not_found();
            explanation.registry_error = Some(error.to_string());
        }
    }
    match state.findings.get(image) {
        Some(Ok(findings)) => {
            let Some(candidates) = findings.all_tags() else { return Ok(explanation) };
            explanation.tags = in_order(rule, candidates);
            let doubt = |seen: &Seen| Some(DroppedTag { tag: seen.tag.clone(), rule: seen.doubt?.to_string() });
            explanation.dropped.extend(candidates.seen.iter().filter_map(doubt));
        }
        Some(Err(NoFindings::Absent(detail) | NoFindings::Failed(detail) | NoFindings::Unfinished(detail))) => {
            explanation.registry_error = Some(detail.clone());
        }
        None => {}
    }
    Ok(explanation)
}

/// Returns the rule that drops a tag because of its name.
fn dropped(rule: &Rule, tag: &Tag) -> Option<DroppedTag> {
    let detail = match (rule.tag_patterns.allows(tag), rule.tags.rank(tag)) {
        (false, _) => "`allow` and `ignore` rule it out".to_owned(),
        (true, Err(misfit)) => misfit.to_string(),
        (true, Ok(_)) => return None,
    };
    Some(DroppedTag { tag: tag.clone(), rule: detail })
}

/// Returns the tags that can be chosen, newest first; tags without a known position come last.
fn in_order(rule: &Rule, candidates: &Candidates) -> Vec<ExplainedTag> {
    let sure = || candidates.seen.iter().filter(|seen| seen.doubt.is_none());
    let mut ranked: Vec<(Rank, &Seen)> =
        sure().filter_map(|seen| Some((rule.tags.rank(&seen.tag).ok()?, seen))).collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.1.standing.cmp(&a.1.standing)));
    if rule.tags.is_descending() {
        ranked.reverse();
    }
    let firsts = rule.tags.first_of_builds(sure());
    let by_order = rule.tags.order().is_some();
    let explanation = |(_, seen): (Rank, &Seen)| ExplainedTag {
        tag: seen.tag.clone(),
        order: match (by_order, seen.standing) {
            (true, None) => Some("unknown".to_owned()),
            (_, standing) => standing.map(|standing| standing.to_string()),
        },
        note: seen.build.and_then(|build| {
            let first = firsts.get(&build.id).filter(|first| ***first != seen.tag)?;
            Some(match build.kind {
                Kind::Part => format!("one platform of {first}"),
                Kind::Image | Kind::Index { .. } => format!("the same image as {first}"),
            })
        }),
    };
    ranked.into_iter().map(explanation).collect()
}

fn fields(decision: &Decision, image: &Repository, is_asked: &dyn Fn(&str) -> bool) -> Vec<ExplainedField> {
    let all = decision.inputs.inventory.fields.iter();
    let of_image = all.filter(|located| located.field.repository == *image && is_asked(&located.file));
    let explanation = |located: &Located| {
        let field = &located.field;
        let update = decision.gated.updates().iter().find(|update| {
            update.file == located.file && update.field.path == field.path && update.field.repository == *image
        });
        let free = located.shadowed_by.is_none() && update.is_none();
        ExplainedField {
            file: located.file.clone(),
            line: field.place.line,
            path: field.path.clone(),
            shape: field.shape,
            tag: field.version.tag.clone(),
            digest: field.version.digest.clone(),
            shadowed_by: located.shadowed_by.clone(),
            moves_to: update.map(|update| update.to.to_string()),
            stays: if free { stays(&decision.skipped, image, &Address::of(&located.file, field)) } else { Vec::new() },
        }
    };
    of_image.map(explanation).collect()
}

/// Returns the reasons why a field stays.
fn stays(skipped: &[Skipped], image: &Repository, address: &Address) -> Vec<FieldReason> {
    let concerning = skipped.iter().filter(|skipped| skipped.concerns(image, address));
    concerning.map(|skipped| FieldReason { reason: skipped.reason, detail: skipped.detail.clone() }).collect()
}

/// Returns the results of the gates for chosen versions; those that passed come last.
fn gates(state: &CycleState, rule: Option<&Rule>, image: &Repository, registry: &Client) -> Vec<GateResult> {
    let now = clock::now();
    // The gate has already queried it.
    let arrival = |version: &Version, digest: &Digest| {
        let tag = version.tag.as_ref().filter(|_| rule.is_some_and(|rule| rule.minimum_age.is_some()))?;
        registry.known_arrivals(image, std::iter::once((tag, digest)), now).remove(tag)
    };
    let of_image = state.verifications.iter().filter(|((of, _), _)| of == image);
    let mut results: Vec<GateResult> = of_image
        .map(|((_, version), verification)| {
            let (passed, detail) = match verification {
                Verification::Complete { digest, dates, origin } => {
                    let arrival = arrival(version, digest);
                    let young = rule.and_then(|rule| too_young(rule, dates.built, arrival, now));
                    let built = dates.built.map(|at| format!(", built {at}")).unwrap_or_default();
                    let origin = origin.as_ref().map(|origin| format!(", {origin}")).unwrap_or_default();
                    (young.is_none(), young.unwrap_or_else(|| format!("complete, {digest}{built}{origin}")))
                }
                Verification::Broken(detail) | Verification::Unproven(detail) | Verification::Unknown(detail) => {
                    (false, detail.clone())
                }
            };
            GateResult { version: version.to_string(), passed, detail }
        })
        .collect();
    results.sort_by_key(|explanation| Reverse(explanation.passed));
    results
}
