//! Lines and columns, translated to byte offsets.
//!
//! The parser's own byte index is wrong after text that is not ASCII; its lines and columns (in characters) are right.
//! So offsets are found by walking the line.

use std::iter::once;

use memchr::memchr2_iter;

/// A position as editors show it: counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The starts of all lines of a text. A line ends with `\n`, `\r\n` or a lone `\r`, as in YAML 1.2 section 5.4.
#[derive(Debug)]
pub struct Lines {
    // Files are smaller than 4 GiB, and may consist of line breaks.
    starts: Vec<u32>,
}

impl Lines {
    /// Finds the line endings of `text`.
    pub fn of(text: &str) -> Lines {
        let bytes = text.as_bytes();
        let ends = memchr2_iter(b'\n', b'\r', bytes).filter(|at| !bytes[*at..].starts_with(b"\r\n"));
        Lines { starts: once(0).chain(ends.map(|at| at as u32 + 1)).collect() }
    }

    /// Returns the byte offset of a line and column, both from 0; for a column past the end of the line, the end of the
    /// line.
    pub fn offset(&self, text: &str, line: usize, column: usize) -> usize {
        let Some(start) = self.start(line) else { return text.len() };
        let end = self.start(line + 1).unwrap_or(text.len());
        let content = &text[start..end];
        let ascii = content.as_bytes().get(..column).is_some_and(<[u8]>::is_ascii);
        if ascii {
            return start + column;
        }
        content.char_indices().nth(column).map_or(end, |(at, _)| start + at)
    }

    /// Returns the number of lines.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// Returns the line, from 0, that contains a byte offset.
    pub fn line_at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start as usize <= offset).saturating_sub(1)
    }

    /// Returns the bytes of a line, including its line ending.
    pub fn range(&self, text: &str, line: usize) -> std::ops::Range<usize> {
        let start = self.start(line).unwrap_or(text.len());
        start..self.start(line + 1).unwrap_or(text.len())
    }

    fn start(&self, line: usize) -> Option<usize> {
        self.starts.get(line).map(|start| *start as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_characters_and_all_line_ends() {
        let text = "a: é\r\nbé: x\rc: y\n";
        let lines = Lines::of(text);
        assert_eq!(&text[lines.offset(text, 0, 3)..][..2], "é");
        assert_eq!(&text[lines.offset(text, 1, 4)..][..1], "x");
        assert_eq!(&text[lines.offset(text, 2, 3)..][..1], "y");
        assert_eq!(lines.offset(text, 9, 0), text.len());
        assert_eq!(lines.offset(text, 1, 99), lines.offset(text, 2, 0));
        assert_eq!(lines.line_at(lines.offset(text, 2, 3)), 2);
    }
}
