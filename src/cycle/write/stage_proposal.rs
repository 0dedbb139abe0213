//! The pull request of a stage: opened once, kept up to date, and merged once it is approved and the windows are open.

use crate::clock;
use crate::cycle::decision::Decision;
use crate::cycle::error::CycleError;
use crate::cycle::memory::Memory;
use crate::cycle::schedules;
use crate::cycle::services::Services;
use crate::cycle::stages::reviews;
use crate::fault::{Explain, Fault};
use crate::forge::client::Forge;
use crate::forge::commit_status::{CheckState, NewStatus};
use crate::forge::error::ForgeError;
use crate::forge::pull_request::{Draft, MergeResult, PullRequest};
use crate::plan::message::promotions;
use crate::plan::proposal::{self, code};
use crate::plan::template::Template;
use crate::stage::definition::{Approval, ApprovalBy, Stage};
use crate::stage::promotion::{Evidence, Promotion};
use crate::window::schedule::Schedule;

use super::proposal::compare_links;
use super::stage_pull_request::{StageBranch, StagePullRequest};

/// What is proposed for a stage.
pub struct StageProposal<'p> {
    /// The stage and its branch.
    pub target: &'p StageBranch,
    /// The promotions that only lack an approval or an open window.
    pub decision: &'p Decision,
    /// The head of the branch, if it has exactly these promotions.
    pub head: Option<String>,
    /// True if it was pushed just now, so that nobody has approved it.
    pub is_new: bool,
    /// The windows.
    pub schedules: &'p [Schedule],
    /// The template of the title.
    pub title: &'p Template,
    /// The message of the merge, without approvals.
    pub message: String,
}

impl StageProposal<'_> {
    /// Brings the forge up to date, and merges what may be merged. `found` is what the forge knew before. Returns notes for
    /// people.
    pub async fn settle(
        &self,
        services: &Services,
        found: &StagePullRequest,
        memory: &Memory,
    ) -> Result<Vec<String>, CycleError> {
        let stage = self.decision.inputs.config.stages.named(&self.target.stage);
        let Some((stage, approval)) = stage.and_then(|stage| Some((stage, stage.approval.as_ref()?))) else {
            return Ok(Vec::new());
        };
        let Some(forge) = services.evidence.forge_for(&self.target.branch) else { return Ok(Vec::new()) };
        let settled = match &self.head {
            None => self.stop(stage, approval, &forge, found, memory).await,
            Some(head) => self.advance(head, stage, approval, (services, &forge), found, memory).await,
        };
        match settled {
            Ok(notes) => Ok(notes),
            Err(error) if matches!(error.fault(), Fault::Transient | Fault::Refused) => {
                Ok(vec![format!("{}: {error}; the next cycle tries again", stage.name)])
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn advance(
        &self,
        head: &str,
        stage: &Stage,
        approval: &Approval,
        (services, forge): (&Services, &Forge),
        found: &StagePullRequest,
        memory: &Memory,
    ) -> Result<Vec<String>, ForgeError> {
        self.announce(stage, approval, (services, forge), found).await?;
        let window = self.closed_window(stage);
        if approval.by == ApprovalBy::Merge {
            let status = match window {
                None => status(stage, CheckState::Success, "all conditions are met".to_owned()),
                Some(detail) => status(stage, CheckState::Pending, detail),
            };
            return set(forge, head, stage, status, memory).await;
        }
        let Some(open) = found.all.open.as_ref().filter(|open| !self.is_new && open.head.as_deref() == Some(head))
        else {
            return Ok(Vec::new());
        };
        match self.approvals(stage, approval, found) {
            Some(approvals) if window.is_none() => self.merge(forge, open, head, &approvals).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Keeps people from merging what must not be merged any more.
    async fn stop(
        &self,
        stage: &Stage,
        approval: &Approval,
        forge: &Forge,
        found: &StagePullRequest,
        memory: &Memory,
    ) -> Result<Vec<String>, ForgeError> {
        let head = found.all.open.as_ref().and_then(|open| open.head.as_deref());
        let Some(head) = head.filter(|_| approval.by == ApprovalBy::Merge) else { return Ok(Vec::new()) };
        let own = self.decision.skipped.iter().filter(|skipped| skipped.stage.as_ref() == Some(&stage.name));
        let why = own.map(|skipped| skipped.detail.as_str()).next().unwrap_or("there is nothing to promote");
        set(forge, head, stage, status(stage, CheckState::Failure, why.to_owned()), memory).await
    }

    /// Opens the pull request, or updates the one that is open.
    async fn announce(
        &self,
        stage: &Stage,
        approval: &Approval,
        (services, forge): (&Services, &Forge),
        found: &StagePullRequest,
    ) -> Result<(), ForgeError> {
        let updates = self.decision.gated.updates();
        if found.all.open.as_ref().is_some_and(|open| proposal::describes(&open.text, updates)) {
            return Ok(());
        }
        let links = compare_links(&services.registry, updates, &self.decision.inputs.config.policies).await;
        let introduction = introduction(stage, approval, &promotions(updates));
        let text = proposal::text(&introduction, updates, &links, forge.longest_text());
        let draft = Draft { title: self.title.title(updates), text };
        let url = match &found.all.open {
            Some(open) => forge.update(open.number, &draft).await.map(|()| open.url.clone()),
            None => forge.open(&draft).await.map(|opened| opened.url),
        }?;
        tracing::info!(%url, stage = %stage.name, "the pull request of the stage is up to date");
        Ok(())
    }

    /// Returns the approvals of all promotions, if none lacks one.
    fn approvals(&self, stage: &Stage, approval: &Approval, found: &StagePullRequest) -> Option<Vec<Evidence>> {
        let mut all = Vec::new();
        for promotion in promotions(self.decision.gated.updates()) {
            for evidence in reviews::approval(stage, approval, &promotion.release, Some(found)).ok()? {
                if !all.contains(&evidence) {
                    all.push(evidence);
                }
            }
        }
        Some(all)
    }

    async fn merge(
        &self,
        forge: &Forge,
        open: &PullRequest,
        head: &str,
        approvals: &[Evidence],
    ) -> Result<Vec<String>, ForgeError> {
        let lines: String = approvals.iter().map(|approval| format!("{}\n", approval.trailer())).collect();
        let message = format!("{}\n{lines}", self.message.trim_end());
        let (title, text) = message.split_once("\n\n").unwrap_or((message.as_str(), ""));
        let message = Draft { title: title.to_owned(), text: text.to_owned() };
        match forge.merge(open.number, head, &message).await? {
            MergeResult::Merged { .. } => tracing::info!(url = %open.url, "merged the pull request, which is approved"),
            MergeResult::Moved { head } => {
                tracing::info!(url = %open.url, %head, "the pull request has another head now")
            }
        }
        Ok(Vec::new())
    }

    /// Returns why a window is closed at this moment.
    fn closed_window(&self, stage: &Stage) -> Option<String> {
        schedules::closed(self.schedules, stage, clock::now()).map(|wait| wait.detail)
    }
}

/// Returns the introduction of a stage's pull request.
fn introduction(stage: &Stage, approval: &Approval, promotions: &[&Promotion]) -> String {
    let name = &stage.name;
    let mut text = format!("Merging this promotes to the stage `{name}`:\n\n");
    for promotion in promotions {
        let release = &promotion.release;
        text.push_str(&format!(
            "- {} {}, release `{}`\n",
            code(&promotion.group),
            code(&release.short()),
            release.id()
        ));
        for evidence in &promotion.evidence {
            text.push_str(&format!("  - {}\n", code(&evidence.to_string())));
        }
    }
    let windows: Vec<String> = stage.windows.iter().map(|window| format!("`{window}`")).collect();
    let window = if windows.is_empty() { String::new() } else { format!(" and {} is open", windows.join(", ")) };
    text.push_str(&match approval.by {
        ApprovalBy::Merge => format!("\nMerge it once the commit status `tagalong/{name}` succeeds."),
        _ => format!(
            "\nTagalong merges it as soon as its head has {} approval{}{window}.",
            approval.need,
            if approval.need == 1 { "" } else { "s" }
        ),
    });
    text.push_str(" Closing it without merging keeps these versions out of the stage until newer ones are proven, or until `tagalong resume IMAGE`.");
    text
}

fn status(stage: &Stage, state: CheckState, description: String) -> NewStatus {
    NewStatus { context: format!("tagalong/{}", stage.name), state, description, url: None }
}

/// Sets a status, unless it is set already.
async fn set(
    forge: &Forge,
    head: &str,
    stage: &Stage,
    status: NewStatus,
    memory: &Memory,
) -> Result<Vec<String>, ForgeError> {
    let wanted = (head.to_owned(), status);
    if memory.with(|memory| memory.statuses.get(&stage.name) == Some(&wanted)) {
        return Ok(Vec::new());
    }
    let (head, status) = &wanted;
    // After a restart, it may be set already.
    let known = forge.statuses(head, &[status.context.clone()].into()).await?;
    let is_set = known.iter().any(|known| {
        known.state == status.state && known.description.as_deref() == Some(status.short_description().as_str())
    });
    if !is_set {
        forge.set_status(head, status).await?;
    }
    memory.with(|memory| memory.statuses.insert(stage.name.clone(), wanted.clone()));
    Ok(Vec::new())
}
