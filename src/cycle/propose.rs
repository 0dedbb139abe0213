//! The branch for proposals, and the pull request that asks for it to be merged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use futures_util::{StreamExt, stream};
use tokio::task::block_in_place;

use crate::fault::{Explain, Fault};
use crate::forge::client::Forge;
use crate::forge::error::ForgeError;
use crate::forge::pull_request::{Draft, PullRequest, State};
use crate::image::{Repository, Version};
use crate::plan::gate::GatedUpdate;
use crate::plan::proposal::{self, Closed};
use crate::plan::skip::Reason;
use crate::policy::rule::PolicySet;
use crate::policy::tags::TagRule;
use crate::repo;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::config::Branch;
use crate::secret::SafeUrl;

use super::engine::{Decided, Engine};
use super::error::CycleError;
use super::follow::Learned;
use super::report::FileChange;
use super::task::Task;

/// How many images are asked for their sources at a time.
const IMAGES: usize = 8;

/// What the forge said of pull requests.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// The one that waits, if there is one.
    pub open: Option<PullRequest>,
    /// Those that were closed without being merged.
    pub closed: Vec<Closed>,
    /// Why it did not answer, if so: then this is what was known before.
    pub stale: Option<String>,
}

impl Heard {
    fn of(forge: &Forge, pull_requests: Vec<PullRequest>) -> Heard {
        let mut heard = Heard::default();
        for pull_request in pull_requests {
            match pull_request.state {
                State::Open => heard.open = Some(pull_request),
                State::Merged => {}
                State::Closed { at, by } => heard.closed.push(Closed {
                    name: forge.name(pull_request.number),
                    url: pull_request.url,
                    at,
                    by,
                    moves: proposal::recorded(&pull_request.text),
                }),
            }
        }
        heard
    }
}

impl Engine {
    /// The branch that a task pushes to. Only what follows policies is proposed; what was asked for by name goes to the
    /// branch itself.
    pub(super) fn branch_for(&self, task: &Task<'_>) -> &Branch {
        self.repo.push_branch.as_ref().filter(|_| !task.is_by_name()).unwrap_or(&self.repo.branch)
    }

    /// The git side for a task, which needs to know of the branch for proposals only where it pushes there.
    pub(super) fn repo_for(&self, task: &Task<'_>) -> repo::config::Config {
        let push_branch = self.repo.push_branch.clone().filter(|_| !task.is_by_name());
        repo::config::Config { push_branch, ..self.repo.clone() }
    }

    /// Whether the branch for proposals holds just these changes on this tip.
    pub(super) fn is_proposed(
        &self,
        clone: &BareClone,
        tip: CommitId,
        branch: &Branch,
        changes: &[FileChange],
    ) -> Result<bool, CycleError> {
        let Some(there) = clone.proposed().filter(|_| *branch != self.repo.branch) else { return Ok(false) };
        let changes: BTreeMap<String, Vec<u8>> =
            changes.iter().map(|change| (change.file.clone(), change.after.clone())).collect();
        Ok(block_in_place(|| clone.proposes(there, tip, &changes))?)
    }

    /// What the forge says of pull requests, asked once a pass. One that refuses the token ends the pass; one that cannot
    /// be reached is told of, and what was known before has to do.
    pub(super) async fn heard<'l>(&self, learned: &'l mut Learned) -> Result<&'l Heard, CycleError> {
        let heard = match (learned.heard.take(), &self.forge) {
            (Some(heard), _) => heard,
            (None, None) => Heard::default(),
            (None, Some(forge)) => match forge.pull_requests().await {
                Ok(pull_requests) => Heard::of(forge, pull_requests),
                Err(error) if error.fault() == Fault::Transient => {
                    let stale = Some(format!("{error}; pull requests wait for the next cycle"));
                    Heard { stale, ..Heard::of(forge, forge.known()) }
                }
                Err(error) => return Err(error.into()),
            },
        };
        Ok(learned.heard.insert(heard))
    }

    /// Sees to it that one pull request is open that says what is proposed. Gives what a person should know of it.
    pub(super) async fn request(&self, decided: &Decided, learned: &mut Learned) -> Result<Vec<String>, CycleError> {
        let Some(forge) = &self.forge else { return Ok(Vec::new()) };
        let heard = self.heard(learned).await?.clone();
        let updates = decided.gated.updates();
        let is_said = |open: &PullRequest| proposal::recorded(&open.text) == proposal::records(updates);
        if heard.stale.is_some() || heard.open.as_ref().is_some_and(is_said) {
            return Ok(Vec::new());
        }
        let addresses = self.compare_addresses(updates, &decided.scene.policies).await;
        let compare = |update: &GatedUpdate| addresses.get(&change_of(update)).cloned();
        let draft = Draft { title: self.style.title.title(updates), text: proposal::text(updates, &compare) };
        let done = match &heard.open {
            Some(open) => forge.update(open.number, &draft).await.map(|()| open.url.clone()),
            None => forge.open(&draft).await.map(|opened| opened.url),
        };
        match done {
            Ok(url) => {
                tracing::info!(%url, "the pull request says what is proposed");
                Ok(Vec::new())
            }
            Err(error) => noted(error, "the branch is pushed, and the next cycle tries again"),
        }
    }

    /// Closes the pull request that has nothing to propose any more.
    pub(super) async fn withdraw(
        &self,
        (clone, tip): (&BareClone, CommitId),
        decided: &Decided,
        learned: &mut Learned,
    ) -> Result<Vec<String>, CycleError> {
        let (Some(forge), Some(there)) = (&self.forge, clone.proposed()) else { return Ok(Vec::new()) };
        let is_settled = || *self.settled.lock().unwrap_or_else(PoisonError::into_inner) == Some((tip, there));
        if is_settled() || clone.contains(tip, there) {
            return Ok(Vec::new());
        }
        let was_asked = learned.heard.is_some();
        let heard = self.heard(learned).await?.clone();
        if let Some(words) = heard.stale {
            return Ok(if was_asked { Vec::new() } else { vec![words] });
        }
        if let Some(open) = heard.open {
            let proposed: BTreeSet<Repository> =
                proposal::recorded(&open.text).into_iter().map(|moved| moved.image).collect();
            let of_it = decided.skipped.iter().filter(|skipped| proposed.contains(&skipped.image));
            // What only waits may be proposed again in the next cycle.
            let waits = |reason| !matches!(reason, Reason::UpToDate | Reason::NoCandidate | Reason::Held);
            if of_it.clone().any(|skipped| waits(skipped.reason)) {
                return Ok(Vec::new());
            }
            let reasons: BTreeSet<String> =
                of_it.map(|skipped| format!("- `{}`: {}", skipped.image, skipped.detail)).collect();
            let why = format!(
                "Nothing of this is left to propose on `{}` at {tip}, so it is closed; nothing is held by that.\n\n{}\n",
                self.repo.branch,
                reasons.into_iter().collect::<Vec<_>>().join("\n")
            );
            // Without its record it holds nothing.
            if let Err(error) = forge.close(open.number, &proposal::without_record(&open.text), &why).await {
                return noted(error, "the next cycle tries again");
            }
            tracing::info!(url = %open.url, "the pull request has nothing to propose any more and is closed");
        }
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = Some((tip, there));
        Ok(Vec::new())
    }

    /// Where the changes of images can be looked at, for those that say where they come from.
    async fn compare_addresses(&self, updates: &[GatedUpdate], policies: &PolicySet) -> BTreeMap<Change, String> {
        let changes: BTreeSet<Change> = updates.iter().map(change_of).collect();
        let answers = stream::iter(changes).map(|change| async move {
            let address = self.compare_address(&change, policies).await?;
            Some((change, address))
        });
        answers.buffer_unordered(IMAGES).filter_map(std::future::ready).collect().await
    }

    async fn compare_address(&self, (image, from, to): &Change, policies: &PolicySet) -> Option<String> {
        let told = self.registry.source_labels(image, to).await.ok()?;
        let source: SafeUrl = told.source?.parse().ok()?;
        let page = source.page().filter(|_| matches!(source.scheme(), "https" | "http" | "ssh"))?;
        let named = |version: &Version| match &policies.rule_for(image)?.tags {
            TagRule::Sha { form, .. } => form.commit(version.tag.as_ref()?).map(str::to_owned),
            _ => None,
        };
        let before = match named(from) {
            Some(commit) => commit,
            None => self.registry.source_labels(image, from).await.ok()?.revision?,
        };
        let after = named(to).or(told.revision)?;
        proposal::compare_address(page.as_str(), &before, &after)
    }
}

/// An image, what a field leaves, and what it comes to.
type Change = (Repository, Version, Version);

fn change_of(update: &GatedUpdate) -> Change {
    (update.field.repository.clone(), update.field.version.clone(), update.to.clone())
}

/// What failed at the forge after the push was done. Only what trying again does not help is an error.
fn noted(error: ForgeError, then: &str) -> Result<Vec<String>, CycleError> {
    match error.fault() {
        Fault::Transient | Fault::Refused => Ok(vec![format!("{error}; {then}")]),
        _ => Err(error.into()),
    }
}
