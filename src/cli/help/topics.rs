//! Texts about more than one command.

use crate::fault::Fault;

use super::environment::VARIABLES;

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
        text.push_str(&format!("  {code}  {meaning}\n"));
    }
    text.push_str(
        "\nIf several of them apply, the smallest from 2 on wins, and 1 only if nothing else applies: what you can \
         correct\ncomes before what others have to.\n",
    );
    text
}

fn environment() -> String {
    let mut text = "Flags win over the configuration file, and that over these variables.\n".to_owned();
    for variable in VARIABLES {
        text.push_str(&format!("\n  {}\n      {}\n", variable.names.join(", "), variable.meaning));
    }
    text
}
