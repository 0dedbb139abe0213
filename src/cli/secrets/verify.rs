//! `tagalong secrets verify`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::cli::arguments::{GitArguments, KeyArguments, OutputArguments};
use crate::cli::connect;
use crate::cli::error::CliError;
use crate::cli::folder::Folder;
use crate::cli::output::{self, Format};
use crate::cli::table::{self, BAD, Cell, Column, GOOD, NOTHING, Table};
use crate::config::load::Config;
use crate::cycle::error::CycleError;
use crate::cycle::queries;
use crate::cycle::secrets::verify::Progress;
use crate::fault::Fault;
use crate::manifest::inventory::NamedFileError;
use crate::progress;
use crate::sops::audit::{FileStatus, FileVerdict};

/// Prove that every SOPS file decrypts and that no Secret is in plaintext
///
/// SOPS files are recognized by their metadata, whatever their names. Each must decrypt, have a valid MAC, and be encrypted
/// as far as its rules require, for the recipients listed in .sops.yaml. Secrets in plaintext, files that .sops.yaml requires
/// to be encrypted, and whatever else a kustomization makes into Secrets (generators, patches, replacements) are reported as
/// well. What cannot be read or followed is unverified. Nothing is written, and no value is printed.
///
/// Exits with 3 unless everything is ok.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong secrets verify --dir .\n  tagalong secrets verify --config tagalong.yaml --age-key-file age.agekey --output json"
)]
pub struct Arguments {
    /// Read the files below this folder instead of a git repository
    #[arg(long, value_name = "DIR", conflicts_with_all = ["git_url", "branch"])]
    dir: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyArguments,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// The result, in the format that scripts rely on.
#[derive(Debug, Serialize)]
struct Summary {
    files: Vec<Row>,
    ok: usize,
    failed: usize,
    plaintext: usize,
}

#[derive(Debug, Serialize)]
struct Row {
    file: String,
    document: usize,
    status: &'static str,
    format: Option<&'static str>,
    reason: Option<String>,
    recipients: Vec<String>,
}

impl From<FileVerdict> for Row {
    fn from(verdict: FileVerdict) -> Row {
        Row {
            file: verdict.file,
            document: verdict.document,
            status: verdict.status.label(),
            format: verdict.format.map(|format| format.name()),
            reason: verdict.reason,
            recipients: verdict.recipients,
        }
    }
}

/// Verifies all files.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = connect::configuration_with_keys(&arguments.git, &arguments.keys)?;
    let progress = |done: usize, of: usize| progress::report("files", done, of);
    let verdicts = match &arguments.dir {
        Some(dir) => in_folder(&config, dir, &progress),
        None => queries::verify_secrets(&connect::engine(&config)?, &progress).map_err(CliError::from),
    };
    let verdicts = verdicts?;
    let count = |status| verdicts.iter().filter(|verdict| verdict.status == status).count();
    let (ok, failed, plaintext) = (count(FileStatus::Ok), count(FileStatus::Failed), count(FileStatus::Plaintext));
    let all_good = ok == verdicts.len();
    let found = Summary { files: verdicts.into_iter().map(Row::from).collect(), ok, failed, plaintext };
    match arguments.output.output {
        Format::Json => output::print_json(&found)?,
        Format::Text => {
            let bad = found.files.len() - found.ok;
            table::print(&table(&found), &format!("{} ok, {bad} not ok\n", found.ok))?;
        }
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::from(Fault::Blocked.exit_code()) })
}

fn in_folder(config: &Config, dir: &Path, progress: &Progress<'_>) -> Result<Vec<FileVerdict>, CliError> {
    let keyring = config.secrets.keys.keyring().map_err(CycleError::from)?;
    let folder = Folder::open(dir)?;
    let (all, files) = folder.walk()?;
    if let Some(file) = config.paths.missing(&|path| all.contains(path)) {
        return Err(CycleError::NamedFile(NamedFileError::Missing { file: file.to_owned() }).into());
    }
    let mut verdicts = folder.verify_secrets(&files, &keyring, progress)?;
    verdicts.retain(|verdict| config.paths.wants(&verdict.file));
    Ok(verdicts)
}

/// Makes the table, with the files first that need attention.
fn table(found: &Summary) -> Table {
    let mut table = Table::new(vec![
        Column::word("STATUS"),
        Column::name("FILE"),
        Column::word("DOCUMENT").rank(2),
        Column::word("FORMAT").rank(1),
        Column::prose("WHY"),
    ]);
    let is_ok = |row: &&Row| row.status == FileStatus::Ok.label();
    let mut rows: Vec<&Row> = found.files.iter().collect();
    rows.sort_by_key(is_ok);
    for row in rows {
        table.add(vec![
            Cell::from(row.status).styled(if is_ok(&row) { GOOD } else { BAD }),
            Cell::from(row.file.as_str()),
            Cell::from(row.document.to_string()),
            Cell::from(row.format.unwrap_or(NOTHING)),
            Cell::from(row.reason.clone().unwrap_or_default()),
        ]);
    }
    table
}
