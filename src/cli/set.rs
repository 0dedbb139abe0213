//! `tagalong set`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::config::load::path_filter;
use crate::config::values::duration;
use crate::cycle::error::CycleError;
use crate::cycle::operations::set::Set;
use crate::cycle::operations::terms::{Attribution, Mode};
use crate::cycle::report::{FileChange, Moved, Report};
use crate::cycle::secrets::verify::Secrets;
use crate::image::{Reference, Repository};
use crate::manifest::chart_lock;
use crate::manifest::edit::FollowRefs;
use crate::plan::decide::{self, RequestError};
use crate::plan::gate;
use crate::stage::name::Name;

use super::arguments::{ActorArguments, GitArguments, OutputArguments, reason};
use super::connect;
use super::error::CliError;
use super::folder::Folder;
use super::outcome;
use super::output::{self, Format};

/// Write exactly these references; what CI runs after a build
///
/// Afterwards, every field of the given images reads exactly as given: whole references anywhere in YAML, `images` of
/// kustomizations, Helm-style `repository` and `tag`. A chart is named with the scheme of its repository. Nothing else in the files changes, not even a comment or a quote. On
/// git, the change is committed and pushed, and planned again whenever somebody else pushes first; with --dir, files are
/// changed in place, without git and without a registry.
///
/// On git, the image must exist in its registry, and a field is moved neither to an older build than its current one nor to
/// a held tag: one that was deployed before and then removed, or one stopped by `tagalong hold`. Prints the commit's SHA, or
/// `up to date`.
///
/// Stages that receive their releases from other stages are left alone, unless --stage or --path names them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong set registry.example.com/org/app:1a2b3c4 --git-url ssh://git@example.com/org/infra.git\n  tagalong set ghcr.io/org/app:1a2b3c4 ghcr.io/org/worker:1a2b3c4 --wait-image 2m\n  tagalong set nginx:1.27 --dir . --dry-run\n  tagalong set oci://ghcr.io/org/charts/app:1.2.3 --dir ."
)]
pub struct Arguments {
    /// References to write
    #[arg(required = true, value_name = "IMAGE[:TAG][@DIGEST]")]
    images: Vec<String>,

    /// Work on the files below this folder, in place: no git, no registry
    #[arg(long, value_name = "DIR", conflicts_with_all = ["git_url", "branch", "wait_image", "allow_downgrade", "force", "stage", "reason", "actor"])]
    dir: Option<PathBuf>,

    #[command(flatten)]
    git: GitArguments,

    /// Print the diff that would be committed or written, without changing anything
    #[arg(long)]
    dry_run: bool,

    /// Leave remote bases (https://…?ref=SHA) at their ref, even if it is the tag being replaced
    #[arg(long)]
    no_follow_refs: bool,

    /// Wait up to this long for an image that is not in its registry yet, for example 2m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait_image: Option<Duration>,

    /// Move a field even to an image that was built before its current one; the tag that it leaves is then held. Requires
    /// --reason, and is recorded
    #[arg(long, requires = "reason")]
    allow_downgrade: bool,

    /// Move a field even to a held tag. Requires --reason, and is recorded
    #[arg(long, requires = "reason")]
    force: bool,

    /// Write into the files of this stage only, even if it receives its releases from another one
    #[arg(long, value_name = "STAGE")]
    stage: Option<Name>,

    /// Reason, recorded in the commit
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,

    #[command(flatten)]
    actor: ActorArguments,

    #[command(flatten)]
    output: OutputArguments,
}

/// Writes references.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let wanted = references(&arguments.images)?;
    let follow = if arguments.no_follow_refs { FollowRefs::No } else { FollowRefs::Yes };
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Push };
    if let Some(dir) = &arguments.dir {
        let report = in_folder(dir, &arguments, &wanted, follow, mode)?;
        let end = if report.changes.is_empty() { "up to date\n" } else { "" };
        return output::finish(&report, mode, &format!("{}{end}", output::summary(&report)), arguments.output.output);
    }
    let config = connect::configuration(&arguments.git)?;
    let engine = connect::engine(&config)?;
    let operation = Set {
        references: wanted,
        allow_downgrade: arguments.allow_downgrade,
        force: arguments.force,
        stage: arguments.stage.clone(),
        follow,
        wait_image: arguments.wait_image.unwrap_or_default(),
        by: Attribution { actor: arguments.actor.actor.clone(), reason: arguments.reason.clone() },
    };
    let report = engine.run(&operation, mode).await?;
    let code = output::finish(&report, mode, &output::commit(&report), arguments.output.output)?;
    if arguments.output.output == Format::Text {
        outcome::tell_moves("set", &report, mode);
    }
    Ok(code)
}

/// Parses the arguments, which must be one reference per image.
fn references(texts: &[String]) -> Result<Vec<Reference>, CliError> {
    let mut by_name: BTreeMap<Repository, (String, Reference)> = BTreeMap::new();
    for text in texts {
        let reference =
            Reference::parse_any(text).map_err(|source| CliError::Reference { text: text.clone(), source })?;
        if reference.version.is_empty() {
            return Err(CliError::NoVersion(text.clone()));
        }
        let before = by_name.insert(reference.repository.clone(), (text.clone(), reference.clone()));
        if let Some((one, _)) = before.filter(|(_, before)| *before != reference) {
            return Err(CliError::ConflictingVersions { one, other: text.clone() });
        }
    }
    Ok(by_name.into_values().map(|(_, reference)| reference).collect())
}

fn in_folder(
    dir: &Path,
    arguments: &Arguments,
    wanted: &[Reference],
    follow: FollowRefs,
    mode: Mode,
) -> Result<Report, CliError> {
    let start = std::time::Instant::now();
    let config = connect::configuration(&arguments.git)?;
    let paths = path_filter(&arguments.git.paths)?;
    let folder = Folder::open(dir)?;
    let (inventory, tree_config) = folder.inventory(&paths, &config.tree_config)?;
    let mut notes = inventory.notes(&paths).map_err(CycleError::from)?;
    let secrets = Secrets::new(config.secrets.keys.clone(), config.secrets.gate, config.secrets.pull_secrets);
    let update_mac = |before: &[u8], after: &[u8]| secrets.update_mac(before, after);
    let asked = decide::as_requested(&inventory, wanted, &paths)
        .inspect_err(|_| notes.iter().for_each(|note| tracing::warn!("{note}")))
        .map_err(CycleError::from)?;
    notes.extend(asked.notes);
    // Whether an identity decrypts a particular file shows when its MAC is updated.
    if let Some(update) = asked.plan.updates.iter().find(|update| update.encrypted)
        && secrets.keyring()?.is_empty()
    {
        return Err(CycleError::Request(RequestError::Encrypted(update.why_encrypted())).into());
    }
    let gated = gate::pass_unverified(&asked.plan.updates);
    notes.extend(gated.moved_along());
    let mut changes = Vec::new();
    // All files are edited before the first one is written, so that an error changes nothing.
    for file in gated.files() {
        let before = folder.read(file)?;
        let after = gated
            .edited(file, &before, follow, &tree_config.field_rules, Some(&update_mac))
            .map_err(CycleError::from)?;
        if let Some(lock) = chart_lock::lock_of(file)
            && folder.has(&lock)
        {
            let before_lock = folder.read(&lock)?;
            let followed = chart_lock::follow(&before, &after, &before_lock);
            changes.extend(followed.map(|after| FileChange { file: lock, before: before_lock, after }));
        }
        changes.push(FileChange { file: file.to_owned(), before, after });
    }
    if mode == Mode::Push {
        for change in &changes {
            folder.write(&change.file, &change.after)?;
        }
    }
    Ok(Report {
        updates: gated.updates().iter().map(Moved::from).collect(),
        duration_ms: start.elapsed().as_millis() as u64,
        changes: changes.into(),
        notes,
        ..Report::default()
    })
}
