//! YAML as bytes: where each value stands, and how to change one without touching the rest.
//!
//! - [`node`]: nodes, and the parser that gives them
//! - [`scan`]: a file as nodes with their places
//! - [`comment`]: comments behind values
//! - [`patch`]: one change to bytes
//! - [`place`]: lines and columns to bytes
//! - [`plain`]: which texts change their meaning when written without quotes
//! - [`extent`]: where each scalar ends, and the comments between them
//! - [`span`]: nodes to bytes
//! - [`splice`]: changes to bytes, each proved by a second reading; [`splice_error`]: why one was not made

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
