//! The documentation, checked against the code.

mod book;
mod configuration;
mod links_and_commands;
mod metrics;
mod module_map;
mod pages;
mod schemas;
mod tables;
mod topics;
