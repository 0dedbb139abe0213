//! `tagalong status`

use std::process::ExitCode;

use clap::Args;

use crate::cycle::status::{FieldVersion, HoldStatus, ImageStatus, State, StatusReason};
use crate::image::Tag;
use crate::plan::skip::Address;
use crate::stage::name::Name;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output::{self, Format};

/// Show current, candidate, held and blocked tags for each image
///
/// One line per image that is governed by a policy: its current version, its candidate, and what keeps it back; below it,
/// its holds, with date, author and reason. An image that is in stages has a line for each of them. Queries the registries and the git server, and changes nothing.
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
    let has_stages = images.iter().flat_map(|image| &image.current).any(|place| place.stage.is_some());
    let mut text = if has_stages {
        let rows: Vec<Vec<String>> = images.iter().flat_map(by_stage).collect();
        output::table(&["IMAGE", "STAGE", "CURRENT", "CANDIDATE", "STATE", "WHY"], &rows)
    } else {
        let rows: Vec<Vec<String>> = images.iter().map(row).collect();
        output::table(&["IMAGE", "CURRENT", "CANDIDATE", "STATE", "WHY"], &rows)
    };
    for image in images {
        text.extend(image.holds.iter().map(|held| format!("{}\n", hold(&image.image.to_string(), held))));
    }
    text
}

/// Returns the row of an image.
fn row(image: &ImageStatus) -> Vec<String> {
    let why = image.reasons.iter().max_by_key(|why| why.reason).map(|why| why.detail.clone());
    let candidate = image.candidate.as_ref().map_or("-", Tag::as_str).to_owned();
    let current = versions(image.current.iter());
    vec![image.image.to_string(), current, candidate, image.state.to_string(), why.unwrap_or_default()]
}

/// Returns a row for each stage that has fields of an image, in the order of its files.
fn by_stage(image: &ImageStatus) -> Vec<Vec<String>> {
    let mut stages: Vec<Option<&Name>> = image.current.iter().map(|place| place.stage.as_ref()).collect();
    stages.sort();
    stages.dedup();
    let row = |stage: Option<&Name>| {
        let places: Vec<&FieldVersion> = image.current.iter().filter(|place| place.stage.as_ref() == stage).collect();
        let is_own =
            |address: &Address| places.iter().any(|place| place.file == address.file && place.path == address.path);
        let reasons: Vec<&StatusReason> =
            image.reasons.iter().filter(|why| why.field.as_ref().is_none_or(is_own)).collect();
        let why = reasons.iter().max_by_key(|why| why.reason);
        let kept = why.filter(|why| why.reason.keeps_a_candidate());
        // Without a reason to stay, its fields move.
        let state = why.map_or(State::Updating, |why| State::from(why.reason));
        let candidate = if why.is_none() { image.candidate.as_ref() } else { kept.and_then(|why| why.tag.as_ref()) };
        vec![
            image.image.to_string(),
            stage.map_or("-", Name::as_str).to_owned(),
            versions(places.iter().copied()),
            candidate.map_or("-", Tag::as_str).to_owned(),
            state.to_string(),
            why.map(|why| why.detail.clone()).unwrap_or_default(),
        ]
    };
    stages.into_iter().map(row).collect()
}

fn versions<'p>(places: impl Iterator<Item = &'p FieldVersion>) -> String {
    let mut current: Vec<String> = places.map(version).collect();
    current.dedup();
    current.join(", ")
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
