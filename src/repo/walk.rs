//! The order in which history is read: children before their parents, and no more of it than is asked for.
//!
//! git's own topological order has to read everything before it can give the first commit. Here commits are explored by
//! date, and handed out as soon as only one way leads on: all that was explored until then comes before all that was not.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::Hash;

/// What the order of a commit depends on.
pub(super) trait Node {
    /// The id of a commit.
    type Id: Copy + Eq + Hash + Ord;

    /// Its id.
    fn id(&self) -> Self::Id;
    /// When it was committed, in seconds. Clocks that are wrong cost time and do no harm.
    fn time(&self) -> i64;
    /// Its parents, as far as the walk may go on to them.
    fn parents(&self) -> &[Self::Id];
}

/// A walk from one commit to its ancestors.
pub(super) struct Walk<N: Node> {
    /// Commits that were read, and whose parents were not, the newest on top.
    frontier: BinaryHeap<Key<N::Id>>,
    /// Commits of the frontier and of the group.
    nodes: HashMap<N::Id, N>,
    /// Commits that were explored and not handed out, in that order.
    group: Vec<N::Id>,
    /// Commits that were met, as far as they can be met again.
    seen: HashSet<N::Id>,
    /// Whether a commit without parents was explored: from then on a single way may lead to descendants of what was
    /// explored already.
    met_an_end: bool,
    found: usize,
    left: usize,
}

/// Newest first; of the same second what was found first.
type Key<I> = (i64, Reverse<usize>, I);

impl<N: Node> Walk<N> {
    /// A walk that begins at a commit and explores up to `limit` commits.
    pub fn new(from: N, limit: usize) -> Walk<N> {
        let mut walk = Walk {
            frontier: BinaryHeap::new(),
            nodes: HashMap::new(),
            group: Vec::new(),
            seen: HashSet::from([from.id()]),
            met_an_end: false,
            found: 0,
            left: limit,
        };
        walk.find(from);
        walk
    }

    /// Returns the next commits, children before their parents; none at the end. Every commit of a later group is an
    /// ancestor of every commit of an earlier one.
    pub fn next<E>(&mut self, mut read: impl FnMut(N::Id) -> Result<N, E>) -> Result<Vec<N>, E> {
        while self.left > 0 {
            let Some((_, _, id)) = self.frontier.pop() else { break };
            self.left -= 1;
            self.group.push(id);
            let parents = self.nodes.get(&id).map(|node| node.parents().to_vec()).unwrap_or_default();
            self.met_an_end |= parents.is_empty();
            for parent in parents {
                if self.seen.insert(parent) {
                    let node = read(parent)?;
                    self.find(node);
                }
            }
            if self.frontier.len() == 1 && !self.met_an_end {
                // Nothing that was explored can be met again.
                self.seen = self.frontier.iter().map(|(_, _, id)| *id).collect();
                break;
            }
        }
        Ok(self.hand_out())
    }

    /// Whether it ended before all was explored.
    pub fn is_limited(&self) -> bool {
        self.left == 0 && !self.frontier.is_empty()
    }

    fn find(&mut self, node: N) {
        self.frontier.push((node.time(), Reverse(self.found), node.id()));
        self.found += 1;
        self.nodes.insert(node.id(), node);
    }

    /// The group in topological order: of those whose children were all given, the newest comes next.
    fn hand_out(&mut self) -> Vec<N> {
        let ids = std::mem::take(&mut self.group);
        let mut group: HashMap<N::Id, (usize, N)> = HashMap::with_capacity(ids.len());
        for (position, id) in ids.iter().enumerate() {
            group.extend(self.nodes.remove(id).map(|node| (*id, (position, node))));
        }
        let mut children: HashMap<N::Id, usize> = HashMap::new();
        for parent in group.values().flat_map(|(_, node)| node.parents()) {
            *children.entry(*parent).or_default() += 1;
        }
        let key = |position: &usize, node: &N| (node.time(), Reverse(*position), node.id());
        let is_free = |id: &N::Id| !children.contains_key(id);
        let free = group.iter().filter(|(id, _)| is_free(id)).map(|(_, (position, node))| key(position, node));
        let mut free: BinaryHeap<Key<N::Id>> = free.collect();
        let mut ordered = Vec::with_capacity(ids.len());
        while let Some((_, _, id)) = free.pop() {
            let Some((_, node)) = group.remove(&id) else { continue };
            for parent in node.parents() {
                let Some(count) = children.get_mut(parent) else { continue };
                *count -= 1;
                if *count == 0
                    && let Some((position, node)) = group.get(parent)
                {
                    free.push(key(position, node));
                }
            }
            ordered.push(node);
        }
        ordered
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    struct Commit {
        id: usize,
        time: i64,
        parents: Vec<usize>,
    }

    impl Node for Commit {
        type Id = usize;

        fn id(&self) -> usize {
            self.id
        }

        fn time(&self) -> i64 {
            self.time
        }

        fn parents(&self) -> &[usize] {
            &self.parents
        }
    }

    fn groups(commits: &[Commit], limit: usize) -> (Vec<Vec<usize>>, bool, usize) {
        let mut reads = 1;
        let mut walk = Walk::new(commits.last().expect("a tip").clone(), limit);
        let mut groups = Vec::new();
        loop {
            let read = |id: usize| {
                reads += 1;
                Ok::<Commit, ()>(commits[id].clone())
            };
            let group = walk.next(read).expect("readable");
            if group.is_empty() {
                return (groups, walk.is_limited(), reads);
            }
            groups.push(group.iter().map(|commit| commit.id).collect());
        }
    }

    /// The commits that can be reached from one.
    fn ancestors(commits: &[Commit], from: usize) -> HashSet<usize> {
        let (mut open, mut found) = (vec![from], HashSet::new());
        while let Some(id) = open.pop() {
            open.extend(commits[id].parents.iter().filter(|parent| found.insert(**parent)));
        }
        found
    }

    #[test]
    fn a_line_is_read_as_far_as_it_is_asked_for() {
        let commits: Vec<Commit> = (0..1000)
            .map(|id| Commit { id, time: id as i64, parents: id.checked_sub(1).into_iter().collect() })
            .collect();
        let mut walk = Walk::new(commits[999].clone(), usize::MAX);
        let mut reads = 0;
        for id in (990..1000).rev() {
            let read = |id: usize| {
                reads += 1;
                Ok::<Commit, ()>(commits[id].clone())
            };
            assert_eq!(walk.next(read).expect("readable").iter().map(|commit| commit.id).collect::<Vec<_>>(), [id]);
        }
        assert_eq!(reads, 10);
        let (groups, is_limited, reads) = groups(&commits, 5);
        assert_eq!((groups.concat(), is_limited, reads), (vec![999, 998, 997, 996, 995], true, 6));
    }

    proptest! {
        /// Any history, with clocks that are right or anything at all.
        #[test]
        fn children_come_before_their_parents(
            shape in prop::collection::vec((prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0..60i64), 1..40),
            are_clocks_right in any::<bool>(),
            limit in prop::option::of(1..40usize),
        ) {
            let commits: Vec<Commit> = shape
                .iter()
                .enumerate()
                .map(|(id, (parents, time))| {
                    let mut parents: Vec<usize> =
                        parents.iter().filter(|_| id > 0).map(|parent| parent.index(id)).collect();
                    parents.sort_unstable();
                    parents.dedup();
                    Commit { id, time: if are_clocks_right { id as i64 } else { *time }, parents }
                })
                .collect();
            let tip = commits.len() - 1;
            let mut all = ancestors(&commits, tip);
            all.insert(tip);
            let (groups, is_limited, _) = groups(&commits, limit.unwrap_or(usize::MAX));
            let order = groups.concat();
            prop_assert_eq!(is_limited, order.len() < all.len());
            prop_assert_eq!(order.len(), limit.unwrap_or(usize::MAX).min(all.len()));
            prop_assert_eq!(order.iter().collect::<HashSet<_>>().len(), order.len());
            let at = |id: usize| order.iter().position(|other| *other == id);
            for id in &order {
                for parent in &commits[*id].parents {
                    prop_assert!(at(*parent).is_none_or(|parent| at(*id) < Some(parent)));
                }
            }
            // What comes in a later group is an ancestor of all that can be reached from an earlier one and goes on.
            for (index, group) in groups.iter().enumerate() {
                for later in groups[index + 1..].iter().flatten() {
                    prop_assert!(group.iter().all(|id| !ancestors(&commits, *later).contains(id)));
                    prop_assert!(group.iter().all(|id| ancestors(&commits, *id).contains(later)));
                }
            }
        }
    }
}
