//! One image on the status page.

use jiff::Timestamp;

use crate::cycle::status::ImageStatus;

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its status. What the cycle moved is already in it.
    pub status: ImageStatus,
    /// The time since when its status is unchanged, as far as this agent has seen.
    pub since: Timestamp,
    /// The commit that brought its current version, if this agent made it.
    pub commit: Option<String>,
}
