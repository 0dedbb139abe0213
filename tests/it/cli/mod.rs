//! The command line: what it reports, what it rejects, and the demo.

mod bad_input;
mod demo;
mod failing_registries;
mod here;
mod hostile_text;
mod idle;
mod init;
mod json;
mod outcomes;
mod shells;
mod status;
mod terminal;
