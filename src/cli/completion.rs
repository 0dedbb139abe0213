//! `tagalong completion`

use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

use super::error::CliError;
use super::output;

/// Print a script that completes commands and options in a shell
///
/// Load the script in your shell's startup file, or save it where the shell looks for completions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  source <(tagalong completion bash)                                     # in ~/.bashrc
  tagalong completion zsh > \"${fpath[1]}/_tagalong\"
  tagalong completion fish > ~/.config/fish/completions/tagalong.fish
  tagalong completion powershell | Out-String | Invoke-Expression        # in $PROFILE")]
pub struct Arguments {
    /// Shell that runs the script
    #[arg(value_name = "SHELL")]
    shell: SupportedShell,
}

/// The shells that are supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SupportedShell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// Prints the script for a command line.
pub fn run(arguments: &Arguments, mut root: Command) -> Result<ExitCode, CliError> {
    let shell = match arguments.shell {
        SupportedShell::Bash => Shell::Bash,
        SupportedShell::Zsh => Shell::Zsh,
        SupportedShell::Fish => Shell::Fish,
        SupportedShell::Powershell => Shell::PowerShell,
    };
    let mut script = Vec::new();
    generate(shell, &mut root, "tagalong", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
