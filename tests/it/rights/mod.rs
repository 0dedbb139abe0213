//! Missing rights: named for what they are, at once, and found by `tagalong check` before they are needed.

mod check;
mod forge;
mod git;
