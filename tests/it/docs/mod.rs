//! The documentation, checked against the code.

mod book;
mod configuration;
mod links_and_commands;
mod module_map;
mod pages;
mod tables;
