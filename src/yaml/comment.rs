//! Comments after values. The parser skips them, so they are read from the bytes.

use std::collections::HashMap;

use memchr::memmem;

use super::node::{Kind, NodeId, Style};
use super::place::Place;
use super::scan::Scan;

/// A comment at the end of a line with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailingComment<'a> {
    /// The last value on the line before the comment.
    pub value: NodeId,
    /// The comment, from after its `#` to the end of the line.
    pub text: &'a str,
    /// The position of its `#`.
    pub place: Place,
}

/// Returns the comments after values that contain a word, in the order of the text. If there are none, this costs one
/// search over the bytes.
pub fn comments_with<'a>(scan: &Scan<'a>, word: &str) -> Vec<TrailingComment<'a>> {
    let text = scan.text();
    let mut comments = Vec::new();
    let mut last_on_line = None;
    let mut passed = 0;
    for at in memmem::find_iter(text.as_bytes(), word) {
        if at < passed {
            continue;
        }
        let line = scan.line_of(at);
        passed = line.end;
        let last_on_line = last_on_line.get_or_insert_with(|| last_scalars(scan));
        comments.extend(last_on_line.get(&line.start).and_then(|last| comment(scan, *last, at, line.end)));
    }
    comments
}

/// Returns the last scalar that starts on each line, by the start of the line.
fn last_scalars(scan: &Scan<'_>) -> HashMap<usize, NodeId> {
    let scalars = scan.ids().filter(|id| scan.span_in_text(*id).is_some());
    scalars.map(|id| (scan.line_of(scan.start(id)).start, id)).collect()
}

fn comment<'a>(scan: &Scan<'a>, last: NodeId, word: usize, line_end: usize) -> Option<TrailingComment<'a>> {
    let text = scan.text();
    let end = scan.span_in_text(last)?.end + usize::from(is_quoted(scan, last));
    let between = text.get(end..word)?;
    let hash = between.match_indices('#').map(|(at, _)| at).find(|at| between[..*at].ends_with([' ', '\t']))?;
    let closes = |c: char| matches!(c, ' ' | '\t' | ',' | ']' | '}');
    let value = if between[..hash].chars().all(closes) {
        last
    } else {
        // A key without a value: the parser places the empty scalar elsewhere.
        let rest = between[..hash].trim_start_matches([' ', '\t']).strip_prefix(':')?;
        let next = scan.next(last).filter(|next| scan.scalar(*next) == Some("") && !is_quoted(scan, *next));
        next.filter(|_| rest.chars().all(closes))?
    };
    let comment = text[end + hash + 1..line_end].trim_end_matches(['\r', '\n']);
    Some(TrailingComment { value, text: comment, place: scan.place_of(end + hash) })
}

fn is_quoted(scan: &Scan<'_>, id: NodeId) -> bool {
    matches!(scan.kind(id), Kind::Scalar { style: Style::SingleQuoted | Style::DoubleQuoted, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, &str, usize)> {
        let scan = Scan::read(text.as_bytes()).expect("valid YAML");
        let comments = comments_with(&scan, "mark");
        comments.into_iter().map(|c| (scan.path(c.value), c.text, c.place.column)).collect()
    }

    fn one(path: &str, text: &'static str, column: usize) -> Vec<(String, &'static str, usize)> {
        vec![(path.to_owned(), text, column)]
    }

    #[test]
    fn a_comment_belongs_to_the_last_value_before_it() {
        assert_eq!(found("a: x # mark 1\nb: y # other\n"), one("a", " mark 1", 6));
        assert_eq!(found("a: {b: 'é', c: \"#\" }\t# mark\r\nd: e"), one("a.c", " mark", 22));
        assert_eq!(found("- x # mark\n"), one("[0]", " mark", 5));
        assert_eq!(found("a: # mark\nb: c\n"), one("a", " mark", 4));
        assert_eq!(found("\u{feff}a: x # mark # mark"), one("a", " mark # mark", 6));
        assert_eq!(found("a: [\n  x\n]\nb: y # mark\n"), one("b", " mark", 6));
    }

    #[test]
    fn lookalikes_of_comments_are_ignored() {
        for text in [
            "# a: x # mark\n",
            "a: 'x # mark'\n",
            "a: x#mark\n",
            "a: |\n  b: x # mark\n",
            "a: mark\n",
            "a: # mark\n  b: c\n",
            "mark: x # other\n",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
