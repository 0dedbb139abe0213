//! The errors of all commands, how they are printed, and their exit codes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use crate::cluster::error::ClusterError;
use crate::config::error::ConfigError;
use crate::cycle::error::CycleError;
use crate::demo::error::DemoError;
use crate::fault::{Explain, Fault, documentation};
use crate::forge::error::ForgeError;
use crate::image::{ImageError, Repository};
use crate::registry::error::RegistryError;
use crate::registry::store;
use crate::telemetry::error::TelemetryError;
use crate::text;
use crate::tuf::error::TufError;

use super::secrets::error::SecretsError;

/// Any error that ends a command.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Cycle(#[from] CycleError),
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error(transparent)]
    Tuf(#[from] TufError),
    /// The value of a flag is not valid.
    #[error("{flag}: {reason}")]
    Flag { flag: &'static str, reason: String },
    /// A setting of the plugin is not valid.
    #[error("{name}: {reason}")]
    Setting { name: String, reason: String },
    /// The settings of the plugin do not make a command line.
    #[error("invalid settings: {0}")]
    Settings(String),
    #[error("`{text}` is not a valid tag")]
    Tag { text: String, source: ImageError },
    #[error("`{text}` is not a valid image reference")]
    Reference { text: String, source: ImageError },
    /// A rollback names a version, which may be the one to leave or the one to return to.
    #[error("a rollback takes the image alone, but `{version}` was given with `{image}`")]
    RollbackVersion { image: Repository, version: String },
    #[error("`{0}` has neither a tag nor a digest")]
    NoVersion(String),
    #[error("`{one}` and `{other}` are different versions of the same image")]
    ConflictingVersions { one: String, other: String },
    /// No policy governs the image.
    #[error("no policy governs {image}")]
    NotGoverned { image: Repository },
    /// There is no help for a word.
    #[error("there is no command or topic `{word}`")]
    NoHelp { word: String, near: Option<String> },
    #[error("--watch needs a terminal")]
    WatchNeedsTerminal,
    /// A file or folder below `--dir` cannot be used.
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    /// A file is there already.
    #[error("{} already exists", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start the async runtime")]
    Runtime(#[source] io::Error),
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
            | CliError::Exists { .. }
            | CliError::Flag { .. }
            | CliError::Setting { .. }
            | CliError::Settings(_)
            | CliError::NotGoverned { .. }
            | CliError::NoHelp { .. }
            | CliError::WatchNeedsTerminal
            | CliError::Reference { .. }
            | CliError::Tag { .. }
            | CliError::RollbackVersion { .. }
            | CliError::NoVersion(_)
            | CliError::ConflictingVersions { .. } => Fault::BadInput,
            CliError::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Fault::BadInput,
            CliError::File { .. } | CliError::Listen { .. } | CliError::Stdout(_) | CliError::Runtime(_) => {
                Fault::Local
            }
            CliError::Secrets(error) => error.fault(),
            CliError::Tuf(error) => error.fault(),
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
            CliError::Reference { .. } => Some("use NAME:TAG, NAME@DIGEST or NAME:TAG@DIGEST".to_owned()),
            CliError::Tag { .. } => Some("use the tag alone, as listed in the registry".to_owned()),
            CliError::RollbackVersion { image, .. } => {
                Some(format!("use `{image}` to return to its previous version, or `{image} --to TAG` to choose one"))
            }
            CliError::NotGoverned { image } => Some(format!("`tagalong explain {image}` shows its fields and why")),
            CliError::NoHelp { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            CliError::NoHelp { near: None, .. } => Some("`tagalong help` lists all commands and topics".to_owned()),
            CliError::WatchNeedsTerminal => Some("in scripts, run the command again instead".to_owned()),
            CliError::NoVersion(text) => Some(format!("use {text}:TAG, {text}@DIGEST or {text}:TAG@DIGEST")),
            CliError::ConflictingVersions { .. } => Some("pass only one of them".to_owned()),
            CliError::Exists { .. } => {
                Some("use --dry-run to print the new one, or --file to write it elsewhere".to_owned())
            }
            CliError::File { .. } => Some("check the path and its permissions".to_owned()),
            CliError::Settings(_) => {
                Some(format!("every flag is a setting; see {} for examples", documentation("recipes/woodpecker.md")))
            }
            CliError::Listen { .. } => Some("set agent.listen to another address, or to `off`".to_owned()),
            CliError::Telemetry(TelemetryError::Level { .. }) => {
                Some("use off, error, warn, info, debug, trace, or directives such as tagalong=debug".to_owned())
            }
            CliError::Telemetry(TelemetryError::Variable { .. })
            | CliError::Flag { .. }
            | CliError::Setting { .. }
            | CliError::Stdout(_)
            | CliError::Runtime(_) => None,
            CliError::Secrets(error) => error.help(),
            CliError::Tuf(error) => error.help(),
            CliError::Demo(error) => error.help(),
        }
    }
}

/// Prints an error as `error:`, `cause:` and `help:` lines, and returns its exit code.
pub fn report(error: &CliError) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    anstream::eprint!("{}", rendered(error));
    ExitCode::from(error.fault().exit_code())
}

/// Whether the reader of stdout has closed it, which is not an error.
fn is_broken_pipe(error: &CliError) -> bool {
    matches!(error, CliError::Stdout(source) if source.kind() == io::ErrorKind::BrokenPipe)
}

/// The longest line of an error, in characters.
const MAX_LINE: usize = 4_000;

/// Formats an error. Its texts may come from outside, so they are escaped.
fn rendered(error: &dyn Explain) -> String {
    let safe = |line: &str| text::cut(&text::line(line), MAX_LINE).into_owned();
    let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
    let mut text = String::new();
    // Each error in a configuration file is one error here.
    for line in error.to_string().lines() {
        text.push_str(&format!("{red}error:{red:#} {}\n", safe(line)));
    }
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        let is_new = !said.contains(&message);
        for line in message.lines().filter(|_| is_new) {
            text.push_str(&format!("{red}cause:{red:#} {}\n", safe(line)));
        }
        said = message;
        source = cause.source();
    }
    if let Some(help) = error.help() {
        text.push_str(&format!("{cyan}help:{cyan:#} {}\n", safe(&help)));
    }
    text
}

/// Reports panics as internal errors with their location, without a backtrace.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        if std::thread::current().name() == Some(store::OPENING) {
            return;
        }
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        anstream::eprintln!("error: internal error at {place}");
        anstream::eprintln!("help: this is a bug in tagalong; please report it with the line above");
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
        assert_eq!(lines[0], "error: `A` is not a valid image reference");
        assert!(lines[1].starts_with("cause: `A` is not a valid image name"), "{lines:?}");
        assert_eq!(lines[2], "help: use NAME:TAG, NAME@DIGEST or NAME:TAG@DIGEST");
        assert_eq!(error.fault().exit_code(), 2);
    }

    #[test]
    fn foreign_text_in_errors_is_escaped_and_cut() {
        let error = CliError::Settings(format!("\x1b]0;title\x07\u{202e}{}", "x".repeat(10_000)));
        let text = plain(&error);
        assert!(text.starts_with(r"error: invalid settings: \u{1b}]0;title\u{7}\u{202e}xxx"), "{text}");
        assert!(text.chars().count() < 5_000);
    }
}
