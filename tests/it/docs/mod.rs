//! The documentation, held to the code.

mod configuration;
mod links_and_commands;
