//! Runs operations, each on the newest tip of the branch.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::fault::Explain;
use crate::manifest::file_kind::REPOSITORY_FILE;
use crate::manifest::inventory::Inventory;
use crate::manifest::paths::PathFilter;
use crate::manifest::prefilter::Prefilter;
use crate::plan::message::Purpose;
use crate::plan::skip::Skipped;
use crate::plan::tree_config::TreeConfig;
use crate::policy::scope::Scope;
use crate::repo;
use crate::repo::clone::{BareClone, CommitId};
use crate::repo::config::Branch;
use crate::repo::error::RepoError;
use crate::window::schedule::Schedule;

use super::candidates::findings_cache::FindingsCache;
use super::context::Context;
use super::decision::Decision;
use super::error::CycleError;
use super::gates::image;
use super::gates::list::{self as gates, Passed};
use super::history::branch::History;
use super::history::recent::{RecentCommit, recent};
use super::memory::{KnownHolds, Memory};
use super::operations::follow::Follow;
use super::operations::operation::Operation;
use super::operations::rotate::Rotation;
use super::operations::terms::{Mode, Terms};
use super::report::{FileChange, Report};
use super::schedules;
use super::services::Services;
use super::stages::report::Concerns;
use super::stages::status::complete;
use super::state::{Budget, CycleState};
use super::status::Inputs;
use super::tip::Tip;
use super::tree::cache::TreeCache;
use super::write::commits::{self, Edits, Style};
use super::write::race::{Attempt, Candidate, race};

/// Returns the configuration of a tree, from the bytes of the repository's own file if it has one.
pub type ConfigSource =
    dyn Fn(Option<&[u8]>, Hosts) -> Result<TreeConfig, Box<dyn Explain + Send + Sync>> + Send + Sync;

/// The hosts that policies in the repository's own file may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// The hosts that the agent's own file allows.
    Allowed,
    /// All hosts: no request is going to be sent because of a policy.
    Any,
}

/// Runs operations on one repository. What it remembers between them is a cache.
pub struct Engine {
    repo: repo::config::Config,
    paths: PathFilter,
    attempts: u32,
    style: Style,
    services: Services,
    config: Box<ConfigSource>,
    trees: Arc<TreeCache>,
    /// The findings of earlier cycles.
    findings_cache: FindingsCache,
    memory: Memory,
}

/// The parameters of a cycle.
pub(super) struct Run<'r> {
    pub(super) mode: Mode,
    pub(super) state: &'r mut CycleState,
    pub(super) start: Instant,
    /// Nothing is pushed once this is cancelled.
    pub(super) abandoned: CancellationToken,
}

/// A decision that was carried out or required no action.
pub(super) struct Outcome {
    /// The previous tips of the branch and of the branch for proposals.
    pub(super) tips: (CommitId, Option<CommitId>),
    /// True if the branch already contains the branch for proposals.
    pub(super) is_merged: bool,
    pub(super) decision: Decision,
    pub(super) changes: Arc<[FileChange]>,
    pub(super) commit: Option<CommitId>,
    pub(super) attempts: u32,
    /// True if the branch for proposals has these changes.
    pub(super) is_proposed: bool,
    /// The windows, for the proposal of a stage.
    pub(super) schedules: Vec<Schedule>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("repo", &self.repo).finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes an engine for a repository.
    pub fn new(
        repo: repo::config::Config,
        paths: PathFilter,
        attempts: u32,
        style: Style,
        services: Services,
        config: Box<ConfigSource>,
    ) -> Engine {
        let trees = Arc::new(TreeCache::new(paths.clone()));
        let (findings_cache, memory) = Default::default();
        Engine { repo, paths, attempts, style, services, config, trees, findings_cache, memory }
    }

    /// Runs an operation.
    pub async fn run(&self, operation: &dyn Operation, mode: Mode) -> Result<Report, CycleError> {
        let state = &mut CycleState::default();
        let abandoned = CancellationToken::new();
        let run = Run { mode, state: &mut *state, start: Instant::now(), abandoned: abandoned.clone() };
        let report = self.cycle(operation, run).await?;
        let follows = operation.terms() == Terms::Policies && mode == Mode::Push;
        if follows { self.follow_up(report, state, &abandoned).await } else { Ok(report) }
    }

    /// Follows the policies, reusing what the last cycle learned: registries are queried only about the images of a
    /// scope, and the others are assumed to be unchanged. After `budget` no further image is scanned, and after twice
    /// that time no further image is verified: the cycle continues with what it has. Nothing is pushed once `abandoned`
    /// is cancelled.
    pub async fn follow_scope(
        &self,
        scope: &Scope,
        mode: Mode,
        budget: Duration,
        abandoned: &CancellationToken,
    ) -> Result<Report, CycleError> {
        let before = self.memory.with(|memory| memory.state.take()).unwrap_or_default();
        let mut state = before.outside(scope);
        state.budget = Some(Budget::from_now(budget));
        let run = Run { mode, state: &mut state, start: Instant::now(), abandoned: abandoned.clone() };
        let result = match self.cycle(&Follow, run).await {
            Ok(report) if mode == Mode::Push => self.follow_up(report, &mut state, abandoned).await,
            result => result,
        };
        self.memory.with(|memory| memory.state = Some(state));
        result
    }

    /// Returns the commits up to the tip of the last cycle that moved image fields since a point in time, oldest first.
    pub fn recent_commits(&self, since: Timestamp) -> Result<Vec<RecentCommit>, CycleError> {
        let Some(tip) = self.memory.with(|memory| memory.tip) else { return Ok(Vec::new()) };
        Ok(recent(&BareClone::open(self.repo.clone())?, tip, since)?)
    }

    /// Returns whether any image of a scope is followed. Before the first cycle, every image may be.
    pub fn follows(&self, scope: &Scope) -> bool {
        self.memory.with(|memory| memory.state.as_ref().is_none_or(|state| state.covers(scope)))
    }

    /// Encrypts the SOPS files of the branch with new data keys, and pushes that as one commit.
    pub async fn rotate_secrets(&self, mode: Mode) -> Result<Rotation, CycleError> {
        let clone = block_in_place(|| BareClone::open(self.repo.clone()))?;
        let make = async |clone: BareClone, _| {
            block_in_place(|| {
                let tip = Tip::fetch(clone, &self.trees)?;
                let mut rotation = Rotation::of(&tip, &self.paths, &self.services.secrets)?;
                if mode == Mode::DryRun || rotation.files.is_empty() || !rotation.is_whole() {
                    return Ok(Attempt::Settled(rotation));
                }
                let (commit, expected) = (rotation.write(&tip)?, Some(tip.commit));
                rotation.commit = Some(commit);
                Ok(Attempt::Push(Box::new(Candidate { tip, commit, expected, is_guess: false, outcome: rotation })))
            })
        };
        race(&self.repo.branch, self.attempts, clone, make).await
    }

    /// Returns the configuration of the repository.
    pub(super) fn repo(&self) -> &repo::config::Config {
        &self.repo
    }

    /// Returns the external systems that cycles use.
    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    /// Decides what an operation would do now. Nothing is written.
    pub(super) async fn decide(
        &self,
        operation: &dyn Operation,
        state: &mut CycleState,
    ) -> Result<Decision, CycleError> {
        let run = &mut Run { mode: Mode::DryRun, state, start: Instant::now(), abandoned: CancellationToken::new() };
        let clone = block_in_place(|| BareClone::open(self.repo_for(operation)))?;
        let (tip, mut decision) = self.decide_on_tip(clone, operation, run).await?;
        block_in_place(|| decision.edit(&tip, &self.services.secrets, operation.terms().is_by_name()))?;
        Ok(decision)
    }

    /// Returns the image fields and the configuration of the branch's tip, for commands that only read.
    pub fn inventory(&self) -> Result<(Arc<Inventory>, TreeConfig), CycleError> {
        let (_, config, inventory) = block_in_place(|| self.read())?;
        Ok((inventory, config))
    }

    /// Returns the branch's tip with its configuration and image fields.
    pub(super) fn read(&self) -> Result<(Tip, TreeConfig, Arc<Inventory>), CycleError> {
        let tip = self.tip()?;
        let config = self.tree_config(&tip, Hosts::Any)?;
        let inventory = tip.inventory(&config.field_rules, &Prefilter::Everything)?;
        Ok((tip, config, inventory))
    }

    /// Returns the branch's tip.
    pub(super) fn tip(&self) -> Result<Tip, CycleError> {
        Ok(Tip::fetch(BareClone::open(self.repo.clone())?, &self.trees)?)
    }

    /// Returns a commit that is in the clone, with another cache for its tree if there is one.
    pub(super) fn tip_at(&self, commit: CommitId, trees: Option<TreeCache>) -> Result<Tip, CycleError> {
        let trees = trees.map_or_else(|| Arc::clone(&self.trees), Arc::new);
        Ok(Tip::new(BareClone::open(self.repo.clone())?, commit, &trees))
    }

    /// Returns the files that may be edited.
    pub(super) fn paths(&self) -> &PathFilter {
        &self.paths
    }

    /// Returns the style of commits, and what is remembered of earlier cycles.
    pub(super) fn style_and_memory(&self) -> (&Style, &Memory) {
        (&self.style, &self.memory)
    }

    /// Returns the branch that is deployed.
    pub(super) fn branch(&self) -> &Branch {
        &self.repo.branch
    }

    #[tracing::instrument(level = "debug", name = "run", skip_all)]
    pub(super) async fn cycle(&self, operation: &dyn Operation, mut run: Run<'_>) -> Result<Report, CycleError> {
        let clone = block_in_place(|| BareClone::open(self.repo_for(operation)))?;
        let branch = self.branch_for(operation);
        let mut guess = self.guess(operation, run.mode);
        let mut was_guess = false;
        let make = async |clone: BareClone, attempt: u32| {
            if std::mem::take(&mut was_guess) {
                run.state.begin_again();
            }
            run.state.forget_outdated();
            let (tip, decision, is_guess) = match guess.take() {
                Some(guess) => self.decide_on_guess(Tip::new(clone, guess, &self.trees), operation, &mut run).await?,
                None => {
                    let (tip, decision) = self.decide_on_tip(clone, operation, &mut run).await?;
                    (tip, decision, false)
                }
            };
            was_guess = is_guess;
            self.memory.with(|memory| memory.tip = Some(tip.commit));
            let attempt = block_in_place(|| self.attempt(tip, decision, operation, run.mode, attempt))?;
            if matches!(attempt, Attempt::Push(_)) && run.abandoned.is_cancelled() {
                return Err(CycleError::Abandoned);
            }
            Ok(match attempt {
                Attempt::Push(candidate) => Attempt::Push(Box::new(Candidate { is_guess, ..*candidate })),
                settled => settled,
            })
        };
        let outcome = race(branch, self.attempts, clone, make).await?;
        self.finish(outcome, operation, run).await
    }

    /// Makes the commit for a decision, if it needs one.
    fn attempt(
        &self,
        tip: Tip,
        mut decision: Decision,
        operation: &dyn Operation,
        mode: Mode,
        attempt: u32,
    ) -> Result<Attempt<Outcome>, CycleError> {
        let branch = self.branch_for(operation);
        let is_proposal = *branch != self.repo.branch;
        let changes = decision.edit(&tip, &self.services.secrets, operation.terms().is_by_name())?;
        let proposed = tip.clone.proposed();
        let is_idle = decision.is_idle() || mode == Mode::DryRun;
        let (is_proposed, schedules) = match operation.proposes_to() {
            _ if is_idle => (false, Vec::new()),
            None => (is_proposal && commits::are_proposed(&tip, proposed, &changes)?, Vec::new()),
            Some(_) => (
                commits::are_merged_by(&tip, proposed, &decision.gated, &changes)?,
                schedules::of(&tip, &decision.inputs.config.stages)?,
            ),
        };
        let is_merged = proposed.is_some_and(|there| tip.clone.contains(tip.commit, there));
        let (commit, attempts) = if is_idle || is_proposed {
            (None, attempt - 1)
        } else {
            let edits = Edits {
                gated: &decision.gated,
                changes: &changes,
                follow: decision.follow,
                field_rules: &decision.field_rules,
                secrets: &self.services.secrets,
                purpose: &decision.purpose,
            };
            (Some(commits::write(&tip, edits, &self.style)?), attempt)
        };
        let tips = (tip.commit, proposed);
        let is_proposed = is_proposed || is_proposal && commit.is_some();
        let outcome = Outcome { tips, is_merged, decision, changes, commit, attempts, is_proposed, schedules };
        let Some(commit) = commit else { return Ok(Attempt::Settled(outcome)) };
        let expected = if is_proposal { proposed } else { Some(tip.commit) };
        Ok(Attempt::Push(Box::new(Candidate { tip, commit, expected, is_guess: false, outcome })))
    }

    /// Returns the tip after the last cycle, which is probably still the tip. A wrong guess costs an attempt, so at
    /// least two attempts must be allowed.
    fn guess(&self, operation: &dyn Operation, mode: Mode) -> Option<CommitId> {
        let is_direct = !operation.terms().is_by_name() && *self.branch_for(operation) == self.repo.branch;
        let may_guess = is_direct && mode == Mode::Push && self.attempts > 1;
        self.memory.with(|memory| memory.tip).filter(|_| may_guess)
    }

    /// Decides on a tip that was not fetched. This saves a connection, because the push compares the tip with the
    /// remote's anyway. If nothing would be pushed, or something fails, the tip is fetched after all.
    async fn decide_on_guess(
        &self,
        mut guess: Tip,
        operation: &dyn Operation,
        run: &mut Run<'_>,
    ) -> Result<(Tip, Decision, bool), CycleError> {
        match self.decide_on(&mut guess, operation, run).await {
            Ok(decision) if !decision.is_idle() => Ok((guess, decision, true)),
            _ => {
                run.state.begin_again();
                let (tip, decision) = self.decide_on_tip(guess.clone, operation, run).await?;
                Ok((tip, decision, false))
            }
        }
    }

    /// Fetches the tip and decides. While this waits for a requested image to arrive, the clone is released for other
    /// processes.
    async fn decide_on_tip(
        &self,
        clone: BareClone,
        operation: &dyn Operation,
        run: &mut Run<'_>,
    ) -> Result<(Tip, Decision), CycleError> {
        let mut tip = block_in_place(|| Tip::fetch(clone, &self.trees))?;
        let (awaited, wait) = operation.awaited();
        let deadline = run.start + wait;
        let mut tip = match self.decide_on(&mut tip, operation, run).await {
            Ok(decision) => return Ok((tip, decision)),
            Err(CycleError::Registry(error)) if error.is_not_found() && Instant::now() < deadline => {
                drop(tip);
                image::arrival(&self.services.registry, awaited, deadline).await?;
                block_in_place(|| Tip::fetch(BareClone::open(self.repo_for(operation))?, &self.trees))?
            }
            // Objects are missing: the clone is damaged, but everything in it can be fetched again.
            Err(CycleError::Repo(error @ RepoError::Git { .. })) => {
                block_in_place(|| Tip::fetch(tip.clone.renew(error)?, &self.trees))?
            }
            Err(error) => return Err(error),
        };
        let decision = self.decide_on(&mut tip, operation, run).await?;
        Ok((tip, decision))
    }

    /// Decides what to write on a tip.
    async fn decide_on(
        &self,
        tip: &mut Tip,
        operation: &dyn Operation,
        run: &mut Run<'_>,
    ) -> Result<Decision, CycleError> {
        let terms = operation.terms();
        let hosts = if terms.is_by_name() { Hosts::Any } else { Hosts::Allowed };
        let (config, inventory) = block_in_place(|| {
            let config = self.tree_config(tip, hosts)?;
            let inventory = operation.inventory(tip, &config, &self.paths)?;
            Ok::<_, CycleError>((config, inventory))
        })?;
        let notes = inventory.notes(&self.paths)?;
        let mut context = Context {
            services: &self.services,
            findings_cache: &self.findings_cache,
            memory: &self.memory,
            paths: &self.paths,
            history: History::new(config.field_rules.clone()),
            tip,
            config,
            inventory,
            state: &mut *run.state,
            mode: run.mode,
            terms,
            now: clock::now(),
            notes,
            board: Vec::new(),
            concerns: Concerns::default(),
            proposes: BTreeSet::new(),
            unrecorded: Vec::new(),
        };
        let (passed, purpose) = loop {
            let (plan, purpose) = operation.plan(&mut context).await?;
            if let Some(passed) = gates::pass(plan, &mut context).await? {
                break (passed, purpose);
            }
        };
        block_in_place(|| self.decision(context, passed, purpose, operation))
    }

    fn decision(
        &self,
        mut context: Context<'_>,
        passed: Passed,
        purpose: Purpose,
        operation: &dyn Operation,
    ) -> Result<Decision, CycleError> {
        let Passed { gated, skipped, holds } = passed;
        gated.moved_along().for_each(|note| context.note(note));
        let KnownHolds { named, horizon } = self.memory.holds(context.tip, &mut context.history)?;
        horizon.into_iter().for_each(|horizon| context.note(horizon.note()));
        context.tip.clone.note_sound();
        let Context { config, inventory, notes, mut board, concerns, proposes, unrecorded, .. } = context;
        let field_rules = config.field_rules.clone();
        let skipped: Vec<Skipped> = skipped.into_iter().map(|skipped| skipped.in_stage(&config.stages)).collect();
        complete(&mut board, &gated, &skipped);
        Ok(Decision {
            gated,
            skipped,
            notes,
            follow: operation.follow_refs(),
            field_rules,
            purpose: Purpose { held: named.all().to_vec(), ..purpose },
            inputs: Inputs { inventory, config, holds, named },
            board,
            concerns,
            proposes,
            unrecorded,
        })
    }

    /// Returns the configuration of a tip.
    pub(super) fn tree_config(&self, tip: &Tip, hosts: Hosts) -> Result<TreeConfig, CycleError> {
        let file = tip.file(REPOSITORY_FILE)?;
        (self.config)(file.as_deref(), hosts).map_err(CycleError::Configuration)
    }

    /// Returns the branch that an operation pushes to. Only updates by policies are proposed; operations that a person
    /// requests go directly to the branch.
    fn branch_for<'b>(&'b self, operation: &'b dyn Operation) -> &'b Branch {
        if let Some(target) = operation.proposes_to() {
            return &target.branch;
        }
        let proposes = operation.terms() == Terms::Policies;
        self.repo.push_branch.as_ref().filter(|_| proposes).unwrap_or(&self.repo.branch)
    }

    /// Returns the git configuration for an operation. It includes the branch for proposals only if the operation
    /// pushes there.
    fn repo_for(&self, operation: &dyn Operation) -> repo::config::Config {
        let push_branch = match operation.proposes_to() {
            Some(target) => Some(target.branch.clone()),
            None => self.repo.push_branch.clone().filter(|_| operation.terms() == Terms::Policies),
        };
        repo::config::Config { push_branch, ..self.repo.clone() }
    }
}
