//! What all stages hold, sorted once per cycle, so that rendering a page of it costs no more than that page.

use std::collections::BTreeMap;

use crate::cycle::stage_gates::ExplainedStage;
use crate::cycle::stages::report::StageReport;
use crate::cycle::stages::status::{self, CellStatus, WaitStatus};
use crate::stage::name::Name;

use super::query::Query;

/// The gates that time alone opens.
const ONLY_TIME: [&str; 2] = ["soak", "window"];

/// What all stages hold.
#[derive(Debug, Default)]
pub struct StageBoard {
    /// What the cycle found out about stages.
    pub report: StageReport,
    /// The stages, in their order.
    pub stages: Vec<Name>,
    /// The releases, those that wait for somebody first.
    rows: Vec<BoardRow>,
}

/// A release in all stages.
#[derive(Debug)]
pub struct BoardRow {
    /// Its name.
    pub release: String,
    /// The index of its cell for each stage, if it has one.
    cells: Vec<Option<usize>>,
    /// All of its names and tags, in lower case.
    words: String,
}

/// How urgent a cell is; the most urgent one is the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Somebody,
    Time,
    Nothing,
}

impl StageBoard {
    /// Sorts the board of a report.
    pub fn new(report: StageReport) -> StageBoard {
        let (stages, releases) = status::table(&report.board);
        let stages: Vec<Name> = stages.into_iter().cloned().collect();
        let column: BTreeMap<&Name, usize> = stages.iter().enumerate().map(|(at, stage)| (stage, at)).collect();
        let mut rows: BTreeMap<&str, BoardRow> = BTreeMap::new();
        for (at, cell) in report.board.iter().enumerate() {
            let row = rows.entry(&cell.release).or_insert_with(|| BoardRow {
                release: cell.release.clone(),
                cells: vec![None; stages.len()],
                words: cell.release.to_lowercase(),
            });
            row.cells[column[&cell.stage]] = Some(at);
            let tags = [cell.tag.as_ref(), cell.next.as_ref().and_then(|next| next.tag.as_ref())];
            for tag in tags.into_iter().flatten() {
                row.words.push('\n');
                row.words.push_str(&tag.as_str().to_lowercase());
            }
        }
        let urgency = |release: &str| releases[release].iter().map(|cell| urgency(cell)).min();
        let mut rows: Vec<BoardRow> = rows.into_values().collect();
        rows.sort_by_cached_key(|row| urgency(&row.release));
        StageBoard { report, stages, rows }
    }

    /// Returns the cells of a release, one for each stage.
    pub fn cells<'b>(&'b self, row: &'b BoardRow) -> impl Iterator<Item = Option<&'b CellStatus>> {
        row.cells.iter().map(|at| at.map(|at| &self.report.board[at]))
    }

    /// Returns the cells for which something waits, with their conditions, the most urgent releases first.
    pub fn waiting(&self) -> impl Iterator<Item = (&CellStatus, Option<&ExplainedStage>)> {
        let cells = self.rows.iter().flat_map(|row| row.cells.iter().copied().flatten());
        let cells = cells.map(|at| (&self.report.board[at], self.report.explained.get(at)));
        cells.filter(|(cell, _)| cell.next.as_ref().is_some_and(|next| !next.waits.is_empty()))
    }

    /// Returns the conditions of the cells that hold one of these fields, given by file and path.
    pub fn explained<'b>(&'b self, has: impl Fn(&CellStatus) -> bool + 'b) -> impl Iterator<Item = &'b ExplainedStage> {
        let both = self.report.board.iter().zip(&self.report.explained);
        both.filter(move |(cell, _)| has(cell)).map(|(_, explained)| explained)
    }

    /// Returns one page of the releases that match a query, their number, and the number of pages.
    pub fn select(&self, query: &Query) -> (Vec<&BoardRow>, usize, usize) {
        let words = query.words();
        let column = self.stages.iter().position(|stage| stage.as_str() == query.stage);
        let is_in = |row: &BoardRow| match column {
            Some(column) => row.cells[column].is_some(),
            None => query.stage.is_empty(),
        };
        let matches = |row: &&BoardRow| is_in(row) && words.iter().all(|word| row.words.contains(word));
        let found: Vec<&BoardRow> = self.rows.iter().filter(matches).collect();
        let (total, pages) = (found.len(), found.len().div_ceil(query.limit).max(1));
        let start = (query.page - 1).saturating_mul(query.limit);
        (found.into_iter().skip(start).take(query.limit).collect(), total, pages)
    }
}

fn urgency(cell: &CellStatus) -> Urgency {
    let only_time = |wait: &WaitStatus| ONLY_TIME.contains(&wait.gate.as_str());
    match &cell.next {
        Some(next) if !next.waits.iter().all(only_time) => Urgency::Somebody,
        Some(_) => Urgency::Time,
        None => Urgency::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::query::Sizes;
    use crate::cycle::stages::status::NextStatus;

    use super::*;

    const SIZES: Sizes = Sizes { default: 2, most: 10 };

    fn board() -> StageBoard {
        let next = |gate: &str| {
            let wait = WaitStatus { gate: gate.to_owned(), detail: "it".to_owned(), until: None, has_failed: false };
            let tag = Some("5D6E7f8".parse().expect("a tag"));
            Some(NextStatus { tag, id: None, waits: vec![wait], evidence: Vec::new() })
        };
        let cell =
            |stage: &str, release: &str, next| CellStatus::example(stage.parse().expect("a name"), release, next);
        let board = vec![
            cell("beta", "app", None),
            cell("beta", "shop", None),
            cell("beta", "till", None),
            cell("live", "shop", next("soak")),
            cell("live", "till", next("approval")),
        ];
        StageBoard::new(StageReport { board, ..StageReport::default() })
    }

    #[test]
    fn what_waits_for_somebody_comes_first() {
        let board = board();
        let found = |query: &str| {
            let (rows, total, pages) = board.select(&Query::parse(Some(query), SIZES).expect("a query"));
            (rows.iter().map(|row| row.release.clone()).collect::<Vec<_>>().join(" "), total, pages)
        };
        let is = |names: &str, total, pages| (names.to_owned(), total, pages);
        assert_eq!(
            [found(""), found("page=2"), found("page=3")],
            [is("till shop", 3, 2), is("app", 3, 2), is("", 3, 2)]
        );
        assert_eq!(found("stage=live"), is("till shop", 2, 1));
        assert_eq!(
            [found("stage=gone"), found("q=AP"), found("q=5d6+shop")],
            [is("", 0, 1), is("app", 1, 1), is("shop", 1, 1)]
        );
        let (rows, ..) = board.select(&Query::all(SIZES));
        assert!(board.cells(rows[0]).all(|cell| cell.is_some_and(|cell| cell.release == "till")));
        let waiting: Vec<&str> = board.waiting().map(|(cell, _)| cell.release.as_str()).collect();
        assert_eq!(waiting, ["till", "shop"]);
    }
}
