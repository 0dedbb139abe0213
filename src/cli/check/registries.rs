//! The hosts of registries.

use std::collections::BTreeSet;

use tokio::task::block_in_place;

use crate::config::load::Config;
use crate::fault::Explain;
use crate::registry::client::Client;
use crate::registry::credentials;
use crate::registry::error::RegistryError;

use super::row::Row;

/// Checks that each host responds and accepts the credentials.
pub async fn check(config: &Config, registry: &Client) -> Vec<Row> {
    let mirrors = config.registry.hosts.iter().filter_map(|host| Some(&host.mirror.as_ref()?.host));
    let hosts: BTreeSet<&String> = config.tree_config.allowed_hosts.iter().chain(mirrors).collect();
    let mut rows = Vec::new();
    for host in hosts {
        let file = config.registry.credentials_file_of(host);
        // A file that has not been read yet would fail only later.
        let readable = file.map_or(Ok(()), |file| block_in_place(|| credentials::look_up(file, host, "")).map(drop));
        let answer = match readable {
            Ok(()) => registry.ping(host).await.map(|()| match registry.identity_at(host) {
                Some(identity) => format!("responds, and accepts {identity}"),
                None => "responds".to_owned(),
            }),
            Err(error) => Err(error),
        };
        let answer = match answer {
            Err(RegistryError::NotARegistry { .. }) if has_charts(config, host) => {
                Ok("responds; it is not an OCI registry, so its charts are read from indexes".to_owned())
            }
            answer => answer,
        };
        let answer = answer.as_ref().map(Clone::clone).map_err(|error| error as &dyn Explain);
        rows.push(Row::new("registry", host.clone(), answer).needed_to("find new tags"));
    }
    rows
}

/// Returns whether a policy of charts names a host.
fn has_charts(config: &Config, host: &str) -> bool {
    let patterns = config.tree_config.own.policies.rules.iter().flat_map(|rule| &rule.images);
    patterns.filter(|pattern| pattern.is_of_charts()).any(|pattern| pattern.host() == Some(host))
}
