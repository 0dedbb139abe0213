//! A key of the configuration file, and what it holds.

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
