//! How often something moved, since when, and by whom: the reason for a proposal.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::movements::Movement;
use super::mover::Mover;

/// The number of moves of something, their start, and who made them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Evidence {
    /// The number of moves.
    pub moves: usize,
    /// The time of the first of them.
    pub since: Option<Timestamp>,
    /// The number of moves by each mover.
    pub by: BTreeMap<Mover, usize>,
    /// The number of values that moved.
    pub values: usize,
}

impl Evidence {
    /// Sums up the moves of some values.
    pub fn of<'m>(movements: impl IntoIterator<Item = &'m Movement>) -> Evidence {
        let mut evidence = Evidence::default();
        for movement in movements {
            evidence.add(movement.count, Some(movement.since), &movement.by, 1);
        }
        evidence
    }

    /// Sums up evidence.
    pub fn sum<'e>(all: impl IntoIterator<Item = &'e Evidence>) -> Evidence {
        let mut sum = Evidence::default();
        for one in all {
            sum.add(one.moves, one.since, &one.by, one.values);
        }
        sum
    }

    fn add(&mut self, moves: usize, since: Option<Timestamp>, by: &BTreeMap<Mover, usize>, values: usize) {
        self.moves += moves;
        self.values += values;
        self.since = [self.since, since].into_iter().flatten().min();
        for (mover, count) in by {
            *self.by.entry(*mover).or_default() += count;
        }
    }

    /// Returns who moved it most often.
    pub fn main_mover(&self) -> Option<Mover> {
        self.by.iter().max_by_key(|(_, count)| **count).map(|(mover, _)| *mover)
    }
}

impl fmt::Display for Evidence {
    /// Writes `moved 214 times since 2026-05-03, by Renovate (200) and people (14)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.moves {
            0 => return f.write_str("never moved"),
            1 => f.write_str("moved once")?,
            moves => write!(f, "moved {moves} times")?,
        }
        if let Some(since) = self.since {
            write!(f, " since {}", day(since))?;
        }
        let mut by: Vec<(&Mover, &usize)> = self.by.iter().collect();
        by.sort_by_key(|(mover, count)| (std::cmp::Reverse(**count), **mover));
        match by.as_slice() {
            [] => Ok(()),
            [(mover, _)] => write!(f, ", by {}", mover.name()),
            several => {
                let texts: Vec<String> =
                    several.iter().map(|(mover, count)| format!("{} ({count})", mover.name())).collect();
                let (last, first) = texts.split_last().map_or(("", &[][..]), |(last, first)| (last.as_str(), first));
                write!(f, ", by {} and {last}", first.join(", "))
            }
        }
    }
}

/// Returns the day of a time, in UTC.
pub fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_written_for_people() {
        let since = "2026-05-03T10:00:00Z".parse().ok();
        let by = BTreeMap::from([(Mover::Renovate, 200), (Mover::Person, 14)]);
        let evidence = Evidence { moves: 214, since, by, values: 3 };
        assert_eq!(evidence.to_string(), "moved 214 times since 2026-05-03, by Renovate (200) and people (14)");
        assert_eq!(evidence.main_mover(), Some(Mover::Renovate));
        assert_eq!(Evidence::default().to_string(), "never moved");
    }
}
