//! The command, and how it finds what to print.

use std::process::ExitCode;

use clap::{Args, Command};

use crate::cli::error::CliError;
use crate::cli::output;
use crate::text::nearest;

use super::topics::TOPICS;

/// Print help for a command or a topic
///
/// Topics concern more than one command: `exit-codes` lists the exit codes, and which one wins if several apply;
/// `environment` lists the environment variables that are read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tagalong help secrets verify\n  tagalong help exit-codes")]
pub struct Arguments {
    /// Command or topic [default: an overview]
    #[arg(value_name = "COMMAND|TOPIC")]
    words: Vec<String>,
}

/// Prints the help of a command line.
pub fn run(arguments: &Arguments, mut root: Command) -> Result<ExitCode, CliError> {
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    if let [word] = words.as_slice()
        && let Some(topic) = TOPICS.iter().find(|topic| topic.name == *word)
    {
        output::print(&(topic.text)())?;
        return Ok(ExitCode::SUCCESS);
    }
    // This completes the usage lines of nested commands.
    root.build();
    let command = find(&mut root, &words)?;
    output::print(&command.render_long_help().ansi().to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn find<'c>(root: &'c mut Command, words: &[&str]) -> Result<&'c mut Command, CliError> {
    let mut at = root;
    for word in words {
        let topics = TOPICS.iter().map(|topic| topic.name);
        let near = nearest(at.get_subcommands().map(Command::get_name).chain(topics), word).map(str::to_owned);
        let no_help = || CliError::NoHelp { word: (*word).to_owned(), near };
        at = at.find_subcommand_mut(word).ok_or_else(no_help)?;
    }
    Ok(at)
}
