//! `tagalong status`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::status::{FieldVersion, HoldStatus, ImageStatus};
use crate::image::Tag;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output::{self, Format};

/// Show current, candidate, held and blocked tags for each image
///
/// One line per image that is governed by a policy: its current version, its candidate, and what keeps it back; below it,
/// its holds, with date, author and reason. Queries the registries and the git server, and changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tagalong status --config tagalong.yaml\n  tagalong status --output json")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// Shows the status of all images.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let images = connect::engine(&config)?.status().await?;
    match arguments.output.output {
        Format::Json => output::print_json(&images)?,
        Format::Text => output::print(&text(&images))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(images: &[ImageStatus]) -> String {
    let row = |image: &ImageStatus| {
        let mut current: Vec<String> = image.current.iter().map(version).collect();
        current.dedup();
        let why = image.reasons.iter().max_by_key(|why| why.reason).map(|why| why.detail.clone());
        let candidate = image.candidate.as_ref().map_or("-", Tag::as_str).to_owned();
        vec![image.image.to_string(), current.join(", "), candidate, image.state.to_string(), why.unwrap_or_default()]
    };
    let rows: Vec<Vec<String>> = images.iter().map(row).collect();
    let mut text = output::table(&["IMAGE", "CURRENT", "CANDIDATE", "STATE", "WHY"], &rows);
    for image in images {
        text.extend(image.holds.iter().map(|held| format!("{}\n", hold(&image.image.to_string(), held))));
    }
    text
}

fn version(place: &FieldVersion) -> String {
    match (&place.tag, &place.digest) {
        (Some(tag), _) => tag.to_string(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => "-".to_owned(),
    }
}

/// Formats a hold as one line.
pub fn hold(image: &str, held: &HoldStatus) -> String {
    let HoldStatus { tag, since, by, reason, commit, pull_request, .. } = held;
    let tag = tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let commit = commit.as_ref().map(|id| format!("commit {}", id.chars().take(7).collect::<String>()));
    let origin = commit.or_else(|| pull_request.clone()).unwrap_or_default();
    output::safe(&format!("held: {image}{tag} since {since} by {by}: {reason} ({origin})"))
}
