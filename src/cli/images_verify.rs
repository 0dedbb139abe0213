//! `tagalong images verify`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cycle::deployed::{self, Deployed, Extent, Status};
use crate::cycle::deployed_origin::DeployedOrigin;
use crate::fault::Fault;
use crate::image::Version;
use crate::plan::origin::Signature;
use crate::registry::client::Client;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::inventory::inventory;
use super::output::{self, Format};
use super::table::{self, BAD, Cell, Column, GOOD, NOTHING, Table, WAITING};

/// Prove that every deployed image can still be pulled
///
/// For every image field, governed by a policy or not, checks that the registry has the index, each platform's manifest, the
/// configuration and every layer. For policies that require proof of origin (`signed`), verifies signatures and attestations,
/// and shows who signed what, and when. Warns of deployed tags that a cleanup of the registry would delete, for policies that
/// set how many tags it keeps (`keep`).
///
/// Exits with 3 if an image is broken, gone or lacks the required proof, and with 5 if a registry could not be reached.
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
    unproven: usize,
    unknown: usize,
}

/// Checks all deployed images.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let (inventory, policies) = inventory(&config, arguments.dir.as_deref())?;
    let registry = Client::new(config.registry.clone())?;
    let images = deployed::verify(&registry, &config.sources, &inventory, &policies, Extent::PullsAndOrigins).await;
    let count = |status| images.iter().filter(|image| image.status == status).count();
    let (ok, broken) = (count(Status::Ok), count(Status::Broken));
    let (unproven, unknown) = (count(Status::Unproven), count(Status::Unknown));
    let verdict = Verdict { images, ok, broken, unproven, unknown };
    match arguments.output.output {
        Format::Json => output::print_json(&verdict)?,
        Format::Text => {
            let Verdict { ok, broken, unproven, unknown, .. } = &verdict;
            let unproven = if *unproven > 0 { format!("{unproven} unproven, ") } else { String::new() };
            table::print(&table(&verdict), &format!("{ok} ok, {broken} broken, {unproven}{unknown} unknown\n"))?;
        }
    }
    let faults = [(broken + unproven > 0).then_some(Fault::Blocked), (unknown > 0).then_some(Fault::Transient)];
    Ok(ExitCode::from(Fault::decisive(faults.into_iter().flatten()).map_or(0, Fault::exit_code)))
}

/// Makes the table, with the images first that need attention.
fn table(verdict: &Verdict) -> Table {
    let mut table = Table::new(vec![
        Column::word("STATUS"),
        Column::name("IMAGE"),
        Column::word("VERSION"),
        Column::name("WHERE").rank(1),
        Column::prose("WHY"),
    ]);
    let rank = |image: &&Deployed| match (image.status, &image.warning) {
        (Status::Broken, _) => 0,
        (Status::Unproven, _) => 1,
        (Status::Unknown, _) => 2,
        (Status::Ok, Some(_)) => 3,
        (Status::Ok, None) => 4,
    };
    let mut images: Vec<&Deployed> = verdict.images.iter().collect();
    images.sort_by_key(rank);
    for image in images {
        let (status, style) = match (image.status, &image.warning) {
            (Status::Ok, Some(_)) => ("warning", WAITING),
            (Status::Ok, None) => ("ok", GOOD),
            (Status::Broken, _) => ("broken", BAD),
            (Status::Unproven, _) => ("unproven", BAD),
            (Status::Unknown, _) => ("unknown", BAD),
        };
        let version = Version { tag: image.tag.clone(), digest: image.digest.clone() };
        let version = if version.is_empty() { NOTHING.to_owned() } else { version.to_string() };
        let brief = image.tag.as_ref().map_or(version.clone(), |tag| tag.short().to_owned());
        let signers = image.origin.as_ref().filter(|origin| !origin.signatures.is_empty()).map(signed_by);
        let details: Vec<&str> =
            image.detail.iter().chain(&signers).chain(&image.warning).map(String::as_str).collect();
        table.add(vec![
            Cell::from(status).styled(style),
            Cell::from(image.image.as_str()),
            Cell::from(version).or_brief(brief),
            Cell::from(image.places.join(", ")),
            Cell::from(details.join("; ")),
        ]);
    }
    table
}

/// Returns who signed an image, and when.
fn signed_by(origin: &DeployedOrigin) -> String {
    let by = |signature: &Signature| match signature.time {
        Some(time) => format!("{} at {time}", signature.signer),
        None => signature.signer.clone(),
    };
    let signers: BTreeSet<String> = origin.signatures.iter().map(by).collect();
    format!("signed by {}", signers.into_iter().collect::<Vec<_>>().join(" and "))
}
