//! `tagalong images`

use std::collections::BTreeSet;
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
use super::outcome;
use super::output::{self, Format};
use super::table::{self, Cell, Column, MINOR, NOTHING, Table};

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
        Format::Text => table::print(&table(&rows), &summary(&rows))?,
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

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(vec![
        Column::name("FILE"),
        Column::name("FIELD").rank(2),
        Column::name("IMAGE"),
        Column::word("VERSION"),
        Column::name("POLICY").rank(3),
        Column::name("OVERRIDDEN BY").rank(1),
        Column::name("NAMED IN").rank(1),
    ]);
    let has_names_elsewhere = rows.iter().any(|row| row.named_in.is_some());
    for row in rows {
        let optional = |text: Option<&str>| Cell::from(text.unwrap_or(NOTHING));
        let cells = vec![
            Cell::from(format!("{}:{}", row.file, row.line)),
            Cell::from(row.path.as_str()),
            Cell::from(row.image.as_str()),
            version(row),
            optional(row.policy.as_deref()),
            optional(row.shadowed_by.as_deref()),
            if has_names_elsewhere { optional(row.named_in.as_deref()) } else { Cell::from("") },
        ];
        let is_inert = row.shadowed_by.is_some();
        table.add(cells.into_iter().map(|cell| if is_inert { cell.styled(MINOR) } else { cell }).collect());
    }
    table
}

fn version(row: &Row) -> Cell {
    let digest = row.digest.as_ref().map(|digest| format!("@{}", digest.as_str().chars().take(14).collect::<String>()));
    let digest = digest.unwrap_or_default();
    match &row.tag {
        Some(tag) => Cell::from(format!("{tag}{digest}")).or_brief(format!("{}{digest}", tag.short())),
        None if digest.is_empty() => Cell::from(NOTHING),
        None => Cell::from(digest),
    }
}

/// Returns how many fields and images there are, and how many no policy governs.
fn summary(rows: &[Row]) -> String {
    let images: BTreeSet<&Repository> = rows.iter().map(|row| &row.image).collect();
    let free = rows.iter().filter(|row| row.policy.is_none() && row.shadowed_by.is_none()).count();
    let fields = outcome::plural(rows.len(), "field", "fields");
    let images = outcome::plural(images.len(), "image", "images");
    let free = if free > 0 { format!(", {free} without a policy") } else { String::new() };
    format!("{fields} of {images}{free}\n")
}
