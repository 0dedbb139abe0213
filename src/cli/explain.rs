//! `tagalong explain`

use std::process::ExitCode;

use anstyle::Style;
use clap::Args;

use crate::cycle::explain::{ExplainedField, Explanation, explain};
use crate::cycle::stage_gates::{ExplainedStage, GateState, StageGate};
use crate::fault::Fault;
use crate::stage::name::Name;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::outcome;
use super::output::{self, Format};

/// Explain step by step why the fields of an image did or did not move
///
/// Shows the fields, the policy that governs them, the tags in the registry and the rules that exclude some of them, the
/// order of the rest, holds, the results of the gates, and the outcome for each field. For an image in stages, it shows what
/// each stage holds, and every condition for the release that comes next, with its evidence. Queries the registry and the
/// git server, and changes nothing.
///
/// Exits with 5 if a registry could not be reached.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong explain ghcr.io/org/app --config tagalong.yaml\n  tagalong explain ghcr.io/org/app --stage live"
)]
pub struct Arguments {
    /// Image to explain
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Explain only what this stage holds, and what comes next
    #[arg(long, value_name = "STAGE")]
    stage: Option<Name>,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// The style of titles.
const TITLE: Style = Style::new().bold();
/// At most this many tags are shown in text; JSON has all of them.
const SHOWN: usize = 10;

/// Explains.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let image = super::hold::target(&arguments.image)?.image;
    let config = connect::configuration(&arguments.git)?;
    let story = explain(&connect::engine(&config)?, &image, arguments.stage.as_ref()).await?;
    match arguments.output.output {
        Format::Json => output::print_json(&story)?,
        Format::Text => output::print(&text(&story))?,
    }
    let fault = story.is_incomplete.then_some(Fault::Transient);
    Ok(ExitCode::from(fault.map_or(0, Fault::exit_code)))
}

fn text(story: &Explanation) -> String {
    let mut text = format!("{TITLE}{}{TITLE:#}\n\n{TITLE}fields{TITLE:#}\n", story.image);
    let mut say = |line: String| text.push_str(&format!("  {}\n", output::safe(&line)));
    for field in &story.fields {
        let shadow = field.shadowed_by.as_ref().map(|by| format!(", overridden by {by}")).unwrap_or_default();
        say(format!("{}:{}  {} holds {}{shadow}", field.file, field.line, field.path, version(field)));
    }
    match &story.policy {
        Some(policy) => add_section(&mut text, "policy", [format!("{}: {}", policy.name, policy.tags)]),
        None => add_section(&mut text, "policy", ["none: no pattern under `policies` matches this image".to_owned()]),
    }
    if story.policy.is_some() {
        let width = story.tags.iter().take(SHOWN).map(|tag| tag.tag.as_str().chars().count()).max().unwrap_or_default();
        let tags = story.tags.iter().map(|tag| {
            let order = tag.order.as_deref().unwrap_or_default();
            let note = tag.note.as_ref().map(|note| format!("  {note}")).unwrap_or_default();
            format!("{:width$}  {order}{note}", tag.tag.as_str()).trim_end().to_owned()
        });
        add_section(&mut text, "matching tags, newest first", shortened(tags));
        let dropped = story.dropped.iter().map(|tag| format!("{} {}", tag.tag, tag.rule));
        add_section(&mut text, "excluded tags", shortened(dropped));
    }
    if let Some(error) = &story.registry_error {
        add_section(&mut text, "registry", [error.clone()]);
    }
    let image = story.image.to_string();
    add_section(&mut text, "holds", story.holds.iter().map(|held| outcome::hold(&image, held)));
    let gates = story.gates.iter().map(|gate| {
        let end = if gate.passed { "passed" } else { "refused" };
        format!("{} {end}: {}", gate.version, gate.detail)
    });
    add_section(&mut text, "gates", gates);
    add_section(&mut text, "stages", story.stages.iter().flat_map(stage));
    add_section(&mut text, "notes", story.notes.iter().cloned());
    add_section(&mut text, "result", story.fields.iter().flat_map(results));
    text
}

/// Adds lines under a title, or nothing if there are no lines.
fn add_section(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_some() {
        text.push_str(&format!("\n{TITLE}{title}{TITLE:#}\n"));
        lines.for_each(|line| text.push_str(&format!("  {}\n", output::safe(&line))));
    }
}

/// Returns the first lines, and the number of the others.
fn shortened(lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = lines.take(SHOWN).collect();
    if more > 0 {
        shown.push(format!("and {more} more; use --output json to see all"));
    }
    shown
}

/// Returns what a stage holds, and a line for each condition of the release that comes next.
fn stage(explained: &ExplainedStage) -> Vec<String> {
    let ExplainedStage { stage, tag, since, next, gates, .. } = explained;
    let held = tag.as_ref().map_or("several versions", |tag| tag.short());
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    let next = next.as_ref().map_or_else(|| "nothing newer waits".to_owned(), |next| format!("next: {next}"));
    let gate = |gate: &StageGate| {
        let result = match gate.result {
            GateState::Passed => "passed",
            GateState::Waiting => "waits ",
            GateState::Later => "later ",
        };
        let url = gate.url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
        format!("  {result}  {}: {}{url}", gate.gate, gate.detail)
    };
    let first = format!("{stage} holds {held}{since}; {next}");
    std::iter::once(first).chain(gates.iter().map(gate)).collect()
}

fn version(field: &ExplainedField) -> String {
    match (&field.tag, &field.digest) {
        (Some(tag), Some(digest)) => format!("{tag}@{digest}"),
        (Some(tag), None) => tag.to_string(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => "no version".to_owned(),
    }
}

fn results(field: &ExplainedField) -> Vec<String> {
    let place = format!("{}:{}", field.file, field.line);
    if let Some(by) = &field.shadowed_by {
        return vec![format!("{place} stays: overridden by {by}")];
    }
    if let Some(to) = &field.moves_to {
        return vec![format!("{place} moves from {} to {to}", version(field))];
    }
    if field.stays.is_empty() {
        return vec![format!("{place} stays at {}: no policy governs it", version(field))];
    }
    let stay = |stay: &crate::cycle::explain::FieldReason| {
        format!("{place} stays at {}: {}: {}", version(field), stay.reason.name(), stay.detail)
    };
    field.stays.iter().map(stay).collect()
}
