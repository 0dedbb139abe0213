//! Errors as people read them, and exit codes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::cluster::error::ClusterError;
use crate::config::error::ConfigError;
use crate::cycle::error::CycleError;
use crate::demo::story::DemoError;
use crate::fault::{Explain, Fault};
use crate::forge::error::ForgeError;
use crate::image::{ImageError, Repository};
use crate::registry::error::RegistryError;
use crate::registry::store;
use crate::telemetry::TelemetryError;

use super::secrets::error::SecretsError;

/// Whatever ends a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A pass.
    #[error(transparent)]
    Cycle(#[from] CycleError),
    /// A forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Logs or traces.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A flag's value is wrong.
    #[error("{flag}: {reason}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A setting of the plugin is wrong.
    #[error("{name}: {reason}")]
    Setting {
        /// The variable.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The settings of the plugin do not make a command line.
    #[error("the settings do not fit together: {0}")]
    Settings(String),
    /// An argument is no tag.
    #[error("`{text}` is no tag")]
    Tag {
        /// The argument.
        text: String,
        /// Why.
        #[source]
        source: ImageError,
    },
    /// A rollback names the version that it leaves.
    #[error("`{image}` is rolled back as a whole, and `{tag}` says neither where from nor where to")]
    RollbackFrom {
        /// The image.
        image: Repository,
        /// The version.
        tag: String,
    },
    /// An argument is no reference.
    #[error("`{text}` is no image reference")]
    Reference {
        /// The argument.
        text: String,
        /// Why.
        #[source]
        source: ImageError,
    },
    /// An argument of `set` names neither tag nor digest.
    #[error("`{0}` names no version to write")]
    NoVersion(String),
    /// Two arguments of `set` want different things of one image.
    #[error("`{one}` and `{other}` are two versions of one image")]
    ConflictingVersions {
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// A file or folder below `--dir` cannot be used.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// stdout cannot be written.
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
    /// The agent cannot be reached where it should be.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The async runtime cannot start.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// A SOPS file cannot be written.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The demo could not go on.
    #[error(transparent)]
    Demo(#[from] DemoError),
}

impl Explain for CliError {
    fn fault(&self) -> Fault {
        match self {
            CliError::Config(error) => error.fault(),
            CliError::Cycle(error) => error.fault(),
            CliError::Forge(error) => error.fault(),
            CliError::Cluster(error) => error.fault(),
            CliError::Registry(error) => error.fault(),
            CliError::Telemetry(_)
            | CliError::Flag { .. }
            | CliError::Setting { .. }
            | CliError::Settings(_)
            | CliError::Reference { .. }
            | CliError::Tag { .. }
            | CliError::RollbackFrom { .. }
            | CliError::NoVersion(_)
            | CliError::ConflictingVersions { .. } => Fault::BadInput,
            CliError::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Fault::BadInput,
            CliError::File { .. } | CliError::Listen { .. } | CliError::Stdout(_) | CliError::Runtime(_) => {
                Fault::Local
            }
            CliError::Secrets(error) => error.fault(),
            CliError::Demo(error) => error.fault(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            CliError::Config(error) => error.help(),
            CliError::Cycle(error) => error.help(),
            CliError::Forge(error) => error.help(),
            CliError::Cluster(error) => error.help(),
            CliError::Registry(error) => error.help(),
            CliError::Reference { .. } => Some("write NAME:TAG, NAME@DIGEST or NAME:TAG@DIGEST".to_owned()),
            CliError::Tag { .. } => Some("write the tag alone, as it stands in the registry".to_owned()),
            CliError::RollbackFrom { image, tag } => {
                Some(format!("write {image} --to TAG, or {image} alone to leave {tag} for what was before it"))
            }
            CliError::NoVersion(text) => Some(format!("write {text}:TAG, {text}@DIGEST or {text}:TAG@DIGEST")),
            CliError::ConflictingVersions { .. } => Some("give one of them".to_owned()),
            CliError::File { .. } => Some("check the path and who may read and write it".to_owned()),
            CliError::Settings(_) => Some("each flag is a setting; docs/recipes/woodpecker.md has examples".to_owned()),
            CliError::Listen { .. } => Some("give agent.listen another address, or `off`".to_owned()),
            CliError::Telemetry(_)
            | CliError::Flag { .. }
            | CliError::Setting { .. }
            | CliError::Stdout(_)
            | CliError::Runtime(_) => None,
            CliError::Secrets(error) => error.help(),
            CliError::Demo(error) => error.help(),
        }
    }
}

/// Prints an error the way the command line promises (`error:`, `cause:`, `help:`) and gives its exit code.
pub fn report(error: &CliError) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    anstream::eprint!("{}", rendered(error));
    ExitCode::from(error.fault().exit_code())
}

/// Whoever reads our stdout has had enough; that is no error of ours.
fn is_broken_pipe(error: &CliError) -> bool {
    matches!(error, CliError::Stdout(source) if source.kind() == io::ErrorKind::BrokenPipe)
}

fn rendered(error: &dyn Explain) -> String {
    let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
    let mut text = String::new();
    // Several mistakes of a configuration are several errors.
    for line in error.to_string().lines() {
        text.push_str(&format!("{red}error:{red:#} {line}\n"));
    }
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        for line in words.lines() {
            text.push_str(&format!("{red}cause:{red:#} {line}\n"));
        }
        source = cause.source();
    }
    if let Some(help) = error.help() {
        text.push_str(&format!("{cyan}help:{cyan:#} {help}\n"));
    }
    text
}

/// A panic is a bug of ours; it is said as an error, with the place and without a backtrace in the face.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        if std::thread::current().name() == Some(store::OPENING) {
            return;
        }
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        anstream::eprintln!("error: internal error at {place}");
        anstream::eprintln!("help: this is a bug in tagalong; please report it with this line");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(error: &CliError) -> String {
        anstream::adapter::strip_str(&rendered(error)).to_string()
    }

    #[test]
    fn errors_say_what_why_and_what_to_do() {
        let source = "A".parse::<crate::image::Reference>().expect_err("no reference");
        let error = CliError::Reference { text: "A".to_owned(), source };
        let lines: Vec<String> = plain(&error).lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "error: `A` is no image reference");
        assert!(lines[1].starts_with("cause: `A` is no image name"), "{lines:?}");
        assert_eq!(lines[2], "help: write NAME:TAG, NAME@DIGEST or NAME:TAG@DIGEST");
        assert_eq!(error.fault().exit_code(), 2);
    }
}
