//! The runtime of the connections, and how a blocking caller waits for them.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

/// Returns the runtime of all connections. It outlives operations, and so do kept connections.
pub fn get() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_multi_thread().worker_threads(1).thread_name("git").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// Waits on this thread for a future that uses the runtime; `None` if it takes too long. The thread may belong to another
/// runtime.
pub fn wait<F: Future>(runtime: &Runtime, until: Instant, future: F) -> Option<F::Output> {
    let _entered = runtime.enter();
    let timeout = tokio::time::timeout_at(until.into(), future);
    futures_executor::block_on(timeout).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn callers_wait_no_longer_than_they_want_on_any_thread() {
        let runtime = get().expect("a runtime");
        let never = || wait(runtime, Instant::now() + Duration::from_millis(10), std::future::pending::<()>());
        assert_eq!(never(), None);
        let inside = Runtime::new().expect("a runtime").block_on(async move { never() });
        assert_eq!(inside, None);
        let soon = Instant::now() + Duration::from_secs(20);
        assert_eq!(wait(runtime, soon, async { tokio::time::sleep(Duration::from_millis(1)).await }), Some(()));
    }
}
