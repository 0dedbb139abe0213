//! Options that every command takes: the log, and how much and in which colors is said on the terminal.

use std::ffi::OsStr;

use anstream::ColorChoice;
use clap::{ArgAction, Args, ValueEnum};

use crate::telemetry::log::LogFormat;

/// The heading of these options in help texts.
const HEADING: &str = "Global options";

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct GlobalArguments {
    /// Log level on stderr: off, error, warn, info, debug, trace, or directives such as tagalong=debug [default: info for
    /// `run`, otherwise warn]
    #[arg(long, global = true, help_heading = HEADING, env = "TAGALONG_LOG", value_name = "LEVEL")]
    log_level: Option<String>,

    /// Format of log lines
    #[arg(long, global = true, help_heading = HEADING, value_enum, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Print only results and errors; takes precedence over --log-level
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Log in detail, and with -vv every step; takes precedence over --log-level
    #[arg(short, long, global = true, help_heading = HEADING, action = ArgAction::Count)]
    verbose: u8,

    /// Colors in output, log and help [auto: on terminals, unless NO_COLOR is set]
    #[arg(long, global = true, help_heading = HEADING, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
}

impl GlobalArguments {
    /// Returns what to log, given what this command logs by default.
    pub fn directives(&self, default: &'static str) -> &str {
        match (self.quiet, self.verbose) {
            (true, _) => "error",
            // Crates below this one would bury its own lines.
            (false, 1) => "warn,tagalong=debug",
            (false, 2..) => "debug,tagalong=trace",
            (false, 0) => self.log_level.as_deref().unwrap_or(default),
        }
    }
}

/// When colors are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals, as the environment wants it
    Auto,
    /// Always, even in pipes
    Always,
    /// Never
    Never,
}

impl Color {
    /// Makes it the choice of the whole process, for whatever is printed from now on.
    pub fn apply(self) {
        let choice = match self {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        choice.write_global();
    }

    /// Finds the choice among the arguments of the process before they are parsed, because the parser's own help texts
    /// and errors have colors. What is invalid is left for the parser to report.
    pub fn among<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Color {
        let mut found = Color::Auto;
        let mut is_next = false;
        for argument in arguments {
            let Some(text) = argument.as_ref().to_str() else { continue };
            let value = if is_next { Some(text) } else { text.strip_prefix("--color=") };
            found = value.and_then(|value| Color::from_str(value, false).ok()).unwrap_or(found);
            is_next = !is_next && text == "--color";
            if text == "--" {
                break;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_of_colors_is_known_before_arguments_are_parsed() {
        assert_eq!(Color::among(["tagalong", "status", "--color", "never"]), Color::Never);
        assert_eq!(Color::among(["tagalong", "--color=always", "status"]), Color::Always);
        assert_eq!(Color::among(["tagalong", "--color", "--color=always"]), Color::Auto);
        assert_eq!(Color::among(["tagalong", "set", "--", "--color=always"]), Color::Auto);
        assert_eq!(Color::among(["tagalong", "--color=red"]), Color::Auto);
    }
}
