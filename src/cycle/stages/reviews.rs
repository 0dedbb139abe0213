//! Approvals at the forge: the pull requests of stages, and whose reviews of them count.

use std::collections::BTreeSet;

use tokio::task::block_in_place;

use crate::cycle::context::Context;
use crate::cycle::error::CycleError;
use crate::cycle::history::learn;
use crate::cycle::write::stage_pull_request::{Author, StageBranch, StagePullRequest};
use crate::forge::pull_request::Person;
use crate::forge::review::Review;
use crate::image::{Repository, Version};
use crate::plan::proposal::{ClosedPullRequest, promotes};
use crate::plan::trailer::RecordedMove;
use crate::policy::order::Order;
use crate::policy::rule::PolicySet;
use crate::policy::tags::TagRule;
use crate::repo::source;
use crate::secret::SafeUrl;
use crate::stage::board::Cell;
use crate::stage::candidate::{Gate, Outlook, Wait};
use crate::stage::definition::{Approval, ApprovalBy, Stage};
use crate::stage::promotion::{APPROVAL, Evidence};
use crate::stage::release::Release;

/// The releases of a cell for which closed pull requests matter; older ones are not promoted while newer ones may be.
const MOST: usize = 5;

/// The branch of a source whose policy names none.
const USUAL_BRANCH: &str = "main";

/// Queries the pull requests of all stages that wait for one, unless this was done before in the cycle.
pub async fn query(
    context: &mut Context<'_>,
    cells: &[Cell<'_>],
    outlooks: &[Option<Outlook>],
) -> Result<(), CycleError> {
    for (cell, outlook) in cells.iter().zip(outlooks) {
        let (Some(outlook), Some(approval)) = (outlook, &cell.stage.approval) else { continue };
        let waits = match approval.by {
            ApprovalBy::Signature => false,
            ApprovalBy::Review => !outlook.soaked.is_empty(),
            // A release that is taken back must not be merged any more.
            ApprovalBy::Merge => !outlook.soaked.is_empty() || !outlook.waiting.is_empty(),
        };
        if !waits {
            continue;
        }
        let name = &cell.stage.name;
        if !context.state.stage_pull_requests.contains_key(name) {
            let found = ask(context, cell.stage, approval).await;
            learn::keep(context, &found.all.merged);
            context.state.stage_pull_requests.insert(name.clone(), found);
        }
        let releases: Vec<&Release> = outlook.soaked.iter().take(MOST).map(|soaked| &soaked.release).collect();
        add_closers(context, cell.stage, &releases).await;
        block_in_place(|| add_holds(context, cell.stage, &releases))?;
        if approval.not_by_author {
            add_authors(context, cell.stage, &releases).await;
        }
    }
    Ok(())
}

/// Adds the closed pull requests of all stages to the history, for what may be resumed.
pub async fn add_closed(context: &mut Context<'_>) {
    for stage in &context.config.stages.stages.clone() {
        let approval = stage.approval.as_ref().filter(|approval| approval.by != ApprovalBy::Signature);
        let Some(approval) = approval else { continue };
        let found = ask(context, stage, approval).await;
        found.unknown.into_iter().for_each(|why| context.note(format!("{}: {why}", stage.name)));
        context.history.add_closed(found.all.closed);
    }
}

async fn ask(context: &Context<'_>, stage: &Stage, approval: &Approval) -> StagePullRequest {
    let unknown = |why: String| StagePullRequest { unknown: Some(why), ..StagePullRequest::default() };
    let own = StageBranch::of(&stage.name);
    match own.and_then(|own| context.services.evidence.forge_for(&own.branch)) {
        None => unknown("no forge is configured (`git.forge`)".to_owned()),
        Some(forge) => match StagePullRequest::query(&forge, approval.by).await {
            Ok(found) => found,
            Err(error) => unknown(format!("pull requests could not be queried: {error}")),
        },
    }
}

/// Adds who closed the pull requests that proposed these releases.
async fn add_closers(context: &mut Context<'_>, stage: &Stage, releases: &[&Release]) {
    let own = StageBranch::of(&stage.name);
    let forge = own.and_then(|own| context.services.evidence.forge_for(&own.branch));
    let (Some(forge), Some(found)) = (forge, context.state.stage_pull_requests.get_mut(&stage.name)) else { return };
    let is_of = |moved: &RecordedMove, release: &Release| {
        release.version_of(&moved.image).is_some_and(|version| version.tag == moved.to.tag)
    };
    let proposed = |closed: &ClosedPullRequest| {
        closed.moves.iter().any(|moved| releases.iter().any(|release| is_of(moved, release)))
    };
    found.all.add_closers(&forge, proposed).await;
}

/// Adds the holds of pull requests that people have closed.
fn add_holds(context: &mut Context<'_>, stage: &Stage, releases: &[&Release]) -> Result<(), CycleError> {
    let Some(mut found) = context.state.stage_pull_requests.remove(&stage.name) else { return Ok(()) };
    for release in releases {
        let closed: Vec<_> = found.all.closed.clone();
        for image in release.images().keys() {
            let Some(version) = release.version_of(image) else { continue };
            let version = Version { digest: None, ..version };
            if let Some(hold) = context.history.hold_by_closing(context.tip, &closed, image, &version)? {
                found.held.insert(release.id(), hold.to_string());
            }
        }
    }
    context.state.stage_pull_requests.insert(stage.name.clone(), found);
    Ok(())
}

/// Adds the authors of the source commits of the release that is being reviewed.
async fn add_authors(context: &mut Context<'_>, stage: &Stage, releases: &[&Release]) {
    let Some(found) = context.state.stage_pull_requests.get(&stage.name) else { return };
    let is_reviewed = |release: &&&Release| {
        let is_open = found.all.open.as_ref().is_some_and(|open| promotes(&open.text, &stage.name, &release.id()));
        is_open && !found.authors.contains_key(&release.id())
    };
    let Some(release) = releases.iter().find(is_reviewed).filter(|_| found.reviews.iter().any(Review::approves)) else {
        return;
    };
    let id = release.id();
    let known = context.memory.with(|memory| memory.authors.get(&id).cloned());
    let authors = match known {
        Some(known) => Ok(known),
        None => authors(context, release).await,
    };
    if let Ok(authors) = &authors {
        context.memory.with(|memory| memory.authors.insert(id.clone(), authors.clone()));
    }
    if let Some(found) = context.state.stage_pull_requests.get_mut(&stage.name) {
        found.authors.insert(id, authors);
    }
}

async fn authors(context: &Context<'_>, release: &Release) -> Result<Vec<Author>, String> {
    let mut authors = Vec::new();
    for image in release.images().keys() {
        let version = release.version_of(image).unwrap_or_default();
        let author = author(context, image, &version).await.map_err(|why| format!("{image}: {why}"))?;
        if !authors.contains(&author) {
            authors.push(author);
        }
    }
    Ok(authors)
}

async fn author(context: &Context<'_>, image: &Repository, version: &Version) -> Result<Author, String> {
    let services = context.services;
    let labels = services.registry.source_labels(image, version).await.map_err(|error| error.to_string())?;
    let source: Option<SafeUrl> = labels.source.and_then(|source| source.parse().ok());
    let source = source.ok_or("its image has no label org.opencontainers.image.source")?;
    let (named, branch) = named_commit(&context.config.policies, image, version);
    let commit = labels.revision.or(named).ok_or("its image has no label org.opencontainers.image.revision")?;
    let config = services.sources.config(&source, &branch).map_err(|error| error.to_string())?;
    let read = tokio::task::spawn_blocking(move || source::author(config, &commit));
    let author = read.await.map_err(|stopped| stopped.to_string())?.map_err(|error| error.to_string())?;
    author.ok_or_else(|| format!("its source commit is not on the branch {branch} of {source}"))
}

/// Returns the commit that a tag names, and the branch of its source.
fn named_commit(policies: &PolicySet, image: &Repository, version: &Version) -> (Option<String>, String) {
    let Some(TagRule::Sha { form, order, .. }) = policies.rule_for(image).map(|rule| &rule.tags) else {
        return (None, USUAL_BRANCH.to_owned());
    };
    let branch = match order {
        Order::Commit(branch) => branch.branch.clone(),
        _ => USUAL_BRANCH.to_owned(),
    };
    (version.tag.as_ref().and_then(|tag| form.commit(tag)).map(str::to_owned), branch)
}

/// Returns the approvals of a release by reviews, or what is missing.
pub fn approval(
    stage: &Stage,
    approval: &Approval,
    release: &Release,
    found: Option<&StagePullRequest>,
) -> Result<Vec<Evidence>, Wait> {
    let wait = |gate, detail| Err(Wait { gate, detail, until: None });
    let (way, short, id) = (approval.by.name(), release.short(), release.id());
    let none = format!("0 of {} approvals by {way} for {short}", approval.need);
    let Some(found) = found else { return wait(Gate::Approval, none) };
    if let Some(why) = &found.unknown {
        return wait(Gate::Approval, format!("{none}: {why}"));
    }
    if let Some(hold) = found.held.get(&id) {
        return wait(Gate::Held, hold.clone());
    }
    let open = found.all.open.as_ref().filter(|open| promotes(&open.text, &stage.name, &id));
    let Some(open) = open else { return wait(Gate::Approval, none) };
    if approval.by == ApprovalBy::Merge {
        return wait(Gate::Approval, format!("{short} waits for somebody to merge {}", open.url));
    }
    let refusing: Vec<&str> =
        found.reviews.iter().filter(|review| review.refuses()).map(|review| review.by.login.as_str()).collect();
    if !refusing.is_empty() {
        let detail = format!("{} asks for changes to {short} in {}", refusing.join(", "), open.url);
        return wait(Gate::Approval, detail);
    }
    let (given, ignored) = counted(approval, release, found);
    if given.len() >= approval.need as usize {
        return Ok(given.into_iter().map(|who| evidence(&who, approval.by)).collect());
    }
    let ignored: String = ignored.iter().map(|why| format!("; {why}")).collect();
    let detail =
        format!("{} of {} approvals by {way} for {short} in {}{ignored}", given.len(), approval.need, open.url);
    wait(Gate::Approval, detail)
}

/// Returns who has approved, and why others do not count.
fn counted(approval: &Approval, release: &Release, found: &StagePullRequest) -> (BTreeSet<String>, Vec<String>) {
    let (mut given, mut ignored) = (BTreeSet::new(), Vec::new());
    let authors = found.authors.get(&release.id());
    for review in &found.reviews {
        let who = &review.by.login;
        if !review.approves() {
            ignored.push(format!("the review by {who} {}", review.weight));
            continue;
        }
        match (approval.not_by_author, authors) {
            (false, _) => drop(given.insert(who.clone())),
            (true, Some(Ok(authors))) if !is_author(&review.by, authors) => drop(given.insert(who.clone())),
            (true, Some(Ok(_))) => ignored.push(format!("the author {who} does not count")),
            (true, Some(Err(why))) => {
                ignored.push(format!("the review by {who} does not count, because the author is not known ({why})"));
            }
            (true, None) => {
                ignored.push(format!("the review by {who} does not count, because the author is not known"));
            }
        }
    }
    (given, ignored)
}

fn is_author(person: &Person, authors: &[Author]) -> bool {
    authors.iter().any(|(name, email)| person.may_be(name, email))
}

/// Returns the evidence that somebody approved a release at the forge.
pub fn evidence(who: &str, by: ApprovalBy) -> Evidence {
    Evidence { kind: APPROVAL.to_owned(), detail: format!("{who} by {}", by.name()), url: None }
}
