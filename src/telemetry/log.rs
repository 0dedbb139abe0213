//! The log, which always goes to stderr: stdout is for data.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::error::TelemetryError;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// The layer that writes the log.
pub(super) fn layer(
    format: LogFormat,
    directives: &str,
) -> Result<Box<dyn Layer<Registry> + Send + Sync>, TelemetryError> {
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        let (directives, reason) = (directives.to_owned(), error.to_string());
        TelemetryError::Level { directives, reason }
    })?;
    let log = fmt::layer().with_writer(stderr);
    Ok(match format {
        LogFormat::Text => log.with_ansi(stderr().is_terminal()).with_target(false).with_filter(filter).boxed(),
        LogFormat::Json => log.json().flatten_event(true).with_filter(filter).boxed(),
    })
}
