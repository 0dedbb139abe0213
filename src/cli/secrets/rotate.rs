//! `tagalong secrets rotate`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::arguments::{GitArguments, KeyArguments, OutputArguments};
use crate::cli::connect;
use crate::cli::error::CliError;
use crate::cli::folder::{Folder, in_parallel};
use crate::cli::output::{self, Format};
use crate::config::load::Config;
use crate::cycle::error::CycleError;
use crate::cycle::operations::rotate::{RotatedFile, Rotation};
use crate::cycle::operations::terms::Mode;
use crate::cycle::report::FileChange;
use crate::fault::Fault;
use crate::manifest::inventory::NamedFileError;
use crate::repo::tree::Content;
use crate::sops::rulebook::RuleBook;

/// Re-encrypt SOPS files with new data keys, for the recipients in .sops.yaml
///
/// Every file gets a new data key, and all its values are encrypted with it, for the recipients that .sops.yaml lists or, if
/// no rule matches the file, for its current ones. Plaintext values, comments and formatting are kept. Each file has to
/// verify beforehand, and the result is proved by decrypting it.
///
/// It is all or nothing: if one file cannot be re-encrypted, none is, and every such file is reported. Files encrypted for
/// PGP keys or cloud keys are refused; exclude them with --path.
///
/// On git, the change is committed and pushed; with --dir, files are changed in place. Anyone who could read the old files
/// can still read them in the history: after you remove a recipient, change the secrets themselves as well.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong secrets rotate --dir . --dry-run\n  tagalong secrets rotate --config tagalong.yaml --path 'apps/shop/**'"
)]
pub struct Arguments {
    /// Change the files below this folder, in place, instead of a git repository
    #[arg(long, value_name = "DIR", conflicts_with_all = ["git_url", "branch"])]
    dir: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyArguments,

    #[command(flatten)]
    git: GitArguments,

    /// Print the diff that would be committed or written, without changing anything
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArguments,
}

/// The result, in the format that scripts rely on.
#[derive(Debug, Serialize)]
struct Summary {
    files: Vec<Row>,
    rotated: usize,
    failed: usize,
    commit: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    file: String,
    status: &'static str,
    reason: Option<String>,
    added: Vec<String>,
    removed: Vec<String>,
}

impl From<&RotatedFile> for Row {
    fn from(rotated: &RotatedFile) -> Row {
        let file = rotated.file.clone();
        match &rotated.outcome {
            Ok(rotated) => {
                let (added, removed) = (rotated.added.clone(), rotated.removed.clone());
                Row { file, status: "rotated", reason: None, added, removed }
            }
            Err(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                let reason = Some(format!("{error}{cause}"));
                Row { file, status: "failed", reason, added: Vec::new(), removed: Vec::new() }
            }
        }
    }
}

/// Re-encrypts the files.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration_with_keys(&arguments.git, &arguments.keys)?;
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Push };
    let rotation = match &arguments.dir {
        Some(dir) => in_folder(&config, dir, mode)?,
        None => connect::engine(&config)?.rotate_secrets(mode).await?,
    };
    let whole = rotation.is_whole();
    let rows: Vec<Row> = rotation.files.iter().map(Row::from).collect();
    match (arguments.output.output, mode) {
        (Format::Json, _) => {
            let rotated = rows.iter().filter(|row| row.status == "rotated").count();
            let commit = rotation.commit.map(|id| id.to_string());
            output::print_json(&Summary {
                rotated: if whole { rotated } else { 0 },
                failed: rows.len() - rotated,
                files: rows,
                commit,
            })?;
        }
        (Format::Text, Mode::DryRun) if whole => {
            let changes: Vec<FileChange> = rotation.files.iter().filter_map(RotatedFile::change).collect();
            output::print(&output::diff(&changes))?;
        }
        (Format::Text, _) => output::print(&text(&rows, &rotation))?,
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(Fault::Blocked.exit_code()) })
}

fn in_folder(config: &Config, dir: &Path, mode: Mode) -> Result<Rotation, CliError> {
    let keyring = config.secrets.keys.keyring().map_err(CycleError::from)?;
    let folder = Folder::open(dir)?;
    let (all, mut files) = folder.walk()?;
    if let Some(file) = config.paths.missing(&|path| all.contains(path)) {
        return Err(CycleError::NamedFile(NamedFileError::Missing { file: file.to_owned() }).into());
    }
    let rules = folder.rules(files.iter().map(String::as_str).filter(|file| RuleBook::is_rules(file)))?;
    files.retain(|file| config.paths.wants(file));
    let rotated = in_parallel(&files, |file| {
        folder.with(file, |content| match content {
            Content::Bytes(bytes) => RotatedFile::of(file, bytes, &keyring, &rules),
            Content::TooLarge(size) => RotatedFile::too_large(file, size),
        })
    })?;
    let rotation = Rotation { files: rotated.into_iter().flatten().collect(), commit: None };
    if mode == Mode::Push && rotation.is_whole() {
        for change in rotation.files.iter().filter_map(RotatedFile::change) {
            folder.write(&change.file, &change.after)?;
        }
    }
    Ok(rotation)
}

fn text(rows: &[Row], rotation: &Rotation) -> String {
    let with = |sign: &str, names: &[String]| names.iter().map(|name| format!(" {sign}{name}")).collect::<String>();
    let mut text = String::new();
    for row in rows.iter().filter(|row| rotation.is_whole() || row.reason.is_some()) {
        let why = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let (added, removed) = (with("+", &row.added), with("-", &row.removed));
        let line = format!("{}  {}{why}{added}{removed}", row.status, row.file);
        text.push_str(&format!("{}\n", output::safe(&line)));
    }
    match (&rotation.commit, rotation.is_whole()) {
        (Some(commit), _) => text.push_str(&format!("{commit}\n")),
        (None, true) if rows.is_empty() => text.push_str("no SOPS files\n"),
        (None, true) => {}
        (None, false) => text.push_str("nothing was changed\n"),
    }
    text
}
