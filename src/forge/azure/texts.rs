//! Texts of pull requests. A description has 4000 characters at most, a comment 150,000, so a longer text goes into a
//! comment as a whole, and the description has its beginning.

use super::api::Identity;
use super::threads::{Place, Thread};

/// The longest description, in UTF-16 code units, which the server counts.
const LONGEST: usize = 4000;
/// The room for the end of a description that is not the whole text.
const ROOM: usize = 200;

/// The end of a description that is not the whole text.
const CONTINUED: &str = "\n\nA comment below has the whole text.\n\n<!-- tagalong: shortened -->\n";
/// The start of the comment with the whole text.
const WHOLE: &str = "<!-- tagalong: whole text -->\n";

/// A text, as it is written.
pub struct Parts {
    /// The description.
    pub description: String,
    /// The comment, if the description is not the whole text.
    pub comment: Option<String>,
}

/// Divides a text.
pub fn split(text: &str) -> Parts {
    if length(text) <= LONGEST {
        return Parts { description: text.to_owned(), comment: None };
    }
    // What follows in HTML comments is not for people.
    let shown = text.split("<!--").next().unwrap_or_default();
    let mut description = String::new();
    for line in shown.split_inclusive('\n') {
        if length(&description) + length(line) > LONGEST - ROOM {
            break;
        }
        description.push_str(line);
    }
    description.truncate(description.trim_end().len());
    description.push_str(CONTINUED);
    Parts { description, comment: Some(format!("{WHOLE}{text}")) }
}

/// Returns whether a description is not the whole text. Editors may change the blanks at its end.
pub fn goes_on(description: &str) -> bool {
    description.trim_end().ends_with(CONTINUED.trim())
}

/// Returns the whole text from the comments of the pull request's author.
pub fn text_of(threads: &[Thread], author: &Identity) -> Option<String> {
    of(threads, author).map(|(_, text)| text.to_owned())
}

/// Returns the place of the comment with the whole text.
pub fn comment_of(threads: &[Thread], author: &Identity) -> Option<Place> {
    of(threads, author).map(|(place, _)| place)
}

fn of<'t>(threads: &'t [Thread], author: &Identity) -> Option<(Place, &'t str)> {
    let own = threads.iter().filter_map(Thread::first_comment).filter(|(_, by, _)| by.id == author.id);
    own.filter_map(|(place, _, content)| Some((place, content.strip_prefix(WHOLE)?))).next_back()
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_go_into_a_comment_and_their_beginning_is_shown() {
        let short = split(&"é".repeat(LONGEST));
        assert!(short.comment.is_none() && !goes_on(&short.description));
        let text = format!("intro\n\n{}<!-- tagalong\nrecord\n-->\n", "| a 🚀 row |\n".repeat(600));
        let long = split(&text);
        assert!(length(&long.description) <= LONGEST, "{}", length(&long.description));
        assert!(long.description.starts_with("intro\n\n| a 🚀 row |\n") && goes_on(&long.description));
        assert!(!long.description.contains("record") && goes_on(long.description.trim_end()));
        assert_eq!(long.comment, Some(format!("{WHOLE}{text}")));
        let record = split(&format!("<!-- tagalong\n{}-->\n", "record\n".repeat(1000)));
        assert!(record.comment.is_some() && goes_on(&record.description));
    }

    #[test]
    fn only_the_author_has_the_whole_text_and_the_last_one_counts() {
        let thread = |id: u64, author: &str, content: &str| -> Thread {
            let comment = serde_json::json!({ "id": 1, "author": { "id": author }, "content": content });
            serde_json::from_value(serde_json::json!({ "id": id, "comments": [comment] })).expect("a thread")
        };
        let bot: Identity = serde_json::from_value(serde_json::json!({ "id": "bot" })).expect("an identity");
        let threads = [
            thread(1, "bot", &format!("{WHOLE}first")),
            thread(2, "bot", &format!("{WHOLE}second")),
            thread(3, "bot", "hello"),
            thread(4, "mallory", &format!("{WHOLE}third")),
        ];
        assert_eq!(text_of(&threads, &bot).as_deref(), Some("second"));
        assert_eq!(text_of(&threads[3..], &bot), None);
    }
}
