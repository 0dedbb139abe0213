//! What is shown, in order.

use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use jiff::{Timestamp, ToSpan};

use crate::config::error::ConfigError;
use crate::config::load::{Config, Overrides};
use crate::cycle::engine::Engine;
use crate::cycle::error::CycleError;
use crate::cycle::operations::follow::Follow;
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::{FileChange, Report};
use crate::cycle::secrets::verify::Secrets;
use crate::cycle::services::Services;
use crate::fault::{Explain, Fault};
use crate::registry::client::Client;
use crate::registry::error::RegistryError;

use super::infrastructure::{self, APPS, TAGS};
use super::registry::EmbeddedRegistry;

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No temporary folder, no port, no file.
    #[error("the demo could not set its stage")]
    Setup(#[from] std::io::Error),
    /// The temporary repository.
    #[error("the demo could not make its repository")]
    Git(#[from] git2::Error),
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A cycle.
    #[error(transparent)]
    Cycle(#[from] CycleError),
    /// A cycle did not do what the demo is there to show.
    #[error("a cycle did something else than the demo expects: {0}")]
    Unexpected(String),
}

impl Explain for DemoError {
    fn fault(&self) -> Fault {
        match self {
            DemoError::Setup(_) | DemoError::Git(_) => Fault::Local,
            DemoError::Config(error) => error.fault(),
            DemoError::Registry(error) => error.fault(),
            DemoError::Cycle(error) => error.fault(),
            DemoError::Unexpected(_) => Fault::Bug,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            DemoError::Setup(_) | DemoError::Git(_) => {
                Some("the demo needs a temporary folder and a loopback port".to_owned())
            }
            _ => None,
        }
    }
}

/// Plays the demo: `tell` prints text, `show` prints changes as a diff.
pub async fn play<E: From<DemoError>>(
    keep: bool,
    tell: &dyn Fn(&str) -> Result<(), E>,
    show: &dyn Fn(&[FileChange]) -> Result<(), E>,
) -> Result<(), E> {
    let sandbox = Sandbox::create().await.map_err(E::from)?;
    let said = |text: String| tell(&text);
    let host = sandbox.registry.host();
    said(heading("1. A registry and an infrastructure repository"))?;
    said(format!(
        "The registry listens on {host}; the repository is {}.\nThree apps run build {}: a kustomization, a deployment, \
         Helm values.\nOne policy: images {host}/acme/*, the SHA tag built last.\n",
        sandbox.repository().display(),
        TAGS[0]
    ))?;

    said(heading("2. CI pushes a new build; the agent's cycle finds it"))?;
    sandbox.push_builds(1);
    said(format!(
        "Pushed {} for all three. As text it sorts before {}; it was built later, and that is what counts.\n\n",
        TAGS[1], TAGS[0]
    ))?;
    let report = sandbox.cycle().await.map_err(E::from)?;
    show(&report.changes)?;
    said(format!(
        "\nOne commit for the cycle, {}. Comments, quotes and blanks are as they were.\n",
        committed(&report)?
    ))?;

    said(heading("3. Nothing new, nothing done"))?;
    let before = sandbox.registry.requests();
    let report = sandbox.cycle().await.map_err(E::from)?;
    if report.commit.is_some() {
        return Err(DemoError::Unexpected("it pushed without need".to_owned()).into());
    }
    said(format!("The next cycle asks {} questions and pushes nothing.\n", sandbox.registry.requests() - before))?;

    said(heading("4. Someone else pushes first"))?;
    sandbox.push_builds(2);
    let path = sandbox.repository();
    sandbox.registry.before_next_digest(move || {
        // Fails only if the repository is gone, and then the cycle says so.
        let _ = infrastructure::commit_by_a_person(&path);
    });
    let report = sandbox.cycle().await.map_err(E::from)?;
    if report.attempts != 2 {
        return Err(DemoError::Unexpected(format!("{} pushes instead of two", report.attempts)).into());
    }
    show(&report.changes)?;
    said(format!(
        "\nAda pushed a README while the cycle was under way. The first push lost the race; the cycle planned again on \
         her commit\nand won at attempt {}. Nothing was merged, nothing was lost:\n\n",
        report.attempts
    ))?;
    let history = infrastructure::history(&sandbox.repository()).map_err(|error| E::from(error.into()))?;
    said(format!("{}\n", history.join("\n")))?;

    said(heading("What to try next"))?;
    said(next_steps())?;
    if keep {
        let folder = sandbox.folder.keep();
        said(format!("\nThe repository is kept in {}.\n", folder.join("infra.git").display()))?;
    }
    Ok(())
}

/// The temporary folder, the registry and the engine.
struct Sandbox {
    folder: tempfile::TempDir,
    registry: EmbeddedRegistry,
    engine: Engine,
    built: Timestamp,
}

impl Sandbox {
    async fn create() -> Result<Sandbox, DemoError> {
        let folder = tempfile::Builder::new().prefix("tagalong-demo-").tempdir()?;
        let registry = EmbeddedRegistry::start().await?;
        infrastructure::create(&repository_in(folder.path()), &registry.host())?;
        let file = folder.path().join("tagalong.yaml");
        std::fs::write(&file, configuration(folder.path(), &registry.host()))?;
        let overrides =
            Overrides { file: Some(file), cache_dir: Some(folder.path().join("cache")), ..Overrides::default() };
        let config = Config::load(&overrides, &|_| None)?;
        let client = Client::new(config.registry.clone())?;
        let (sources, secrets) = (config.sources.clone(), Secrets::default());
        let services = Services { registry: client, sources, forge: None, secrets };
        let source = config.intent.clone().into_source();
        let (repo, paths) = (config.repo()?.clone(), config.paths.clone());
        let engine = Engine::new(repo, paths, config.attempts, config.style.clone(), services, source);
        let sandbox = Sandbox { folder, registry, engine, built: Timestamp::now() };
        sandbox.push_builds(0);
        Ok(sandbox)
    }

    fn repository(&self) -> PathBuf {
        repository_in(self.folder.path())
    }

    /// Pushes the n-th build of all apps, each an hour after the one before.
    fn push_builds(&self, n: i64) {
        let tag = usize::try_from(n).ok().and_then(|n| TAGS.get(n));
        for (app, tag) in APPS.iter().zip(std::iter::repeat(tag)) {
            let hours = (n - TAGS.len() as i64).hours();
            if let (Some(tag), Ok(created)) = (tag, self.built.checked_add(hours)) {
                self.registry.push(&format!("acme/{app}"), tag, created);
            }
        }
    }

    async fn cycle(&self) -> Result<Report, DemoError> {
        Ok(self.engine.run(&Follow, Mode::Push).await?)
    }
}

fn repository_in(folder: &Path) -> PathBuf {
    folder.join("infra.git")
}

fn configuration(folder: &Path, host: &str) -> String {
    format!(
        "git:\n  url: {}\nregistries:\n- host: {host}\n  plainHttp: true\npolicies:\n- images: [\"{host}/acme/*\"]\n  tags: {{ sha: {{ order: built }} }}\n",
        repository_in(folder).display()
    )
}

fn committed<E: From<DemoError>>(report: &Report) -> Result<String, E> {
    let commit = report.commit.as_ref().ok_or_else(|| DemoError::Unexpected("it pushed nothing".to_owned()))?;
    Ok(commit.chars().take(7).collect())
}

fn heading(text: &str) -> String {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()));
    format!("\n{style}{text}{style:#}\n")
}

fn next_steps() -> String {
    "  tagalong images --dir PATH           list the image fields of your own repository\n  \
       tagalong set NAME:TAG --dir PATH --dry-run   see what an update would change in it\n  \
       tagalong sync --config FILE --dry-run        see what the agent would do\n  \
       tagalong run --config FILE                   let it\n"
        .to_owned()
}
