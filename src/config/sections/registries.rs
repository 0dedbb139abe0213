//! The section `registries`.

use crate::config::reader::Section;
use crate::config::values::registry_host;
use crate::http::proxy::Proxy;
use crate::http::redirect::RedirectHostError;
use crate::identity::provider::Provider;
use crate::registry::config::{Api, CertificateFiles, HostConfig, IdentityProvider};

/// The values of `provider`.
const PROVIDERS: [(&str, IdentityProvider); 4] = [
    ("aws", IdentityProvider::Of(Provider::Aws)),
    ("azure", IdentityProvider::Of(Provider::Azure)),
    ("gcp", IdentityProvider::Of(Provider::Google)),
    ("none", IdentityProvider::Never),
];

/// Reads the list.
pub fn read(sections: Vec<Section<'_>>) -> Vec<HostConfig> {
    let mut hosts: Vec<HostConfig> = Vec::new();
    for mut section in sections {
        let host = section.parsed_with("host", registry_host);
        let config = HostConfig {
            host: host.clone().unwrap_or_default(),
            credentials_file: section.path("credentialsFile"),
            provider: section.choice("provider", &PROVIDERS).unwrap_or_default(),
            plain_http: section.boolean("plainHttp").unwrap_or(false),
            ca_file: section.path("caFile"),
            client_certificate: section.section("clientCertificate").and_then(client_certificate),
            proxy: section.parsed("proxy").unwrap_or_default(),
            proxy_credentials_file: section.path("proxyCredentialsFile"),
            timeout: section.duration("timeout"),
            mirror: section.parsed("mirror"),
            mirror_tags: section.boolean("mirrorTags").unwrap_or(false),
            requests_per_second: section.number("requestsPerSecond"),
            api: section
                .choice("api", &[("gitea", Api::Gitea), ("harbor", Api::Harbor), ("dockerhub", Api::DockerHub)]),
            realm: section.parsed("realm"),
            redirects: section
                .each_with("redirects", |text| text.parse().map_err(|error: RedirectHostError| error.to_string())),
        };
        check_contradictions(&section, &config);
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

fn client_certificate(mut section: Section<'_>) -> Option<CertificateFiles> {
    let files = (section.path("certFile"), section.path("keyFile"));
    for key in ["certFile", "keyFile"] {
        if section.lacks(key) {
            section.error(format!("`{key}` is required"));
        }
    }
    section.finish();
    files.0.zip(files.1).map(|(cert_file, key_file)| CertificateFiles { cert_file, key_file })
}

/// Reports keys that contradict each other.
fn check_contradictions(section: &Section<'_>, config: &HostConfig) {
    if config.credentials_file.is_some() && matches!(config.provider, IdentityProvider::Of(_)) {
        section.error("`credentialsFile` and `provider` exclude each other");
    }
    if config.plain_http && config.client_certificate.is_some() {
        section.error("`clientCertificate` has no effect with `plainHttp`; remove one of them");
    }
    if config.proxy_credentials_file.is_some() && !matches!(config.proxy, Proxy::At(_)) {
        section.error("`proxyCredentialsFile` requires the URL of a proxy in `proxy`");
    }
}
