//! Every key that a configuration file may hold, recorded by the very code that reads such files.

use super::agent_file;
use super::diagnostics::Diagnostics;
use super::document::nothing;
use super::key::Key;

/// Returns the keys of the agent's file, in the order in which they are read.
pub fn keys() -> Vec<Key> {
    let diagnostics = Diagnostics::recording_keys();
    agent_file::read(nothing(), &|_| None, &diagnostics);
    diagnostics.into_keys()
}
