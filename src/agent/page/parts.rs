//! Small parts of the page: times, commits, numbers, and shortened lists and texts.

use std::borrow::Cow;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::agent::link::CommitLink;
use crate::cycle::status::State;
use crate::plan::skip::Reason;
use crate::text;

/// The maximum length of an error or a reason that is shown, in characters.
const MAX_LENGTH: usize = 500;

/// A value that may be missing, which screen readers read as a word.
pub fn optional(value: Option<&str>) -> Markup {
    html! {
        @match value {
            Some(value) => code { (shortened(value)) },
            None => { span aria-hidden="true" { "–" } span .unseen { "none" } },
        }
    }
}

/// A commit, with a link if there is one.
pub fn commit(id: &str, link: Option<&CommitLink>) -> Markup {
    let short: String = id.chars().take(7).collect();
    html! {
        @match link {
            Some(link) => a href=(link.to(id)) { "commit " code { (short) } },
            None => { "commit " code { (short) } },
        }
    }
}

/// A time, readable for people and machines.
pub fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) { (at.strftime("%Y-%m-%d %H:%M:%S UTC")) } }
}

/// Returns the text for a state.
pub fn label(state: State) -> &'static str {
    match state {
        State::UpToDate | State::Kept(Reason::UpToDate) => "up to date",
        State::Kept(Reason::NoCandidate) => "no candidate",
        State::Kept(Reason::Soaking) => "soaking",
        State::Kept(Reason::Check) => "waiting for checks",
        State::Kept(Reason::Window) => "window closed",
        State::Kept(Reason::Approval) => "waiting for approval",
        State::Kept(Reason::Incomplete) => "incomplete",
        State::Updating => "updating",
        State::Kept(Reason::Suspended) => "suspended",
        State::Kept(Reason::Held) => "held",
        State::Kept(Reason::RegistryError) => "registry error",
        State::Kept(Reason::BlockedSecret) => "blocked: secret",
        State::Kept(Reason::BlockedImage) => "blocked: image",
    }
}

/// Formats a number with separators: `4,312`.
pub fn number(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the first items of a list, and the number of the others.
pub fn first<T>(all: &[T], most: usize) -> (&[T], usize) {
    let shown = all.len().min(most);
    (&all[..shown], all.len() - shown)
}

/// Returns a foreign text, or the start of a very long one, without characters that would reorder the text around it.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text::lines(text) {
        Cow::Borrowed(text) => text::cut(text, MAX_LENGTH),
        Cow::Owned(text) => Cow::Owned(text::cut(&text, MAX_LENGTH).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_long_texts_cut_between_characters() {
        assert_eq!([0, 999, 4312, 1_000_000].map(number), ["0", "999", "4,312", "1,000,000"]);
        assert_eq!(shortened(&"é".repeat(MAX_LENGTH)), "é".repeat(MAX_LENGTH));
        assert_eq!(shortened(&"é".repeat(MAX_LENGTH + 1)), format!("{}…", "é".repeat(MAX_LENGTH)));
        assert_eq!(shortened("a\u{202e}b"), r"a\u{202e}b");
        assert_eq!((first(&[1, 2, 3], 2), first(&[1], 2)), ((&[1, 2][..], 1), (&[1][..], 0)));
    }
}
