//! Which tag an image should have: what a policy says, how tags are ordered, which one is chosen and why none is.
//!
//! - [`rule`]: which images a policy governs
//! - [`tags`]: which tags fit a policy, by their names alone
//! - [`range`]: version ranges, as Flux and Helm users write them
//! - [`tag_patterns`]: which tags may be chosen at all
//! - [`order`]: what tells which of two tags is newer, where their names do not
//! - [`first_parent_history`]: the history of a branch, in which commits are looked up
//! - [`likely_newest`]: which tags are likely to be the newest
//! - [`number`]: numbers of any length, compared exactly
//! - [`form`]: what tags have besides the commit or version that they name
//! - [`builds`]: which tags are of one build
//! - [`digits`]: SHAs that are digits alone
//! - `contest`: which of several builds a field should hold, and by which of its tags
//! - [`choose`]: the choice
//! - [`no_choice`]: why there is none
//! - [`scope`]: which images a pass is about
//! - [`retention`]: what a cleanup of the registry would delete

pub mod builds;
pub mod choose;
mod contest;
pub mod digits;
pub mod first_parent_history;
pub mod form;
pub mod likely_newest;
pub mod no_choice;
pub mod number;
pub mod order;
pub mod range;
pub mod retention;
pub mod rule;
pub mod scope;
pub mod tag_patterns;
pub mod tags;
