//! Errors in what the environment and the command line ask of telemetry.

/// A setting of logs or traces that cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum TelemetryError {
    /// Invalid log directives.
    #[error("`{directives}` is not a valid log level: {reason}")]
    Level { directives: String, reason: String },
    /// An environment variable with an unsupported value.
    #[error("{name}: {reason}")]
    Variable { name: &'static str, reason: String },
}
