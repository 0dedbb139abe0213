//! Output on stdout.

use std::borrow::Cow;
use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use similar::ChangeTag;
use similar::udiff::UnifiedHunkHeader;

use crate::cycle::operations::terms::Mode;
use crate::cycle::report::{FileChange, Moved, Report};
use crate::image::{Digest, Repository};
use crate::plan::skip::{Reason, Skipped};
use crate::text;

use super::error::CliError;
use super::progress;

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
}

/// Prints text. Colours are removed unless stdout is a terminal.
pub fn print(text: &str) -> Result<(), CliError> {
    progress::end();
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Stdout)
}

/// Prints JSON, indented.
pub fn print_json<T: Serialize>(value: &T) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Stdout(error.into()))?;
    print(&format!("{text}\n"))
}

/// A report, as scripts rely on it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportJson<'r> {
    head: String,
    commit: Option<String>,
    updates: Vec<MovedJson<'r>>,
    skipped: &'r [Skipped],
    attempts: u32,
    duration_ms: u64,
}

#[derive(Serialize)]
struct MovedJson<'r> {
    file: &'r str,
    path: &'r str,
    image: &'r Repository,
    from: Option<String>,
    to: String,
    digest: Option<&'r Digest>,
}

impl<'r> From<&'r Moved> for MovedJson<'r> {
    fn from(moved: &'r Moved) -> MovedJson<'r> {
        let Moved { file, path, image, from, to, digest, .. } = moved;
        let from = (!from.is_empty()).then(|| from.to_string());
        MovedJson { file, path, image, from, to: to.to_string(), digest: digest.as_ref() }
    }
}

/// Prints a report as JSON.
pub fn print_report(report: &Report) -> Result<(), CliError> {
    print_json(&ReportJson {
        head: report.head.map(|id| id.to_string()).unwrap_or_default(),
        commit: report.commit.map(|id| id.to_string()),
        updates: report.updates.iter().map(MovedJson::from).collect(),
        skipped: &report.skipped,
        attempts: report.attempts,
        duration_ms: report.duration_ms,
    })
}

/// Prints the result of an operation that was requested by name.
pub fn finish(report: &Report, mode: Mode, text: &str, format: Format) -> Result<ExitCode, CliError> {
    for note in &report.notes {
        tracing::warn!("{note}");
    }
    match (format, mode) {
        (Format::Json, _) => print_report(report)?,
        (Format::Text, Mode::DryRun) if !report.changes.is_empty() => print(&diff(&report.changes))?,
        (Format::Text, _) => print(text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the commit of an operation, on a line.
pub fn commit(report: &Report) -> String {
    format!("{}\n", report.commit.map_or_else(|| "up to date".to_owned(), |id| id.to_string()))
}

/// The longest text that is shown in a line or a cell, in characters. JSON has all of it.
const MAX_TEXT: usize = 1_000;

/// Makes foreign text safe to show in a line.
pub fn safe(text: &str) -> String {
    text::cut(&text::line(text), MAX_TEXT).into_owned()
}

/// The unchanged lines around each change of a diff.
const CONTEXT: usize = 3;

/// Formats all changes as a unified diff, as git prints it. On a terminal, lines are escaped; elsewhere they are exact, so
/// that the diff can be applied.
pub fn diff(changes: &[FileChange]) -> String {
    diff_for(changes, stdout().is_terminal())
}

fn diff_for(changes: &[FileChange], is_terminal: bool) -> String {
    let style = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    let (red, green, cyan, bold) =
        (style(AnsiColor::Red), style(AnsiColor::Green), style(AnsiColor::Cyan), Style::new().bold());
    let mut text = String::new();
    for FileChange { file, before, after } in changes {
        let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
        let file = text::line(file);
        text.push_str(&format!("{bold}--- a/{file}\n+++ b/{file}{bold:#}\n"));
        let before: Vec<&str> = before.split_inclusive('\n').collect();
        let after: Vec<&str> = after.split_inclusive('\n').collect();
        for hunk in similar::group_diff_ops(crate::diff::steps(&before, &after), CONTEXT) {
            text.push_str(&format!("{cyan}{}{cyan:#}\n", UnifiedHunkHeader::new(&hunk)));
            for change in hunk.iter().flat_map(|step| step.iter_changes(&before[..], &after[..])) {
                let (sign, style) = match change.tag() {
                    ChangeTag::Delete => ("-", red),
                    ChangeTag::Insert => ("+", green),
                    ChangeTag::Equal => (" ", Style::new()),
                };
                let line = change.value();
                let (body, end) = match line.strip_suffix('\n') {
                    Some(body) => (body, "\n"),
                    None => (line, "\n\\ No newline at end of file\n"),
                };
                let body = if is_terminal { text::lines(body) } else { Cow::Borrowed(body) };
                text.push_str(&format!("{style}{sign}{body}{style:#}{end}"));
            }
        }
    }
    text
}

/// Lists what moved and what did not, one per line.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    for moved in &report.updates {
        let (from, Moved { file, path, image, to, .. }) = (moved.from_text(), moved);
        text.push_str(&format!("{}\n", safe(&format!("{file}: {path} {image} {from} -> {to}"))));
    }
    for skipped in report.skipped.iter().filter(|skipped| skipped.reason != Reason::UpToDate) {
        text.push_str(&format!("{}\n", safe(&format!("stays: {}: {}", skipped.image, skipped.detail))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_the_one_that_git_prints() {
        let change = FileChange {
            file: "apps/a.yaml".to_owned(),
            before: b"a: 1\nimage: x:1\nb: 2".to_vec(),
            after: b"a: 1\nimage: x:2\nb: 2".to_vec(),
        };
        let text = anstream::adapter::strip_str(&diff(&[change])).to_string();
        assert_eq!(
            text,
            "--- a/apps/a.yaml\n+++ b/apps/a.yaml\n@@ -1,3 +1,3 @@\n a: 1\n-image: x:1\n+image: x:2\n b: 2\n\\ No newline at end of file\n"
        );
    }

    #[test]
    fn a_diff_is_escaped_for_terminals_alone() {
        let change = FileChange {
            file: "a\x1b.yaml".to_owned(),
            before: b"a: 1\r\n".to_vec(),
            after: b"a: \x1b[8m2\r\n".to_vec(),
        };
        let shown = anstream::adapter::strip_str(&diff_for(std::slice::from_ref(&change), true)).to_string();
        let header = "--- a/a\\u{1b}.yaml\n+++ b/a\\u{1b}.yaml\n@@ -1 +1 @@\n";
        assert_eq!(shown, format!("{header}-a: 1\\r\n+a: \\u{{1b}}[8m2\\r\n"));
        assert!(diff_for(&[change], false).contains("+a: \x1b[8m2\r"));
    }
}
