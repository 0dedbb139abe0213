//! Missing rights: named for what they are, at once.

mod git;
