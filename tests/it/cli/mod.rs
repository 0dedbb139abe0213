//! The command line: what it reports, what it refuses, and the demo.

mod bad_input;
mod demo;
mod status;
