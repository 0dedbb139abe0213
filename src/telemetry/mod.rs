//! What the process tells of its work: logs, always to stderr, as stdout is for data; and traces, where they are wanted.
//!
//! - [`traces`]: spans for a collector of OpenTelemetry

pub mod traces;

use std::io::IsTerminal;

use tokio::runtime::Handle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use traces::Traces;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Directives that cannot be understood.
    #[error("`{directives}` is no log level: {reason}")]
    Level {
        /// The directives.
        directives: String,
        /// What is wrong with them.
        reason: String,
    },
    /// A variable of the environment that cannot be followed.
    #[error("{name}: {reason}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where something is told.
type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Installs logs and traces for the whole process. `directives` are those of the tracing crate, such as `info` or
/// `tagalong=debug`; `runtime` is where traces are sent. What is given has to be ended before the process.
///
/// # Errors
/// Directives, or a variable of the environment, that cannot be followed.
pub fn install(format: LogFormat, directives: &str, runtime: &Handle) -> Result<Traces, TelemetryError> {
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        let (directives, reason) = (directives.to_owned(), error.to_string());
        TelemetryError::Level { directives, reason }
    })?;
    let log = fmt::layer().with_writer(std::io::stderr);
    let log: BoxedLayer = match format {
        LogFormat::Text => {
            log.with_ansi(std::io::stderr().is_terminal()).with_target(false).with_filter(filter).boxed()
        }
        LogFormat::Json => log.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let (traces, spans) = Traces::from_environment(runtime)?;
    let layers: Vec<BoxedLayer> = [log].into_iter().chain(spans).collect();
    tracing_subscriber::registry().with(layers).init();
    Ok(traces)
}
