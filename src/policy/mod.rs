//! The tag that an image should have: policies, the order of tags, the choice of one, and the reasons for choosing
//! none.
//!
//! - [`rule`]: policies and the images that they govern
//! - [`tags`]: the tags that fit a policy, by their names alone
//! - [`range`]: version ranges, as Flux and Helm users write them
//! - [`tag_patterns`]: patterns that allow or exclude tags
//! - [`order`]: the order of tags whose names do not tell which is newer
//! - [`first_parent_history`]: the history of a branch, in which commits are looked up
//! - [`likely_newest`]: guesses which tags are the newest
//! - [`number`]: numbers of any length, compared exactly
//! - [`form`]: the form of a tag around the commit or version that it names
//! - [`build`]: the build that a tag belongs to; [`builds`]: groups tags by build
//! - [`digits`]: SHAs that consist of digits only
//! - `contest`: chooses among builds, and among the tags of a build
//! - [`seen`]: tags with what is known about them; [`choose`]: the choice of a tag
//! - [`no_choice`]: the reasons for choosing none
//! - [`scope`]: the images that a cycle is about
//! - [`retention`]: the tags that a cleanup of the registry would delete

pub mod build;
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
pub mod seen;
pub mod tag_patterns;
pub mod tags;
