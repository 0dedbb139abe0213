//! Places the comments of a YAML file among keys and values, as Go's YAML attaches them and SOPS orders them.
//!
//! A comment on a line of its own comes before what follows it, or at the end of the deepest block that is not indented
//! more than the comment. A comment after a value comes before that value's key.

use std::collections::HashMap;
use std::ops::Range;

use crate::yaml::extent::{Comment, Extents};
use crate::yaml::node::{Kind, NodeId};
use crate::yaml::scan::Scan;

/// The comments of a file, by the collection that contains them and the key or item that they precede; without an item,
/// they are at its end.
pub type Placed = HashMap<(NodeId, Option<NodeId>), Vec<Range<usize>>>;

/// Places all comments of a file.
pub fn place(scan: &Scan<'_>, extents: &Extents) -> Placed {
    let placer = Placer::new(scan, extents);
    let mut placed = Placed::new();
    for (index, comment) in extents.comments.iter().enumerate() {
        if let Some(place) = placer.place(index, comment) {
            placed.entry(place).or_default().push(comment.at.clone());
        }
    }
    placed
}

/// A collection, and the key or item of it that leads to a node.
type Entry = (NodeId, NodeId);

fn at_entry((collection, entry): Entry) -> (NodeId, Option<NodeId>) {
    (collection, Some(entry))
}

struct Placer<'s, 'a> {
    scan: &'s Scan<'a>,
    extents: &'s Extents,
    /// The entry of each key, value and item.
    entries: HashMap<NodeId, Entry>,
    /// The nodes that have bytes of their own and contain no others, by their first byte.
    tokens: Vec<(usize, NodeId)>,
    /// The first and last comment of each comment's run: those right above and below it in the same column.
    runs: Vec<(usize, usize)>,
}

impl<'s, 'a> Placer<'s, 'a> {
    fn new(scan: &'s Scan<'a>, extents: &'s Extents) -> Placer<'s, 'a> {
        let mut placer = Placer { scan, extents, entries: HashMap::new(), tokens: Vec::new(), runs: Vec::new() };
        if extents.comments.is_empty() {
            return placer;
        }
        placer.runs = placer.runs();
        for id in scan.ids() {
            match scan.kind(id) {
                Kind::Mapping | Kind::Sequence if scan.children(id).next().is_none() => {
                    placer.tokens.push((scan.start_in_file(id), id));
                }
                Kind::Mapping => placer
                    .entries
                    .extend(scan.pairs(id).flat_map(|(key, value)| [(key, (id, key)), (value, (id, key))])),
                Kind::Sequence => placer.entries.extend(scan.children(id).map(|item| (item, (id, item)))),
                Kind::Scalar { .. } => placer.tokens.extend(extents.scalar(id).map(|at| (at.start, id))),
                Kind::Alias(_) => placer.tokens.push((scan.start_in_file(id), id)),
                Kind::Document => {}
            }
        }
        placer
    }

    fn place(&self, number: usize, comment: &Comment) -> Option<(NodeId, Option<NodeId>)> {
        let at = comment.at.start;
        let index = self.tokens.partition_point(|(start, _)| *start < at);
        let mut before = index.checked_sub(1).map(|index| self.tokens[index]);
        let mut after = self.tokens.get(index).copied();
        // The end of a document separates.
        let marker = self.extents.markers.partition_point(|marker| *marker < at);
        let markers =
            (marker.checked_sub(1).map(|index| self.extents.markers[index]), self.extents.markers.get(marker));
        if let (Some((start, id)), Some(marker)) = (before, markers.0)
            && start < marker
        {
            if self.is_foot_of_previous(comment, marker) {
                return self.way(id).first().map(|(root, _)| (*root, None));
            }
            before = None;
        }
        if let (Some((start, _)), Some(marker)) = (after, markers.1)
            && *marker < start
        {
            after = None;
        }
        let before_way = before.map(|(_, id)| self.way(id)).unwrap_or_default();
        let after_way = after.map(|(_, id)| self.way(id)).unwrap_or_default();
        if comment.alone {
            let is_foot = before.is_some_and(|(start, _)| self.is_foot(number, start));
            return self.own_line(self.column(at), is_foot, &before_way, &after_way);
        }
        match comment.after {
            Some('-' | '[' | '{') => after_way.last().copied().map(at_entry),
            Some(']' | '}') => self.closed_before(comment, before?, &before_way),
            _ => before_way.last().or(after_way.first()).copied().map(at_entry),
        }
    }

    /// Places a comment on a line of its own, between two paths from the root.
    fn own_line(
        &self,
        column: usize,
        is_foot: bool,
        before: &[Entry],
        after: &[Entry],
    ) -> Option<(NodeId, Option<NodeId>)> {
        let common = before.iter().zip(after).take_while(|(one, other)| one.0 == other.0).count();
        if common > 0 && before[common - 1] == after[common - 1] {
            // Between a key and its value.
            return after.get(common).or(after.last()).copied().map(at_entry);
        }
        if is_foot {
            let block = before.iter().rev().find(|(collection, _)| !self.extents.is_flow(*collection));
            return block.map(|(collection, _)| (*collection, None));
        }
        // If dashes are right below their key, a comment before the next key belongs to that key.
        let shared = common.checked_sub(1).map(|index| before[index].0);
        let outside = |list| shared.is_some() && self.level_with(list) == shared;
        let ending = before.iter().skip(common).rev();
        let mut ending = ending.filter(|(collection, _)| !self.extents.is_flow(*collection) && !outside(*collection));
        if let Some((collection, _)) = ending.find(|(collection, _)| self.column_of(*collection) <= column) {
            return Some((*collection, None));
        }
        if common == 0 {
            let ends = before.first().map(|(collection, _)| (*collection, None));
            return after.first().copied().map(at_entry).or(ends);
        }
        after.get(common - 1).copied().map(at_entry)
    }

    /// Places a comment after the bracket that closes a flow collection: as the first thing within it.
    fn closed_before(
        &self,
        comment: &Comment,
        (_, last): (usize, NodeId),
        way: &[Entry],
    ) -> Option<(NodeId, Option<NodeId>)> {
        let end = self.extents.scalar(last).map_or_else(|| self.scan.start_in_file(last), |at| at.end);
        let gap = self.scan.slice(end..comment.at.start);
        let closed = gap.chars().filter(|c| matches!(c, ']' | '}')).count();
        let (collection, entry) = way.get(way.len().checked_sub(closed)?).or(way.last()).copied()?;
        let first = self.scan.children(collection).next();
        Some(if self.extents.is_flow(collection) { (collection, first) } else { (collection, Some(entry)) })
    }

    /// Returns the collections that contain a node, from the outermost.
    fn way(&self, id: NodeId) -> Vec<Entry> {
        let mut way: Vec<Entry> =
            std::iter::successors(self.entries.get(&id), |(collection, _)| self.entries.get(collection))
                .copied()
                .collect();
        way.reverse();
        way
    }

    fn column(&self, at: usize) -> usize {
        self.scan.slice(self.scan.line_range(at).start..at).chars().count()
    }

    /// Returns the mapping that contains a list whose dashes are right below its key.
    fn level_with(&self, list: NodeId) -> Option<NodeId> {
        let (mapping, _) = *self.entries.get(&list)?;
        let fits = matches!((self.scan.kind(mapping), self.scan.kind(list)), (Kind::Mapping, Kind::Sequence));
        (fits && self.column_of(mapping) == self.column_of(list)).then_some(mapping)
    }

    /// Returns whether a comment belongs to the value before it: the first comments after a value do if the line right
    /// below is indented less.
    fn is_foot(&self, number: usize, value: usize) -> bool {
        let comments = &self.extents.comments;
        let (first, last) = self.runs[number];
        let is_first = first.checked_sub(1).is_none_or(|at| !comments[at].alone || comments[at].at.start < value);
        let below = self.scan.lines_from(comments[last].at.end).nth(1).unwrap_or_default();
        let indent = below.chars().take_while(|c| *c == ' ').count();
        is_first && !below.trim().is_empty() && indent < self.column(comments[number].at.start)
    }

    fn runs(&self) -> Vec<(usize, usize)> {
        let comments = &self.extents.comments;
        let columns: Vec<usize> = comments.iter().map(|comment| self.column(comment.at.start)).collect();
        let continues = |at: usize| {
            let (one, other) = (&comments[at - 1], &comments[at]);
            let alone = one.alone && other.alone && columns[at - 1] == columns[at];
            alone && self.scan.slice(one.at.end..other.at.start).matches('\n').count() == 1
        };
        let mut runs: Vec<(usize, usize)> = Vec::with_capacity(comments.len());
        for at in 0..comments.len() {
            let first = if at > 0 && continues(at) { runs[at - 1].0 } else { at };
            runs.push((first, at));
        }
        for at in (1..comments.len()).rev() {
            if runs[at].0 < at {
                runs[at - 1].1 = runs[at].1;
            }
        }
        runs
    }

    /// Returns whether a comment belongs to the previous document: comments right below `---` with an empty line after
    /// them do in Go's YAML.
    fn is_foot_of_previous(&self, comment: &Comment, marker: usize) -> bool {
        let is_comment = |line: &str| line.trim_start().starts_with('#');
        let mut above = self.scan.slice(marker..comment.at.start).lines().skip(1).filter(|line| !line.is_empty());
        let gap_above = self.scan.slice(marker..comment.at.start).contains("\n\n");
        let mut below = self.scan.lines_from(comment.at.end).skip(1).skip_while(|line| is_comment(line));
        comment.alone
            && !gap_above
            && above.all(|line| line.trim().is_empty() || is_comment(line))
            && below.next().is_some_and(|line| line.trim().is_empty())
    }

    /// Returns the column of the keys of a mapping, or of the dashes of a list.
    fn column_of(&self, collection: NodeId) -> usize {
        let Some(first) = self.scan.children(collection).next() else { return 0 };
        let start = self.scan.start_in_file(first);
        let is_list = matches!(self.scan.kind(collection), Kind::Sequence);
        let dash = is_list.then(|| self.extents.dash_before(start + 1)).flatten();
        self.column(dash.unwrap_or(start))
    }
}
