//! The documentation, checked against the code.

mod configuration;
mod links_and_commands;
mod module_map;
mod schemas;
mod tables;
mod topics;
