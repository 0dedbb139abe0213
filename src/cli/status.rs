//! `tagalong status`

use std::cmp::Reverse;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::Style;
use clap::Args;

use crate::config::values::duration;
use crate::cycle::queries;
use crate::cycle::status::{FieldVersion, ImageStatus, State, StatusReason};
use crate::fault::Fault;
use crate::image::{Repository, Tag};
use crate::plan::skip::{Address, Reason};
use crate::stage::name::Name;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::outcome;
use super::output::{self, Format};
use super::table::{self, BAD, BUSY, Cell, Column, GOOD, MINOR, NOTHING, Table, WAITING};
use super::{terminal, watch};

/// Show current, candidate, held and blocked tags for each image
///
/// One line per image that is governed by a policy, those that need attention first: its current version, its candidate,
/// and what keeps it back; below the table, the holds, with date, author and reason. An image that is in stages has a line
/// for each of them. Queries the registries and the git server, and changes nothing.
///
/// Exits with 5 if a registry could not be reached.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong status --config tagalong.yaml\n  tagalong status ghcr.io/org/app --watch\n  tagalong status -o json"
)]
pub struct Arguments {
    /// Show this image only
    #[arg(value_name = "IMAGE")]
    image: Option<String>,

    /// Show it again at this interval, until Ctrl-C [default: 10s]
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, require_equals = true, default_missing_value = "10s", value_parser = duration, conflicts_with = "output")]
    watch: Option<Duration>,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// Shows the status.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let image = arguments.image.as_deref().map(super::hold::target).transpose()?.map(|target| target.image);
    let Some(interval) = arguments.watch else {
        let images = query(&arguments.git, image.as_ref()).await?;
        match arguments.output.output {
            Format::Json => output::print_json(&images)?,
            Format::Text => output::print(&text(&images))?,
        }
        return Ok(ExitCode::from(exit_code(&images)));
    };
    watch::every(interval, async || Ok(text(&query(&arguments.git, image.as_ref()).await?))).await
}

async fn query(git: &GitArguments, image: Option<&Repository>) -> Result<Vec<ImageStatus>, CliError> {
    let engine = connect::engine(&connect::configuration(git)?)?;
    match image {
        Some(image) => {
            let found = queries::status_of(&engine, image).await?;
            found.map(|status| vec![status]).ok_or_else(|| CliError::NotGoverned { image: image.clone() })
        }
        None => Ok(queries::statuses(&engine).await?),
    }
}

/// Returns the exit code: what registries did not answer is missing in the result.
fn exit_code(images: &[ImageStatus]) -> u8 {
    let reasons = images.iter().flat_map(|image| &image.reasons);
    let faults = reasons.filter(|why| why.reason == Reason::RegistryError).map(|_| Fault::Transient);
    Fault::decisive(faults).map_or(0, Fault::exit_code)
}

fn text(images: &[ImageStatus]) -> String {
    let width = terminal::width();
    let mut text = table(images).render(width);
    for image in images {
        for held in &image.holds {
            let line = outcome::hold(&image.image.to_string(), held);
            text.push_str(&format!("{}\n", table::wrapped(&line, width).join("\n")));
        }
    }
    let states = outcome::counts(images.iter().map(|image| image.state), ToString::to_string);
    let count = outcome::plural(images.len(), "image", "images");
    let colon = if images.is_empty() { "" } else { ": " };
    text.push_str(&format!("{count}{colon}{states}\n"));
    text
}

/// A line of the table: an image, or what one stage has of it.
struct Line<'i> {
    image: &'i ImageStatus,
    stage: Option<&'i Name>,
    current: Vec<&'i FieldVersion>,
    candidate: Option<&'i Tag>,
    state: State,
    why: Option<&'i StatusReason>,
}

/// Makes the table, with the images first that need attention.
fn table(images: &[ImageStatus]) -> Table {
    let has_stages = images.iter().flat_map(|image| &image.current).any(|place| place.stage.is_some());
    let mut lines: Vec<Line<'_>> =
        if has_stages { images.iter().flat_map(by_stage).collect() } else { images.iter().map(line).collect() };
    // The stages of an image stay together, in the order of its files.
    lines.sort_by_key(|line| Reverse(line.image.state));
    let stage = has_stages.then(|| Column::word("STAGE"));
    let mut columns = vec![Column::name("IMAGE")];
    columns.extend(stage);
    columns.extend([Column::word("CURRENT"), Column::word("CANDIDATE"), Column::word("STATE"), Column::prose("WHY")]);
    let mut table = Table::new(columns);
    for line in lines {
        let why = Cell::from(line.why.map(|why| why.detail.clone()).unwrap_or_default());
        let mut cells = vec![Cell::from(line.image.image.as_str())];
        cells.extend(has_stages.then(|| Cell::from(line.stage.map_or(NOTHING, Name::as_str))));
        cells.push(versions(&line.current));
        cells.push(line.candidate.map_or(Cell::from(NOTHING), |tag| Cell::from(tag.as_str()).or_brief(tag.short())));
        cells.push(Cell::from(line.state.name()).styled(style(line.state)));
        cells.push(if line.state == State::UpToDate { why.minor().styled(MINOR) } else { why });
        table.add(cells);
    }
    table
}

fn style(state: State) -> Style {
    match state {
        State::UpToDate => GOOD,
        State::Updating => BUSY,
        State::Kept(
            Reason::BlockedImage | Reason::BlockedSignature | Reason::BlockedSecret | Reason::RegistryError,
        ) => BAD,
        State::Kept(_) => WAITING,
    }
}

fn line(image: &ImageStatus) -> Line<'_> {
    Line {
        image,
        stage: None,
        current: image.current.iter().collect(),
        candidate: image.candidate.as_ref(),
        state: image.state,
        why: image.reasons.iter().max_by_key(|why| why.reason),
    }
}

/// Returns a line for each stage that has fields of an image, in the order of its files.
fn by_stage<'i>(image: &'i ImageStatus) -> Vec<Line<'i>> {
    let mut stages: Vec<Option<&Name>> = image.current.iter().map(|place| place.stage.as_ref()).collect();
    stages.sort();
    stages.dedup();
    let line = |stage: Option<&'i Name>| {
        let current: Vec<&FieldVersion> = image.current.iter().filter(|place| place.stage.as_ref() == stage).collect();
        let is_own =
            |address: &Address| current.iter().any(|place| place.file == address.file && place.path == address.path);
        let reasons = image.reasons.iter().filter(|why| why.field.as_ref().is_none_or(is_own));
        let why = reasons.max_by_key(|why| why.reason);
        let kept = why.filter(|why| why.reason.keeps_a_candidate());
        // Without a reason to stay, its fields move.
        let state = why.map_or(State::Updating, |why| State::from(why.reason));
        let candidate = if why.is_none() { image.candidate.as_ref() } else { kept.and_then(|why| why.tag.as_ref()) };
        Line { image, stage, current, candidate, state, why }
    };
    stages.into_iter().map(line).collect()
}

/// Returns the versions of fields, each once.
fn versions(places: &[&FieldVersion]) -> Cell {
    let whole = |place: &&FieldVersion| match (&place.tag, &place.digest) {
        (Some(tag), _) => (tag.to_string(), tag.short().to_owned()),
        (None, Some(digest)) => (digest.to_string(), digest.as_str().chars().take("sha256:".len() + 12).collect()),
        (None, None) => (NOTHING.to_owned(), NOTHING.to_owned()),
    };
    let mut versions: Vec<(String, String)> = places.iter().map(whole).collect();
    versions.dedup();
    let (whole, brief): (Vec<String>, Vec<String>) = versions.into_iter().unzip();
    Cell::from(whole.join(", ")).or_brief(brief.join(", "))
}
