//! Translates patterns in Go's syntax, as used in files and `.sops.yaml`, for Rust's regex crate. Both descend from
//! RE2; they differ in classes (`\d` is ASCII in Go, `[` needs no escape within brackets).

use regex::{Regex, RegexBuilder};

/// A pattern that is not valid, or not supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{pattern}` is not supported")]
pub struct RegexError {
    pattern: String,
}

/// The memory that a compiled pattern may take, in bytes. A few characters can ask for a lot, and a file can have many
/// patterns.
const MAX_SIZE: usize = 1 << 20;

/// Compiles a pattern in Go's syntax.
pub fn compile(pattern: &str) -> Result<Regex, RegexError> {
    let error = || RegexError { pattern: pattern.to_owned() };
    let translated = translate(pattern).ok_or_else(error)?;
    RegexBuilder::new(&translated).size_limit(MAX_SIZE).build().map_err(|_| error())
}

fn translate(pattern: &str) -> Option<String> {
    let mut translated = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let escaped = after.chars().next()?;
                let tail = &after[escaped.len_utf8()..];
                if escaped == 'Q' && !in_class {
                    let (quoted, tail) = tail.split_once("\\E").unwrap_or((tail, ""));
                    translated.push_str(&regex::escape(quoted));
                    rest = tail;
                    continue;
                }
                push_escape(&mut translated, escaped, in_class);
                rest = tail;
            }
            '[' if in_class && after.starts_with(':') => {
                let end = after.find(":]")?;
                translated.push_str(&rest[..end + 3]);
                rest = &rest[end + 3..];
            }
            // Within brackets, these are literal in Go but have a meaning in Rust.
            '[' | '&' | '~' if in_class => {
                translated.push('\\');
                translated.push(c);
                rest = after;
            }
            '[' => {
                in_class = true;
                translated.push('[');
                rest = after;
                if let Some(negated) = rest.strip_prefix('^') {
                    translated.push('^');
                    rest = negated;
                }
                if let Some(bracket) = rest.strip_prefix(']') {
                    translated.push_str("\\]");
                    rest = bracket;
                }
            }
            _ => {
                in_class &= c != ']';
                translated.push(c);
                rest = after;
            }
        }
    }
    Some(translated)
}

/// Writes an escape. Go's classes are ASCII.
fn push_escape(translated: &mut String, escaped: char, in_class: bool) {
    let (class, negated) = match escaped.to_ascii_lowercase() {
        'd' => ("0-9", escaped == 'D'),
        'w' => ("0-9A-Za-z_", escaped == 'W'),
        's' => ("\\t\\n\\f\\r ", escaped == 'S'),
        _ => {
            let boundary = matches!(escaped, 'b' | 'B') && !in_class;
            let text = if boundary { format!("(?-u:\\{escaped})") } else { format!("\\{escaped}") };
            translated.push_str(&text);
            return;
        }
    };
    match (in_class, negated) {
        (true, false) => translated.push_str(class),
        (_, false) => translated.push_str(&format!("[{class}]")),
        (_, true) => translated.push_str(&format!("[^{class}]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_the_same_as_in_go() {
        let matches = |pattern: &str, text: &str| compile(pattern).expect(pattern).is_match(text);
        assert!(matches("^(data|stringData)$", "stringData"));
        assert!(matches(r"secrets/.*\.ya?ml$", "apps/secrets/x.yaml"));
        assert!(matches(r"^\d+$", "12") && !matches(r"^\d+$", "१२"));
        assert!(matches(r"[\w.-]+", "a-b") && matches(r"[[.]x", "[x"));
        assert!(matches(r"[^\s]", "a") && matches(r"[\D]", "a") && !matches(r"[^\D]", "a"));
        assert!(matches(r"\Qa.b\E$", "a.b") && !matches(r"\Qa.b\E", "axb"));
        assert!(matches("(?i)PASSWORD", "Password"));
        assert!(matches("[[:alpha:]]", "x") && matches("[]a]", "]"));
        assert!(matches(r"\bkey\b", "a key b"));
    }

    #[test]
    fn unsupported_patterns_are_refused() {
        assert_eq!(compile("(").expect_err("no pattern").to_string(), "the pattern `(` is not supported");
        assert!(compile("((a{100}){100}){100}").is_err());
        assert!(compile(&"(".repeat(100_000)).is_err());
    }
}
