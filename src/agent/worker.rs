//! One cycle at work: bounded in time, and apart from the agent, so that a panic in it ends nothing else.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use crate::cycle::engine::Engine;
use crate::cycle::error::CycleError;
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::Report;
use crate::policy::scope::Scope;
use crate::registry::traffic::Traffic;

use super::outcome::Failure;

/// A cycle may look into images for this part of its deadline, and prove some for another; what it has by then is planned
/// and pushed in the rest.
const BUDGET_DIVISOR: u32 = 3;

/// What runs cycles.
pub trait CycleRunner: Send + Sync + 'static {
    /// One pass about the images of a scope. After `budget` it looks into no further image and goes on with what it has;
    /// once `give_up` is cancelled, it pushes nothing any more.
    fn run_cycle(
        &self,
        scope: Scope,
        mode: Mode,
        budget: Duration,
        give_up: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>>;

    /// Whether any image of a scope is followed.
    fn follows(&self, scope: &Scope) -> bool;

    /// The requests that were sent to registries since this was asked last.
    fn take_traffic(&self) -> Vec<Traffic>;
}

impl CycleRunner for Engine {
    fn run_cycle(
        &self,
        scope: Scope,
        mode: Mode,
        budget: Duration,
        give_up: CancellationToken,
    ) -> LocalBoxFuture<'_, Result<Report, CycleError>> {
        async move { self.follow_scope(&scope, mode, budget, &give_up).await }.boxed_local()
    }

    fn follows(&self, scope: &Scope) -> bool {
        Engine::follows(self, scope)
    }

    fn take_traffic(&self) -> Vec<Traffic> {
        Engine::take_traffic(self)
    }
}

/// Runs one cycle in a thread of its own. Past its deadline, or once `give_up` is cancelled, it ends where it next waits,
/// or where it would push; what git does is never cut in two.
pub async fn run(
    runner: Arc<dyn CycleRunner>,
    scope: Scope,
    mode: Mode,
    deadline: Duration,
    give_up: CancellationToken,
) -> Result<Report, Failure> {
    let (handle, span) = (Handle::current(), Span::current());
    let bounded = move || {
        // Made where it runs: the clone that it holds stays in one thread.
        let cycle = async {
            tokio::select! {
                biased;
                result = runner.run_cycle(scope, mode, deadline / BUDGET_DIVISOR, give_up.clone()) => result.map_err(|error| match error {
                    CycleError::GivenUp => Failure::Stopped,
                    error => Failure::Cycle(Box::new(error)),
                }),
                () = give_up.cancelled() => Err(Failure::Stopped),
                () = tokio::time::sleep(deadline) => Err(Failure::Overdue { after: deadline }),
            }
        };
        handle.block_on(cycle.instrument(span))
    };
    let thread = tokio::task::spawn_blocking(bounded);
    thread.await.unwrap_or_else(|ended| Err(if ended.is_panic() { Failure::Panicked } else { Failure::Stopped }))
}
