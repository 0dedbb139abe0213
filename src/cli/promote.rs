//! `tagalong promote`

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::config::overrides::Overrides;
use crate::cycle::operations::promote::{Condition, Promote};
use crate::cycle::operations::terms::{Attribution, Mode};
use crate::cycle::report::Report;
use crate::fault::Fault;
use crate::plan::skip::{Reason, Skipped};
use crate::stage::name::Name;

use super::arguments::{ActorArguments, GitArguments, OutputArguments, reason};
use super::connect;
use super::error::CliError;
use super::output::{self, Format, safe};

/// Promote releases to a stage now
///
/// Does what the agent would do in its next cycle, for one stage: every release that was proven in the stage before, and that
/// nothing keeps back, enters it in a commit of its own. With a name, only that release or image. Prints the commit's SHA, or
/// exits with 3 and lists what is missing.
///
/// With --break-glass, conditions of the stage are skipped: its windows, soak time, checks and approval, or those that --skip
/// names. The image still has to be complete, secrets have to decrypt, and the commit has to be signed with a key that
/// `trust.breakGlass` lists. The stage stays marked until somebody else acknowledges it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tagalong promote live\n  tagalong promote live ghcr.io/org/app:1a2b3c4 --break-glass --reason 'outage' --signing-key-file ~/.ssh/id_ed25519"
)]
pub struct Arguments {
    /// Stage that the releases enter
    #[arg(value_name = "STAGE")]
    stage: Name,

    /// Release (its ID, tag or name) or image (with or without a tag) to promote [default: all]
    #[arg(value_name = "RELEASE|IMAGE")]
    release: Option<String>,

    /// Skip conditions of the stage; requires --reason and a signing key that `trust.breakGlass` lists
    #[arg(long, requires = "reason")]
    break_glass: bool,

    /// Conditions that --break-glass skips [default: all]
    #[arg(long, value_name = "CONDITION", value_delimiter = ',', requires = "break_glass", value_enum)]
    skip: Vec<Skip>,

    /// Reason, recorded in the commit
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,

    #[command(flatten)]
    actor: ActorArguments,

    #[command(flatten)]
    git: GitArguments,

    /// SSH key that signs the commit [config: git.signing]
    #[arg(long, help_heading = "Credentials", value_name = "FILE")]
    signing_key_file: Option<std::path::PathBuf>,

    /// Print the diff that would be committed, without changing anything
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArguments,
}

/// A condition that can be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Skip {
    /// The deployment windows
    Windows,
    /// The time in the stage before
    Soak,
    /// The checks in the stage before
    Checks,
    /// The approval
    Approval,
}

impl From<Skip> for Condition {
    fn from(skip: Skip) -> Condition {
        match skip {
            Skip::Windows => Condition::Windows,
            Skip::Soak => Condition::Soak,
            Skip::Checks => Condition::Checks,
            Skip::Approval => Condition::Approval,
        }
    }
}

/// Promotes.
pub async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    let named: BTreeSet<Condition> = arguments.skip.iter().copied().map(Condition::from).collect();
    let skip = if named.is_empty() { Condition::ALL.to_vec() } else { named.into_iter().collect() };
    let operation = Promote {
        stage: arguments.stage.clone(),
        name: arguments.release.clone(),
        skip: arguments.break_glass.then_some(skip),
        by: Attribution { actor: arguments.actor.name(), reason: arguments.reason.clone() },
    };
    let signing_key_file = arguments.signing_key_file.clone();
    let config = connect::configuration_from(&Overrides { signing_key_file, ..arguments.git.overrides() })?;
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Push };
    let report = connect::engine(&config)?.run(&operation, mode).await?;
    let missing = missing(&report);
    let is_nothing = report.updates.is_empty() && !missing.is_empty();
    let text = if is_nothing { missing.join("") } else { output::commit(&report) };
    let code = output::finish(&report, mode, &text, arguments.output.output)?;
    if is_nothing && arguments.output.output == Format::Text && mode == Mode::DryRun {
        output::print(&text)?;
    }
    Ok(if is_nothing { ExitCode::from(Fault::Blocked.exit_code()) } else { code })
}

/// Returns a line for each reason for which releases stay where they are.
fn missing(report: &Report) -> Vec<String> {
    let line = |skipped: &Skipped| format!("stays: {}: {}\n", skipped.image, skipped.detail);
    let kept = report.skipped.iter().filter(|skipped| skipped.reason != Reason::UpToDate);
    kept.map(|skipped| safe(line(skipped).trim_end()) + "\n").collect()
}
