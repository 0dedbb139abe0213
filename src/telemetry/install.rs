//! Installs logs and traces for the whole process.

use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::error::TelemetryError;
use super::log::{self, LogFormat};
use super::traces::Traces;

/// Installs logs and traces for the whole process. `directives` are those of the tracing crate, such as `info` or
/// `tagalong=debug`; traces are sent from `runtime`. The returned value has to be ended before the process.
///
/// # Errors
/// Directives, or an environment variable, that cannot be used.
pub fn install(format: LogFormat, directives: &str, runtime: &Handle) -> Result<Traces, TelemetryError> {
    let log = log::layer(format, directives)?;
    let (traces, spans) = Traces::from_environment(runtime)?;
    let layers: Vec<_> = [log].into_iter().chain(spans).collect();
    tracing_subscriber::registry().with(layers).init();
    Ok(traces)
}
