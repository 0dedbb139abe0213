//! The hosts of registries.

use std::collections::BTreeSet;

use tokio::task::block_in_place;

use crate::config::load::Config;
use crate::fault::Explain;
use crate::http::client_certificate::{CertificateFacts, Validity};
use crate::registry::client::Client;
use crate::registry::credentials;
use crate::registry::error::RegistryError;
use crate::registry::transport::Means;

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
        let means = registry.means(host).ok();
        let answer = answer.as_ref().map(|text| format!("{text}{}", means.as_ref().map(described).unwrap_or_default()));
        let row = Row::new("registry", host.clone(), answer.map_err(|error| error as &dyn Explain));
        rows.push(row.needed_to("find new tags"));
        rows.extend(means.and_then(|means| means.certificate).and_then(|facts| certificate(host, &facts)));
    }
    rows
}

/// Returns how a host is reached, as the end of a sentence.
fn described(means: &Means) -> String {
    let certificate = means.certificate.as_ref();
    let certificate = certificate
        .map(|facts| format!("; client certificate {}, valid until {}", facts.subject, facts.not_after))
        .unwrap_or_default();
    let proxy = means.proxy.as_ref().map(|proxy| format!("; through the proxy {proxy}")).unwrap_or_default();
    format!("{certificate}{proxy}")
}

/// Warns about a client certificate that is, or soon will be, of no use.
fn certificate(host: &str, facts: &CertificateFacts) -> Option<Row> {
    let (subject, until) = (&facts.subject, facts.not_after);
    let detail = match facts.validity(crate::clock::now()) {
        Validity::Valid => return None,
        Validity::ExpiresSoon => format!("{subject} expires at {until}, and has not been renewed"),
        Validity::Expired => format!("{subject} expired at {until}"),
        Validity::NotYet => format!("{subject} is not valid before {}", facts.not_before),
    };
    let help = "renew it; the files are read again when they change".to_owned();
    Some(Row { help: Some(help), ..Row::new("certificate", host, Ok(detail)).warning() })
}

/// Returns whether a policy of charts names a host.
fn has_charts(config: &Config, host: &str) -> bool {
    let patterns = config.tree_config.own.policies.rules.iter().flat_map(|rule| &rule.images);
    patterns.filter(|pattern| pattern.is_of_charts()).any(|pattern| pattern.host() == Some(host))
}
