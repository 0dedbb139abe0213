//! Pull requests and commit statuses at the forge.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cli::error::CliError;
use crate::config::load::Config;
use crate::cycle::queries::Needs;
use crate::forge::client::Forge;
use crate::forge::config;
use crate::forge::error::ForgeError;

use super::row::Row;

/// Checks what the configuration needs: pull requests for updates, and reading commit statuses.
pub async fn access(config: &Config, tip: Option<&str>) -> Result<Vec<Row>, CliError> {
    let mut rows = Vec::new();
    if let Some(config) = &config.forge {
        let forge = Forge::new(config.clone())?;
        let listed = forge.pull_requests().await;
        let can_read = listed.is_ok();
        let detail = format!("lists the pull requests of {}{}", config.repository, identity(config));
        rows.push(
            Row::of("forge", forge.host(), listed, detail).needed_to("see which proposals are open or were closed"),
        );
        if can_read {
            rows.push(pull_requests(&forge, &config.repository, "propose updates").await);
        }
    }
    // If it is reached in the same way as for proposals, that has just been checked.
    if let (Some(host), Some(tip)) = (config.host.as_ref().filter(|host| !is_same(config, host)), tip) {
        rows.push(statuses(host, tip).await?);
    }
    Ok(rows)
}

/// Checks what the stages of the branch need, if they are approved in pull requests.
pub async fn stages(config: &Config, needs: &Needs) -> Result<Vec<Row>, CliError> {
    let Some(host) = config.host.as_ref().filter(|_| needs.proposes) else { return Ok(Vec::new()) };
    let forge = Forge::new(host.clone())?;
    let mut rows = Vec::new();
    if !is_same(config, host) {
        rows.push(pull_requests(&forge, &host.repository, "propose promotions").await);
    }
    let may_set = forge.try_statuses().await;
    let detail = format!("may set commit statuses in {}", host.repository);
    rows.push(row("statuses", &forge, may_set, detail).needed_to("show in pull requests what a promotion waits for"));
    Ok(rows)
}

/// Returns the identity that a forge is accessed with, as the end of a sentence.
fn identity(config: &config::Config) -> String {
    config.token.issuer().map(|issuer| format!("; access as {issuer}")).unwrap_or_default()
}

async fn pull_requests(forge: &Arc<Forge>, repository: &str, purpose: &str) -> Row {
    let detail = format!("may open pull requests in {repository}");
    row("pull-requests", forge, forge.try_pull_requests().await, detail).needed_to(purpose)
}

fn row(check: &'static str, forge: &Forge, result: Result<(), ForgeError>, detail: String) -> Row {
    Row::of(check, forge.host(), result, detail)
}

/// Returns whether a forge is reached in the same way as the one for proposals.
fn is_same(config: &Config, host: &config::Config) -> bool {
    let access = |config: &config::Config| (config.api.clone(), config.token.clone());
    config.forge.as_ref().map(access) == Some(access(host))
}

/// Checks whether commit statuses can be read, as stages require.
async fn statuses(config: &config::Config, commit: &str) -> Result<Row, CliError> {
    let forge = Forge::new(config.clone())?;
    let found = forge.statuses(commit, &BTreeSet::from(["tagalong".to_owned()])).await;
    let detail = format!("reads the commit statuses of {}{}", config.repository, identity(config));
    Ok(Row::of("forge", forge.host(), found, detail).needed_to("see the checks of stages"))
}
