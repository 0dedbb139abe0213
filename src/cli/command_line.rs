//! All commands and their options.

use clap::{Parser, Subcommand};

use super::global::GlobalArguments;
use super::{
    acknowledge, approve, audit, check, completion, demo, disapprove, explain, help, history, hold, images, init, man,
    plugin, promote, resume, rollback, run, secrets, set, stages, status, sync, trust, version, windows,
};

/// Keep the image tags of a GitOps repository in step with the registry
///
/// Tagalong polls registries for new images, updates the image fields of manifests, kustomizations and Helm values without
/// touching anything else, and pushes commits for Flux or Argo CD to deploy. If somebody else pushes first, it plans again
/// on the new tip.
///
/// Try `tagalong demo`: it shows the whole loop on this machine, without any configuration.
#[derive(Debug, Parser)]
#[command(
    version = version::long(),
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Topics: `tagalong help exit-codes`, `tagalong help environment`"
)]
pub struct Cli {
    #[command(subcommand)]
    pub(super) entry: Entry,

    #[command(flatten)]
    pub(super) global: GlobalArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Entry {
    #[command(flatten)]
    Command(Box<Command>),
    Plugin(plugin::Arguments),
    Completion(completion::Arguments),
    Man(man::Arguments),
    Help(help::command::Arguments),
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Run(run::Arguments),
    Sync(sync::Arguments),
    Set(set::Arguments),
    Images(images::Arguments),
    Status(status::Arguments),
    Explain(explain::Arguments),
    Rollback(rollback::Arguments),
    Hold(hold::Arguments),
    Resume(resume::Arguments),
    Approve(approve::Arguments),
    Disapprove(disapprove::Arguments),
    Acknowledge(acknowledge::Arguments),
    Windows(windows::Arguments),
    Secrets(secrets::Arguments),
    Trust(trust::Arguments),
    Stages(stages::Arguments),
    Promote(promote::Arguments),
    History(history::Arguments),
    Audit(audit::Arguments),
    Check(check::Arguments),
    Init(init::command::Arguments),
    Demo(demo::Arguments),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_and_every_option_has_a_help_text() {
        let root = Cli::command();
        root.clone().debug_assert();
        for command in root.get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            assert!(command.get_long_about().is_some(), "{} is not explained", command.get_name());
            assert!(command.get_after_help().is_some(), "{} has no example", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
