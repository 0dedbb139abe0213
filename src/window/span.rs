//! Spans of time, and sets of them.

use jiff::Timestamp;

/// A span of time, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Span {
    /// Returns whether an instant is in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// A set of times: spans in order that neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Makes a set from spans in any order. Empty ones are dropped.
    pub fn of(spans: impl IntoIterator<Item = Span>) -> Spans {
        let mut spans: Vec<Span> = spans.into_iter().filter(|span| span.start < span.end).collect();
        spans.sort();
        let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match joined.last_mut().filter(|last| span.start <= last.end) {
                Some(last) => last.end = last.end.max(span.end),
                None => joined.push(span),
            }
        }
        Spans(joined)
    }

    /// Returns the times that are in both or one of two sets.
    pub fn union(&self, other: &Spans) -> Spans {
        Spans::of(self.0.iter().chain(&other.0).copied())
    }

    /// Returns the times that are not in another set.
    pub fn minus(&self, other: &Spans) -> Spans {
        let mut left = Vec::new();
        for span in &self.0 {
            let mut start = span.start;
            for taken in other.0.iter().filter(|taken| taken.start < span.end && span.start < taken.end) {
                left.push(Span { start, end: taken.start });
                start = taken.end;
            }
            left.push(Span { start, end: span.end });
        }
        Spans::of(left)
    }

    /// Returns the span that an instant is in.
    pub fn at(&self, at: Timestamp) -> Option<Span> {
        let after = self.0.partition_point(|span| span.start <= at);
        self.0[..after].last().copied().filter(|span| span.contains(at))
    }

    /// Returns the first span that starts after an instant.
    pub fn after(&self, at: Timestamp) -> Option<Span> {
        self.0.get(self.0.partition_point(|span| span.start <= at)).copied()
    }

    /// Returns its spans, in order.
    pub fn iter(&self) -> impl Iterator<Item = Span> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(pairs: &[(i64, i64)]) -> Spans {
        let second = |second| Timestamp::from_second(second).expect("a time");
        Spans::of(pairs.iter().map(|(start, end)| Span { start: second(*start), end: second(*end) }))
    }

    fn holds(spans: &Spans, second: i64) -> bool {
        spans.at(Timestamp::from_second(second).expect("a time")).is_some()
    }

    proptest! {
        #[test]
        fn sets_behave_like_sets(
            a in prop::collection::vec((0..60_i64, 0..60_i64), 0..8),
            b in prop::collection::vec((0..60_i64, 0..60_i64), 0..8),
        ) {
            let is_in = |pairs: &[(i64, i64)], second: i64| pairs.iter().any(|(from, to)| *from <= second && second < *to);
            let (own, other) = (spans(&a), spans(&b));
            let (union, minus) = (own.union(&other), own.minus(&other));
            for second in 0..60 {
                prop_assert_eq!(holds(&own, second), is_in(&a, second));
                prop_assert_eq!(holds(&union, second), is_in(&a, second) || is_in(&b, second));
                prop_assert_eq!(holds(&minus, second), is_in(&a, second) && !is_in(&b, second));
            }
            for set in [&union, &minus] {
                let ordered: Vec<Span> = set.iter().collect();
                prop_assert!(ordered.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
