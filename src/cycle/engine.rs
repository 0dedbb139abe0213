//! The pass itself.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

use crate::fault::Explain;
use crate::forge::client::Forge;
use crate::manifest::conventions::Conventions;
use crate::manifest::edit::FollowRefs;
use crate::manifest::interest::Interest;
use crate::manifest::inventory::{Inventory, NamedFileError};
use crate::manifest::paths::PathFilter;
use crate::plan::gate::{self, GatedPlan, GatedUpdate};
use crate::plan::hold::NamedHolds;
use crate::plan::intent::Intent;
use crate::plan::message::{Act, Occasion};
use crate::plan::skip::{Reason, Skipped};
use crate::plan::trailer::Hold;
use crate::policy::rule::PolicySet;
use crate::policy::scope::Scope;
use crate::registry::client::Client;
use crate::registry::traffic::Traffic;
use crate::repo;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::error::RepoError;
use crate::repo::push::{Lease, Push};
use crate::repo::source::Sources;
use crate::sops::audit::Verdict;

use super::commits::{self, Edits, Style};
use super::error::CycleError;
use super::follow::{Budget, Learned};
use super::kept::Kept;
use super::past::Past;
use super::proof;
use super::pull_secrets;
use super::push;
use super::read_back::Horizon;
use super::report::{FileChange, Moved, Report};
use super::secrets::{Gate, Progress, Secrets};
use super::status::{self, ImageStatus};
use super::task::{Mode, Task};
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

/// Runs passes on one repository. What it keeps between them are caches.
pub struct Engine {
    pub(super) repo: repo::config::Config,
    pub(super) paths: PathFilter,
    pub(super) attempts: u32,
    pub(super) style: Style,
    pub(super) registry: Client,
    pub(super) sources: Sources,
    pub(super) forge: Option<Arc<Forge>>,
    intent: Box<IntentSource>,
    trees: TreeCache,
    pub(super) secrets: Secrets,
    /// What is kept of registries from one pass to the next.
    pub(super) kept: Kept,
    held: Mutex<Option<HeldAt>>,
    /// What the last pass learned, for one that is about some images only.
    learned: Mutex<Option<Learned>>,
    /// The tips of the branch and of the branch for proposals for which nothing was left to be closed.
    pub(super) settled: Mutex<Option<(CommitId, CommitId)>>,
    /// Where the branch was seen last.
    last: Mutex<Option<CommitId>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("repo", &self.repo).finish_non_exhaustive()
    }
}

/// The systems beside the repository.
#[derive(Debug)]
pub struct Upstream {
    /// The registries.
    pub registry: Client,
    /// The repositories that images are built from.
    pub sources: Sources,
    /// Where pull requests are opened, if they are.
    pub forge: Option<Arc<Forge>>,
}

/// A plan that passed the gates, with what else there is to say.
pub(super) struct Decided {
    pub(super) gated: GatedPlan,
    pub(super) skipped: Vec<Skipped>,
    pub(super) notes: Vec<String>,
    follow: FollowRefs,
    conventions: Conventions,
    occasion: Occasion,
    pub(super) scene: Scene,
}

/// What is held by name on a tip, and how far back that is known.
#[derive(Clone)]
struct HeldAt {
    tip: CommitId,
    named: Arc<NamedHolds>,
    horizon: Option<Horizon>,
}

/// What the status of images is told from.
pub(super) struct Scene {
    pub(super) inventory: Arc<Inventory>,
    pub(super) policies: PolicySet,
    pub(super) holds: Vec<Hold>,
    pub(super) named: Arc<NamedHolds>,
}

impl Decided {
    /// Whether there is nothing to commit.
    fn is_idle(&self) -> bool {
        self.gated.is_empty() && matches!(self.occasion.act, Act::Deploy | Act::RollBack)
    }

    /// How the images that policies govern stand.
    fn statuses(&self) -> Vec<ImageStatus> {
        let Scene { inventory, policies, holds, named } = &self.scene;
        status::of_images(inventory, policies, &self.gated, &self.skipped, holds, named)
    }

    /// Lets nothing move.
    fn suspend(&mut self) {
        let updates = std::mem::take(&mut self.gated);
        self.skipped.extend(updates.updates().iter().map(|update| {
            let GatedUpdate { file, field, to, .. } = update;
            let detail = format!("{file}: {} would move to {to}, but `agent.suspend` is set", field.path);
            Skipped::field(file, field, to.tag.clone(), Reason::Suspended, detail)
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
        upstream: Upstream,
        intent: Box<IntentSource>,
        secrets: Secrets,
    ) -> Engine {
        let Upstream { registry, sources, forge } = upstream;
        let trees = TreeCache::new(paths.clone());
        let (kept, held, learned, settled, last) = Default::default();
        Engine {
            repo,
            attempts,
            style,
            registry,
            sources,
            forge,
            intent,
            trees,
            paths,
            secrets,
            kept,
            held,
            learned,
            settled,
            last,
        }
    }

    /// One pass. After a lost race everything is planned again on the new tip; nothing is ever merged as text.
    pub async fn run(&self, task: &Task<'_>, mode: Mode) -> Result<Report, CycleError> {
        self.pass(task, mode, &mut Learned::default(), &CancellationToken::new()).await
    }

    /// One pass that follows the policies, after another one perhaps: where there is news of some images only, registries
    /// are asked about those, and the others are taken to be as they were. After `budget` no further image is looked into,
    /// and after as long again none is proved: the pass goes on with what it has. Once it is given up, nothing is pushed any more.
    pub async fn follow_news(
        &self,
        scope: &Scope,
        mode: Mode,
        budget: Duration,
        give_up: &CancellationToken,
    ) -> Result<Report, CycleError> {
        let before = self.learned.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let mut learned = before.apart_from(scope);
        learned.budget = Some(Budget::from_now(budget));
        let result = self.pass(&Task::Follow, mode, &mut learned, give_up).await;
        *self.learned.lock().unwrap_or_else(PoisonError::into_inner) = Some(learned);
        result
    }

    /// Whether news is of any image that is followed, as far as is known.
    pub fn follows(&self, scope: &Scope) -> bool {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.as_ref().is_none_or(|learned| learned.knows(scope))
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn pass(
        &self,
        task: &Task<'_>,
        mode: Mode,
        learned: &mut Learned,
        give_up: &CancellationToken,
    ) -> Result<Report, CycleError> {
        let start = Instant::now();
        let mut clone = block_in_place(|| BareClone::open(self.repo_for(task)))?;
        let mut guess = self.guess(task, mode);
        for attempt in 1..=self.attempts {
            let (begun, guessed) = (Instant::now(), guess.take());
            let (tip, mut decided);
            (clone, tip, decided) = match guessed {
                Some(guess) => self.decide_on_guess(clone, guess, task, learned, start).await?,
                None => self.decide_on_tip(clone, task, learned, start).await?,
            };
            self.note_last(tip);
            if mode == Mode::Suspended {
                decided.suspend();
            }
            let (decided, changes) = block_in_place(|| self.edit(&clone, tip, decided, task))?;
            let changes: Arc<[FileChange]> = changes.into();
            let report = |head: CommitId, commit: Option<CommitId>, attempts: u32| Report {
                head: head.to_string(),
                commit: commit.map(|id| id.to_string()),
                is_proposal: false,
                updates: decided.gated.updates().iter().map(Moved::from).collect(),
                skipped: decided.skipped.clone(),
                attempts,
                duration_ms: start.elapsed().as_millis() as u64,
                images: if matches!(task, Task::Follow) { decided.statuses() } else { Vec::new() },
                changes: Arc::clone(&changes),
                notes: decided.notes.clone(),
            };
            if decided.is_idle() || mode == Mode::DryRun {
                let mut report = report(tip, None, attempt - 1);
                if mode == Mode::Push && !task.is_by_name() {
                    report.notes.extend(self.withdraw((&clone, tip), &decided, learned).await?);
                }
                return Ok(report);
            }
            let branch = self.branch_for(task);
            if self.is_proposed(&clone, tip, branch, &changes)? {
                let mut report = report(tip, None, attempt - 1);
                report.notes.extend(self.request(&decided, learned).await?);
                return Ok(report);
            }
            let edits = Edits {
                gated: &decided.gated,
                changes: &changes,
                follow: decided.follow,
                conventions: &decided.conventions,
                secrets: &self.secrets,
                occasion: &decided.occasion,
            };
            let commit = block_in_place(|| commits::write(&clone, tip, edits, &self.style))?;
            if give_up.is_cancelled() {
                return Err(CycleError::GivenUp);
            }
            let expected = if *branch == self.repo.branch { Some(tip) } else { clone.proposed() };
            match block_in_place(|| push::confirmed(&clone, commit, Lease { branch, expected }))? {
                Push::Done if *branch == self.repo.branch => {
                    self.note_last(commit);
                    return Ok(report(commit, Some(commit), attempt));
                }
                Push::Done => {
                    let mut report = Report { is_proposal: true, ..report(tip, Some(commit), attempt) };
                    report.notes.extend(self.request(&decided, learned).await?);
                    return Ok(report);
                }
                Push::LostRace { .. } if guessed == Some(tip) => learned.begin_again(),
                Push::LostRace { words } => {
                    tracing::info!(attempt, %words, "someone else was first; planning again on the new tip");
                    push::pause(attempt, self.attempts, begun).await;
                }
            }
        }
        Err(CycleError::Exhausted { branch: self.branch_for(task).clone(), attempts: self.attempts })
    }

    /// The requests that were sent to each registry since this was asked last.
    pub fn take_traffic(&self) -> Vec<Traffic> {
        self.registry.take_traffic()
    }

    /// How the images that policies govern stand. Nothing is written.
    pub async fn status(&self) -> Result<Vec<ImageStatus>, CycleError> {
        let decided = self.would(&Task::Follow, &mut Learned::default()).await?;
        decided.notes.iter().for_each(|note| tracing::warn!("{note}"));
        Ok(decided.statuses())
    }

    /// What a task would come to now.
    pub(super) async fn would(&self, task: &Task<'_>, learned: &mut Learned) -> Result<Decided, CycleError> {
        let clone = block_in_place(|| BareClone::open(self.repo_for(task)))?;
        let (clone, tip, decided) = self.decide_on_tip(clone, task, learned, Instant::now()).await?;
        Ok(block_in_place(|| self.edit(&clone, tip, decided, task))?.0)
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
    pub fn verify_secrets(&self, progress: &Progress<'_>) -> Result<Vec<Verdict>, CycleError> {
        block_in_place(|| {
            let (clone, tip) = BareClone::open(self.repo.clone())?.fetch()?;
            let mut verdicts = self.secrets.verify(&clone, tip, progress)?;
            if let Some(file) = self.paths.missing(&|path| clone.has(tip, path)) {
                return Err(CycleError::NamedFile(NamedFileError::Missing { file: file.to_owned() }));
            }
            verdicts.retain(|verdict| self.paths.wants(&verdict.file));
            Ok(verdicts)
        })
    }

    pub(super) fn intent(&self, clone: &BareClone, tip: CommitId, hosts: Hosts) -> Result<Intent, CycleError> {
        let file = clone.file(tip, REPOSITORY_FILE)?;
        (self.intent)(file.as_deref(), hosts).map_err(CycleError::Configuration)
    }

    pub(super) fn look(
        &self,
        clone: &BareClone,
        tip: CommitId,
        intent: &Intent,
        what: &Interest,
    ) -> Result<Arc<Inventory>, RepoError> {
        self.trees.inventory(clone, tip, &intent.conventions, what)
    }

    /// Where the branch was after the last pass of this engine, and may well be still. A guess that is wrong takes an
    /// attempt, so there has to be another one.
    fn guess(&self, task: &Task<'_>, mode: Mode) -> Option<CommitId> {
        let is_direct = mode == Mode::Push && !task.is_by_name() && *self.branch_for(task) == self.repo.branch;
        let is_direct = is_direct && self.attempts > 1;
        self.last.lock().unwrap_or_else(PoisonError::into_inner).filter(|_| is_direct)
    }

    fn note_last(&self, tip: CommitId) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(tip);
    }

    /// Decides on a tip that was not asked for: the push compares it with what the server has, which spares the connection
    /// that asks. Where nothing would be pushed, or something is wrong, the server is asked after all.
    async fn decide_on_guess(
        &self,
        mut clone: BareClone,
        guess: CommitId,
        task: &Task<'_>,
        learned: &mut Learned,
        start: Instant,
    ) -> Result<(BareClone, CommitId, Decided), CycleError> {
        match self.decide(&mut clone, guess, task, learned).await {
            Ok(decided) if !decided.is_idle() => Ok((clone, guess, decided)),
            _ => {
                learned.begin_again();
                self.decide_on_tip(clone, task, learned, start).await
            }
        }
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
        let (mut clone, tip) = block_in_place(|| clone.fetch())?;
        let deadline = start + task.wait_image();
        match (self.decide(&mut clone, tip, task, learned).await, task) {
            (Ok(decided), _) => Ok((clone, tip, decided)),
            (Err(CycleError::Registry(error)), Task::Set(request))
                if error.is_not_found() && Instant::now() < deadline =>
            {
                drop(clone);
                proof::arrival(&self.registry, &request.wanted, deadline).await?;
                let (mut clone, tip) = block_in_place(|| BareClone::open(self.repo_for(task))?.fetch())?;
                let decided = self.decide(&mut clone, tip, task, learned).await?;
                Ok((clone, tip, decided))
            }
            // Objects are missing: the clone is no good, but everything in it can be fetched again.
            (Err(CycleError::Repo(error @ RepoError::Git { .. })), _) => {
                let (mut clone, tip) = block_in_place(|| clone.renew(error)?.fetch())?;
                let decided = self.decide(&mut clone, tip, task, learned).await?;
                Ok((clone, tip, decided))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// What shall and may change on a tip.
    async fn decide(
        &self,
        clone: &mut BareClone,
        tip: CommitId,
        task: &Task<'_>,
        learned: &mut Learned,
    ) -> Result<Decided, CycleError> {
        let mut intended = self.intend(clone, tip, task, learned).await?;
        let (plan, closures) = (&intended.plan, &intended.inventory.closures);
        let files = plan.updates.iter().map(|update| update.file.as_str()).collect();
        let mut flaws = block_in_place(|| self.secrets.flaws(clone, tip, closures, &files))?;
        pull_secrets::add_flaws(&self.secrets, (clone, tip), closures, plan, &self.registry, &mut flaws).await?;
        if self.secrets.gate() == Gate::Warn {
            intended.notes.extend(std::mem::take(&mut flaws).into_words());
        }
        if let (true, Some(flaw)) = (task.is_by_name(), flaws.clone().into_words().next()) {
            return Err(CycleError::Secret(flaw));
        }
        let holds = std::mem::take(&mut intended.plan.holds);
        let (gated, skipped) = gate::pass(intended.plan, &learned.proofs, &flaws);
        intended.notes.extend(gated.moved_along());
        let Intent { policies, conventions } = intended.intent;
        let HeldAt { named, horizon, .. } = block_in_place(|| self.held_at(clone, tip, &conventions))?;
        let note = horizon.map(|horizon| horizon.note());
        intended.notes.extend(note.filter(|note| !intended.notes.contains(note)));
        clone.note_sound();
        Ok(Decided {
            gated,
            skipped: skipped.into_iter().collect(),
            notes: intended.notes,
            follow: intended.follow,
            conventions,
            occasion: Occasion { held: named.all().to_vec(), ..intended.occasion },
            scene: Scene { inventory: intended.inventory, policies, holds, named },
        })
    }

    /// What is held by name on a tip, which is remembered of the last one.
    fn held_at(&self, clone: &mut BareClone, tip: CommitId, conventions: &Conventions) -> Result<HeldAt, RepoError> {
        let mut known = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = known.as_ref().filter(|held| held.tip == tip) {
            return Ok(held.clone());
        }
        let mut past = Past::new(clone, tip, conventions);
        let named = Arc::new(past.named()?.clone());
        let held = HeldAt { tip, named, horizon: past.horizon().cloned() };
        Ok(known.insert(held).clone())
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
                Err(error) if task.is_by_name() => return Err(error.into()),
                Err(error) => {
                    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::error!(%file, %error, %why, "the edit was refused");
                    for update in decided.gated.updates().iter().filter(|update| update.file == file) {
                        let (tag, detail) = (update.to.tag.clone(), format!("{error}: {why}"));
                        let skipped = Skipped::field(&file, &update.field, tag, Reason::NoCandidate, detail);
                        decided.skipped.push(skipped);
                    }
                    decided.gated.drop_file(&file);
                }
            }
        }
        Ok((decided, changes))
    }
}
