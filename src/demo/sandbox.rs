//! The temporary repository, the embedded registry, and an engine that works on both.

use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan};

use crate::clock;
use crate::cluster;
use crate::config::load::Config;
use crate::config::overrides::Overrides;
use crate::cycle::engine::Engine;
use crate::cycle::evidence::sources::Evidence;
use crate::cycle::operations::follow::Follow;
use crate::cycle::operations::operation::Operation;
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::Report;
use crate::cycle::secrets::verify::Secrets;
use crate::cycle::services::Services;
use crate::registry::client::Client;

use super::error::DemoError;
use super::infrastructure::{self, APPS, TAGS};
use super::registry::EmbeddedRegistry;

/// The temporary folder, the registry and the engine. Dropping it deletes the folder.
pub struct Sandbox {
    folder: tempfile::TempDir,
    /// The registry.
    pub registry: EmbeddedRegistry,
    engine: Engine,
    built: Timestamp,
}

/// What is in a sandbox.
pub struct Contents<'c> {
    /// The files of the repository.
    pub files: &'c [(&'c str, &'c str)],
    /// Lines of the configuration, in addition to those about connections and policies.
    pub configuration: &'c str,
}

impl Sandbox {
    /// Creates everything that the demo works on, with the first build of all apps.
    ///
    /// # Errors
    /// There is no temporary folder, or no port.
    pub async fn create(contents: Contents<'_>) -> Result<Sandbox, DemoError> {
        let folder = tempfile::Builder::new().prefix("tagalong-demo-").tempdir()?;
        let registry = EmbeddedRegistry::start().await?;
        infrastructure::create(&repository_in(folder.path()), &registry.host(), contents.files)?;
        let text = configuration(folder.path(), &registry.host()) + contents.configuration;
        std::fs::write(folder.path().join("tagalong.yaml"), text)?;
        let engine = engine(folder.path(), None)?;
        let sandbox = Sandbox { folder, registry, engine, built: clock::now() };
        sandbox.push_builds(0);
        Ok(sandbox)
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Writes a file next to the repository, and returns its path.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep_file(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Runs an operation as a person who signs commits with a key.
    ///
    /// # Errors
    /// The operation fails.
    pub async fn run_as(&self, key_file: &Path, operation: &dyn Operation) -> Result<Report, DemoError> {
        Ok(engine(self.folder.path(), Some(key_file))?.run(operation, Mode::Push).await?)
    }

    /// Returns the path of the repository.
    pub fn repository(&self) -> PathBuf {
        repository_in(self.folder.path())
    }

    /// Pushes the n-th build of all apps, each built an hour after the previous one.
    pub fn push_builds(&self, n: i64) {
        let tag = usize::try_from(n).ok().and_then(|n| TAGS.get(n));
        for (app, tag) in APPS.iter().zip(std::iter::repeat(tag)) {
            let hours = (n - TAGS.len() as i64).hours();
            if let (Some(tag), Ok(created)) = (tag, self.built.checked_add(hours)) {
                self.registry.push(&format!("acme/{app}"), tag, created);
            }
        }
    }

    /// Runs one cycle.
    ///
    /// # Errors
    /// The cycle fails.
    pub async fn cycle(&self) -> Result<Report, DemoError> {
        Ok(self.engine.run(&Follow, Mode::Push).await?)
    }

    /// Keeps the temporary folder, and returns the path of the repository.
    pub fn keep(self) -> PathBuf {
        repository_in(&self.folder.keep())
    }
}

fn repository_in(folder: &Path) -> PathBuf {
    folder.join("infra.git")
}

/// Makes an engine for the repository in a folder.
fn engine(folder: &Path, signing_key_file: Option<&Path>) -> Result<Engine, DemoError> {
    let overrides = Overrides {
        file: Some(folder.join("tagalong.yaml")),
        cache_dir: Some(folder.join("cache")),
        signing_key_file: signing_key_file.map(Path::to_owned),
        ..Overrides::default()
    };
    let config = Config::load(&overrides, &|_| None)?;
    let client = Client::new(config.registry.clone())?;
    let (sources, secrets) = (config.sources.clone(), Secrets::default());
    let evidence = Evidence::new(None, cluster::config::Config::default());
    let services = Services { registry: client, sources, forge: None, evidence, secrets };
    let source = config.tree_config.clone().into_source();
    let (repo, paths) = (config.repo()?.clone(), config.paths.clone());
    Ok(Engine::new(repo, paths, config.attempts, config.style.clone(), services, source))
}

fn configuration(folder: &Path, host: &str) -> String {
    format!(
        "git:\n  url: {}\nregistries:\n- host: {host}\n  plainHttp: true\npolicies:\n- images: [\"{host}/acme/*\"]\n  tags: {{ sha: {{ order: built }} }}\n",
        repository_in(folder).display()
    )
}
