//! The lines that a change of a file replaced one for one, as an update of a tag does.

use similar::DiffOp;

use crate::diff;

/// The number of lines between the first and the last difference from which a change is passed over.
const LONGEST: usize = 4_000;

/// A line that was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacedLine<'t> {
    /// Its number after the change, from 0.
    pub at: usize,
    /// The line before.
    pub before: &'t str,
    /// The line after.
    pub after: &'t str,
}

/// Returns the lines that were replaced one for one.
pub fn replaced<'t>(before: &[&'t str], after: &[&'t str]) -> Vec<ReplacedLine<'t>> {
    let head = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let (before, after_rest) = (&before[head..], &after[head..]);
    let tail = before.iter().rev().zip(after_rest.iter().rev()).take_while(|(one, other)| one == other).count();
    let (before, after) = (&before[..before.len() - tail], &after_rest[..after_rest.len() - tail]);
    if before.len() == after.len() {
        let pairs = before.iter().zip(after).enumerate().filter(|(_, (one, other))| one != other);
        return pairs.map(|(index, (before, after))| ReplacedLine { at: head + index, before, after }).collect();
    }
    if before.len().max(after.len()) > LONGEST {
        return Vec::new();
    }
    let replacements = diff::steps(before, after).into_iter().filter_map(|op| match op {
        DiffOp::Replace { old_index, old_len, new_index, new_len } if old_len == new_len => {
            Some((old_index, new_index, old_len))
        }
        _ => None,
    });
    let lines = replacements.flat_map(|(old, new, count)| (0..count).map(move |index| (old + index, new + index)));
    lines.map(|(old, new)| ReplacedLine { at: head + new, before: before[old], after: after[new] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_lines_are_found_among_others() {
        let lines = |before: &str, after: &str| -> Vec<String> {
            let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
            let show = |line: ReplacedLine<'_>| format!("{}: {} -> {}", line.at, line.before, line.after);
            replaced(&before, &after).into_iter().map(show).collect()
        };
        assert_eq!(lines("a\nb\nc\n", "a\nB\nc\n"), ["1: b -> B"]);
        assert_eq!(lines("a\nb\nc\nd\n", "A\nb\nc\nD\n"), ["0: a -> A", "3: d -> D"]);
        assert_eq!(lines("a\nb\nc\n", "a\nnew\nb\nC\n"), ["3: c -> C"]);
        assert_eq!(lines("a\nb\n", "a\n"), Vec::<String>::new());
        assert_eq!(lines("a\n", "a\n"), Vec::<String>::new());
    }
}
