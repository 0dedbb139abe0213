//! Asks registries whether they respond, and whether their tags fit the proposed policies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use crate::cli::error::CliError;
use crate::config::load::Config;
use crate::image::Repository;
use crate::progress::Counter;
use crate::registry::client::Client;
use crate::survey::findings::Findings;

/// The time that a registry has for its answers. What it would say is only a comment.
const PATIENCE: Duration = Duration::from_secs(10);
/// The number of registries that are asked.
const MOST: usize = 20;

/// Returns what each registry of the proposed policies answered.
pub async fn ask(config: &Config, findings: &Findings) -> Result<BTreeMap<String, String>, CliError> {
    let policies = findings.policies.policies.iter().chain(&findings.flux.policies);
    let names = policies.flat_map(|policy| &policy.images);
    let hosts = names.filter_map(|name| name.split('/').next().map(str::to_owned));
    // Only a person may say that credentials are sent without TLS.
    let is_asked = |host: &String| is_host(host) && !findings.flux.plain_http.contains(host);
    let hosts: BTreeSet<String> = hosts.filter(is_asked).collect();
    let client = Client::new(config.registry.clone())?;
    let progress = &Counter::new("registries", hosts.len().min(MOST));
    let answers = hosts.iter().take(MOST).map(async |host| {
        let answer = match tokio::time::timeout(PATIENCE, client.ping(host)).await {
            Ok(Ok(())) => "responds".to_owned(),
            Ok(Err(error)) => format!("{error}"),
            Err(_) => "does not respond".to_owned(),
        };
        progress.advance();
        (host.clone(), answer)
    });
    Ok(join_all(answers).await.into_iter().collect())
}

fn is_host(text: &str) -> bool {
    format!("{text}/x").parse::<Repository>().is_ok_and(|name| name.host() == text)
}
