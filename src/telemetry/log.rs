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
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        let (directives, reason) = (directives.to_owned(), error.to_string());
        TelemetryError::Level { directives, reason }
    })?;
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
