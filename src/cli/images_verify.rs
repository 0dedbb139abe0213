//! `tagalong images verify`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cycle::deployed::{self, Deployed, Status};
use crate::fault::Fault;
use crate::image::Version;
use crate::registry::client::Client;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::inventory::inventory;
use super::output::{self, Format};

/// Prove that every deployed image can still be pulled
///
/// For every image field, governed by a policy or not, checks that the registry has the index, each platform's manifest, the
/// configuration and every layer. Warns of deployed tags that a cleanup of the registry would delete, for policies that set
/// how many tags it keeps (`keep`).
///
/// Exits with 3 if an image is broken or gone, and with 5 if a registry could not be reached.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong images verify --config tagalong.yaml\n  tagalong images verify --dir . --output json"
)]
pub struct Arguments {
    /// Read the files below this folder instead of a git repository
    #[arg(long, value_name = "DIR", conflicts_with_all = ["git_url", "branch"])]
    dir: Option<PathBuf>,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// The result, in the format that scripts rely on.
#[derive(Debug, Serialize)]
struct Verdict {
    images: Vec<Deployed>,
    ok: usize,
    broken: usize,
    unknown: usize,
}

/// Checks all deployed images.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let (inventory, policies) = inventory(&config, arguments.dir.as_deref())?;
    let registry = Client::new(config.registry.clone())?;
    let images = deployed::verify(&registry, &config.sources, &inventory, &policies, deployed::IMAGES).await;
    let count = |status| images.iter().filter(|image| image.status == status).count();
    let (ok, broken, unknown) = (count(Status::Ok), count(Status::Broken), count(Status::Unknown));
    let verdict = Verdict { images, ok, broken, unknown };
    match arguments.output.output {
        Format::Json => output::print_json(&verdict)?,
        Format::Text => output::print(&text(&verdict))?,
    }
    Ok(match (broken, unknown) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(Fault::Transient.exit_code()),
        _ => ExitCode::from(Fault::Blocked.exit_code()),
    })
}

fn text(verdict: &Verdict) -> String {
    let cells = |image: &Deployed| {
        let status = match (image.status, &image.warning) {
            (Status::Ok, Some(_)) => "warning",
            (Status::Ok, None) => "ok",
            (Status::Broken, _) => "broken",
            (Status::Unknown, _) => "unknown",
        };
        let version = Version { tag: image.tag.clone(), digest: image.digest.clone() };
        let version = if version.is_empty() { "-".to_owned() } else { version.to_string() };
        let details: Vec<&str> = image.detail.iter().chain(&image.warning).map(String::as_str).collect();
        vec![status.to_owned(), image.image.to_string(), version, image.places.join(", "), details.join("; ")]
    };
    let rows: Vec<Vec<String>> = verdict.images.iter().map(cells).collect();
    let Verdict { ok, broken, unknown, .. } = verdict;
    let table = output::table(&["STATUS", "IMAGE", "VERSION", "WHERE", "WHY"], &rows);
    format!("{table}{ok} ok, {broken} broken, {unknown} unknown\n")
}
