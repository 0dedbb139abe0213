//! Excerpts of texts from servers, for messages, the log and the status page.

use crate::text;

/// The most characters of a text that are shown.
const LONGEST: usize = 300;

/// Returns the beginning of a text, on one line and without characters that change how the rest is displayed. What was
/// cut off is counted.
pub fn excerpt(whole: &str) -> String {
    let mut shown: String = whole.chars().take(LONGEST).map(|c| if text::is_active(c) { ' ' } else { c }).collect();
    if whole.chars().nth(LONGEST).is_some() {
        shown.push_str(&format!("… ({} bytes)", whole.len()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_made_one_line() {
        assert_eq!(excerpt("as it was: é"), "as it was: é");
        assert_eq!(excerpt("two\r\nlines\u{1b}[31m\u{202e}"), "two  lines [31m ");
        let long = excerpt(&"é".repeat(4 << 20));
        assert!(long.ends_with("é… (8388608 bytes)") && long.chars().count() < LONGEST + 30, "{long}");
        assert_eq!(excerpt(&"x".repeat(LONGEST)).len(), LONGEST);
    }
}
