//! Logs: where they go and how they look. Always stderr; stdout is for data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Installs the log for the whole process. `directives` are those of the tracing crate, such as `info` or
/// `tagalong=debug`.
///
/// # Errors
/// Directives that cannot be understood, with the reason.
pub fn install(format: LogFormat, directives: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(directives).map_err(|error| format!("`{directives}` is no log level: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
