//! Fetches and verifies the signatures of an image. What was proven is cached by digest.

use tokio::task::block_in_place;

use crate::image::{Digest, Repository, Version};
use crate::plan::origin::Origin;
use crate::policy::rule::Rule;
use crate::registry::client::Client;
use crate::registry::error::RegistryError;
use crate::registry::proofs::{Kinds, Proofs};
use crate::repo::source::Sources;
use crate::sigstore::requirement::PredicateType;
use crate::sigstore::source_repository::SourceRepository;
use crate::sigstore::subject::Subject;
use crate::sigstore::verdict::Verdict;
use crate::sigstore::verify::verify;

use super::requirement::ReadRequirement;

/// The most flaws that a message lists.
const LISTED: usize = 3;

/// An image whose origin is to be proved.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// The image.
    pub repository: &'q Repository,
    /// The version for which it was found.
    pub version: &'q Version,
    /// Its digest.
    pub digest: &'q Digest,
    /// The policy that governs it.
    pub rule: &'q Rule,
}

/// What was found out about the origin of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is proven.
    Proven(Origin),
    /// It is not.
    Unproven {
        /// What counts nevertheless.
        origin: Origin,
        /// What is missing.
        shortfalls: Vec<String>,
        /// What was found and does not count, with the reasons.
        flaws: Vec<String>,
    },
}

impl Finding {
    /// Makes a finding without any signature.
    pub fn nothing(reason: String) -> Finding {
        Finding::Unproven { origin: Origin::default(), shortfalls: vec![reason], flaws: Vec::new() }
    }

    /// Returns what is missing and why, if it is not proven.
    pub fn detail(&self) -> Option<String> {
        let Finding::Unproven { shortfalls, flaws, .. } = self else { return None };
        let mut listed: Vec<String> = shortfalls.iter().chain(flaws.iter().take(LISTED)).cloned().collect();
        let more = flaws.len().saturating_sub(LISTED);
        listed.extend((more > 0).then(|| format!("{more} more")));
        Some(listed.join("; "))
    }
}

/// Finds out whether the origin of an image is proven.
///
/// # Errors
/// The registry cannot be asked.
pub async fn prove(
    registry: &Client,
    sources: &Sources,
    question: Question<'_>,
    required: &ReadRequirement,
) -> Result<Finding, RegistryError> {
    let Question { repository, digest, .. } = question;
    if repository.index().is_some() {
        return Ok(Finding::nothing(
            "charts in a Helm repository have no signatures that can be verified; use an OCI registry".to_owned(),
        ));
    }
    let subject = subject(question);
    let allowed: Vec<&str> = sources.entries.iter().map(|entry| entry.url.expose()).collect();
    let hash = required.hash((&subject.commit, &subject.sources, allowed));
    // A scan can be outdated by the next one at any time.
    let may_change = required.requirement.attestations.iter().any(|rule| rule.predicate == PredicateType::Vuln);
    let known = registry.known_origin(repository, digest, &hash).filter(|_| !may_change);
    if let Some(origin) = known.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(Finding::Proven(origin));
    }
    let work = search(registry, sources, question, required, subject);
    let finding = registry.within_time(repository, "the search for signatures", work).await?;
    if let Finding::Proven(origin) = &finding
        && !may_change
        && let Ok(bytes) = serde_json::to_vec(origin)
    {
        registry.remember_origin(repository, digest, &hash, &bytes);
    }
    Ok(finding)
}

/// Looks for proof at one place after the other, first for the image itself, then for the platforms of its index.
async fn search(
    registry: &Client,
    sources: &Sources,
    question: Question<'_>,
    required: &ReadRequirement,
    mut subject: Subject,
) -> Result<Finding, RegistryError> {
    let Question { repository, digest, .. } = question;
    let mut proofs = registry.proofs(repository, Kinds { attestations: &required.predicates });
    let places = registry.places_of_proofs(repository);
    let judge = |proofs: &Proofs<'_>, subject: &Subject| {
        block_in_place(|| verify(&required.requirement, required.root.as_ref(), subject, &proofs.material))
    };
    let mut verdict = Verdict::default();
    for place in places {
        proofs.fetch(place, digest).await?;
        verdict = judge(&proofs, &subject);
        let finding = finding(&verdict, &proofs, required, &subject, sources);
        if matches!(finding, Finding::Proven(_)) {
            registry.note_place_of_proofs(repository, place);
            return Ok(finding);
        }
    }
    subject.platforms = proofs.listed_manifests(digest).await?;
    for place in places.into_iter().filter(|_| !subject.platforms.is_empty()) {
        for platform in &subject.platforms {
            proofs.fetch(place, platform).await?;
        }
        verdict = judge(&proofs, &subject);
        let finding = finding(&verdict, &proofs, required, &subject, sources);
        if matches!(finding, Finding::Proven(_)) {
            registry.note_place_of_proofs(repository, place);
            return Ok(finding);
        }
    }
    Ok(finding(&verdict, &proofs, required, &subject, sources))
}

/// Returns what is known about an image, except the platforms of its index.
fn subject(question: Question<'_>) -> Subject {
    let Question { repository, version, digest, rule } = question;
    let tag = version.tag.as_ref().filter(|tag| rule.tags.rank(tag).is_ok());
    let source = rule.tags.order().and_then(|order| order.branch()?.source.as_ref());
    Subject {
        image: repository.clone(),
        digest: digest.clone(),
        platforms: Vec::new(),
        commit: tag.and_then(|tag| rule.tags.commit_of(tag)).map(str::to_owned),
        sources: source.and_then(|url| SourceRepository::parse(url.expose())).into_iter().collect(),
    }
}

fn finding(
    verdict: &Verdict,
    proofs: &Proofs<'_>,
    required: &ReadRequirement,
    subject: &Subject,
    sources: &Sources,
) -> Finding {
    let origin = Origin::from(verdict);
    let mut shortfalls: Vec<String> = verdict.shortfalls.iter().map(ToString::to_string).collect();
    if subject.sources.is_empty() {
        shortfalls.extend(foreign_sources(verdict, required, sources));
    }
    if verdict.is_met() && shortfalls.is_empty() {
        return Finding::Proven(origin);
    }
    // What was not read at all comes first: the rest may not be the reason.
    let flaws = proofs.omitted.iter().cloned().chain(verdict.flaws.iter().map(ToString::to_string)).collect();
    Finding::Unproven { origin, shortfalls, flaws }
}

/// Returns what is missing because provenance names a source that is not allowed. It has to be an allowed one unless the
/// policy names it.
fn foreign_sources(verdict: &Verdict, required: &ReadRequirement, sources: &Sources) -> Vec<String> {
    let is_provenance =
        |kind: &PredicateType| matches!(kind, PredicateType::SlsaProvenance1 | PredicateType::SlsaProvenance02);
    let is_allowed = |source: &str| SourceRepository::parse(source).is_some_and(|name| sources.allows(name.as_str()));
    let rules = required.requirement.attestations.iter();
    let open = rules.filter(|rule| rule.source.is_none() && is_provenance(&rule.predicate));
    let mut foreign = Vec::new();
    for rule in open {
        let named: Vec<&str> = verdict
            .attestations
            .iter()
            .filter(|attested| rule.predicate.covers(&attested.predicate))
            .filter_map(|attested| attested.source.as_deref())
            .collect();
        if let Some(first) = named.first().filter(|_| !named.iter().any(|source| is_allowed(source))) {
            foreign.push(format!(
                "provenance names the source {first}, which is not allowed; add it to `sources`, or set `source` of the \
                 attestation"
            ));
        }
    }
    foreign
}
