//! Texts for Bitbucket, which shows HTML comments as text. A code block around one at least makes it look like what it is.

/// The start and the end of a comment, and of one in a code block.
const COMMENT: (&str, &str) = ("<!-- tagalong\n", "\n-->\n");
const BLOCK: (&str, &str) = ("```\n<!-- tagalong\n", "\n-->\n```\n");

/// Puts comments into code blocks.
pub fn put(text: &str) -> String {
    text.replace(COMMENT.0, BLOCK.0).replace(COMMENT.1, BLOCK.1)
}

/// Takes comments out of code blocks.
pub fn take_away(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n");
    // Blanks at the end may get lost.
    if text.ends_with("\n-->\n```") {
        text.push('\n');
    }
    text.replace(BLOCK.0, COMMENT.0).replace(BLOCK.1, COMMENT.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_survive_in_code_blocks() {
        let text = "intro\n\n<!-- tagalong\nrecord\n-->\n";
        let put = put(text);
        assert_eq!(put, "intro\n\n```\n<!-- tagalong\nrecord\n-->\n```\n");
        for kept in [put.clone(), put.trim_end().to_owned(), put.replace('\n', "\r\n")] {
            assert_eq!(take_away(&kept), text);
        }
        assert_eq!(take_away("```\ncode\n```\n"), "```\ncode\n```\n");
    }
}
