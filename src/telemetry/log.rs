//! The log, which always goes to stderr: stdout is for data. Values in its lines are foreign text, so each is escaped and
//! cut. JSON escapes by itself.

use std::fmt::Debug;
use std::io::stderr;

use anstream::{AutoStream, ColorChoice};
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::text;

use super::error::TelemetryError;

/// The longest value in a text line, in characters.
const MAX_VALUE: usize = 4_000;

/// The libraries that log each failed request as an error, although we report a failure once, with what to do about it. A
/// directive that names one of them shows its lines.
const QUIET: &str = "kube_client=off";

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// The layer that writes the log to a writer for stderr.
pub(super) fn layer(
    format: LogFormat,
    directives: &str,
    writer: BoxMakeWriter,
) -> Result<Box<dyn Layer<Registry> + Send + Sync>, TelemetryError> {
    let filter = filter(directives)?;
    let log = fmt::layer().with_writer(writer);
    Ok(match format {
        LogFormat::Text => {
            let log = log.fmt_fields(debug_fn(write_field).delimited(" "));
            log.with_ansi(has_colors()).with_target(false).with_filter(filter).boxed()
        }
        LogFormat::Json => log.json().flatten_event(true).with_filter(filter).boxed(),
    })
}

/// Returns whether stderr shows colors, as the command line and the environment want it.
fn has_colors() -> bool {
    AutoStream::choice(&stderr()) != ColorChoice::Never
}

/// Returns the filter for directives. Of two for the same target, the later one counts.
fn filter(directives: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(format!("{QUIET},{directives}")).map_err(|error| {
        let (directives, reason) = (directives.to_owned(), error.to_string());
        TelemetryError::Level { directives, reason }
    })
}

/// Writes one value as the crate's own format does, but on one line, whatever is in it.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let value = format!("{value:?}");
    let value = text::line(&value);
    let value = text::cut(&value, MAX_VALUE);
    match field.name() {
        "message" => write!(writer, "{value}"),
        // Only the log crate's name for a place in the source.
        name if name.starts_with("log.") => Ok(()),
        name if writer.has_ansi_escapes() => write!(writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}"),
        name => write!(writer, "{name}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Whether an error of a library, an error of our own and a debug line of our own are logged.
    fn shows(directives: &str) -> [bool; 3] {
        let subscriber = tracing_subscriber::registry().with(filter(directives).expect("directives"));
        tracing::subscriber::with_default(subscriber, || {
            [
                tracing::enabled!(target: "kube_client::client::builder", tracing::Level::ERROR),
                tracing::enabled!(target: "tagalong::cluster", tracing::Level::ERROR),
                tracing::enabled!(target: "tagalong::cluster", tracing::Level::DEBUG),
            ]
        })
    }

    #[test]
    fn the_kubernetes_library_is_quiet_unless_it_is_named() {
        assert_eq!(shows("info"), [false, true, false]);
        assert_eq!(shows("debug"), [false, true, true]);
        assert_eq!(shows("info,kube_client=warn"), [true, true, false]);
        assert_eq!(shows("tagalong=trace"), [false, true, true]);
        assert!(
            matches!(filter("loud=very"), Err(TelemetryError::Level { directives, .. }) if directives == "loud=very")
        );
    }
}
