//! Why an image stands as it does, step by step: fields, policy, tags, order, holds, gates, and what comes of them.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;

use crate::image::{Digest, Repository, Tag};
use crate::manifest::field::Shape;
use crate::manifest::inventory::Located;
use crate::plan::candidates::Candidates;
use crate::plan::findings::NoFindings;
use crate::plan::gate::ImageProof;
use crate::plan::skip::{Address, Reason, Skipped};
use crate::policy::build::Kind;
use crate::policy::minimum_age::too_young;
use crate::policy::rule::Rule;
use crate::policy::seen::Seen;
use crate::policy::tags::Rank;

use super::candidates::round::Extent;
use super::decision::Decision;
use super::engine::Engine;
use super::error::CycleError;
use super::operations::follow::FollowOne;
use super::state::CycleState;
use super::status::{HoldStatus, Inputs};

/// Why an image stands as it does.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The image.
    pub image: Repository,
    /// The policy that governs it.
    pub policy: Option<Policy>,
    /// Its fields, and what comes of each.
    pub fields: Vec<ExplainedField>,
    /// The tags that can be chosen, the newest first.
    pub tags: Vec<ExplainedTag>,
    /// The tags that cannot, each with the rule that drops it.
    pub dropped: Vec<DroppedTag>,
    /// Why the registry was of no use, if it was not.
    pub registry_error: Option<String>,
    /// What is held of the image.
    pub holds: Vec<HoldStatus>,
    /// What the gates found out about images that were chosen.
    pub gates: Vec<GateResult>,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// A policy.
#[derive(Debug, Clone, Serialize)]
pub struct Policy {
    /// How it is called in listings.
    pub name: String,
    /// Which tags it takes.
    pub tags: String,
}

/// A field, and what comes of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedField {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The path in it.
    pub path: String,
    /// The form.
    pub shape: Shape,
    /// The tag that it holds.
    pub tag: Option<Tag>,
    /// The digest that it holds.
    pub digest: Option<Digest>,
    /// The kustomization that overrides it, so that it decides nothing.
    pub shadowed_by: Option<String>,
    /// Where it moves.
    pub moves_to: Option<String>,
    /// Why it stays.
    pub stays: Vec<Stay>,
}

/// Why a field stays.
#[derive(Debug, Clone, Serialize)]
pub struct Stay {
    /// For machines.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

/// A tag that can be chosen.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedTag {
    /// The tag.
    pub tag: Tag,
    /// Where it stands in the order of the policy, where its name alone does not say.
    pub order: Option<String>,
    /// What else is known of it: the tag that goes before it, where that is of the same build.
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

/// What the gates found out about an image.
#[derive(Debug, Clone, Serialize)]
pub struct GateResult {
    /// Its version.
    pub version: String,
    /// Whether it may be written.
    pub passed: bool,
    /// What was found out.
    pub detail: String,
}

/// Explains the state of an image. Nothing is written.
pub async fn explain(engine: &Engine, image: &Repository) -> Result<Explanation, CycleError> {
    let mut state = CycleState::default();
    state.extent = Extent::Whole;
    let decision = engine.decide(&FollowOne(image), &mut state).await?;
    let Inputs { policies, holds, named, .. } = &decision.inputs;
    let rule = policies.rule_for(image);
    let mut story = Explanation {
        image: image.clone(),
        policy: rule.map(|rule| Policy { name: rule.name.clone(), tags: rule.tags.to_string() }),
        fields: fields(&decision, image),
        tags: Vec::new(),
        dropped: Vec::new(),
        registry_error: None,
        holds: Vec::new(),
        gates: gates(&state, rule, image),
        notes: decision.notes.clone(),
    };
    for hold in holds.iter().chain(named.all()).filter(|hold| hold.target.image == *image) {
        let held = HoldStatus::from(hold);
        if !story.holds.contains(&held) {
            story.holds.push(held);
        }
    }
    let Some(rule) = rule else { return Ok(story) };
    match engine.services().registry.tags(image).await {
        Ok(listed) => story.dropped = listed.iter().filter_map(|tag| dropped(rule, tag)).collect(),
        Err(error) => story.registry_error = Some(error.to_string()),
    }
    match state.findings.get(image) {
        Some(Ok(findings)) => {
            let Some(candidates) = findings.whole() else { return Ok(story) };
            story.tags = in_order(rule, candidates);
            let doubt = |seen: &Seen| Some(DroppedTag { tag: seen.tag.clone(), rule: seen.doubt?.to_string() });
            story.dropped.extend(candidates.seen.iter().filter_map(doubt));
        }
        Some(Err(NoFindings::Absent(words) | NoFindings::Failed(words) | NoFindings::Unfinished(words))) => {
            story.registry_error = Some(words.clone());
        }
        None => {}
    }
    Ok(story)
}

/// The rule that drops a tag by its name.
fn dropped(rule: &Rule, tag: &Tag) -> Option<DroppedTag> {
    let words = match (rule.tag_patterns.allows(tag), rule.tags.rank(tag)) {
        (false, _) => "`allow` and `ignore` rule it out".to_owned(),
        (true, Err(misfit)) => misfit.to_string(),
        (true, Ok(_)) => return None,
    };
    Some(DroppedTag { tag: tag.clone(), rule: words })
}

/// The tags that can be chosen, the newest first; those whose place is not known come last.
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
    let story = |(_, seen): (Rank, &Seen)| ExplainedTag {
        tag: seen.tag.clone(),
        order: match (by_order, seen.standing) {
            (true, None) => Some("not known".to_owned()),
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
    ranked.into_iter().map(story).collect()
}

fn fields(decision: &Decision, image: &Repository) -> Vec<ExplainedField> {
    let of_image = decision.inputs.inventory.fields.iter().filter(|located| located.field.repository == *image);
    let story = |located: &Located| {
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
    of_image.map(story).collect()
}

/// Why a field stays.
fn stays(skipped: &[Skipped], image: &Repository, address: &Address) -> Vec<Stay> {
    let concerning = skipped.iter().filter(|skipped| skipped.concerns(image, address));
    concerning.map(|skipped| Stay { reason: skipped.reason, detail: skipped.detail.clone() }).collect()
}

/// What the gates found out about the images of chosen tags, those that passed last.
fn gates(state: &CycleState, rule: Option<&Rule>, image: &Repository) -> Vec<GateResult> {
    let of_image = state.proofs.iter().filter(|((of, _), _)| of == image);
    let mut stories: Vec<GateResult> = of_image
        .map(|((_, version), proof)| {
            let (passed, detail) = match proof {
                ImageProof::Whole { digest, created } => {
                    let young = rule.and_then(|rule| too_young(rule, *created, Timestamp::now()));
                    let built = created.map(|at| format!(", built {at}")).unwrap_or_default();
                    (young.is_none(), young.unwrap_or_else(|| format!("whole, {digest}{built}")))
                }
                ImageProof::Broken(words) | ImageProof::Unknown(words) => (false, words.clone()),
            };
            GateResult { version: version.to_string(), passed, detail }
        })
        .collect();
    stories.sort_by_key(|story| Reverse(story.passed));
    stories
}
