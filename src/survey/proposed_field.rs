//! A proposed rule under `fields`.

use super::evidence::Evidence;
use super::movements::{Movement, Place};

/// A value that moved.
pub type Moved<'m> = (&'m Place, &'m Movement);

/// A proposed rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedField {
    /// `file`.
    pub file: String,
    /// `path`.
    pub path: String,
    /// `image`; `None` if the value is a complete reference.
    pub image: Option<String>,
    /// Where the name of the image comes from.
    pub because: String,
    /// True if the registry has to be filled in.
    pub is_incomplete: bool,
    /// The places that it was made from.
    pub places: Vec<Place>,
    /// Their moves.
    pub evidence: Evidence,
}
