//! From options to an engine.

use crate::config::load::Config;
use crate::config::overrides::Overrides;
use crate::cycle::engine::Engine;
use crate::cycle::evidence::sources::Evidence;
use crate::cycle::metrics::ClientMetrics;
use crate::cycle::secrets::verify::Secrets;
use crate::cycle::services::Services;
use crate::forge::client::Forge;
use crate::registry::client::Client;
use crate::repo;

use super::arguments::{GitArguments, KeyArguments};
use super::error::CliError;

/// Loads the configuration for these options and the environment.
pub fn configuration(arguments: &GitArguments) -> Result<Config, CliError> {
    configuration_from(&arguments.overrides())
}

/// Loads the configuration for these overrides and the environment.
pub fn configuration_from(overrides: &Overrides) -> Result<Config, CliError> {
    Ok(Config::load(overrides, &|name| std::env::var(name).ok())?)
}

/// Loads the configuration with additional age identities from flags.
pub fn configuration_with_keys(arguments: &GitArguments, keys: &KeyArguments) -> Result<Config, CliError> {
    configuration_from(&Overrides { age_key_files: keys.age_key_files.clone(), ..arguments.overrides() })
}

/// Builds the engine for a configuration.
pub fn engine(config: &Config) -> Result<Engine, CliError> {
    engine_with_metrics(config, &ClientMetrics::default())
}

/// Builds an engine that counts into existing metrics.
pub fn engine_with_metrics(config: &Config, metrics: &ClientMetrics) -> Result<Engine, CliError> {
    let services = Services {
        registry: Client::with_metrics(config.registry.clone(), metrics.registry.clone())?,
        sources: config.sources.clone(),
        forge: config.forge.clone().map(Forge::new).transpose()?,
        evidence: Evidence::new(config.host.clone().map(Forge::new).transpose()?, config.cluster.clone()),
        secrets: Secrets::new(config.secrets.keys.clone(), config.secrets.gate, config.secrets.pull_secrets),
    };
    let source = config.tree_config.clone().into_source();
    let repo = repo::config::Config { metrics: metrics.git.clone(), ..config.repo()?.clone() };
    let (paths, style) = (config.paths.clone(), config.style.clone());
    Ok(Engine::new(repo, paths, config.attempts, style, services, source))
}
