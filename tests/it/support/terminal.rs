//! A terminal, in which the program runs.

use std::path::Path;
use std::process::{Command, Stdio};

use super::tagalong::{Run, command, finished};

/// Returns a command that runs the program in a terminal of 80 columns. Its stdin is what is typed.
pub fn in_terminal(home: &Path, arguments: &[&str]) -> Command {
    let program = command(home).get_program().display().to_string();
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let line = format!("stty cols 80 rows 24; exec '{program}' {}", words.join(" "));
    let mut terminal = Command::new("script");
    terminal.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // `script` keeps a terminal's end of line, and returns the exit code of the command.
    terminal.env("TERM", "xterm").env("SHELL", "/bin/sh").args(["-qec", &line, "/dev/null"]);
    terminal
}

/// Runs the program in a terminal to its end.
pub fn run_in_terminal(home: &Path, arguments: &[&str]) -> Run {
    finished(in_terminal(home, arguments).stdin(Stdio::null()).output().expect("script starts"))
}

/// The lines that a terminal shows in the end of what it was sent, without colors. What a carriage return goes back to is
/// overwritten.
pub fn lines(sent: &str) -> Vec<String> {
    let plain = anstream::adapter::strip_str(sent).to_string();
    let last = |line: &str| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned();
    plain.lines().map(last).collect()
}
