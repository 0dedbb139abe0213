//! The files and image fields of a tip. Unchanged folders are not walked again, and files are read only once.
//!
//! - [`cache`]: the tree of the last tip, with the readings of its files
//! - [`walk`]: its folders, updated to a new tip

pub mod cache;
pub mod walk;
