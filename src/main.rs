//! Arguments to a command, a command to an exit code.

use std::process::ExitCode;

use clap::Parser;
use tagalong::cli;

fn main() -> ExitCode {
    cli::main(cli::Cli::parse())
}
