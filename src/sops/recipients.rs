//! To whom a file is encrypted.

/// To whom a file is encrypted: groups of age recipients, and how many groups are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipients {
    /// The groups. With more than one, each gets a share of the data key.
    pub groups: Vec<Vec<String>>,
    /// How many groups are needed; all of them if it says nothing.
    pub threshold: Option<usize>,
}
