//! `tagalong history`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::cycle::replay::{self, Selection};
use crate::image::Version;
use crate::plan::commit_signature::{CommitSignature, SignatureVerdict};
use crate::plan::history_entry::HistoryEntry;
use crate::stage::name::Name;

use super::arguments::GitArguments;
use super::connect;
use super::error::CliError;
use super::table::{self, Cell, Column, Table, WAITING};
use super::{history_figures, outcome, output};

/// List every move of every image field: when, from, to, by whom, why, and what proved it
///
/// All of it comes from the commits of the branch, so a clone is enough, and nothing is ever lost. Moves by other people and
/// tools are listed as well. Nothing is written, and no registry is queried.
///
/// With --figures, it shows how often versions are deployed, how long that takes from the build of an image to the commit,
/// how many of them are taken back (by a rollback, a revert, or a field that is set to what it held before), and how soon:
/// in the last twelve weeks, or since the time that --since names.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong history --since 2026-11-01\n  tagalong history ghcr.io/org/app --stage live --output csv\n  tagalong history --figures --stage live --output json"
)]
pub struct Arguments {
    /// List the moves of this image only
    #[arg(value_name = "IMAGE")]
    image: Option<String>,

    /// List the moves in this stage only
    #[arg(long, value_name = "STAGE")]
    stage: Option<Name>,

    /// List the moves since this time only, for example 2026-11-01 or 2026-11-01T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,

    /// Show how often and how fast versions are deployed and taken back
    #[arg(long)]
    figures: bool,

    #[command(flatten)]
    git: GitArguments,

    /// Output format
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    output: Format,
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
    /// For spreadsheets (RFC 4180)
    Csv,
}

/// Lists the moves.
pub fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let image = arguments.image.as_deref().map(super::hold::target).transpose()?.map(|target| target.image);
    let engine = connect::engine(&connect::configuration(&arguments.git)?)?;
    let selection = Selection { image, stage: arguments.stage, since: arguments.since };
    if arguments.figures {
        let replayed = replay::figures(&engine, &selection)?;
        replayed.notes.iter().for_each(|note| tracing::warn!("{note}"));
        match arguments.output {
            Format::Json => output::print_json(&replayed.found)?,
            Format::Csv => output::print(&history_figures::csv(&replayed.found)?)?,
            Format::Text => {
                output::print(&history_figures::text(&replayed.found))?;
                table::print(&history_figures::table(&replayed.found), "")?;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let replayed = replay::history(&engine, &selection)?;
    replayed.notes.iter().for_each(|note| tracing::warn!("{note}"));
    match arguments.output {
        Format::Json => output::print_json(&replayed.found)?,
        Format::Csv => output::print(&csv(&replayed.found)?)?,
        Format::Text if replayed.found.is_empty() => output::print("no field has moved\n")?,
        Format::Text => {
            let moves = outcome::plural(replayed.found.len(), "move", "moves");
            table::print(&table(&replayed.found), &format!("{moves}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a time or a date, which is its first second in UTC.
pub fn time(text: &str) -> Result<Timestamp, String> {
    let date = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let parsed = text.parse().ok().or_else(|| date().map(|zoned| zoned.timestamp()));
    parsed.ok_or_else(|| "write a date such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z".to_owned())
}

fn table(entries: &[HistoryEntry]) -> Table {
    let mut table = Table::new(vec![
        Column::word("WHEN"),
        Column::word("STAGE").rank(1),
        Column::name("IMAGE"),
        Column::word("FROM"),
        Column::word("TO"),
        Column::word("ACT"),
        Column::name("WHO").rank(2),
        Column::name("SIGNATURE").rank(3),
        Column::prose("WHY"),
    ]);
    for entry in entries {
        let mut cells: Vec<Cell> = row(entry).into_iter().map(Cell::from).collect();
        let why = cells.pop();
        cells.push(signature(entry.signature.as_ref()));
        table.add(cells.into_iter().chain(why).collect());
    }
    table
}

/// Returns the cell of a signature, which is empty where nobody asks for signatures.
fn signature(signature: Option<&CommitSignature>) -> Cell {
    let Some(signature) = signature else { return Cell::from("") };
    let CommitSignature { verdict, signer, key, .. } = signature;
    match verdict {
        SignatureVerdict::Accepted => {
            let brief = signer.as_ref().or(key.as_ref()).cloned().unwrap_or_default();
            Cell::from(signature.to_string()).or_brief(brief)
        }
        _ => Cell::from(signature.to_string()).or_brief(verdict.to_string()).styled(WAITING),
    }
}

/// Returns the row of a move in a table.
pub fn row(entry: &HistoryEntry) -> Vec<String> {
    vec![
        entry.at.strftime("%Y-%m-%d %H:%M").to_string(),
        entry.stage.as_ref().map_or("-", |stage| stage.as_str()).to_owned(),
        entry.image.short_name().to_owned(),
        short(entry.from.as_deref()),
        short(entry.to.as_deref()),
        entry.act.to_string(),
        entry.actor.clone(),
        entry.reason.clone().unwrap_or_default(),
    ]
}

fn short(version: Option<&str>) -> String {
    match version.map(Version::parse_tag) {
        Some(Ok(Version { tag: Some(tag), .. })) => tag.short().to_owned(),
        Some(Ok(Version { digest: Some(digest), .. })) => digest.as_str().chars().take("sha256:".len() + 7).collect(),
        _ => "-".to_owned(),
    }
}

fn csv(entries: &[HistoryEntry]) -> Result<String, CliError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| CliError::Stdout(error.into());
    let header = [
        "at",
        "commit",
        "stage",
        "file",
        "path",
        "image",
        "from",
        "to",
        "digest",
        "actor",
        "actorProof",
        "act",
        "reason",
        "evidence",
        "signature",
        "signer",
        "signingKey",
        "signatureReason",
    ];
    writer.write_record(header).map_err(failed)?;
    for entry in entries {
        let evidence: Vec<String> = entry.evidence.iter().map(ToString::to_string).collect();
        let proof = entry.actor_proof.to_string();
        let (at, act, evidence) = (entry.at.to_string(), entry.act.to_string(), evidence.join("; "));
        let digest = entry.digest.as_ref().map(|digest| digest.as_str());
        let signature = entry.signature.as_ref();
        let of_signature = |of: fn(&CommitSignature) -> &Option<String>| {
            signature.and_then(|signature| of(signature).as_deref()).unwrap_or_default()
        };
        let verdict = signature.map(|signature| signature.verdict.to_string()).unwrap_or_default();
        let record = [
            at.as_str(),
            entry.commit.as_str(),
            entry.stage.as_ref().map_or("", |stage| stage.as_str()),
            &entry.file,
            &entry.path,
            entry.image.as_str(),
            entry.from.as_deref().unwrap_or_default(),
            entry.to.as_deref().unwrap_or_default(),
            digest.unwrap_or_default(),
            &entry.actor,
            &proof,
            &act,
            entry.reason.as_deref().unwrap_or_default(),
            &evidence,
            &verdict,
            of_signature(|signature| &signature.signer),
            of_signature(|signature| &signature.key),
            of_signature(|signature| &signature.reason),
        ];
        writer.write_record(record.map(harmless)).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| CliError::Stdout(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns a text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}
