//! Something that somebody has to do something about.

use jiff::Timestamp;
use maud::Markup;

/// Something that somebody has to do something about.
pub struct Item {
    /// What it is about.
    pub subject: Markup,
    /// Its state.
    pub state: Markup,
    /// What is wrong.
    pub text: Markup,
    /// What to do about it.
    pub remedy: Markup,
    /// Since when that is so.
    pub since: Option<Timestamp>,
    /// The number of images that it concerns.
    pub count: usize,
}
