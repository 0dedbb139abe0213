//! The section `registries`.

use crate::config::reader::Section;
use crate::config::values::registry_host;
use crate::registry::config::{Api, HostConfig};

/// Reads the list.
pub fn read(sections: Vec<Section<'_>>) -> Vec<HostConfig> {
    let mut hosts: Vec<HostConfig> = Vec::new();
    for mut section in sections {
        let host = section.parsed_with("host", registry_host);
        let config = HostConfig {
            host: host.clone().unwrap_or_default(),
            credentials_file: section.path("credentialsFile"),
            plain_http: section.boolean("plainHttp").unwrap_or(false),
            ca_file: section.path("caFile"),
            timeout: section.duration("timeout"),
            mirror: section.parsed("mirror"),
            mirror_tags: section.boolean("mirrorTags").unwrap_or(false),
            requests_per_second: section.number("requestsPerSecond"),
            api: section
                .choice("api", &[("gitea", Api::Gitea), ("harbor", Api::Harbor), ("dockerhub", Api::DockerHub)]),
        };
        match host {
            Some(host) if hosts.iter().any(|other| other.host == host) => {
                section.error(format!("the host {host} is listed twice"));
            }
            Some(_) => hosts.push(config),
            None if section.lacks("host") => section.error("`host` is required"),
            None => {}
        }
        section.finish();
    }
    hosts
}
