//! From options to an engine.

use crate::config::load::{Config, Overrides};
use crate::cycle::engine::Engine;
use crate::cycle::secrets::verify::Secrets;
use crate::cycle::services::Services;
use crate::forge::client::Forge;
use crate::registry::client::Client;

use super::arguments::GitArguments;
use super::error::CliError;
use super::secrets::KeyArguments;

/// The configuration that options and environment give.
pub fn configuration(arguments: &GitArguments) -> Result<Config, CliError> {
    configuration_from(&arguments.overrides())
}

/// The configuration that the environment and what was said besides give.
pub fn configuration_from(overrides: &Overrides) -> Result<Config, CliError> {
    Ok(Config::load(overrides, &|name| std::env::var(name).ok())?)
}

/// The same with age identities that were named by flags.
pub fn configuration_with_keys(arguments: &GitArguments, keys: &KeyArguments) -> Result<Config, CliError> {
    configuration_from(&Overrides { age_key_files: keys.age_key_files.clone(), ..arguments.overrides() })
}

/// The engine for a configuration.
pub fn engine(config: &Config) -> Result<Engine, CliError> {
    let services = Services {
        registry: Client::new(config.registry.clone())?,
        sources: config.sources.clone(),
        forge: config.forge.clone().map(Forge::new).transpose()?,
        secrets: Secrets::new(config.secrets.keys.clone(), config.secrets.gate, config.secrets.pull_secrets),
    };
    let source = config.intent.clone().into_source();
    let (repo, paths, style) = (config.repo()?.clone(), config.paths.clone(), config.style.clone());
    Ok(Engine::new(repo, paths, config.attempts, style, services, source))
}
