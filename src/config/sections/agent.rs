//! The section `agent`.

use crate::agent::config::Config;
use crate::agent::webhook::config::Webhook;

use crate::config::reader::Section;
use crate::config::values::registry_host;

/// Reads the section.
pub fn read(mut section: Section<'_>) -> Config {
    let defaults = Config::default();
    let listen = section.unless_off("listen", |text| {
        text.parse().map_err(|_| format!("`{text}` is not a valid address; use one such as 0.0.0.0:8080, or off"))
    });
    let config = Config {
        interval: section.duration("interval").unwrap_or(defaults.interval),
        listen: listen.unwrap_or(defaults.listen),
        webhooks: section.sections("webhooks").into_iter().filter_map(webhook).collect(),
        suspend: section.boolean("suspend").unwrap_or(defaults.suspend),
        deadline: section.duration("deadline").unwrap_or(defaults.deadline),
        grace: section.duration("grace").unwrap_or(defaults.grace),
        verify_deployed: section.duration("verifyDeployed"),
        commit_link: section.parsed("commitUrl"),
    };
    section.finish();
    config
}

fn webhook(mut section: Section<'_>) -> Option<Webhook> {
    let kind = section.parsed("kind");
    let secret_file = section.path("secretFile");
    if section.lacks("kind") || section.lacks("secretFile") {
        section
            .error("`kind` and `secretFile` are required, for example `kind: gitea` and `secretFile: /etc/tagalong/webhook/secret`");
    }
    let registry = section.parsed_with("registry", registry_host);
    section.finish();
    Some(Webhook { kind: kind?, secret_file: secret_file?, registry })
}
