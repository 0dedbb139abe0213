//! The pass itself.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::block_in_place;

use crate::fault::{Explain, Fault};
use crate::image::Reference;
use crate::manifest::conventions::Conventions;
use crate::manifest::edit::FollowRefs;
use crate::manifest::interest::Interest;
use crate::manifest::inventory::{Inventory, NamedFileError};
use crate::manifest::paths::PathFilter;
use crate::plan::decide::{self, Asked, RequestError};
use crate::plan::gate::{self, GatedPlan};
use crate::plan::intent::Intent;
use crate::plan::skip::{Reason, Skipped};
use crate::policy::rule::PolicySet;
use crate::registry::client::Client;
use crate::registry::traffic::Traffic;
use crate::repo;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::push::Push;
use crate::sops::audit::Verdict;

use super::commits::{self, Edits, Style};
use super::error::CycleError;
use super::follow::{self, Learned};
use super::proof;
use super::report::{FileChange, Governed, Moved, Report};
use super::secrets::{Gate, Secrets};
use super::tree::{REPOSITORY_FILE, TreeCache};

/// Gives what is asked of a tip, from the bytes of the repository's own file if it has one.
pub type IntentSource = dyn Fn(Option<&[u8]>, Hosts) -> Result<Intent, Box<dyn Explain + Send + Sync>> + Send + Sync;

/// Which hosts the policies of the repository's own file may concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Those that the agent's own file allows.
    Allowed,
    /// Any: nothing will be asked of them because of a policy.
    Any,
}

/// What a pass is for.
#[derive(Debug)]
pub enum Task<'t> {
    /// Follow the policies.
    Follow,
    /// Write exactly what was asked for.
    Set(&'t Request),
}

/// What was asked for by name.
#[derive(Debug, Clone)]
pub struct Request {
    /// The references that every field of their images shall read.
    pub wanted: Vec<Reference>,
    /// Whether a field may go back to an older build.
    pub allow_downgrade: bool,
    /// Whether remote bases follow.
    pub follow: FollowRefs,
    /// How long an image that is not there yet may take to arrive.
    pub wait_image: Duration,
}

/// Whether a pass writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It commits and pushes.
    Push,
    /// It only says what it would do.
    DryRun,
    /// Automation is suspended: it says of each field that would move that it does not.
    Suspended,
}

/// Runs passes on one repository. What it keeps between them are caches.
pub struct Engine {
    repo: repo::config::Config,
    paths: PathFilter,
    attempts: u32,
    style: Style,
    registry: Client,
    intent: Box<IntentSource>,
    trees: TreeCache,
    secrets: Secrets,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("repo", &self.repo).finish_non_exhaustive()
    }
}

/// A plan that passed the gates, with what else there is to say.
struct Decided {
    gated: GatedPlan,
    skipped: Vec<Skipped>,
    notes: Vec<String>,
    follow: FollowRefs,
    conventions: Conventions,
    governed: Vec<Governed>,
}

impl Decided {
    /// Lets nothing move.
    fn suspend(&mut self) {
        let updates = std::mem::take(&mut self.gated);
        self.skipped.extend(updates.updates().iter().map(|update| Skipped {
            image: update.field.repository.clone(),
            tag: update.to.tag.clone(),
            reason: Reason::Suspended,
            detail: format!(
                "{}: {} would move to {}, but `agent.suspend` is set",
                update.file, update.field.path, update.to
            ),
        }));
    }
}

impl Engine {
    /// An engine for a repository.
    pub fn new(
        repo: repo::config::Config,
        paths: PathFilter,
        attempts: u32,
        style: Style,
        registry: Client,
        intent: Box<IntentSource>,
        secrets: Secrets,
    ) -> Engine {
        Engine { repo, attempts, style, registry, intent, trees: TreeCache::new(paths.clone()), paths, secrets }
    }

    /// One pass. After a lost race everything is planned again on the new tip; nothing is ever merged as text.
    pub async fn run(&self, task: &Task<'_>, mode: Mode) -> Result<Report, CycleError> {
        let start = Instant::now();
        let mut learned = Learned::default();
        let mut clone = block_in_place(|| BareClone::open(self.repo.clone()))?;
        for attempt in 1..=self.attempts {
            let begun = Instant::now();
            let (tip, mut decided);
            (clone, tip, decided) = self.decide_on_tip(clone, task, &mut learned, start).await?;
            if mode == Mode::Suspended {
                decided.suspend();
            }
            let (decided, changes) = block_in_place(|| self.edit(&clone, tip, decided, task))?;
            let report = |head: CommitId, commit: Option<CommitId>, attempts: u32| Report {
                head: head.to_string(),
                commit: commit.map(|id| id.to_string()),
                updates: decided.gated.updates().iter().map(Moved::from).collect(),
                skipped: decided.skipped.clone(),
                attempts,
                duration_ms: start.elapsed().as_millis() as u64,
                governed: decided.governed.clone(),
                changes: changes.clone(),
                notes: decided.notes.clone(),
            };
            if decided.gated.is_empty() || mode == Mode::DryRun {
                return Ok(report(tip, None, attempt - 1));
            }
            let edits = Edits {
                gated: &decided.gated,
                changes: &changes,
                follow: decided.follow,
                conventions: &decided.conventions,
                secrets: &self.secrets,
            };
            let commit = block_in_place(|| commits::write(&clone, tip, edits, &self.style))?;
            match block_in_place(|| push(&clone, commit, tip))? {
                Push::Done => return Ok(report(commit, Some(commit), attempt)),
                Push::LostRace { words } => {
                    tracing::info!(attempt, %words, "someone else was first; planning again on the new tip");
                    if attempt < self.attempts {
                        tokio::time::sleep(delay(attempt, begun.elapsed(), fastrand::f64())).await;
                    }
                }
            }
        }
        Err(CycleError::Exhausted { branch: self.repo.branch.clone(), attempts: self.attempts })
    }

    /// The requests that were sent to each registry since this was asked last.
    pub fn take_traffic(&self) -> Vec<Traffic> {
        self.registry.take_traffic()
    }

    /// The image fields of the branch's tip with what is asked of them, for commands that only look.
    pub fn inventory(&self) -> Result<(Arc<Inventory>, Intent), CycleError> {
        block_in_place(|| {
            let (clone, tip) = BareClone::open(self.repo.clone())?.fetch()?;
            let intent = self.intent(&clone, tip, Hosts::Any)?;
            let inventory = self.look(&clone, tip, &intent, &Interest::Everything)?;
            Ok((inventory, intent))
        })
    }

    /// What is to be said about the secrets of the branch's tip.
    pub fn verify_secrets(&self) -> Result<Vec<Verdict>, CycleError> {
        block_in_place(|| {
            let (clone, tip) = BareClone::open(self.repo.clone())?.fetch()?;
            let mut verdicts = self.secrets.verify(&clone, tip)?;
            if let Some(file) = self.paths.missing(&|path| clone.has(tip, path)) {
                return Err(CycleError::NamedFile(NamedFileError::Missing { file: file.to_owned() }));
            }
            verdicts.retain(|verdict| self.paths.wants(&verdict.file));
            Ok(verdicts)
        })
    }

    fn intent(&self, clone: &BareClone, tip: CommitId, hosts: Hosts) -> Result<Intent, CycleError> {
        let file = clone.file(tip, REPOSITORY_FILE)?;
        (self.intent)(file.as_deref(), hosts).map_err(CycleError::Configuration)
    }

    fn look(
        &self,
        clone: &BareClone,
        tip: CommitId,
        intent: &Intent,
        what: &Interest,
    ) -> Result<Arc<Inventory>, RepoError> {
        self.trees.inventory(clone, tip, &intent.conventions, what)
    }

    /// Fetches and decides. An image that was asked for and is on its way is waited for without the clone, which others
    /// may want meanwhile.
    async fn decide_on_tip(
        &self,
        clone: BareClone,
        task: &Task<'_>,
        learned: &mut Learned,
        start: Instant,
    ) -> Result<(BareClone, CommitId, Decided), CycleError> {
        let (clone, tip) = block_in_place(|| clone.fetch())?;
        let deadline = match task {
            Task::Set(request) => start + request.wait_image,
            Task::Follow => start,
        };
        match (self.decide(&clone, tip, task, learned).await, task) {
            (Ok(decided), _) => Ok((clone, tip, decided)),
            (Err(CycleError::Registry(error)), Task::Set(request))
                if error.is_absence() && Instant::now() < deadline =>
            {
                drop(clone);
                proof::arrival(&self.registry, &request.wanted, deadline).await?;
                let (clone, tip) = block_in_place(|| BareClone::open(self.repo.clone())?.fetch())?;
                let decided = self.decide(&clone, tip, task, learned).await?;
                Ok((clone, tip, decided))
            }
            // Objects are missing: the clone is no good, but everything in it can be fetched again.
            (Err(CycleError::Repo(error @ RepoError::Git { .. })), _) => {
                let (clone, tip) = block_in_place(|| clone.renew(&error)?.fetch())?;
                let decided = self.decide(&clone, tip, task, learned).await?;
                Ok((clone, tip, decided))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// What shall and may change on a tip.
    async fn decide(
        &self,
        clone: &BareClone,
        tip: CommitId,
        task: &Task<'_>,
        learned: &mut Learned,
    ) -> Result<Decided, CycleError> {
        let hosts = if matches!(task, Task::Follow) { Hosts::Allowed } else { Hosts::Any };
        let intent = block_in_place(|| self.intent(clone, tip, hosts))?;
        let (plan, inventory, follow, mut notes) = match task {
            Task::Follow => {
                let inventory = block_in_place(|| self.look(clone, tip, &intent, &intent.interest()))?;
                let openable = block_in_place(|| self.secrets.openable(clone, tip, &inventory))?;
                let mut notes = inventory.notes(&self.paths)?;
                if intent.policies.rules.is_empty() {
                    notes.push("no policy is configured, so no image is followed".to_owned());
                }
                let plan = follow::plan(learned, &self.registry, &inventory, &intent.policies, &openable).await;
                notes.extend(learned.notes.iter().cloned());
                (plan, inventory, FollowRefs::Yes, notes)
            }
            Task::Set(request) => {
                let (asked, inventory, notes) = block_in_place(|| self.asked(clone, tip, request, &intent))?;
                if learned.proofs.is_empty() {
                    learned.proofs =
                        proof::requested(&self.registry, &learned.audit, &request.wanted, &intent.policies).await?;
                }
                proof::complete(learned, &self.registry, &asked.plan, &PolicySet::default(), Timestamp::now()).await;
                if !request.allow_downgrade {
                    proof::no_downgrade(&learned.proofs, &self.registry, &asked.plan).await?;
                }
                (asked.plan, inventory, request.follow, [notes, asked.notes].concat())
            }
        };
        let files = plan.updates.iter().map(|update| update.file.as_str()).collect();
        let mut flaws = block_in_place(|| self.secrets.flaws(clone, tip, &inventory.closures, &files))?;
        if self.secrets.gate() == Gate::Warn {
            notes.extend(std::mem::take(&mut flaws).into_values());
        }
        if let (Task::Set(_), Some((_, flaw))) = (task, flaws.first_key_value()) {
            return Err(CycleError::Secret(flaw.clone()));
        }
        let (gated, skipped) = gate::pass(plan, &learned.proofs, &flaws);
        notes.extend(gated.moved_along());
        let governed = decide::governed(&inventory, &intent.policies).map(|(located, _)| located.into()).collect();
        let conventions = intent.conventions;
        Ok(Decided { gated, skipped: skipped.into_iter().collect(), notes, follow, conventions, governed })
    }

    /// What a request comes to, with what there is to say about the tree.
    fn asked(
        &self,
        clone: &BareClone,
        tip: CommitId,
        request: &Request,
        intent: &Intent,
    ) -> Result<(Asked, Arc<Inventory>, Vec<String>), CycleError> {
        let plan = |interest: &Interest| -> Result<(Asked, Arc<Inventory>, Vec<String>), CycleError> {
            let inventory = self.look(clone, tip, intent, interest)?;
            let notes = inventory.notes(&self.paths)?;
            let openable = self.secrets.openable(clone, tip, &inventory)?;
            let asked = decide::as_asked(&inventory, &request.wanted, &self.paths, &openable);
            if asked.is_err() && *interest == Interest::Everything {
                notes.iter().for_each(|note| tracing::warn!("{note}"));
            }
            Ok((asked?, inventory, notes))
        };
        match plan(&Interest::in_images(request.wanted.iter().map(|wanted| &wanted.repository))) {
            // Which names come closest, only the whole tree can tell.
            Err(CycleError::Request(RequestError::NoField { .. })) => plan(&Interest::Everything),
            other => other,
        }
    }

    /// The new bytes of all files. A file that cannot be edited keeps its fields back; for what was asked for by name
    /// it is an error.
    fn edit(
        &self,
        clone: &BareClone,
        tip: CommitId,
        mut decided: Decided,
        task: &Task<'_>,
    ) -> Result<(Decided, Vec<FileChange>), CycleError> {
        let files: Vec<String> = decided.gated.files().into_iter().map(str::to_owned).collect();
        let mut changes = Vec::new();
        let reseal = |before: &[u8], after: &[u8]| self.secrets.reseal(before, after);
        for file in files {
            let before = clone.file(tip, &file)?.unwrap_or_default();
            match decided.gated.edited(&file, &before, decided.follow, &decided.conventions, Some(&reseal)) {
                Ok(after) => changes.push(FileChange { file, before, after }),
                Err(error) if matches!(task, Task::Set(_)) => return Err(error.into()),
                Err(error) => {
                    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::error!(%file, %error, %why, "the edit was refused");
                    for update in decided.gated.updates().iter().filter(|update| update.file == file) {
                        decided.skipped.push(Skipped {
                            image: update.field.repository.clone(),
                            tag: update.to.tag.clone(),
                            reason: Reason::NoCandidate,
                            detail: format!("{error}: {why}"),
                        });
                    }
                    decided.gated.drop_file(&file);
                }
            }
        }
        Ok((decided, changes))
    }
}

/// How long to wait after a lost race. The unit is what the attempt took: where many write at once, attempts are slow,
/// and spreading them further apart is what lets each of them through. `random` is from 0 to 1.
fn delay(attempt: u32, took: Duration, random: f64) -> Duration {
    let unit = took.clamp(Duration::from_millis(50), Duration::from_secs(2));
    let grown = unit.mul_f64(2.0_f64.powi(attempt.min(12) as i32 - 1));
    grown.min(Duration::from_secs(20)).mul_f64(0.1 + random)
}

/// Pushes, and asks the server what it has then. When the connection breaks on the way, it may have taken the commit all
/// the same; and when it says that it has, the branch must hold it.
fn push(clone: &BareClone, commit: CommitId, tip: CommitId) -> Result<Push, RepoError> {
    match clone.push(commit, tip) {
        Ok(Push::Done) => match clone.refresh() {
            Ok(now) if clone.contains(now, commit) => Ok(Push::Done),
            Ok(now) => {
                let words =
                    format!("the server confirmed the push, but the branch is at {now}, which does not hold it");
                Ok(Push::LostRace { words })
            }
            Err(error) => {
                tracing::warn!(%error, "the server confirmed the push, but could not be asked afterwards");
                Ok(Push::Done)
            }
        },
        Ok(lost) => Ok(lost),
        Err(error) if error.fault() == Fault::Transient => {
            tracing::warn!(%error, "the push broke off; asking the server what it has");
            match clone.refresh() {
                Ok(now) if clone.contains(now, commit) => Ok(Push::Done),
                Ok(now) if now != tip => Ok(Push::LostRace { words: error.to_string() }),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_the_attempts_and_with_what_they_take() {
        let second = Duration::from_secs(1);
        assert!(delay(2, second, 0.5) > delay(1, second, 0.5));
        assert!(delay(1, second, 0.5) > delay(1, second / 10, 0.5));
        assert!(delay(100, second * 100, 1.0) <= Duration::from_secs(22));
        assert!(delay(1, Duration::ZERO, 0.0) > Duration::ZERO);
    }
}
