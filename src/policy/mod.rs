//! The tag that an image should have: policies, the order of tags, the choice of one, and the reasons for choosing
//! none.
//!
//! - [`rule`]: policies and the images that they govern
//! - [`tags`]: the tags that fit a policy, by their names alone
//! - [`range`]: version ranges, as Flux and Helm users write them
//! - [`calver`]: calendar versions and their formats
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
//! - [`dates`]: the dates of an image, and which of them are believed
//! - [`minimum_age`]: images that are too young for their policy
//! - [`no_choice`]: the reasons for choosing none
//! - [`origin`]: the proof of origin that a policy requires
//! - [`scope`]: the images that a cycle is about
//! - [`retention`]: the tags that a cleanup of the registry would delete
//!
//! ```
//! use tagalong::image::Tag;
//! use tagalong::policy::no_choice::NoChoice;
//! use tagalong::policy::range::Range;
//! use tagalong::policy::seen::{Current, Position, Seen};
//! use tagalong::policy::tags::{Filter, TagRule};
//!
//! let rule = TagRule::Semver { range: Range::parse("^1.4")?, filter: Filter::default() };
//! let tag = |text: &str| text.parse::<Tag>();
//! let listed = [tag("1.4.2")?, tag("1.10.0")?, tag("2.0.0")?, tag("latest")?].map(Seen::from);
//! let current = |tag| Current { tag, position: Position::NotQueried, build: None };
//!
//! assert_eq!(rule.choose(&listed, Some(&current(tag("1.4.2")?)))?, tag("1.10.0")?);
//! let newer = rule.choose(&listed, Some(&current(tag("1.11.0")?)));
//! assert!(matches!(newer, Err(NoChoice::OnlyOlder { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod build;
pub mod builds;
pub mod calver;
pub mod choose;
mod contest;
pub mod dates;
pub mod digits;
pub mod first_parent_history;
pub mod form;
pub mod likely_newest;
pub mod minimum_age;
pub mod no_choice;
pub mod number;
pub mod order;
pub mod origin;
pub mod range;
pub mod retention;
pub mod rule;
pub mod scope;
pub mod seen;
pub mod tag_patterns;
pub mod tags;
