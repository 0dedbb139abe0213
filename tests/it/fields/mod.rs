//! Image fields: how they are found, kept and edited.

mod edits;
mod encrypted_files;
mod tree_cache;
