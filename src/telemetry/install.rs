//! Installs logs and traces for the whole process.

use tokio::runtime::Handle;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use super::error::TelemetryError;
use super::log::{self, LogFormat};
use super::traces::Traces;

/// A layer of the tracing crate.
pub type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Installs logs, traces and perhaps another listener for the whole process. `directives` are those of the tracing crate, such as `info` or
/// `tagalong=debug`; the log goes to `writer`, and traces are sent from `runtime`. The returned value has to be ended before
/// the process.
///
/// # Errors
/// Directives, or an environment variable, that cannot be used.
pub fn install(
    format: LogFormat,
    directives: &str,
    writer: BoxMakeWriter,
    listener: Option<BoxedLayer>,
    runtime: &Handle,
) -> Result<Traces, TelemetryError> {
    let log = log::layer(format, directives, writer)?;
    let (traces, spans) = Traces::from_environment(runtime)?;
    let layers: Vec<_> = [log].into_iter().chain(listener).chain(spans).collect();
    tracing_subscriber::registry().with(layers).init();
    Ok(traces)
}
