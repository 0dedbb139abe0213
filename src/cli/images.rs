//! `tagalong images`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::image::{Digest, Repository, Tag};
use crate::manifest::field::Shape;
use crate::manifest::inventory::Located;
use crate::plan::tree_config::policy_of;
use crate::policy::rule::PolicySet;

use super::arguments::{GitArguments, OutputArguments};
use super::connect;
use super::error::CliError;
use super::images_verify;
use super::inventory::inventory;
use super::output::{self, Format};

/// List every image field and the policy that governs it
///
/// Each line is one place that determines the version of an image, with the policy that governs it, if any, and the
/// kustomization whose `images` overrides it, if any. If another file names the image, the text output names that file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tagalong images --dir .\n  tagalong images --config tagalong.yaml --output json")]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    /// Read the files below this folder instead of a git repository
    #[arg(long, value_name = "DIR", conflicts_with_all = ["git_url", "branch"])]
    dir: Option<PathBuf>,

    #[command(flatten)]
    git: GitArguments,

    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    Verify(images_verify::Arguments),
}

/// A row, in the format that scripts rely on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    file: String,
    document: usize,
    path: String,
    line: usize,
    column: usize,
    shape: Shape,
    image: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
    policy: Option<String>,
    shadowed_by: Option<String>,
    /// Shown to people only.
    #[serde(skip)]
    named_in: Option<Arc<str>>,
}

/// Lists image fields.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    if let Some(Action::Verify(arguments)) = arguments.action {
        return images_verify::run(arguments).await;
    }
    let config = connect::configuration(&arguments.git)?;
    let (inventory, policies) = inventory(&config, arguments.dir.as_deref())?;
    for note in inventory.nameless_notes().into_iter().chain(inventory.chart_notes()) {
        tracing::warn!("{note}");
    }
    let rows: Vec<Row> = inventory.fields.iter().map(|located| row(located.clone(), &policies)).collect();
    match arguments.output.output {
        Format::Json => output::print_json(&rows)?,
        Format::Text => output::print(&text(&rows))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn row(located: Located, policies: &PolicySet) -> Row {
    let field = located.field;
    let policy = policy_of(&field, policies).map(|rule| rule.name.clone());
    Row {
        file: located.file,
        document: field.document,
        path: field.path,
        line: field.place.line,
        column: field.place.column,
        shape: field.shape,
        policy,
        image: field.repository,
        tag: field.version.tag,
        digest: field.version.digest,
        shadowed_by: located.shadowed_by,
        named_in: field.named_in,
    }
}

fn text(rows: &[Row]) -> String {
    let has_names_elsewhere = rows.iter().any(|row| row.named_in.is_some());
    let cells = |row: &Row| {
        let digest =
            row.digest.as_ref().map(|digest| format!("@{}", digest.as_str().chars().take(14).collect::<String>()));
        let version =
            format!("{}{}", row.tag.as_ref().map(Tag::as_str).unwrap_or_default(), digest.unwrap_or_default());
        let mut cells = vec![
            format!("{}:{}", row.file, row.line),
            row.path.clone(),
            row.image.to_string(),
            if version.is_empty() { "-".to_owned() } else { version },
            row.policy.clone().unwrap_or_else(|| "-".to_owned()),
            row.shadowed_by.clone().unwrap_or_else(|| "-".to_owned()),
        ];
        cells.extend(has_names_elsewhere.then(|| row.named_in.as_deref().unwrap_or("-").to_owned()));
        cells
    };
    let mut head = vec!["FILE", "FIELD", "IMAGE", "VERSION", "POLICY", "OVERRIDDEN BY"];
    head.extend(has_names_elsewhere.then_some("NAMED IN"));
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    output::table(&head, &rows)
}
