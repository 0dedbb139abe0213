//! Image fields: how they are found, kept and edited.

mod edits;
mod encrypted_files;
mod names;
mod tree_cache;
