//! Every key that a file may hold, told by the very code that reads files.

use super::reader::{Diagnostics, nothing};
use super::sections;

/// A key with its whole path: `git.ssh.keyFile`; of items of a list, `policies[].images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The path.
    pub path: String,
    /// What it holds.
    pub kind: Kind,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A mapping.
    Section,
    /// A list of mappings.
    Sections,
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// A text, or a mapping.
    TextOrSection,
    /// One of these words.
    Choice(Vec<&'static str>),
    /// A whole number from 0.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A duration such as `30s`.
    Duration,
}

/// The keys of the agent's own file, in the order in which they are read.
pub fn keys() -> Vec<Key> {
    let diagnostics = Diagnostics::recording_keys();
    sections::agent_file(nothing(), &|_| None, &diagnostics);
    diagnostics.into_keys()
}
