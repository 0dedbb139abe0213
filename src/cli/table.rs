//! Tables that fit the terminal. Where a table is too wide, columns without content go first, git SHAs are abbreviated,
//! prose moves below its row, the least important columns are left out, and names are shortened in the middle. Nothing
//! else is ever cut: a row that is still too wide continues on the next line.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::error::CliError;
use super::output::{self, safe};
use super::terminal;

/// Something is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something is about to change.
pub const BUSY: Style = AnsiColor::Cyan.on_default();
/// Something waits, as somebody decided.
pub const WAITING: Style = AnsiColor::Yellow.on_default();
/// Something needs attention.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something matters less than the rest.
pub const MINOR: Style = Style::new().dimmed();

/// The text of a cell without content.
pub const NOTHING: &str = "-";
/// The blanks between columns.
const GAP: usize = 2;
/// The indentation of what continues a row.
const INDENT: usize = 4;
/// The width to which names are shortened at most.
const SHORTEST_NAME: usize = 14;

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    title: String,
    kind: Kind,
    /// Columns with the highest number are left out first; those with 0 never are.
    rank: u8,
}

/// What a column holds, which decides how it is made narrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Words and versions, which are never shortened.
    Word,
    /// Names, which are shortened in the middle.
    Name,
    /// Sentences, which may move below the row.
    Prose,
}

impl Column {
    /// Makes a column of words or versions, which are never cut.
    pub fn word(title: impl Into<String>) -> Column {
        Column { title: title.into(), kind: Kind::Word, rank: 0 }
    }

    /// Makes a column of names, which may be shortened in the middle.
    pub fn name(title: impl Into<String>) -> Column {
        Column { kind: Kind::Name, ..Column::word(title) }
    }

    /// Makes a column of sentences.
    pub fn prose(title: impl Into<String>) -> Column {
        Column { kind: Kind::Prose, ..Column::word(title) }
    }

    /// Makes the column one that may be left out: those with the highest rank first.
    pub fn rank(self, rank: u8) -> Column {
        Column { rank, ..self }
    }
}

/// A cell.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    /// A shorter form of the text.
    brief: Option<String>,
    style: Style,
    /// True if its prose is left out rather than moved below the row.
    is_minor: bool,
}

impl Cell {
    /// Gives the text a style.
    pub fn styled(self, style: Style) -> Cell {
        Cell { style, ..self }
    }

    /// Adds a shorter form of the text, for where there is little room.
    pub fn or_brief(self, brief: impl Into<String>) -> Cell {
        Cell { brief: Some(safe(&brief.into())), ..self }
    }

    /// Makes its prose one that is left out where there is little room.
    pub fn minor(self) -> Cell {
        Cell { is_minor: true, ..self }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: safe(&text.into()), brief: None, style: Style::new(), is_minor: false }
    }
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// How a table is shown in some width.
struct Layout<'t> {
    table: &'t Table,
    /// The columns that are shown, with their widths.
    shown: Vec<(usize, usize)>,
    is_brief: bool,
    /// The column of prose, if it is shown below the rows.
    below: Option<usize>,
}

impl Table {
    /// Makes a table without rows.
    pub fn new(columns: Vec<Column>) -> Table {
        Table { columns, rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column. The texts may be foreign.
    pub fn add(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Formats the table for a terminal with this many columns.
    pub fn render(&self, width: usize) -> String {
        let layout = Layout::new(self, width);
        let bold = Style::new().bold();
        let titles: Vec<Cell> =
            self.columns.iter().map(|column| Cell::from(column.title.as_str()).styled(bold)).collect();
        let mut text = layout.line(&titles, width);
        for row in &self.rows {
            text.push_str(&layout.line(row, width));
            let prose = layout.below.map(|index| &row[index]);
            if let Some(prose) = prose.filter(|cell| !cell.is_minor && !cell.text.is_empty()) {
                let (lines, style) = (wrapped(&prose.text, width.saturating_sub(INDENT)), prose.style);
                text.extend(lines.iter().map(|line| format!("{:INDENT$}{style}{line}{style:#}\n", "")));
            }
        }
        text
    }
}

/// Prints a table in the width of the terminal, and what follows it.
pub fn print(table: &Table, end: &str) -> Result<(), CliError> {
    output::print(&format!("{}{end}", table.render(terminal::width())))
}

impl<'t> Layout<'t> {
    fn new(table: &'t Table, width: usize) -> Layout<'t> {
        let is_empty = |index: usize| table.rows.iter().all(|row| row[index].text.is_empty());
        let is_shown = |index: &usize| table.columns[*index].rank == 0 || !is_empty(*index);
        let shown = (0..table.columns.len()).filter(is_shown).map(|index| (index, 0)).collect();
        let mut layout = Layout { table, shown, is_brief: false, below: None };
        layout.measure();
        if layout.fits(width) {
            return layout;
        }
        let has_content = |index: usize| table.rows.iter().any(|row| row[index].text != NOTHING);
        layout.shown.retain(|(index, _)| has_content(*index) || table.columns[*index].rank == 0);
        if !layout.fits(width) {
            layout.is_brief = true;
            layout.measure();
        }
        if !layout.fits(width) {
            let is_prose = |(index, _): &&(usize, usize)| table.columns[*index].kind == Kind::Prose;
            layout.below = layout.shown.iter().find(is_prose).map(|(index, _)| *index);
            layout.shown.retain(|(index, _)| Some(*index) != layout.below);
        }
        while !layout.fits(width) {
            let ranks = layout.shown.iter().map(|(index, _)| table.columns[*index].rank);
            let Some(highest) = ranks.max().filter(|rank| *rank > 0) else { break };
            layout.shown.retain(|(index, _)| table.columns[*index].rank != highest);
        }
        layout.shorten_names(width);
        layout
    }

    fn text<'c>(&self, cell: &'c Cell) -> &'c str {
        cell.brief.as_deref().filter(|_| self.is_brief).unwrap_or(&cell.text)
    }

    fn measure(&mut self) {
        let table = self.table;
        for position in 0..self.shown.len() {
            let (index, _) = self.shown[position];
            let cells = table.rows.iter().map(|row| self.text(&row[index]).width());
            let widest = cells.chain([table.columns[index].title.width()]).max().unwrap_or_default();
            self.shown[position].1 = widest;
        }
    }

    fn total(&self) -> usize {
        self.shown.iter().map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP)
    }

    fn fits(&self, width: usize) -> bool {
        self.total() <= width
    }

    /// Takes room from the widest names until the table fits.
    fn shorten_names(&mut self, width: usize) {
        for _ in width..self.total() {
            let is_name = |(index, width): &&mut (usize, usize)| {
                self.table.columns[*index].kind == Kind::Name && *width > SHORTEST_NAME
            };
            let Some((_, widest)) = self.shown.iter_mut().filter(is_name).max_by_key(|(_, width)| *width) else {
                return;
            };
            *widest -= 1;
        }
    }

    /// Formats a row. Cells that do not fit continue on the next line.
    fn line(&self, row: &[Cell], most: usize) -> String {
        let mut text = String::new();
        let (mut at, mut pending) = (0, 0);
        for (index, width) in &self.shown {
            let cell = &row[*index];
            let shown = match self.table.columns[*index].kind {
                Kind::Name => shortened(self.text(cell), *width),
                _ => self.text(cell).to_owned(),
            };
            let own = shown.width();
            if at > 0 && at + pending + own > most {
                text.push_str(&format!("\n{:INDENT$}", ""));
                (at, pending) = (INDENT, 0);
            }
            let style = cell.style;
            let styled = if own == 0 { String::new() } else { format!("{style}{shown}{style:#}") };
            if own > 0 {
                text.push_str(&format!("{:pending$}{styled}", ""));
                at += pending + own;
                pending = 0;
            }
            pending += width.saturating_sub(own) + GAP;
        }
        text.push('\n');
        text
    }
}

/// Returns a name, or its start and end if it is wider than `most`.
fn shortened(name: &str, most: usize) -> String {
    if name.width() <= most {
        return name.to_owned();
    }
    // The end of a path or of an image's name says most.
    let kept = most.saturating_sub(1);
    let (head, tail) = (kept / 3, kept - kept / 3);
    let fitting = |characters: &mut dyn Iterator<Item = char>, most: usize| {
        let mut part = String::new();
        for c in characters {
            if format!("{part}{c}").width() > most {
                break;
            }
            part.push(c);
        }
        part
    };
    let start = fitting(&mut name.chars(), head);
    let end: String = fitting(&mut name.chars().rev(), tail).chars().rev().collect();
    format!("{start}…{end}")
}

/// Breaks a text into lines between its words.
pub fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| line.width() + 1 + word.width() <= most) {
            Some(line) => line.push_str(&format!(" {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(table: &Table, width: usize) -> String {
        anstream::adapter::strip_str(&table.render(width)).to_string()
    }

    fn table() -> Table {
        let mut table = Table::new(vec![
            Column::name("IMAGE"),
            Column::word("CURRENT"),
            Column::word("STATE"),
            Column::name("POLICY").rank(1),
            Column::word("STAGE").rank(2),
            Column::prose("WHY"),
        ]);
        let sha = "3f1c0a9b5d7e2f4601234567890abcdef0123456";
        let row = |image: &str, version: Cell, state: &str, policy: &str, why: Cell| {
            vec![image.into(), version, Cell::from(state), policy.into(), NOTHING.into(), why]
        };
        let why = "3f1c0a9 has been held since 2026-11-27T12:00:00Z by Ada: change freeze until Monday";
        table.add(row(
            "registry.example.com/shop/checkout",
            Cell::from(sha).or_brief(&sha[..7]),
            "held",
            "shop",
            why.into(),
        ));
        table.add(row("nginx", "1.27".into(), "up-to-date", "base", Cell::from("1.27 is the newest").minor()));
        table
    }

    #[test]
    fn columns_are_aligned_and_nothing_is_cut_without_a_limit() {
        let mut table = Table::new(vec![Column::word("FILE"), Column::word("X"), Column::word("N")]);
        table.add(vec!["a".into(), "é".into(), "1".into()]);
        table.add(vec!["世界".into(), "".into(), "".into()]);
        assert_eq!(plain(&table, usize::MAX), "FILE  X  N\na     é  1\n世界\n");
        let all = plain(&self::table(), usize::MAX);
        assert!(all.lines().all(|line| line.contains("  ")) && all.contains("until Monday\n"), "{all}");
        assert!(all.contains("3f1c0a9b5d7e2f4601234567890abcdef0123456") && all.contains("STAGE"), "{all}");
    }

    #[test]
    fn a_table_fits_its_width_and_loses_the_least_important_first() {
        let text = plain(&table(), 80);
        let expected = "\
IMAGE                               CURRENT  STATE       POLICY
registry.example.com/shop/checkout  3f1c0a9  held        shop
    3f1c0a9 has been held since 2026-11-27T12:00:00Z by Ada: change freeze until
    Monday
nginx                               1.27     up-to-date  base
";
        assert_eq!(text, expected);
        let text = plain(&table(), 60);
        assert!(text.lines().all(|line| line.width() <= 60) && !text.contains("POLICY"), "{text}");
        assert!(text.contains("registry.example.com/shop/checkout"), "{text}");
        let text = plain(&table(), 44);
        assert!(text.lines().all(|line| line.width() <= 44), "{text}");
        assert!(text.contains("registr…m/shop/checkout  3f1c0a9"), "{text}");
    }

    #[test]
    fn versions_are_never_broken() {
        let mut table = Table::new(vec![Column::name("IMAGE"), Column::word("FROM"), Column::word("TO")]);
        let (from, to) = ("release-2026.11.27-candidate-1", "release-2026.11.27-candidate-2");
        table.add(vec!["ghcr.io/acme/app".into(), from.into(), to.into()]);
        let text = plain(&table, 40);
        assert!(text.contains(from) && text.contains(to) && text.lines().all(|line| line.width() <= 50), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn foreign_text_stays_in_its_line_and_is_cut() {
        let mut table = Table::new(vec![Column::word("X"), Column::word("Y")]);
        table.add(vec!["a\nb\x1b[2J".into(), "é".repeat(2_000).into()]);
        let text = plain(&table, usize::MAX);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains(r"a\nb\u{1b}[2J") && text.ends_with("é…\n") && text.chars().count() < 3_000, "{text}");
    }
}
