//! `tagalong plugin`

use clap::Args;

/// Run a command with flags from PLUGIN_* variables, as Woodpecker CI gives the settings of a plugin
///
/// The setting `command` names the command, `set` unless given, and every flag of it is a setting with dashes as
/// underscores: `git_url` is --git-url. Arguments without a flag have their name (`images`). Lists are separated by
/// commas, or JSON. Flags that take a file take its content too, by the name without `_file`: the setting `ssh_key` with the text
/// of a secret is --ssh-key-file. An unknown setting is an error.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  PLUGIN_IMAGES=ghcr.io/org/app:1a2b3c4 PLUGIN_GIT_URL=ssh://git@example.com/org/infra.git tagalong plugin"
)]
pub struct Arguments {}
