//! The binary `tagalong`.

use std::process::ExitCode;

use clap::Parser;
use tagalong::cli::command_line::Cli;
use tagalong::cli::dispatch;

fn main() -> ExitCode {
    dispatch::main(Cli::parse())
}
