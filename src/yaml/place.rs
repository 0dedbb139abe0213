//! Lines and columns, translated to byte offsets.
//!
//! The parser's own byte index is wrong after text that is not ASCII; its lines and columns (in characters) are right.
//! So offsets are found by counting characters. How many there are before every few hundred bytes is counted once, because a
//! line may be as long as the file.

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
    /// The number of characters before each block of bytes; nothing if the text is ASCII.
    before: Vec<u32>,
}

/// The size of a block.
const BLOCK: usize = 512;

impl Lines {
    /// Finds the line endings of `text`.
    pub fn of(text: &str) -> Lines {
        let bytes = text.as_bytes();
        let ends = memchr2_iter(b'\n', b'\r', bytes).filter(|at| !bytes[*at..].starts_with(b"\r\n"));
        let starts = once(0).chain(ends.map(|at| at as u32 + 1)).collect();
        let mut before = Vec::new();
        if !text.is_ascii() {
            let mut sum = 0;
            before.extend(bytes.chunks(BLOCK).map(|block| {
                let before = sum;
                sum += characters(block) as u32;
                before
            }));
        }
        Lines { starts, before }
    }

    /// Returns the byte offset of a line and column, both from 0; for a column past the end of the line, the end of the
    /// line.
    pub fn offset(&self, text: &str, line: usize, column: usize) -> usize {
        let Some(start) = self.start(line) else { return text.len() };
        let end = self.start(line + 1).unwrap_or(text.len());
        if self.before.is_empty() {
            return end.min(start + column);
        }
        let wanted = self.characters_before(text, start) + column;
        // The character starts in the last block that does not have more before it.
        let block = self.before.partition_point(|before| *before as usize <= wanted).saturating_sub(1);
        let ahead = wanted - self.before[block] as usize;
        let bytes = &text.as_bytes()[block * BLOCK..end.max(block * BLOCK)];
        let at = bytes.iter().enumerate().filter(|(_, byte)| is_first(**byte)).nth(ahead);
        at.map_or(end, |(at, _)| block * BLOCK + at)
    }

    /// Returns the column, from 0, of a byte offset in its line.
    pub fn column(&self, text: &str, offset: usize) -> usize {
        let start = self.start(self.line_at(offset)).unwrap_or_default();
        if self.before.is_empty() {
            return offset - start;
        }
        self.characters_before(text, offset) - self.characters_before(text, start)
    }

    /// Returns the number of characters before a byte offset, in a text that is not ASCII.
    fn characters_before(&self, text: &str, offset: usize) -> usize {
        let block = (offset / BLOCK).min(self.before.len() - 1);
        self.before[block] as usize + characters(&text.as_bytes()[block * BLOCK..offset])
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

/// Returns the number of characters that start in a part of a text.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_first(**byte)).count()
}

/// Returns whether a byte is the first of a character (RFC 3629, section 3).
fn is_first(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
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

    #[test]
    fn lines_of_any_length_are_counted_in_characters() {
        for word in ["abc ", "é ", "aé漢😀 "] {
            let (short, long) = (word.repeat(3), word.repeat(1_000));
            let text = format!("{short}\n{long}\r\n\n{long}\n{short}");
            let lines = Lines::of(&text);
            let mut start = 0;
            for (line, content) in text.split('\n').enumerate() {
                for (column, (at, _)) in content.char_indices().enumerate() {
                    assert_eq!(lines.offset(&text, line, column), start + at, "{word}: {line}, {column}");
                    assert_eq!(lines.column(&text, start + at), column, "{word}: {line}, {column}");
                }
                start += content.len() + 1;
                let end = start.min(text.len());
                assert_eq!(lines.offset(&text, line, content.chars().count() + 1), end, "{word}: {line}");
                assert_eq!(lines.offset(&text, line, usize::MAX >> 1), end, "{word}: {line}");
            }
        }
    }
}
