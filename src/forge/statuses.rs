//! The statuses of a commit, and those that tagalong sets.
//!
//! - Gitea's swagger: `repoGetCombinedStatusByRef`, `repoCreateStatus`
//! - GitHub's REST API: "Get the combined status for a specific reference", "List check runs for a Git reference",
//!   "Create a commit status"
//! - GitLab's REST API: "List the statuses of a commit", "Set commit pipeline status"

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::http::encode_path_segment;

use super::commit_status::{CheckState, CommitStatus, NewStatus, newest};
use super::config::Kind;
use super::error::ForgeError;
use super::pages::{self, Page};
use super::transport::{Request, Transport};
use super::{azure, bitbucket, datacenter, pulls};

/// What GitLab calls the error of a status that already has the state to be set.
const SAME_STATE: &str = "Cannot transition status";

/// Returns the newest statuses of a commit with these contexts; at most one for each.
pub async fn read(
    forge: &Transport,
    commit: &str,
    contexts: &BTreeSet<String>,
) -> Result<Vec<CommitStatus>, ForgeError> {
    let commit = encode_path_segment(commit);
    match forge.config.kind {
        Kind::Gitea => combined(forge, &commit, contexts, "limit=50").await,
        Kind::GitHub => {
            let statuses = combined(forge, &commit, contexts, "per_page=100").await?;
            let is_bad = |status: &CommitStatus| status.state != CheckState::Success;
            if statuses.len() == contexts.len() && statuses.iter().all(is_bad) {
                return Ok(statuses);
            }
            // If a status and a check run have the same name, GitHub requires both.
            let runs = check_runs(forge, &commit, contexts).await?;
            Ok(worst(statuses.into_iter().chain(runs)))
        }
        Kind::GitLab => jobs(forge, &commit, contexts).await,
        Kind::Bitbucket => bitbucket::statuses::read(forge, &commit, contexts).await,
        Kind::BitbucketDataCenter => datacenter::statuses::read(forge, &commit, contexts).await,
        Kind::AzureDevOps => azure::statuses::read(forge, &commit, contexts).await,
    }
}

/// Sets a status.
pub async fn set(forge: &Transport, commit: &str, status: &NewStatus) -> Result<(), ForgeError> {
    let commit = encode_path_segment(commit);
    match forge.config.kind {
        Kind::Gitea | Kind::GitHub => {
            let target = NewStatus::path(&forge.config.repository, &commit);
            forge.send::<IgnoredAny>(Request::send(Method::POST, target, status.body())).await.map(drop)
        }
        Kind::GitLab => {
            let target = format!("/projects/{}/statuses/{commit}", encode_path_segment(&forge.config.repository));
            match forge.send::<IgnoredAny>(Request::send(Method::POST, target, status.gitlab_body())).await {
                Err(ForgeError::Refused { status: 400, message, .. }) if message.contains(SAME_STATE) => Ok(()),
                sent => sent.map(drop),
            }
        }
        Kind::Bitbucket => bitbucket::statuses::set(forge, &commit, status).await,
        Kind::BitbucketDataCenter => datacenter::statuses::set(forge, &commit, status).await,
        Kind::AzureDevOps => azure::statuses::set(forge, &commit, status).await,
    }
}

/// The newest status of each context, as Gitea and GitHub return it. Without any, old versions of Gitea return nothing.
#[derive(Deserialize)]
struct Combined {
    statuses: Option<Vec<Status>>,
}

#[derive(Deserialize)]
struct Status {
    id: i64,
    context: String,
    // GitHub's name for what Gitea calls `status`.
    #[serde(alias = "status")]
    state: String,
    description: Option<String>,
    target_url: Option<String>,
    updated_at: Option<String>,
}

impl Page for Combined {
    type Item = Status;

    fn items(self) -> Vec<Status> {
        self.statuses.unwrap_or_default()
    }
}

async fn combined(
    forge: &Transport,
    commit: &str,
    contexts: &BTreeSet<String>,
    size: &str,
) -> Result<Vec<CommitStatus>, ForgeError> {
    let target = format!("{}/commits/{commit}/status?{size}", pulls::repository_path(forge));
    let is_wanted = |status: &Status| contexts.contains(&status.context);
    let is_enough = |found: &[Status]| distinct(found.iter().map(|status| &status.context)) == contexts.len();
    let found = pages::read::<Combined>(forge, &target, is_wanted, is_enough).await?;
    Ok(newest(found.into_iter().map(|status| (status.context.clone(), status.id, status))).map(common_status).collect())
}

fn common_status(status: Status) -> CommitStatus {
    let state = match status.state.as_str() {
        // Gitea's branch protection counts the latter two as well.
        "success" | "warning" | "skipped" => CheckState::Success,
        "pending" => CheckState::Pending,
        _ => CheckState::Failure,
    };
    let Status { context, description, target_url, updated_at, .. } = status;
    CommitStatus::new(context, state, &status.state).with(description, target_url, updated_at)
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: i64,
    name: String,
    status: String,
    conclusion: Option<String>,
    html_url: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    output: Option<Output>,
    app: Option<App>,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
}

#[derive(Deserialize)]
struct App {
    id: i64,
}

impl Page for CheckRuns {
    type Item = CheckRun;

    fn items(self) -> Vec<CheckRun> {
        self.check_runs
    }
}

async fn check_runs(
    forge: &Transport,
    commit: &str,
    contexts: &BTreeSet<String>,
) -> Result<Vec<CommitStatus>, ForgeError> {
    let target = format!("{}/commits/{commit}/check-runs?filter=latest&per_page=100", pulls::repository_path(forge));
    let is_wanted = |run: &CheckRun| contexts.contains(&run.name);
    // Any page may have another run of the same name.
    let found = pages::read::<CheckRuns>(forge, &target, is_wanted, |_| false).await?;
    // A run is replaced only by a newer one of the same app.
    let app = |run: &CheckRun| run.app.as_ref().map(|app| app.id);
    let newest = newest(found.into_iter().map(|run| ((run.name.clone(), app(&run)), run.id, run)));
    Ok(newest.map(common_run).collect())
}

fn common_run(run: CheckRun) -> CommitStatus {
    let word = run.conclusion.filter(|_| run.status == "completed").unwrap_or(run.status);
    let state = match word.as_str() {
        // GitHub's branch protection counts the latter two as well.
        "success" | "neutral" | "skipped" => CheckState::Success,
        "queued" | "in_progress" | "waiting" | "requested" | "pending" => CheckState::Pending,
        _ => CheckState::Failure,
    };
    let title = run.output.and_then(|output| output.title);
    CommitStatus::new(run.name, state, &word).with(title, run.html_url, run.completed_at.or(run.started_at))
}

/// A job of a pipeline, or a status that was set from outside.
#[derive(Deserialize)]
struct Job {
    id: i64,
    name: String,
    status: String,
    description: Option<String>,
    target_url: Option<String>,
    finished_at: Option<String>,
    created_at: Option<String>,
    #[serde(default)]
    allow_failure: Option<bool>,
}

async fn jobs(forge: &Transport, commit: &str, contexts: &BTreeSet<String>) -> Result<Vec<CommitStatus>, ForgeError> {
    let project = encode_path_segment(&forge.config.repository);
    // A single name can be selected by the server.
    let name = match contexts.iter().next() {
        Some(only) if contexts.len() == 1 => format!("&name={}", encode_path_segment(only)),
        _ => String::new(),
    };
    let target = format!("/projects/{project}/repository/commits/{commit}/statuses?per_page=100{name}");
    let is_wanted = |job: &Job| contexts.contains(&job.name);
    // The list leaves out jobs that were retried, but other pipelines of the commit may have jobs of the same name.
    let found = pages::read::<Vec<Job>>(forge, &target, is_wanted, |_| false).await?;
    Ok(newest(found.into_iter().map(|job| (job.name.clone(), job.id, job))).map(common_job).collect())
}

fn common_job(job: Job) -> CommitStatus {
    let state = match job.status.as_str() {
        "success" => CheckState::Success,
        // GitLab's pipelines succeed in spite of them.
        "failed" | "canceled" if job.allow_failure == Some(true) => CheckState::Success,
        "failed" | "canceled" | "skipped" => CheckState::Failure,
        _ => CheckState::Pending,
    };
    let is_allowed = state == CheckState::Success && job.status != "success";
    let word = if is_allowed { format!("{} (allowed)", job.status) } else { job.status };
    CommitStatus::new(job.name, state, &word).with(job.description, job.target_url, job.finished_at.or(job.created_at))
}

/// Returns the worst status of each context.
fn worst(statuses: impl Iterator<Item = CommitStatus>) -> Vec<CommitStatus> {
    let mut worst: BTreeMap<String, CommitStatus> = BTreeMap::new();
    for status in statuses {
        if worst.get(&status.context).is_none_or(|known| known.state < status.state) {
            worst.insert(status.context.clone(), status);
        }
    }
    worst.into_values().collect()
}

fn distinct<'t>(texts: impl Iterator<Item = &'t String>) -> usize {
    texts.collect::<BTreeSet<_>>().len()
}
