//! `tagalong plugin`

use clap::Args;

/// Run a command with flags from PLUGIN_* variables, the way Woodpecker CI passes the settings of a plugin
///
/// The setting `command` names the command, `set` by default. Every flag of that command is a setting, with underscores
/// instead of dashes: `git_url` is --git-url. Positional arguments go by their name (`images`). Lists are separated by commas,
/// or are JSON. Flags that take a file also accept its content, under the name without `_file`: the setting `ssh_key` with
/// the text of a secret becomes --ssh-key-file. Unknown settings are errors.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  PLUGIN_IMAGES=ghcr.io/org/app:1a2b3c4 PLUGIN_GIT_URL=ssh://git@example.com/org/infra.git tagalong plugin"
)]
pub struct Arguments {}
