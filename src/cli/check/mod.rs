//! `tagalong check`: one file for each kind of check.
//!
//! - [`row`]: the result of a check
//! - [`repository`]: the infrastructure repository, and the right to push to it
//! - [`forge`]: pull requests and commit statuses
//! - [`keys`]: age identities
//! - [`registries`]: the hosts of registries
//! - [`images`]: the repositories of the images that the branch deploys
//! - [`signatures`]: the keys and trusted roots of policies
//! - [`sources`]: the repositories that images are built from
//! - [`channels`]: the channels of notifications
//! - [`webhooks`]: the secrets of incoming webhooks
//! - [`cluster`]: the Kubernetes API

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;

use crate::cycle::queries::{self, Needs};
use crate::fault::{Explain, Fault};
use crate::registry::client::Client;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::output::{self, Format};
use super::table::{BAD, GOOD, WAITING};
use row::Row;

pub mod channels;
pub mod cluster;
pub mod forge;
pub mod images;
pub mod keys;
pub mod registries;
pub mod repository;
pub mod row;
pub mod signatures;
pub mod sources;
pub mod webhooks;

/// Validate configuration, credentials, rights and reachability, without changing anything
///
/// Reads the configuration, connects to everything that it names, and tries each right that an update needs: to push, to
/// open pull requests and set commit statuses, to list the tags of the images that the branch deploys, to use the Kubernetes
/// API. Reports for each whether it works and what it is needed for. Also reports whether own commits would count with
/// `trust.signers`, and which policies and paths have no effect on the branch. Nothing is pushed, and nobody is notified.
///
/// What only shows when something is written cannot be tried: the rules for protected branches, hooks, and messages to
/// chats.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tagalong check --config tagalong.yaml")]
pub struct Arguments {
    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// Checks everything.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration(&arguments.git)?;
    let mut rows = vec![repository::configuration(&config)];
    let (tip, checked) = repository::check(config.repo()?);
    rows.extend(checked);
    rows.extend(forge::access(&config, tip.as_deref()).await?);
    rows.push(keys::check(&config));
    let registry = Client::new(config.registry.clone())?;
    let hosts = registries::check(&config, &registry).await;
    let failed: BTreeSet<String> = hosts.iter().filter(|row| !row.ok).map(|row| row.target.clone()).collect();
    rows.extend(hosts);
    rows.extend(signatures::check(&config));
    rows.extend(sources::check(&config));
    if tip.is_some() {
        let needs = queries::needs(&connect::engine(&config)?);
        rows.extend(effects(needs.as_ref().map_err(|error| error as &dyn Explain)));
        if let Ok(needs) = needs {
            rows.extend(images::check(&registry, &needs.images, &failed).await);
            rows.extend(forge::stages(&config, &needs).await?);
        }
    }
    rows.extend(webhooks::check(&config.agent.webhooks));
    rows.extend(channels::check(&config.notify).await);
    rows.extend(cluster::check(&config.cluster).await);
    match arguments.output.output {
        Format::Json => output::print_json(&rows)?,
        Format::Text => output::print(&text(&rows))?,
    }
    let fault = Fault::decisive(rows.iter().filter_map(|row| row.fault));
    Ok(ExitCode::from(fault.map_or(0, Fault::exit_code)))
}

/// Checks that every policy governs an image field of the branch, and that every path selects one.
fn effects(needs: Result<&Needs, &dyn Explain>) -> Vec<Row> {
    let row = |result| Row::new("effect", "policies and paths", result);
    match needs {
        Ok(needs) if needs.idle.is_empty() => vec![row(Ok("each has an effect on the branch".to_owned()))],
        Ok(needs) => needs.idle.iter().map(|note| row(Ok(note.clone())).warning()).collect(),
        Err(error) => vec![row(Err(error))],
    }
}

fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let (state, style) = match (row.ok, row.warns) {
            (false, _) => ("failed", BAD),
            (true, true) => ("warns ", WAITING),
            (true, false) => ("ok    ", GOOD),
        };
        let purpose = row.purpose.as_ref().map(|purpose| format!(" (needed to {purpose})")).unwrap_or_default();
        let line = format!("{} {}: {}{purpose}", row.check, row.target, row.detail);
        text.push_str(&format!("{style}{state}{style:#}  {}\n", output::safe(&line)));
        if let Some(help) = &row.help {
            text.push_str(&format!("        help: {}\n", output::safe(help)));
        }
    }
    text
}
