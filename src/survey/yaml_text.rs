//! YAML that is written for people: plain where that is safe, quoted elsewhere.

/// Words that YAML readers take for something else than text.
const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// Writes a text as a scalar.
pub fn scalar(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b'@'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    // A string of JSON is one of YAML.
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// Writes a comment with lines of at most 110 characters. Those of an item of a list are indented.
pub fn comment(indent: usize, text: &str) -> String {
    let margin = format!("{}#", " ".repeat(indent));
    let below = if text.starts_with("- ") { format!("{margin}  ") } else { margin.clone() };
    let (mut lines, mut line) = (String::new(), margin);
    for (index, word) in text.split_whitespace().enumerate() {
        if line.len() + word.len() > LONGEST && index > 0 && line.len() > below.len() {
            lines.push_str(&format!("{line}\n"));
            line = below.clone();
        }
        line.push(' ');
        // Nothing that a commit or a file says may end the comment.
        line.extend(word.chars().filter(|c| !c.is_control()));
    }
    format!("{lines}{line}\n")
}

const LONGEST: usize = 110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_read_as_they_were() {
        for text in ["ghcr.io/a/b", "*", "1.x", "yes", "a: b", "{app}", "# x", "", "ssh://git@x/y", "tab\tline\n", "é"]
        {
            let written = format!("key: {}\n", scalar(text));
            let scan = crate::yaml::scan::Scan::read(written.as_bytes()).expect("valid YAML");
            let (_, root) = scan.documents().next().expect("a document");
            assert_eq!(scan.get_scalar(root, "key"), Some(text));
        }
    }

    #[test]
    fn comments_are_wrapped_and_stay_comments() {
        let text = comment(2, &"word ".repeat(60));
        assert!(text.lines().all(|line| line.starts_with("  # ") && line.len() <= LONGEST + 1), "{text}");
        assert_eq!(comment(0, "a\nb: \u{85}c"), "# a b: c\n");
    }
}
