//! One cycle after the other, never two at once, until the agent is told to stop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::cluster::election::{LeaderElector, Leadership};
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::Report;
use crate::policy::scope::{Scope, Target};

use super::observers::Observers;
use super::outcome::{Failure, Outcome};
use super::rollouts::Rollouts;
use super::runtime::{ConfigSource, LoadError, Runtime};
use super::trigger::Trigger;
use super::worker;

/// How often the file of the configuration is looked at.
const CONFIG_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// The longest pause after cycles that failed, unless the interval itself is longer.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// How long after an event that led to no update its images are checked again.
const RECHECK_DELAY: Duration = Duration::from_secs(2);
/// How long a cycle that is given up may take to get to where it can end.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// What the agent is told from outside while it runs.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Stop; the cycle under way may end within its grace.
    pub stop: CancellationToken,
    /// Stop now.
    pub stop_now: CancellationToken,
    /// Read the configuration again.
    pub reload: Arc<Notify>,
    /// Begin the next cycle now, for images of which there is news.
    pub trigger: Trigger,
}

impl Signals {
    /// Waits until the agent is told to stop, and then as long as the cycle under way may still take.
    async fn grace_is_over(&self, grace: Duration) {
        self.stop.cancelled().await;
        tokio::select! {
            () = self.stop_now.cancelled() => {}
            () = tokio::time::sleep(grace) => {}
        }
    }
}

/// What the next cycle looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NextCycle {
    /// Everything.
    Full,
    /// What there is news of.
    Updated(BTreeSet<Target>),
    /// The same once more.
    Recheck(BTreeSet<Target>),
}

impl NextCycle {
    fn of(scope: Scope) -> NextCycle {
        match scope {
            Scope::All => NextCycle::Full,
            Scope::Only(targets) => NextCycle::Updated(targets),
        }
    }

    fn scope(&self) -> Scope {
        match self {
            NextCycle::Full => Scope::All,
            NextCycle::Updated(targets) | NextCycle::Recheck(targets) => Scope::Only(targets.clone()),
        }
    }
}

/// The agent.
pub struct Agent {
    source: ConfigSource,
    runtime: Runtime,
    observers: Observers,
    signals: Signals,
    elector: LeaderElector,
    rollouts: Rollouts,
    /// What is looked at again, and when: registries tell of a push before they list its tag.
    recheck: Option<(Instant, BTreeSet<Target>)>,
}

impl Agent {
    /// An agent that works by `runtime`, which was read from `source`, whenever it leads.
    pub fn new(
        source: ConfigSource,
        runtime: Runtime,
        mut observers: Observers,
        signals: Signals,
        elector: LeaderElector,
    ) -> Agent {
        observers.configured(&runtime);
        Agent { source, runtime, observers, signals, elector, rollouts: Rollouts::default(), recheck: None }
    }

    /// Runs until it is told to stop. A cycle that fails, whatever the way, is followed by the next one, after a pause
    /// that grows with the failures.
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
            let outcome = self.cycle(number, next.scope()).instrument(span.clone()).await;
            failures = if outcome.result.is_ok() { 0 } else { failures + 1 };
            let traffic = self.runtime.runner.take_traffic();
            span.in_scope(|| self.observers.cycle_ended(&outcome, &traffic));
            self.rollouts.cycle_ended(&outcome);
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

    /// Waits as long as this replica does not lead; gives whether it had to. The leader looks at everything by its
    /// schedule, so what there is news of here is found by it a little later.
    async fn await_leadership(&mut self) -> bool {
        let mut has_waited = false;
        loop {
            let standing = self.elector.leadership();
            self.observers.leadership_changed(&standing);
            if standing == Leadership::Leader || self.signals.stop.is_cancelled() {
                return has_waited;
            }
            has_waited = true;
            tokio::select! {
                () = self.signals.stop.cancelled() => {}
                () = self.elector.changed() => {}
                _ = self.signals.trigger.fired() => {
                    tracing::info!("there is news, and this replica does not lead; the leader looks by its schedule");
                }
                event = self.rollouts.next_event() => self.observers.rollout_event(&event),
                () = self.signals.reload.notified() => {
                    self.reload().await;
                }
                () = tokio::time::sleep(CONFIG_POLL_INTERVAL) => {
                    if self.source.has_changed() {
                        self.reload().await;
                    }
                }
            }
        }
    }

    async fn cycle(&mut self, number: u64, scope: Scope) -> Outcome {
        let Agent { runtime, observers, signals, elector, rollouts, .. } = self;
        let (config, begun) = (&runtime.config, Instant::now());
        if scope == Scope::All {
            // What everything is looked at for is no news any more.
            signals.trigger.take();
        }
        observers.cycle_started(begun, config.deadline);
        let mode = if config.suspend { Mode::Suspended } else { Mode::Push };
        let give_up = CancellationToken::new();
        let work = worker::run(Arc::clone(&runtime.runner), scope, mode, config.deadline, give_up.clone());
        let grace_is_over = signals.grace_is_over(config.grace);
        tokio::pin!(work, grace_is_over);
        let (mut is_told, mut is_deposed) = (false, false);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                () = signals.stop.cancelled(), if !is_told => {
                    is_told = true;
                    observers.stopping();
                    tracing::info!(grace_s = config.grace.as_secs_f64(), "told to stop; the cycle under way may end");
                }
                () = &mut grace_is_over => {
                    tracing::warn!("the cycle under way is given up");
                    give_up.cancel();
                    break tokio::time::timeout(ABORT_TIMEOUT, work).await.unwrap_or(Err(Failure::Stopped));
                }
                () = elector.lost(), if !is_deposed => {
                    is_deposed = true;
                    tracing::warn!("this replica does not lead any more; the cycle under way is given up");
                    give_up.cancel();
                }
                event = rollouts.next_event() => observers.rollout_event(&event),
            }
        };
        let result = match result {
            Err(Failure::Stopped) if is_deposed && !is_told => Err(Failure::Deposed),
            result => result,
        };
        Outcome { number, ended: Timestamp::now(), took: begun.elapsed(), result }
    }

    /// Looks again at those images of which there was news and that did not move.
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

    /// Waits for the next cycle; gives what it looks at. A new configuration is put to work at once.
    async fn next_cycle(&mut self, due: Instant) -> NextCycle {
        let again = self.recheck.as_ref().map_or(due, |(at, _)| *at).min(due);
        let (due, again) = (tokio::time::sleep_until(due.into()), tokio::time::sleep_until(again.into()));
        tokio::pin!(due, again);
        let mut was_told = false;
        loop {
            if (was_told || self.source.has_changed()) && self.reload().await {
                return NextCycle::Full;
            }
            was_told = tokio::select! {
                biased;
                () = self.signals.stop.cancelled() => return NextCycle::Full,
                () = self.elector.lost() => return NextCycle::Full,
                () = &mut due => return NextCycle::Full,
                () = &mut again => return self.recheck.take().map_or(NextCycle::Full, |(_, targets)| NextCycle::Recheck(targets)),
                scope = self.signals.trigger.fired() => {
                    if self.runtime.runner.follows(&scope) {
                        return NextCycle::of(scope);
                    }
                    tracing::debug!("there is news of images that are not followed");
                    false
                }
                event = self.rollouts.next_event() => {
                    self.observers.rollout_event(&event);
                    false
                }
                () = self.signals.reload.notified() => true,
                () = tokio::time::sleep(CONFIG_POLL_INTERVAL) => false,
            };
        }
    }

    /// Takes up the configuration as it is now; a bad one is said and kept out.
    async fn reload(&mut self) -> bool {
        match self.source.read() {
            Ok(runtime) => {
                if runtime.config.listen != self.runtime.config.listen {
                    tracing::warn!("agent.listen has changed; it is taken up when the agent is started again");
                }
                if runtime.cluster.election != self.runtime.cluster.election {
                    tracing::warn!(
                        "cluster.leaderElection has changed; it is taken up when the agent is started again"
                    );
                }
                tracing::info!("the configuration was read again and is in use");
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

    /// Watches what the configuration wants to be watched.
    async fn watch(&mut self) {
        if let Some(watches_flux) = self.rollouts.configured(&self.runtime).await {
            self.observers.flux_watched(watches_flux);
        }
    }

    fn config_rejected(&self, rejection: LoadError) {
        let cause = rejection.source().map(ToString::to_string).unwrap_or_default();
        let help = rejection.help().unwrap_or_default();
        tracing::error!(error = %rejection, %cause, %help, "the new configuration is wrong; the one before stays in use");
        self.observers.config_rejected(&*rejection);
    }
}

/// How long to wait for the next cycle: the interval, doubled with each failure in a row up to some minutes, and give or
/// take a tenth, so that many agents do not ask one registry in step. `random` is from 0 to 1.
fn backoff(interval: Duration, failures: u32, random: f64) -> Duration {
    let grown = interval.saturating_mul(1 << failures.min(16));
    grown.min(MAX_BACKOFF.max(interval)).mul_f64(0.9 + 0.2 * random)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::LocalBoxFuture;

    use crate::agent::config::Config;
    use crate::agent::runtime::Load;
    use crate::agent::worker::CycleRunner;
    use crate::cycle::error::CycleError;
    use crate::image::Repository;
    use crate::registry::traffic::Traffic;

    use super::*;

    /// What a cycle of the script does.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Done,
        Fails,
        Panics,
        Hangs,
    }

    struct Script {
        steps: Mutex<VecDeque<Step>>,
        modes: Mutex<Vec<Mode>>,
        scopes: Mutex<Vec<Scope>>,
        signals: Signals,
        /// What happens once the script is over; without it the agent stops.
        then: Option<fn(&Signals)>,
    }

    impl CycleRunner for Script {
        fn follows(&self, scope: &Scope) -> bool {
            let followed: Repository = "r.io/org/app".parse().expect("a name");
            scope.covers(&followed)
        }

        fn run_cycle(
            &self,
            scope: Scope,
            mode: Mode,
            _budget: Duration,
            _give_up: CancellationToken,
        ) -> LocalBoxFuture<'_, Result<Report, CycleError>> {
            self.scopes.lock().expect("unpoisoned").push(scope);
            self.modes.lock().expect("unpoisoned").push(mode);
            let step = self.steps.lock().expect("unpoisoned").pop_front();
            if self.steps.lock().expect("unpoisoned").is_empty() {
                match self.then {
                    Some(then) => then(&self.signals),
                    None => self.signals.stop.cancel(),
                }
            }
            async move {
                match step.expect("the script goes on") {
                    Step::Done => Ok(report()),
                    Step::Fails => Err(CycleError::Secret("no".to_owned())),
                    Step::Panics => panic!("a step of the script"),
                    Step::Hangs => std::future::pending().await,
                }
            }
            .boxed_local()
        }

        fn take_traffic(&self) -> Vec<Traffic> {
            Vec::new()
        }
    }

    fn report() -> Report {
        Report {
            head: "f00".to_owned(),
            commit: None,
            updates: Vec::new(),
            skipped: Vec::new(),
            attempts: 0,
            is_proposal: false,
            duration_ms: 0,
            images: Vec::new(),
            changes: [].into(),
            notes: Vec::new(),
        }
    }

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

    fn script(steps: &[Step], then: Option<fn(&Signals)>) -> Arc<Script> {
        let steps = Mutex::new(steps.iter().copied().collect());
        Arc::new(Script { steps, modes: Mutex::default(), scopes: Mutex::default(), signals: Signals::default(), then })
    }

    /// Plays a script and gives what the metrics say in the end.
    async fn play(work: &Arc<Script>, load: Box<Load>) -> String {
        let observers = Observers::default();
        let metrics = Arc::clone(&observers.metrics);
        let agent = Agent::new(
            ConfigSource::new(None, load),
            runtime(work, false),
            observers,
            work.signals.clone(),
            LeaderElector::without_election(),
        );
        agent.run().await;
        metrics.encode()
    }

    fn no_load() -> Box<Load> {
        Box::new(|| panic!("nobody asked for it"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_happens_in_a_cycle_the_next_one_runs() {
        let work = script(&[Step::Panics, Step::Hangs, Step::Fails, Step::Done], None);
        let said = play(&work, no_load()).await;
        for result in ["panic", "deadline", "blocked", "done"] {
            assert!(said.contains(&format!("tagalong_cycles_total{{result=\"{result}\"}} 1\n")), "{said}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn told_to_stop_a_cycle_that_does_not_end_is_given_up() {
        let work = script(&[Step::Done, Step::Hangs], None);
        let said = play(&work, no_load()).await;
        assert!(said.contains("tagalong_cycles_total{result=\"stopped\"} 1\n"), "{said}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wrong_configuration_is_kept_out_and_a_good_one_put_to_work() {
        let work = script(&[Step::Done], Some(|signals| signals.reload.notify_one()));
        // The second script ends the run.
        let steps = Mutex::new(VecDeque::from([Step::Done]));
        let signals = work.signals.clone();
        let later = Arc::new(Script {
            steps,
            modes: Mutex::default(),
            scopes: Mutex::default(),
            signals: signals.clone(),
            then: None,
        });
        let (next, is_mended) = (Arc::clone(&later), AtomicBool::new(false));
        let load = move || -> Result<Runtime, LoadError> {
            if is_mended.swap(true, Ordering::Relaxed) {
                return Ok(runtime(&next, true));
            }
            signals.reload.notify_one();
            Err(Box::new(CycleError::Secret("wrong".to_owned())))
        };
        let said = play(&work, Box::new(load)).await;
        assert!(said.contains("tagalong_config_reads_total{result=\"refused\"} 1\n"), "{said}");
        assert!(said.contains("tagalong_config_last_read_successful 1\n"), "{said}");
        assert_eq!(*work.modes.lock().expect("unpoisoned"), [Mode::Push]);
        assert_eq!(*later.modes.lock().expect("unpoisoned"), [Mode::Suspended]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn news_begins_a_cycle_about_its_images_and_only_where_they_are_followed() {
        let work = script(&[Step::Done, Step::Done, Step::Done], None);
        let mut runtime = runtime(&work, false);
        runtime.config.interval = Duration::from_secs(3600);
        let target = |path: &str| BTreeSet::from([Target { host: None, path: path.to_owned(), with_below: false }]);
        let (told, trigger) = (Arc::clone(&work), work.signals.trigger.clone());
        let teller = tokio::spawn(async move {
            while told.scopes.lock().expect("unpoisoned").is_empty() {
                tokio::task::yield_now().await;
            }
            trigger.fire(target("somebody/else"));
            // Either by itself or with the other, it begins no cycle of its own.
            tokio::task::yield_now().await;
            trigger.fire(target("org/app"));
        });
        let agent = Agent::new(
            ConfigSource::new(None, no_load()),
            runtime,
            Observers::default(),
            work.signals.clone(),
            LeaderElector::without_election(),
        );
        agent.run().await;
        teller.await.expect("it ends");
        let scopes = work.scopes.lock().expect("unpoisoned").clone();
        assert_eq!((scopes.len(), &scopes[0]), (3, &Scope::All));
        assert!(scopes[1] != Scope::All && work.follows(&scopes[1]), "{scopes:?}");
        // It moved nothing, so its images are checked once more, and not a third time.
        assert_eq!(scopes[2], Scope::Only(target("org/app")));
    }

    #[test]
    fn pauses_grow_with_failures_up_to_some_minutes() {
        let second = Duration::from_secs(1);
        assert_eq!(backoff(second * 30, 0, 0.5), second * 30);
        assert_eq!(backoff(second * 30, 2, 0.5), second * 120);
        assert_eq!(backoff(second * 30, 99, 0.5), MAX_BACKOFF);
        assert_eq!(backoff(second * 3600, 99, 0.5), second * 3600);
        assert!(backoff(second, 0, 0.0) < second && backoff(second, 0, 1.0) > second);
    }
}
