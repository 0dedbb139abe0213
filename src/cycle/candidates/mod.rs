//! The tags in the registries, as far as policies need to know them.
//!
//! - [`round`]: one scan of the repositories of all images
//! - [`scan`]: the scan of one repository
//! - `minimum_age`: the part of it that is about the minimum age of images
//! - [`inspector`]: the inspection of its images
//! - [`scan_notes`]: the notes of scans
//! - [`findings_cache`]: the findings that are kept from one cycle to the next
//! - [`validity`]: the conditions under which they remain valid
//! - [`progress`]: the progress of a scan that takes longer than a cycle
//! - [`builds`]: the builds that tags belong to, and digit-only tags that may be commits
//! - [`commit_order`]: the order of tags by the history of their source branch
//! - [`source_histories`]: those histories, each fetched once

pub mod builds;
pub mod commit_order;
pub mod findings_cache;
pub mod inspector;
mod minimum_age;
pub mod progress;
pub mod round;
pub mod scan;
pub mod scan_notes;
pub mod source_histories;
pub mod validity;
