//! YAML as bytes: each value with its position, and edits that leave everything else untouched.
//!
//! - [`node`]: nodes, and the parser that produces them
//! - [`scan`]: a file as a list of nodes with their positions
//! - [`comment`]: comments after values
//! - `patch`: a single replacement of bytes
//! - [`place`]: lines and columns, translated to byte offsets
//! - [`plain`]: texts that change their meaning when written without quotes
//! - [`extent`]: the end of each scalar, and the comments between scalars
//! - `span`: nodes, translated to byte ranges
//! - [`splice`]: edits, each verified by parsing the result; [`splice_error`]: why an edit was refused

pub mod comment;
pub mod extent;
pub mod node;
mod patch;
pub mod place;
pub mod plain;
pub mod scan;
mod span;
pub mod splice;
pub mod splice_error;
