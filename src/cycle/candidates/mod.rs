//! The tags that registries have, as far as policies need to know them.
//!
//! - [`round`]: one cycle over the repositories of all images
//! - [`scan`]: the tags of one repository
//! - [`scan_notes`]: what scans have to report besides the tags
//! - [`findings_cache`]: findings that are kept from one cycle to the next
//! - [`validity`]: how long they hold
//! - [`progress`]: how far a scan has come that takes longer than a cycle
//! - [`builds`]: the tags that belong to one build, and digits that may be commits
//! - [`commit_order`]: the position of tags in the history of their source branch
//! - [`source_histories`]: those histories, each fetched once

pub mod builds;
pub mod commit_order;
pub mod findings_cache;
pub mod progress;
pub mod round;
pub mod scan;
pub mod scan_notes;
pub mod source_histories;
pub mod validity;
