//! The pull request that describes what is on the branch for proposals.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use crate::cycle::decision::Decision;
use crate::cycle::error::CycleError;
use crate::cycle::services::Services;
use crate::cycle::state::CycleState;
use crate::cycle::time_limit::before;
use crate::fault::{Explain, Fault};
use crate::forge::client::Forge;
use crate::forge::error::ForgeError;
use crate::forge::pull_request::{Draft, PullRequest};
use crate::image::{Repository, Version};
use crate::plan::gate::GatedUpdate;
use crate::plan::proposal;
use crate::plan::skip::Reason;
use crate::plan::template::Template;
use crate::policy::rule::PolicySet;
use crate::policy::tags::TagRule;
use crate::registry::client::Client;
use crate::repo::config::Branch;
use crate::secret::SafeUrl;

use super::pull_requests::query;

/// The number of images whose source labels are queried at a time.
const IMAGES: usize = 8;
/// The time for querying them. Without them, the pull request has fewer links.
const COMPARISONS: Duration = Duration::from_secs(30);

/// Opens the pull request for a proposal, or updates the one that is open. Returns notes about it.
pub async fn announce(
    services: &Services,
    title: &Template,
    decision: &Decision,
    state: &mut CycleState,
) -> Result<Vec<String>, CycleError> {
    let Some(forge) = &services.forge else { return Ok(Vec::new()) };
    let pull_requests = query(Some(forge), &mut state.pull_requests).await?;
    let updates = decision.gated.updates();
    let is_said = |open: &PullRequest| proposal::describes(&open.text, updates);
    if pull_requests.stale.is_some() || pull_requests.open.as_ref().is_some_and(is_said) {
        return Ok(Vec::new());
    }
    let compare = compare_links(&services.registry, updates, &decision.inputs.config.policies).await;
    let text = proposal::text(proposal::INTRODUCTION, updates, &compare, forge.longest_text());
    let draft = Draft { title: title.title(updates), text };
    let done = match &pull_requests.open {
        Some(open) => forge.update(open.number, &draft).await.map(|()| open.url.clone()),
        None => forge.open(&draft).await.map(|opened| opened.url),
    };
    match done {
        Ok(url) => {
            tracing::info!(%url, "the pull request is up to date");
            Ok(Vec::new())
        }
        Err(error) => noted(error, "the branch was pushed, and the next cycle tries again"),
    }
}

/// The result of withdrawing a pull request.
pub enum Withdrawal {
    /// No open pull request is left.
    Settled,
    /// It stays open, or could not be closed; with notes for people.
    Open(Vec<String>),
}

/// Closes the pull request if it has nothing left to propose. `branch` and `tip` are where it would have been merged.
pub async fn withdraw(
    forge: &Forge,
    branch: &Branch,
    tip: &str,
    decision: &Decision,
    state: &mut CycleState,
) -> Result<Withdrawal, CycleError> {
    let was_queried = state.pull_requests.is_some();
    let pull_requests = query(Some(forge), &mut state.pull_requests).await?;
    if let Some(why) = &pull_requests.stale {
        return Ok(Withdrawal::Open(if was_queried { Vec::new() } else { vec![why.clone()] }));
    }
    let Some(open) = &pull_requests.open else { return Ok(Withdrawal::Settled) };
    let proposed: BTreeSet<Repository> =
        proposal::recorded_moves(&open.text).into_iter().map(|moved| moved.image).collect();
    let of_it = decision.skipped.iter().filter(|skipped| proposed.contains(&skipped.image));
    // An update that only waits may be proposed again in the next cycle.
    let waits = |reason| !matches!(reason, Reason::UpToDate | Reason::NoCandidate | Reason::Held);
    if of_it.clone().any(|skipped| waits(skipped.reason)) {
        return Ok(Withdrawal::Open(Vec::new()));
    }
    let reasons: BTreeSet<String> =
        of_it.map(|skipped| format!("- `{}`: {}", skipped.image, proposal::code(&skipped.detail))).collect();
    let why = format!(
        "Nothing of this is left to propose on `{branch}` at {tip}, so it is closed. This does not hold anything back.\n\n{}\n",
        reasons.into_iter().collect::<Vec<_>>().join("\n")
    );
    // Without its record it does not hold anything back.
    if let Err(error) = forge.close(open.number, &proposal::without_record(&open.text), &why).await {
        return noted(error, "the next cycle tries again").map(Withdrawal::Open);
    }
    tracing::info!(url = %open.url, "closed the pull request, which has nothing left to propose");
    Ok(Withdrawal::Settled)
}

/// Returns the URLs of comparisons between the commits of old and new images, by update.
pub async fn compare_links(
    registry: &Client,
    updates: &[GatedUpdate],
    policies: &PolicySet,
) -> impl Fn(&GatedUpdate) -> Option<String> + use<> {
    let addresses = compare_addresses(registry, updates, policies).await;
    move |update: &GatedUpdate| addresses.get(&change_of(update)).cloned()
}

/// Returns the URLs of comparisons between the commits of old and new images, for images that name their source.
async fn compare_addresses(
    registry: &Client,
    updates: &[GatedUpdate],
    policies: &PolicySet,
) -> BTreeMap<Change, String> {
    let changes: BTreeSet<Change> = updates.iter().map(change_of).collect();
    let end = Instant::now() + COMPARISONS;
    let answers = stream::iter(changes).map(|change| async move {
        let address = before(Some(end), compare_address(registry, &change, policies)).await.flatten()?;
        Some((change, address))
    });
    answers.buffer_unordered(IMAGES).filter_map(std::future::ready).collect().await
}

async fn compare_address(registry: &Client, (image, from, to): &Change, policies: &PolicySet) -> Option<String> {
    let labels = registry.source_labels(image, to).await.ok()?;
    let source: SafeUrl = labels.source?.parse().ok()?;
    let page = source.page().filter(|_| matches!(source.scheme(), "https" | "http" | "ssh"))?;
    let named = |version: &Version| match &policies.rule_for(image)?.tags {
        TagRule::Sha { form, .. } => form.commit(version.tag.as_ref()?).map(str::to_owned),
        _ => None,
    };
    let before = match named(from) {
        Some(commit) => commit,
        None => registry.source_labels(image, from).await.ok()?.revision?,
    };
    let after = named(to).or(labels.revision)?;
    proposal::compare_address(page.as_str(), &before, &after)
}

/// An image with its old and its new version.
type Change = (Repository, Version, Version);

fn change_of(update: &GatedUpdate) -> Change {
    (update.field.repository.clone(), update.field.version.clone(), update.to.clone())
}

/// Returns a note about a failure of the forge after the push. Failures that persist are errors.
fn noted(error: ForgeError, then: &str) -> Result<Vec<String>, CycleError> {
    match error.fault() {
        Fault::Transient | Fault::Refused => Ok(vec![format!("{error}; {then}")]),
        _ => Err(error.into()),
    }
}
