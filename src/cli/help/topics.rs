//! Texts about more than one command.

use crate::cli::table::wrapped;
use crate::fault::Fault;

use super::environment::VARIABLES;

/// The width of the texts.
const WIDTH: usize = 80;

/// A text about more than one command.
pub struct Topic {
    /// Its name, as in `tagalong help NAME`.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Makes its text.
    pub text: fn() -> String,
}

/// All topics.
pub const TOPICS: [Topic; 2] = [
    Topic { name: "exit-codes", title: "Exit codes", text: exit_codes },
    Topic { name: "environment", title: "Environment", text: environment },
];

fn exit_codes() -> String {
    let mut text = "Every command exits with one of these codes:\n\n".to_owned();
    for (code, meaning) in Fault::EXIT_CODES {
        let lines = wrapped(meaning, WIDTH - "  0  ".len()).join("\n     ");
        text.push_str(&format!("  {code}  {lines}\n"));
    }
    text.push_str(
        "\nIf several of them apply, the smallest from 2 on wins, and 1 only if nothing else\n\
         applies: what you can correct comes before what others have to.\n",
    );
    text
}

fn environment() -> String {
    let mut text = "Flags win over the configuration file, and that over these variables.\n".to_owned();
    for variable in VARIABLES {
        let names = wrapped(&variable.names.join(", "), WIDTH - "  ".len()).join("\n  ");
        let meaning = wrapped(variable.meaning, WIDTH - "      ".len()).join("\n      ");
        text.push_str(&format!("\n  {names}\n      {meaning}\n"));
    }
    text
}
