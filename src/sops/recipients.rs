//! The recipients of a file.

/// The recipients of a file: groups of age recipients, and the number of groups that are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipients {
    /// The groups. With more than one, each gets a share of the data key.
    pub groups: Vec<Vec<String>>,
    /// The number of groups that are needed; all of them if `None`.
    pub threshold: Option<usize>,
}
