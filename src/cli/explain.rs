//! `tagalong explain`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::explain::{Explanation, FieldStory, explain};

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output::{self, Format};
use super::status;

/// Tell step by step why the fields of an image did or did not move
///
/// Shows the fields that were found, the policy that governs them, the tags that the registry lists and which rule drops
/// which, the order of the others, what is held, what the gates say, and what comes of it for each field. Asks the
/// registry and the git server, and changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong explain ghcr.io/org/app --config tagalong.yaml")]
pub struct Arguments {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: String,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// As many tags are shown to people; machines get all.
const SHOWN: usize = 10;

/// Explains.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let image = super::hold::target(&arguments.image)?.image;
    let config = connect::configuration(&arguments.git)?;
    let story = explain(&connect::engine(&config)?, &image).await?;
    match arguments.output.output {
        Format::Json => output::print_json(&story)?,
        Format::Text => output::print(&text(&story))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(story: &Explanation) -> String {
    let mut text = format!("{}\n\nfields\n", story.image);
    let mut say = |line: String| text.push_str(&format!("  {line}\n"));
    for field in &story.fields {
        let shadow = field.shadowed_by.as_ref().map(|by| format!(", overridden by {by}")).unwrap_or_default();
        say(format!("{}:{}  {} holds {}{shadow}", field.file, field.line, field.path, held(field)));
    }
    match &story.policy {
        Some(policy) => say_title(&mut text, "policy", [format!("{}: {}", policy.name, policy.tags)]),
        None => say_title(&mut text, "policy", ["none: no pattern under `policies` matches this image".to_owned()]),
    }
    if story.policy.is_some() {
        let width = story.tags.iter().take(SHOWN).map(|tag| tag.tag.as_str().chars().count()).max().unwrap_or_default();
        let tags = story.tags.iter().map(|tag| {
            let order = tag.order.as_deref().unwrap_or_default();
            let note = tag.note.as_ref().map(|note| format!("  {note}")).unwrap_or_default();
            format!("{:width$}  {order}{note}", tag.tag.as_str()).trim_end().to_owned()
        });
        say_title(&mut text, "tags that fit, the newest first", shortened(tags));
        let dropped = story.dropped.iter().map(|tag| format!("{} {}", tag.tag, tag.rule));
        say_title(&mut text, "tags that are dropped", shortened(dropped));
    }
    if let Some(error) = &story.registry_error {
        say_title(&mut text, "registry", [error.clone()]);
    }
    let image = story.image.to_string();
    say_title(&mut text, "holds", story.holds.iter().map(|held| status::hold(&image, held)));
    let gates = story.gates.iter().map(|gate| {
        let end = if gate.passed { "passed" } else { "refused" };
        format!("{} {end}: {}", gate.version, gate.detail)
    });
    say_title(&mut text, "gates", gates);
    say_title(&mut text, "notes", story.notes.iter().cloned());
    say_title(&mut text, "result", story.fields.iter().flat_map(results));
    text
}

/// Lines under a title, which is left out where there is nothing to say.
fn say_title(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_some() {
        text.push_str(&format!("\n{title}\n"));
        lines.for_each(|line| text.push_str(&format!("  {line}\n")));
    }
}

/// The first lines, and how many more there are.
fn shortened(lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = lines.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = lines.take(SHOWN).collect();
    if more > 0 {
        shown.push(format!("and {more} more; --output json shows all"));
    }
    shown
}

fn held(field: &FieldStory) -> String {
    match (&field.tag, &field.digest) {
        (Some(tag), Some(digest)) => format!("{tag}@{digest}"),
        (Some(tag), None) => tag.to_string(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => "no version".to_owned(),
    }
}

fn results(field: &FieldStory) -> Vec<String> {
    let place = format!("{}:{}", field.file, field.line);
    if let Some(by) = &field.shadowed_by {
        return vec![format!("{place} is left: {by} decides")];
    }
    if let Some(to) = &field.moves_to {
        return vec![format!("{place} moves from {} to {to}", held(field))];
    }
    if field.stays.is_empty() {
        return vec![format!("{place} stays at {}: nothing governs it", held(field))];
    }
    let stay = |stay: &crate::cycle::explain::Stay| {
        format!("{place} stays at {}: {}: {}", held(field), stay.reason.name(), stay.detail)
    };
    field.stays.iter().map(stay).collect()
}
