//! Values of charts, which Helm merges from several files: a file may hold only the tag of an image whose name another
//! file holds at the same path.
//!
//! - [`keys`]: the keys of a reference's parts
//! - [`facts`]: what one file contributes: names by path, releases, dependencies of a chart
//! - [`outline`]: what a file may need from others, judged by its lines
//! - [`read`]: reads those from a document
//! - [`layers`]: the files whose values are merged with those of a file, and the names that result

pub mod facts;
pub(super) mod keys;
pub(super) mod layers;
pub(super) mod outline;
pub(super) mod read;
