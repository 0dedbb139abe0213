//! Runs one cycle after the other, never two at once, until the agent is stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::display;

use crate::clock;
use crate::cluster::election::{LeaderElector, Leadership};
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::Report;
use crate::policy::scope::{Scope, Target};

use super::automatic_rollbacks::AutomaticRollbacks;
use super::deployed_checks::runner::Checks;
use super::history_reader::HistoryReader;
use super::next_cycle::{NextCycle, backoff};
use super::observers::Observers;
use super::outcome::{Failure, Outcome};
use super::rollouts::Rollouts;
use super::runtime::{ConfigLoader, LoadError, Runtime};
use super::signals::Signals;
use super::worker::{self, Work};

/// The interval at which the configuration file is checked for changes.
const CONFIG_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The delay after which the images of an event that led to no update are checked again.
const RECHECK_DELAY: Duration = Duration::from_secs(2);
/// The time that an aborted cycle has to reach a point where it can end.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// The agent.
pub struct Agent {
    loader: ConfigLoader,
    runtime: Runtime,
    observers: Observers,
    signals: Signals,
    elector: LeaderElector,
    rollouts: Rollouts,
    history: HistoryReader,
    rollbacks: AutomaticRollbacks,
    checks: Checks,
    /// The images to check again, and when: registries announce a push before they list its tag.
    recheck: Option<(Instant, BTreeSet<Target>)>,
}

impl Agent {
    /// An agent that starts with `runtime`, which `loader` has loaded.
    pub fn new(
        loader: ConfigLoader,
        runtime: Runtime,
        mut observers: Observers,
        signals: Signals,
        elector: LeaderElector,
    ) -> Agent {
        observers.configured(&runtime);
        let history = HistoryReader::new(Arc::clone(&observers.snapshots));
        let (rollouts, rollbacks, checks, recheck) = Default::default();
        Agent { loader, runtime, observers, signals, elector, rollouts, rollbacks, history, checks, recheck }
    }

    /// Runs until it is stopped. A failed cycle, however it failed, is followed by the next one after a delay that grows with
    /// consecutive failures.
    pub async fn run(mut self) {
        tracing::info!(interval_s = self.runtime.config.interval.as_secs_f64(), "the agent has started");
        self.watch().await;
        let (mut number, mut failures) = (0, 0);
        let (mut next, mut due) = (NextCycle::Full, Instant::now());
        loop {
            if self.await_leadership().await {
                // A full cycle finds whatever was pushed meanwhile.
                next = NextCycle::Full;
            }
            if self.signals.stop.is_cancelled() {
                break;
            }
            number += 1;
            let span = tracing::info_span!("cycle", number);
            if let Some(rollback) = self.rollbacks.take() {
                let outcome = self.cycle(number, Work::RollBack(rollback)).instrument(span.clone()).await;
                span.in_scope(|| self.observers.rollback_ended(&outcome));
                self.rollouts.cycle_ended(&outcome, &self.runtime).await;
                continue;
            }
            let mode = if self.runtime.config.suspend { Mode::Suspended } else { Mode::Push };
            let outcome = self.cycle(number, Work::Follow(next.scope(), mode)).instrument(span.clone()).await;
            failures = if outcome.result.is_ok() { 0 } else { failures + 1 };
            span.in_scope(|| self.observers.cycle_ended(&outcome));
            self.rollouts.cycle_ended(&outcome, &self.runtime).await;
            self.history.cycle_ended(&self.runtime.runner, &outcome);
            self.checks.cycle_ended(&outcome, &self.runtime).await;
            if let (NextCycle::Updated(targets), Ok(report)) = (&next, &outcome.result) {
                self.schedule_recheck(report, targets);
            }
            // Events, however many, do not postpone the next full cycle.
            if next == NextCycle::Full || failures > 0 {
                due = Instant::now() + backoff(self.runtime.config.interval, failures, fastrand::f64());
            }
            next = self.next_cycle(due).await;
        }
        tokio::join!(self.elector.resign(), self.observers.stopped());
        tracing::info!("the agent has stopped");
    }

    /// Waits until this replica leads; returns whether it had to wait. Events that arrive here are ignored: the leader finds
    /// their images in its next full cycle.
    async fn await_leadership(&mut self) -> bool {
        let mut has_waited = false;
        loop {
            let standing = self.elector.leadership();
            self.observers.leadership_changed(&standing);
            if standing == Leadership::Leader || self.signals.stop.is_cancelled() {
                return has_waited;
            }
            has_waited = true;
            self.rollouts.pause();
            self.checks.stop();
            tokio::select! {
                () = self.signals.stop.cancelled() => {}
                () = self.elector.changed() => {}
                _ = self.signals.trigger.fired() => {
                    tracing::info!("ignoring an event, because this replica does not lead; the leader finds the image in its next cycle");
                }
                event = self.rollouts.next_event() => {
                    self.observers.rollout_event(&event);
                    self.rollbacks.add(&event, &self.runtime);
                }
                () = self.signals.reload.notified() => {
                    self.reload().await;
                }
                () = tokio::time::sleep(CONFIG_POLL_INTERVAL) => {
                    if self.loader.has_changed() {
                        self.reload().await;
                    }
                }
            }
        }
    }

    async fn cycle(&mut self, number: u64, work: Work) -> Outcome {
        let Agent { runtime, observers, signals, elector, rollouts, rollbacks, checks, .. } = self;
        let (config, begun) = (&runtime.config, Instant::now());
        if matches!(work, Work::Follow(Scope::All, _)) {
            // A full cycle covers the images of all events so far.
            signals.trigger.take();
        }
        observers.cycle_started(begun, config.deadline);
        let abort = CancellationToken::new();
        let work = worker::run(Arc::clone(&runtime.runner), work, config.deadline, abort.clone());
        let grace_is_over = signals.grace_is_over(config.grace);
        tokio::pin!(work, grace_is_over);
        let (mut is_stopping, mut is_deposed) = (false, false);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                () = signals.stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    observers.stopping();
                    tracing::info!(grace_s = config.grace.as_secs_f64(), "stopping; the running cycle may finish");
                }
                () = &mut grace_is_over => {
                    tracing::warn!("aborting the running cycle");
                    abort.cancel();
                    break tokio::time::timeout(ABORT_TIMEOUT, work).await.unwrap_or(Err(Failure::Stopped));
                }
                () = elector.lost(), if !is_deposed => {
                    is_deposed = true;
                    tracing::warn!("this replica no longer leads; aborting the running cycle");
                    abort.cancel();
                }
                event = rollouts.next_event() => {
                    observers.rollout_event(&event);
                    rollbacks.add(&event, runtime);
                }
                result = checks.next_result() => observers.checked(&result),
            }
        };
        let result = match result {
            Err(Failure::Stopped) if is_deposed && !is_stopping => Err(Failure::Deposed),
            result => result,
        };
        Outcome { number, ended: clock::now(), took: begun.elapsed(), result }
    }

    /// Schedules another check of those images of an event that did not move.
    fn schedule_recheck(&mut self, report: &Report, targets: &BTreeSet<Target>) {
        let has_moved = |target: &Target| report.updates.iter().any(|moved| target.covers(&moved.image));
        let is_followed = |target: &Target| self.runtime.runner.follows(&Scope::Only(BTreeSet::from([target.clone()])));
        let mut still = targets.clone();
        still.retain(|target| !has_moved(target) && is_followed(target));
        if !still.is_empty() {
            still.extend(self.recheck.take().into_iter().flat_map(|(_, targets)| targets));
            self.recheck = Some((Instant::now() + RECHECK_DELAY, still));
        }
    }

    /// Waits until the next cycle is due, and returns what it checks. A new configuration is applied at once.
    async fn next_cycle(&mut self, due: Instant) -> NextCycle {
        let again = self.recheck.as_ref().map_or(due, |(at, _)| *at).min(due);
        let (due, again) = (tokio::time::sleep_until(due.into()), tokio::time::sleep_until(again.into()));
        tokio::pin!(due, again);
        let mut is_asked_to_reload = false;
        loop {
            if (is_asked_to_reload || self.loader.has_changed()) && self.reload().await {
                return NextCycle::Full;
            }
            if !self.rollbacks.is_empty() {
                return NextCycle::Full;
            }
            is_asked_to_reload = tokio::select! {
                biased;
                () = self.signals.stop.cancelled() => return NextCycle::Full,
                () = self.elector.lost() => return NextCycle::Full,
                () = &mut due => return NextCycle::Full,
                () = &mut again => return self.recheck.take().map_or(NextCycle::Full, |(_, targets)| NextCycle::Recheck(targets)),
                scope = self.signals.trigger.fired() => {
                    if self.runtime.runner.follows(&scope) {
                        return NextCycle::of(scope);
                    }
                    tracing::debug!("ignoring an event about images that no policy governs");
                    false
                }
                event = self.rollouts.next_event() => {
                    self.observers.rollout_event(&event);
                    self.rollbacks.add(&event, &self.runtime);
                    false
                }
                result = self.checks.next_result() => {
                    self.observers.checked(&result);
                    false
                }
                () = self.signals.reload.notified() => true,
                () = tokio::time::sleep(CONFIG_POLL_INTERVAL) => false,
            };
        }
    }

    /// Loads the configuration again; returns whether it was applied. An invalid one is reported and rejected.
    async fn reload(&mut self) -> bool {
        match self.loader.read() {
            Ok(runtime) => {
                if runtime.config.listen != self.runtime.config.listen {
                    tracing::warn!("agent.listen has changed; restart the agent to apply it");
                }
                if runtime.cluster.election != self.runtime.cluster.election {
                    tracing::warn!("cluster.leaderElection has changed; restart the agent to apply it");
                }
                tracing::info!("configuration reloaded");
                self.runtime = runtime;
                self.observers.configured(&self.runtime);
                self.watch().await;
                true
            }
            Err(error) => {
                self.config_rejected(error);
                false
            }
        }
    }

    /// Watches Flux, Argo CD and pods, if the configuration asks for it.
    async fn watch(&mut self) {
        self.checks.configured(&self.runtime).await;
        if let Some(products) = self.rollouts.configured(&self.runtime).await {
            self.observers.watched(&products);
        }
    }

    fn config_rejected(&self, rejection: LoadError) {
        let (cause, help) = (rejection.source().map(display), rejection.help());
        tracing::error!(error = %rejection, cause, help, "the new configuration is invalid; keeping the current one");
        self.observers.config_rejected(&*rejection);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::agent::config::Config;
    use crate::agent::runtime::Load;
    use crate::agent::script::{Script, Step, script};
    use crate::agent::worker::CycleRunner;
    use crate::cycle::error::CycleError;

    use super::*;

    fn runtime(work: &Arc<Script>, suspend: bool) -> Runtime {
        let config = Config {
            interval: Duration::from_millis(1),
            deadline: Duration::from_millis(50),
            grace: Duration::from_millis(1),
            suspend,
            ..Config::default()
        };
        let repository = "/srv/infra.git".parse().expect("a URL");
        Runtime {
            runner: Arc::clone(work) as Arc<dyn CycleRunner>,
            config,
            repository,
            branch: "main".parse().expect("a branch"),
            notify: Vec::new(),
            cluster: Default::default(),
            ancestry: Arc::new(|_, _| false),
        }
    }

    /// Plays a script, and returns the metrics at its end.
    async fn play(work: &Arc<Script>, load: Box<Load>) -> String {
        let observers = Observers::default();
        let metrics = Arc::clone(&observers.metrics);
        let agent = Agent::new(
            ConfigLoader::new(None, load),
            runtime(work, false),
            observers,
            work.signals.clone(),
            LeaderElector::without_election(),
        );
        agent.run().await;
        metrics.encode()
    }

    fn no_load() -> Box<Load> {
        Box::new(|| panic!("not expected to be called"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_happens_in_a_cycle_the_next_one_runs() {
        let work = script(&[Step::Panics, Step::Hangs, Step::Fails, Step::Done], Signals::default(), None);
        let metrics = play(&work, no_load()).await;
        for result in ["panic", "deadline", "blocked", "done"] {
            assert!(metrics.contains(&format!("tagalong_cycles_total{{result=\"{result}\"}} 1\n")), "{metrics}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cycle_that_does_not_end_is_aborted_when_the_agent_stops() {
        let work = script(&[Step::Done, Step::Hangs], Signals::default(), None);
        let metrics = play(&work, no_load()).await;
        assert!(metrics.contains("tagalong_cycles_total{result=\"stopped\"} 1\n"), "{metrics}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_invalid_configuration_is_rejected_and_a_valid_one_applied() {
        let work = script(&[Step::Done], Signals::default(), Some(|signals| signals.reload.notify_one()));
        // The second script ends the run.
        let signals = work.signals.clone();
        let later = script(&[Step::Done], signals.clone(), None);
        let (next, is_mended) = (Arc::clone(&later), AtomicBool::new(false));
        let load = move || -> Result<Runtime, LoadError> {
            if is_mended.swap(true, Ordering::Relaxed) {
                return Ok(runtime(&next, true));
            }
            signals.reload.notify_one();
            Err(Box::new(CycleError::Secret("wrong".to_owned())))
        };
        let metrics = play(&work, Box::new(load)).await;
        assert!(metrics.contains("tagalong_config_reads_total{result=\"refused\"} 1\n"), "{metrics}");
        assert!(metrics.contains("tagalong_config_last_read_successful 1\n"), "{metrics}");
        assert_eq!(*work.modes.lock(), [Mode::Push]);
        assert_eq!(*later.modes.lock(), [Mode::Suspended]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_event_starts_a_cycle_for_its_images_if_a_policy_governs_them() {
        let work = script(&[Step::Done, Step::Done, Step::Done], Signals::default(), None);
        let mut runtime = runtime(&work, false);
        runtime.config.interval = Duration::from_secs(3600);
        let target = |path: &str| BTreeSet::from([Target { host: None, path: path.to_owned(), with_below: false }]);
        let (waiting, trigger) = (Arc::clone(&work), work.signals.trigger.clone());
        let sender = tokio::spawn(async move {
            while waiting.scopes.lock().is_empty() {
                tokio::task::yield_now().await;
            }
            trigger.fire(target("somebody/else"));
            // Whether alone or merged with the other, it starts no cycle of its own.
            tokio::task::yield_now().await;
            trigger.fire(target("org/app"));
        });
        let agent = Agent::new(
            ConfigLoader::new(None, no_load()),
            runtime,
            Observers::default(),
            work.signals.clone(),
            LeaderElector::without_election(),
        );
        agent.run().await;
        sender.await.expect("it ends");
        let scopes = work.scopes.lock().clone();
        assert_eq!((scopes.len(), &scopes[0]), (3, &Scope::All));
        assert!(scopes[1] != Scope::All && work.follows(&scopes[1]), "{scopes:?}");
        // It moved nothing, so its images are checked once more, and not a third time.
        assert_eq!(scopes[2], Scope::Only(target("org/app")));
    }
}
