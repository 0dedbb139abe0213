//! The binary `tagalong`.

use std::process::ExitCode;

use clap::Parser;
use tagalong::cli::command_line::Cli;
use tagalong::cli::dispatch;
use tagalong::cli::global::Color;

fn main() -> ExitCode {
    Color::among(std::env::args_os()).apply();
    dispatch::main(Cli::parse())
}
