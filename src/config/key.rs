//! Keys of the configuration file, and the types of their values.

/// A key of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its full path, such as `git.ssh.keyFile`, or `policies[].images` for the items of a list.
    pub path: String,
    /// The type of its value.
    pub kind: Kind,
}

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A mapping.
    Section,
    /// A list of mappings.
    Sections,
    /// A string.
    Text,
    /// A string or a number.
    TextOrNumber,
    /// A list of strings.
    Texts,
    /// A string or a mapping.
    TextOrSection,
    /// A string, a list of strings, or a mapping.
    TextsOrSection,
    /// A list of strings and mappings.
    TextsAndSections,
    /// One of these words.
    Choice(Vec<&'static str>),
    /// A non-negative whole number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A duration such as `30s`.
    Duration,
}
