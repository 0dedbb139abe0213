//! The files and image fields of a tip. Folders that did not change are not walked again, and files that were read once
//! are not read again.
//!
//! - [`cache`]: the tree of the last tip, with what its files say
//! - [`walk`]: its folders, brought up to date

pub mod cache;
pub mod walk;
