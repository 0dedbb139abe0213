//! Registries that are used with the identity of the workload: each flow against services that check what they are sent.

use std::time::Duration;

use tagalong::identity::environment::Environment;
use tagalong::identity::provider::Provider;
use tagalong::image::Repository;
use tagalong::registry::client::Client;
use tagalong::registry::config::{Config, HostConfig, IdentityProvider};

mod aws;
mod azure;
mod google;
mod whole_program;

/// When the images of these tests were built.
const AT: &str = "2026-04-01T10:00:00Z";

fn environment(variables: &[(&str, String)]) -> Environment {
    let value = |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
    Environment::of(&value)
}

/// A host whose credentials come from a cloud.
fn host(name: &str, provider: Provider) -> HostConfig {
    HostConfig {
        host: name.to_owned(),
        plain_http: true,
        provider: IdentityProvider::Of(provider),
        ..HostConfig::default()
    }
}

fn client(own: HostConfig, environment: Environment) -> Client {
    let config = Config { hosts: vec![own], timeout: Duration::from_secs(3), environment, ..Config::default() };
    Client::new(config).expect("a client")
}

fn app(host: &str) -> Repository {
    format!("{host}/org/app").parse().expect("a name")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(1)
        .build()
        .expect("a runtime")
        .block_on(work)
}
